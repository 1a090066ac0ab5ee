package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
	"crmsync/cmd/internal/stress"
	"crmsync/sync/store/storetest"
)

// auditOf runs audit with a worker's configuration, which env may change.
func auditOf(t *testing.T, info sandbox.Info, env []string, args ...string) (report app.AuditReport, code int) {
	t.Helper()
	p := start(t, env, append([]string{"audit", "--config", info.Config, "--output", "json"}, args...)...)
	line := p.line(30 * time.Second)
	if err := json.Unmarshal([]byte(line), &report); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	p.wait(2 * time.Minute)
	return report, p.cmd.ProcessState.ExitCode()
}

// database opens the worker's database behind its back.
func database(t *testing.T, info sandbox.Info, env []string) *sql.DB {
	t.Helper()
	driver, source := "sqlite", "file:"+filepath.Join(filepath.Dir(info.Config), "data", "crmsync.db")+"?_pragma=busy_timeout(5000)"
	if len(env) > 0 {
		driver, source = "pgx", strings.TrimPrefix(env[0], "CRMSYNC_DATABASE_URL=")
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Under load, with refused records and an unreadable webhook, the sums close
// whenever somebody looks; they agree with the ledger in the end, with the
// worker and without it; and what is broken by hand is named.
func TestTheSumsCloseWhileTheWorkerWorksAndWithoutIt(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(t *testing.T) []string{
		"sqlite":   func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string { return []string{"CRMSYNC_DATABASE_URL=" + storetest.Postgres(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			env := env(t)
			info := simulate(t)
			worker := serve(t, info, env...)
			post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "reject", "match": "Person 15550000007"})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			l := newLoad(info)
			l.send([]byte(`{"object":"whatsapp_business_account","entry":[`))
			ended := make(chan struct{})
			go func() { l.run(ctx, 50, 40); close(ended) }()
			looks := 0
			for running := true; running; looks++ {
				if r, code := auditOf(t, info, env); code != 0 || !r.Closes || !r.Events.Known {
					t.Fatalf("while it works: exit code %d, %+v %+v", code, r.Events, r.Findings)
				}
				select {
				case <-ended:
					running = false
				default:
				}
			}
			var r app.AuditReport
			eventually(t, 30*time.Second, "all is recorded, and HubSpot has refused somebody", func() bool {
				r, _ = auditOf(t, info, env)
				refused := slices.ContainsFunc(r.Accounts, func(a app.AuditAccount) bool { return a.Account == "hubspot" && a.DeadLettered > 0 })
				return r.Closes && r.Events.Waiting == 0 && refused
			})
			t.Logf("%d looks; %+v", looks, r.Events)
			for _, a := range r.Accounts {
				c := a.Entities["message"]
				if int(c.Recorded) != len(l.acked) || !a.Closes() {
					t.Errorf("%s: %d messages recorded, %d acknowledged; %+v", a.Account, c.Recorded, len(l.acked), a.Counts)
				}
				if a.Account == "hubspot" && a.DeadLettered != 1 || a.Account != "hubspot" && a.DeadLettered != 0 {
					t.Errorf("%s: %d dead-lettered", a.Account, a.DeadLettered)
				}
			}
			if s := r.Sources[slices.IndexFunc(r.Sources, func(s app.AuditSource) bool { return s.Account == "whatsapp" })]; int(s.Received) != len(l.acked)+1 || s.Unreadable != 1 || s.Waiting == nil {
				t.Errorf("whatsapp: %+v, want %d messages and one part that cannot be read", s, len(l.acked))
			}

			if code := worker.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			alone, code := auditOf(t, info, env)
			if e := alone.Events; code != 0 || e.Stored < r.Events.Stored || e.Stored != e.Recorded+e.Waiting {
				t.Errorf("without a worker: exit code %d, events %+v after %+v; %+v", code, e, r.Events, alone.Findings)
			}
			if _, err := database(t, info, env).Exec("DELETE FROM links WHERE account = 'zoho' AND kind = 'message' AND entity_id = 5"); err != nil {
				t.Fatal(err)
			}
			if broken, code := auditOf(t, info, env); code != 1 || broken.Closes || len(broken.Findings) != 1 || !slices.Equal(broken.Findings[0].Names, []string{"message 5"}) || broken.Findings[0].Account != "zoho" {
				t.Errorf("broken by hand: exit code %d, %+v", code, broken.Findings)
			}
			p := start(t, env, "audit", "--config", info.Config)
			var text string
			for line := range p.lines {
				text += line + "\n"
			}
			if p.wait(2 * time.Minute); p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "message 5") || strings.Contains(text, "Person") || strings.Contains(text, "1555000") {
				t.Errorf("it says, with exit code %d:\n%s", p.cmd.ProcessState.ExitCode(), text)
			}
			// And one that is started while somebody looks waits for that.
			serve(t, info, env...)
		})
	}
}

