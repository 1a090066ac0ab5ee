package main

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// seed has every CRM show so many people, of whom crmsync has never heard.
func seed(t *testing.T, info sandbox.Info, n int) {
	t.Helper()
	for _, crm := range info.CRMs() {
		ask(t, crm.URL+"/_sim/contacts", map[string]any{"count": n}, nil)
	}
}

// syncStatuses are how it stands with the contact syncs, by account.
func syncStatuses(t *testing.T, info sandbox.Info) map[string]app.SyncStatus {
	t.Helper()
	out, errs, code := runCommand(t, "sync", "status", "--config", info.Config, "-o", "json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var list []app.SyncStatus
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	by := map[string]app.SyncStatus{}
	for _, s := range list {
		by[s.Account] = s
	}
	return by
}

// compared waits until the contacts of every CRM have been compared, and nothing
// is under way.
func compared(t *testing.T, info sandbox.Info, within time.Duration) {
	t.Helper()
	eventually(t, within, "all contacts are compared", func() bool {
		time.Sleep(300 * time.Millisecond)
		for _, s := range syncStatuses(t, info) {
			if s.Oldest == nil || s.Recent[0].Ended == nil {
				return false
			}
		}
		return true
	})
}

// settled waits until nobody writes to the CRMs any more.
func settled(t *testing.T, info sandbox.Info) {
	t.Helper()
	writes := func() (n int) {
		for _, crm := range info.CRMs() {
			n += statsOf(t, crm).Writes
		}
		return n
	}
	for was, quiet := writes(), 0; quiet < 4; time.Sleep(time.Second) {
		now := writes()
		if quiet++; now != was {
			quiet = 0
		}
		was = now
	}
}

// syncOnce has accounts compared now, and returns what they have shown in the
// end and how many of them did not come to it.
func syncOnce(t *testing.T, info sandbox.Info, args ...string) (found map[string]app.Sync, stopped int) {
	t.Helper()
	out, errs, code := runCommand(t, append([]string{"sync", "now", "--no-wait", "--config", info.Config, "-o", "json"}, args...)...)
	var list []app.Sync
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	found = map[string]app.Sync{}
	eventually(t, 3*time.Minute, "they are compared", func() bool {
		time.Sleep(200 * time.Millisecond)
		by := syncStatuses(t, info)
		for _, asked := range list {
			for _, s := range by[asked.Account].Recent {
				if s.Due.Equal(asked.Due) && s.Ended != nil {
					found[asked.Account] = s
				}
			}
		}
		return len(found) == len(list)
	})
	for _, s := range found {
		if s.State != "done" {
			stopped++
		}
	}
	return found, stopped
}

// Listings that wrongly end early, are half of what they should be, or show a
// page twice: nothing is deleted and nothing emptied. When the contacts really
// are gone, somebody is asked.
func TestAWrongListingDoesNoHarm(t *testing.T) {
	t.Parallel()
	const people = 150
	info := simulate(t, "--quota", "off")
	seed(t, info, people)
	serve(t, info)
	compared(t, info, 2*time.Minute)
	settled(t, info)
	before := make([]simStats, 3)
	for i, crm := range info.CRMs() {
		before[i] = statsOf(t, crm)
	}
	for _, mode := range []string{"page_empty", "page_half", "page_repeat"} {
		for _, crm := range info.CRMs() {
			if status := post(t, crm.URL+"/_sim/faults", map[string]any{"mode": mode}); status != http.StatusOK {
				t.Fatalf("%s: %d", mode, status)
			}
		}
		found, _ := syncOnce(t, info)
		for account, s := range found {
			t.Logf("%s, %s: %s, %d read, %d compared, %d missed %s", account, mode, s.State, s.Read, s.Compared, s.Missed, s.Problem)
			if s.State == "done" && (s.Gone+s.Emptied+s.There > 0 || s.Compared != s.Known) || s.Known < 10 {
				t.Errorf("%s, %s: %+v", account, mode, s)
			}
		}
		for _, crm := range info.CRMs() {
			post(t, crm.URL+"/_sim/faults", map[string]any{"mode": "none"})
		}
	}
	settled(t, info)
	for i, crm := range info.CRMs() {
		if now := statsOf(t, crm); now.Contacts != people || now.Writes != before[i].Writes {
			t.Errorf("%s: %d people, %d writes", crm.Name, now.Contacts, now.Writes-before[i].Writes)
		}
	}

	hubspot := info.CRMs()[0]
	known := syncStatuses(t, info)["hubspot"].Recent[0].Known
	var all []struct{ ID string }
	get(t, hubspot.URL+"/_sim/contacts", &all)
	for _, one := range all[:40] {
		request, err := http.NewRequest(http.MethodDelete, hubspot.URL+"/_sim/contacts?id="+one.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	time.Sleep(5 * time.Second) // the webhooks about that
	out, errs, code := runCommand(t, "sync", "now", "--account", "hubspot", "--config", info.Config)
	if code != exitFailed || !strings.Contains(out, "--allow-mass-change") {
		t.Errorf("40 of %d are gone: exit code %d\n%s%s", people, code, out, errs)
	}
	if now := syncStatuses(t, info)["hubspot"].Recent[0].Known; now < known-10 {
		t.Errorf("%d contacts had a record, and %d have, although nobody was asked", known, now)
	}
	found, _ := syncOnce(t, info, "--account", "hubspot", "--allow-mass-change")
	if s := found["hubspot"]; s.State != "done" || s.Gone < 20 {
		t.Errorf("it is allowed: %+v", s)
	}
	settled(t, info)
	for i, crm := range info.CRMs() {
		want := people
		if i == 0 {
			want -= 40
		}
		if now := statsOf(t, crm); now.Contacts != want {
			t.Errorf("%s: %d people, want %d", crm.Name, now.Contacts, want)
		}
	}
}

// kill -9 in the middle of a full sync: the next run goes on where it was, and
// nothing is lost, doubled or deleted.
func TestKillInAFullSync(t *testing.T) {
	t.Parallel()
	const people = 5000
	info := simulate(t, "--quota", "off", "--latency", "60ms-80ms")
	ask(t, info.CRMs()[0].URL+"/_sim/contacts", map[string]any{"count": people}, nil)
	p := serve(t, info)
	running := func() (s app.Sync) {
		for _, one := range syncStatuses(t, info)["hubspot"].Recent {
			if one.State == "running" {
				return one
			}
		}
		return s
	}
	eventually(t, time.Minute, "it is in the middle", func() bool { return running().Read >= 2000 })
	p.kill()
	at := running()
	p = serve(t, info)
	compared(t, info, 3*time.Minute)
	if !strings.Contains(p.errors.String(), "goes on where it was broken off") {
		t.Errorf("it does not go on; log:\n%s", p.errors)
	}
	s := syncStatuses(t, info)["hubspot"].Recent[0]
	t.Logf("killed at %d of %d, %d calls in all", at.Read, people, s.Calls)
	if !s.Partial || s.Calls > people/100*3/2 || s.Gone+s.Emptied > 0 {
		t.Errorf("%+v", s)
	}
	settled(t, info)
	// The others have them now too, once.
	for _, crm := range info.CRMs() {
		eventually(t, 4*time.Minute, crm.Name+" has all of them", func() bool {
			time.Sleep(500 * time.Millisecond)
			return statsOf(t, crm).Contacts >= people
		})
		if now := statsOf(t, crm); now.Contacts != people || now.DuplicateContacts > 0 {
			t.Errorf("%s: %+v", crm.Name, now)
		}
	}
	found, stopped := syncOnce(t, info, "--account", "hubspot")
	if s := found["hubspot"]; stopped != 0 || s.Partial || s.Compared != people || s.Here+s.There > 0 {
		t.Errorf("the next: %+v", s)
	}
}

// A dry run tells what a sync would do and does none of it, with a worker and
// without.
func TestADrySyncTellsAndDoesNothing(t *testing.T) {
	t.Parallel()
	info := simulate(t, "--quota", "off")
	seed(t, info, 20)
	p := serve(t, info)
	compared(t, info, time.Minute)
	settled(t, info)
	eventually(t, 30*time.Second, "a dry run with a worker finds no difference", func() bool {
		out, _, code := runCommand(t, "sync", "now", "--dry-run", "--config", info.Config)
		return code == 0 && strings.Contains(out, "There is no difference")
	})
	if code := p.stop(); code != 0 {
		t.Fatal(code)
	}
	zoho := info.CRMs()[1]
	var all []struct{ ID, Phone string }
	get(t, zoho.URL+"/_sim/contacts", &all)
	editIn(t, zoho, strings.TrimPrefix(all[0].Phone, "+"), `{"Last_Name":"=cmd|' /C calc'!A0"}`)
	before := statsOf(t, zoho)
	out, errs, code := runCommand(t, "sync", "now", "--dry-run", "--account", "zoho", "--config", info.Config, "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != 0 || len(rows) != 2 {
		t.Fatalf("exit code %d, error %v\n%s%s", code, err, out, errs)
	}
	if r := rows[1]; r[0] != "zoho" || r[1] != all[0].ID || r[3] != "Last_Name" || !strings.HasPrefix(r[5], "'=cmd") || r[6] != "theirs would be taken over" {
		t.Errorf("got %q", r)
	}
	for _, format := range []string{"json", "text"} {
		out, errs, code = runCommand(t, "sync", "now", "--dry-run", "--account", "zoho", "--config", info.Config, "-o", format)
		if code != 0 || !strings.Contains(out, "Last_Name") || !strings.Contains(out, "=cmd") {
			t.Errorf("%s: exit code %d\n%s%s", format, code, out, errs)
		}
		t.Log(out)
	}
	if now := statsOf(t, zoho); now.Writes != before.Writes {
		t.Errorf("it has written %d times", now.Writes-before.Writes)
	}
	out, _, code = runCommand(t, "sync", "status", "--config", info.Config)
	if code != 0 || !strings.Contains(out, "every contact was compared in the last") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	t.Log(out)
	for _, wrong := range [][]string{{"sync", "now", "--account", "nobody"}, {"sync", "now", "-o", "csv"}, {"sync", "now", "-o", "xml"}, {"sync", "now", "--dry-run", "--allow-mass-change"}, {"sync", "status", "--limit", "0"}, {"sync", "later"}} {
		if out, errs, code := runCommand(t, append(wrong, "--config", info.Config)...); code != exitUsage {
			t.Errorf("%q: exit code %d\n%s%s", wrong, code, out, errs)
		}
	}
}