// What waits in the broker while the database is away is received, not lost.
func TestWhatWaitsInTheBrokerIsReceived(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	l := newLoad(info)
	l.post("wamid.ONE", "393331112233", "ciao")
	worker.delivering(info)
	lock, err := database(t, info, nil).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	l.post("wamid.TWO", "393331112233", "ciao")
	l.post("wamid.THREE", "393331112233", "ciao")
	r, code := auditOf(t, info, nil, "--since", "1h")
	if code != 0 || r.Events.Waiting != 2 || r.Sources[0].Received != 3 || r.Sources[0].Recorded != 1 || *r.Sources[0].Waiting != 2 {
		t.Errorf("exit code %d, events %+v, sources %+v %+v", code, r.Events, r.Sources, r.Findings)
	}
	if len(l.acked) != 3 {
		t.Errorf("%d acknowledged", len(l.acked))
	}
	// That is told to nobody who cannot read the data directory.
	for _, path := range []string{"held", "compare?account=hubspot&sample=10"} {
		response, err := http.Get(info.Worker.URL + "/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s is answered %s", path, response.Status)
		}
	}
	if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	worker.kill()
	if r, code = auditOf(t, info, nil); code != 0 || r.Events.Stored != r.Events.Recorded+r.Events.Waiting {
		t.Errorf("after kill -9: exit code %d, events %+v %+v", code, r.Events, r.Findings)
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(info.Config), "data", "streams")); err != nil {
		t.Fatal(err)
	}
	if r, code = auditOf(t, info, nil); code != 1 || r.Closes || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Problem, "EVENTS was replaced") {
		t.Errorf("the streams are gone: exit code %d, %+v", code, r.Findings)
	}
	if out, errs, code := runCommand(t, "audit", "settle", "--config", info.Config, "--by", "anna"); code != exitUsage || !strings.Contains(errs, "--reason") {
		t.Errorf("for no reason: exit code %d, %s%s", code, out, errs)
	}
	out, errs, code := runCommand(t, "audit", "settle", "--config", info.Config, "--by", "anna", "--reason", "removed by hand")
	if code != 0 || !strings.Contains(out, "Settled: whatever came after event ") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	if r, code = auditOf(t, info, nil); code != 0 || !r.Closes || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "anna") {
		t.Errorf("settled: exit code %d, %+v %q", code, r.Findings, r.Notes)
	}
	if out, _, code := runCommand(t, "audit", "settle", "--config", info.Config, "--reason", "again"); code != 0 || !strings.Contains(out, "Nothing is lost") {
		t.Errorf("settled twice: exit code %d, %s", code, out)
	}
	// Not so if nobody can say what is lost.
	config, err := os.ReadFile(info.Config)
	if err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(filepath.Dir(info.Config), "away.yaml")
	if err := os.WriteFile(away, append(config, "nats: {urls: [nats://127.0.0.1:1]}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := runCommand(t, "audit", "--config", away); code != 1 || !strings.Contains(out, "Whether anything is lost is not known") || strings.Contains(out, "close") {
		t.Errorf("without a broker: exit code %d, %s%s", code, out, errs)
	}
	if out, errs, code := runCommand(t, "audit", "settle", "--config", away, "--reason", "x"); code != 1 || !strings.Contains(errs, "not known") {
		t.Errorf("settled without a broker: exit code %d, %s%s", code, out, errs)
	}
}

func TestAPeriodThatIsNoneIsRefused(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if p, err := periodOf("2h", "1h", now); err != nil || !p.Since.Equal(now.Add(-2*time.Hour)) || !p.Until.Equal(now.Add(-time.Hour)) {
		t.Errorf("%v, error %v", p, err)
	}
	if p, err := periodOf("", "2027-01-01", now); err != nil || !p.Since.IsZero() || p.Until.IsZero() {
		t.Errorf("%v, error %v", p, err)
	}
	for _, wrong := range []string{"yesterday", "-24h", "2027-01-01"} {
		if _, err := periodOf(wrong, "", now); err == nil || !strings.Contains(err.Error(), "--since") {
			t.Errorf("%q: error %v", wrong, err)
		}
	}
	if _, err := periodOf("1h", "2h", now); err == nil {
		t.Error("a period that ends before it begins")
	}
	for _, args := range [][]string{{"--since", "yesterday"}, {"--since", "1h", "--until", "2h"}, {"--output", "xml"}, {"x"}} {
		if _, errs, code := runCommand(t, append([]string{"audit"}, args...)...); code != 2 || !strings.Contains(errs, "usage") {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
	if got := strings.Join([]string{stress.Whole(0), stress.Whole(999), stress.Whole(1000), stress.Whole(1234567)}, " "); got != "0 999 1,000 1,234,567" {
		t.Errorf("numbers %s", got)
	}
}

// What people change in a CRM that only crmsync should, and what is deleted there
// without a word, is found by a comparison, also by the one that happens by
// itself; and the quota is kept.
func TestWhatPeopleChangeInACRMIsFound(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	withoutWebhooks(t, info)
	worker := serve(t, info, "CRMSYNC_JOBS_CONSISTENCY_CHECK=* * * * *", "CRMSYNC_JOBS_CONTACT_SYNC=off")
	l := newLoad(info)
	for n := range 30 {
		l.post(fmt.Sprintf("wamid.COMPARE%d", n), fmt.Sprintf("1555000%04d", n), "hello")
	}
	compare := func() (by map[string]app.Consistency, code int) {
		t.Helper()
		p := start(t, nil, "audit", "--against-crm", "--sample", "60", "--config", info.Config, "--output", "json")
		var report struct {
			AgainstCRM []app.Consistency `json:"against_crm"`
		}
		line := p.line(90 * time.Second)
		if err := json.Unmarshal([]byte(line), &report); err != nil {
			t.Fatal(err)
		}
		p.wait(2 * time.Minute)
		by = map[string]app.Consistency{}
		for _, c := range report.AgainstCRM {
			by[c.Account] = c
		}
		if strings.Contains(line, "15550") || strings.Contains(line, "hello") || strings.Contains(line, "Person") {
			t.Errorf("it gives away %s", line)
		}
		return by, p.cmd.ProcessState.ExitCode()
	}
	eventually(t, 60*time.Second, "all is in agreement", func() bool {
		r, _ := auditOf(t, info, nil)
		return !slices.ContainsFunc(r.Accounts, func(a app.AuditAccount) bool { return a.Agreed < 60 })
	})
	by, code := compare()
	for _, crm := range info.CRMs() {
		if c := by[crm.Account]; c.Contacts != 30 || c.Messages != 30 || !c.Agrees() {
			t.Errorf("%s: %+v", crm.Account, c)
		}
	}
	if code != 0 || len(by) != 3 {
		t.Errorf("exit code %d, accounts %d", code, len(by))
	}

	field := map[string]string{
		"hubspot": "crmsync_last_message_text", "zoho": "WhatsApp_Last_Message_Text", "bitrix24": "UF_CRM_WHATSAPP_LAST_MESSAGE_TEXT",
	}
	for _, crm := range info.CRMs() {
		ask(t, crm.URL+"/_sim/contacts", map[string]any{"phone": "+15550000003", "fields": map[string]any{field[crm.Account]: "Somebody else"}}, nil)
		var people []sandbox.SimContact
		get(t, crm.URL+"/_sim/contacts?phone="+url.QueryEscape("+15550000004"), &people)
		request, err := http.NewRequest(http.MethodDelete, crm.URL+"/_sim/contacts?id="+people[0].ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("deleting a contact: %v %v", response, err)
		}
		response.Body.Close()
	}
	by, code = compare()
	for _, crm := range info.CRMs() {
		c := by[crm.Account]
		if c.Missing < 1 || c.Differing != 1 || c.Fields[field[crm.Account]] != 1 {
			t.Errorf("%s: %+v", crm.Account, c)
		}
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}

	missing := func(account string) string {
		return `crmsync_consistency_records{account="` + account + `",outcome="missing"}`
	}
	var file string
	for _, crm := range info.CRMs() {
		eventually(t, 150*time.Second, crm.Account+" is compared by itself", func() bool { return metric(t, info, missing(crm.Account)) >= 1 })
		reports, err := filepath.Glob(filepath.Join(filepath.Dir(info.Config), "data", "reports", "consistency-"+crm.Account+"-*.json"))
		if err != nil || len(reports) == 0 {
			t.Fatalf("no report of %s (error %v)", crm.Account, err)
		}
		file = reports[len(reports)-1]
	}
	var report struct {
		Due        time.Time        `json:"due"`
		AgainstCRM *app.Consistency `json:"against_crm"`
		Audit      *app.AuditReport `json:"audit"`
	}
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &report) != nil || report.Due.Second() != 0 || !report.Audit.Closes || report.AgainstCRM.Missing < 1 {
		t.Errorf("report %s (error %v)", text, err)
	}
	for _, crm := range info.CRMs() {
		if s := statsOf(t, crm); s.Throttled > 0 {
			t.Errorf("%s has refused %d calls for its quota", crm.Account, s.Throttled)
		}
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
