package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

func TestTheSandboxShowsTheGuidesMessageInHubSpot(t *testing.T) {
	if _, err := binary(); err != nil { // built before the clock starts
		t.Fatal(err)
	}
	began := time.Now()
	p := start(t, nil, "sandbox", "--output", "json")
	info := p.info()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("ready after %v, want at most 5 s", d)
	}
	var people []sandbox.SimContact
	get(t, info.HubSpot.URL+"/_sim/contacts?phone=%2B16315555555", &people)
	if len(people) != 1 {
		t.Fatalf("%d contacts, want 1", len(people))
	}
	for name, want := range map[string]string{
		"firstname": "Kerry", "lastname": "Fisher", "phone": "+16315555555", "crmsync_wa_id": "16315555555",
		"crmsync_profile_name": "Kerry Fisher", "crmsync_consent": "transactional", "crmsync_last_message_text": "Hello!",
		"crmsync_last_message_direction": "in", "crmsync_unread_count": "1", "country": "US",
	} {
		if got := people[0].Fields[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	var messages []sandbox.SimMessage
	get(t, info.HubSpot.URL+"/_sim/messages?phone=%2B16315555555", &messages)
	if len(messages) != 1 || messages[0].Text != "Hello!" || messages[0].ContactID != people[0].ID || messages[0].Direction != "in" {
		t.Fatalf("messages = %+v, want one: Hello!", messages)
	}
	hello := messages[0].ID
	eventually(t, 10*time.Second, "the template is shown as read", func() bool {
		get(t, info.HubSpot.URL+"/_sim/messages?phone=%2B393331234567", &messages)
		for _, m := range messages {
			if m.Direction == "out" && m.Status == "read" {
				return true
			}
		}
		return false
	})
	eventually(t, 15*time.Second, "HubSpot's own search finds the contact", func() bool {
		time.Sleep(400 * time.Millisecond) // it takes 5 searches a second
		var found struct {
			Total   int
			Results []struct{ ID string }
		}
		askHubSpot(t, info, "/crm/v3/objects/contacts/search",
			`{"filterGroups":[{"filters":[{"propertyName":"phone","operator":"EQ","value":"+16315555555"}]}],"limit":10}`, &found)
		return found.Total == 1 && found.Results[0].ID == people[0].ID
	})
	var associated struct {
		Results []struct {
			To []struct{ ToObjectID json.Number }
		}
	}
	askHubSpot(t, info, "/crm/v4/associations/contacts/communications/batch/read", `{"inputs":[{"id":"`+people[0].ID+`"}]}`, &associated)
	if len(associated.Results) != 1 || len(associated.Results[0].To) != 1 || associated.Results[0].To[0].ToObjectID.String() != hello {
		t.Errorf("associations of the contact: %+v, want one communication", associated)
	}
	out, errs, code := runCommand(t, "deadletters", "list", "--config", info.Config, "--output", "json")
	if strings.TrimSpace(out) != "[]" || code != 0 {
		t.Errorf("dead letters %s %s (exit code %d), want none", out, errs, code)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d; log:\n%s", code, p.errors)
	}
	if _, err := os.Stat(info.Config); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is left behind: %v", err)
	}
}

// askHubSpot calls HubSpot's own API, as any client would.
func askHubSpot(t *testing.T, info sandbox.Info, path, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, info.HubSpot.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+info.HubSpot.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("%s: %s", path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestAMalformedPartIsADeadLetterThatCanBeShownReplayedAndDiscarded(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	l := newLoad(info)
	if status, err := l.send([]byte(`{"object":"whatsapp_business_account","entry":[`)); status != http.StatusOK || err != nil {
		t.Fatalf("answered %d (error %v), want 200", status, err)
	}
	type letter struct{ ID, State, Reason, Account string }
	list := func(state string) []letter {
		out, errs, code := runCommand(t, "deadletters", "list", "--config", info.Config, "--output", "json", "--state", state)
		var letters []letter
		if err := json.Unmarshal([]byte(out), &letters); err != nil || code != 0 {
			t.Fatalf("%s%s (exit code %d): %v", out, errs, code, err)
		}
		return letters
	}
	eventually(t, 5*time.Second, "the letter is on the worklist", func() bool { return len(list("open")) == 1 })
	id := list("open")[0].ID

	out, _, code := runCommand(t, "deadletters", "show", id, "--config", info.Config)
	if code != 0 || !strings.Contains(out, "cannot be read") || !strings.Contains(out, "deadletters replay "+id) {
		t.Errorf("show: exit code %d\n%s", code, out)
	}
	if out, _, code = runCommand(t, "deadletters", "replay", id, "--dry-run", "--config", info.Config); code != 0 || out != "1 open letter would be tried again.\n" {
		t.Errorf("replay --dry-run: exit code %d, %s", code, out)
	}
	out, _, code = runCommand(t, "deadletters", "replay", id, "--config", info.Config)
	if code != 0 || out != "1 open letter to be tried again.\n" {
		t.Errorf("replay: exit code %d, %s", code, out)
	}
	eventually(t, 10*time.Second, "still unreadable, the letter is open again", func() bool { return len(list("open")) == 1 })

	if _, errs, code := runCommand(t, "deadletters", "discard", id, "--config", info.Config); code != exitUsage {
		t.Errorf("discard without a reason: exit code %d, %s", code, errs)
	}
	if out, _, code = runCommand(t, "deadletters", "discard", id, "--reason", "half a webhook", "--config", info.Config); code != 0 {
		t.Errorf("discard: exit code %d, %s", code, out)
	}
	if got := list("all"); len(got) != 1 || got[0].State != "discarded" {
		t.Errorf("letters = %+v, want one, discarded", got)
	}
}

func TestARefusedContactIsMendedAndReplayed(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	fault := func(body map[string]any) {
		if status := post(t, info.HubSpot.URL+"/_sim/faults", body); status/100 != 2 {
			t.Fatalf("faults answered %d", status)
		}
	}
	fault(map[string]any{"mode": "reject", "match": "15557000001"})
	l := newLoad(info)
	l.post("wamid.REFUSED", "15557000001", "Hello!")
	l.post("wamid.FINE", "15557000002", "Hello!")
	eventually(t, 10*time.Second, "the other one passes", func() bool { return len(messagesOf(t, info, "wamid.FINE")) == 1 })
	open := func() string {
		out, _, _ := runCommand(t, "deadletters", "list", "--config", info.Config)
		return out
	}
	eventually(t, 10*time.Second, "the refused one is a dead letter", func() bool { return strings.Contains(open(), "hubspot.contact.") })
	if text := open(); strings.Contains(text, "15557000001") || strings.Contains(text, "Hello!") {
		t.Errorf("the list shows a phone number or a text:\n%s", text)
	}
	fault(map[string]any{"mode": "none"})
	if out, errs, code := runCommand(t, "deadletters", "replay", "--account", "hubspot", "--config", info.Config); code != 0 {
		t.Fatalf("replay: %s%s", out, errs)
	}
	eventually(t, 10*time.Second, "the message arrives after all", func() bool { return len(messagesOf(t, info, "wamid.REFUSED")) == 1 })
	eventually(t, 5*time.Second, "the letter is settled", func() bool { return strings.Contains(open(), "No dead letters.") })
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("version: 1\naccounts:\n  hubspot:\n    contact:\n      x: phne\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"help":                     {[]string{"--help"}, 0, "crmsync sandbox"},
		"version":                  {[]string{"version"}, 0, "crmsync "},
		"an unknown command":       {[]string{"sandbax"}, exitUsage, "unknown command"},
		"an unknown subcommand":    {[]string{"mapping", "chek"}, exitUsage, "unknown command"},
		"an unknown flag":          {[]string{"serve", "--cofnig", "x"}, exitUsage, "unknown flag"},
		"a missing argument":       {[]string{"mapping", "check"}, exitUsage, "arg"},
		"a bad --quota":            {[]string{"simulate", "--quota", "some"}, exitUsage, "documented or off"},
		"a --port in words":        {[]string{"simulate", "--port", "many"}, exitUsage, `"many" for "--port" flag; it is a whole number`},
		"the subcommand's help":    {[]string{"simulate", "--port", "many"}, exitUsage, "Run 'crmsync simulate --help'"},
		"--version":                {[]string{"--version"}, 0, "crmsync "},
		"a state never heard of":   {[]string{"deadletters", "list", "--state", "opne"}, exitUsage, "it is one of open, replaying"},
		"a class never heard of":   {[]string{"deadletters", "replay", "--class", "reject"}, exitUsage, "it is one of rejected, conflict"},
		"an age in words":          {[]string{"deadletters", "list", "--older", "old"}, exitUsage, "such as 30m, 2h or 3d"},
		"a due time in words":      {[]string{"deadletters", "replay", "--due-before", "soon"}, exitUsage, "--due-before is \"soon\""},
		"waiting and not waiting":  {[]string{"deadletters", "replay", "--all", "--wait", "--no-wait"}, exitUsage, "contradict"},
		"editing nothing":          {[]string{"deadletters", "edit", "hubspot.contact.1"}, exitUsage, "say what to mend"},
		"editing another account":  {[]string{"deadletters", "edit", "hubspot.contact.1", "--set", "account=zoho"}, exitUsage, "the fields are"},
		"a negative --limit":       {[]string{"deadletters", "list", "--limit", "-1"}, exitUsage, "--limit is -1"},
		"replaying without a file": {[]string{"deadletters", "replay", "--config", "none.yaml"}, exitUsage, "--all"},
		"discarding without --reason": {
			[]string{"deadletters", "discard", "--all", "--config", "none.yaml"}, exitUsage, "Run 'crmsync deadletters discard --help'",
		},
		"letters before any worker":   {[]string{"deadletters", "list", "--config", "../../config/crmsync.yaml"}, 0, "No dead letters."},
		"replaying before any worker": {[]string{"deadletters", "replay", "--all", "--config", "../../config/crmsync.yaml"}, exitFailed, "no database yet"},
		"checking the sample":         {[]string{"check", "--config", "../../config/crmsync.yaml"}, 0, `account hubspot: token is still "change-me"`},
		"serving the sample":          {[]string{"serve", "--config", "../../config/crmsync.yaml"}, exitFailed, `account whatsapp: app_secret is still "change-me"`},
		"a bad --latency":             {[]string{"simulate", "--latency", "long"}, exitUsage, "40ms-120ms"},
		"a missing configuration":     {[]string{"serve", "--config", filepath.Join(dir, "none.yaml")}, exitFailed, "no such file"},
		"a faulty mapping":            {[]string{"mapping", "check", bad}, exitFailed, "did you mean phone?"},
		"replaying nothing named":     {[]string{"deadletters", "replay", "--config", "../../config/crmsync.yaml"}, exitUsage, "--all"},
		"an --output never heard of":  {[]string{"version", "--output", "xml"}, exitUsage, "text or json"},
	}
	t.Setenv("CRMSYNC_DATA_DIR", dir)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, errs, code := runCommand(t, tt.args...)
			if code != tt.code || !strings.Contains(out+errs, tt.says) {
				t.Errorf("exit code %d, want %d, saying %q:\n%s%s", code, tt.code, tt.says, out, errs)
			}
		})
	}
}

func TestTheSampleConfigurationPassesCheckLiveAgainstTheSimulators(t *testing.T) {
	info := simulate(t)
	out, _, code := runCommand(t, "check", "--live", "--config", info.Config)
	if code != exitFailed || !strings.Contains(out, "contact field crmsync_consent: the property does not exist") || !strings.Contains(out, "(--fix creates it)") {
		t.Errorf("an account without its fields passed (exit code %d):\n%s", code, out)
	}
	if !strings.Contains(out, "ok    account whatsapp\n") {
		t.Errorf("the WhatsApp account is not listed:\n%s", out)
	}
	out, _, _ = runCommand(t, "check", "--live", "--config", info.Config, "--output", "json")
	var report struct {
		Checks []struct {
			Name     string
			Findings []struct {
				Object, Field, Problem string
				Fatal, Fixable         bool
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Checks) != 6 {
		t.Fatalf("%v\n%s", err, out)
	}
	if f := report.Checks[3].Findings; len(f) == 0 || f[0].Object != "contacts" || f[0].Field == "" || f[0].Problem == "" || !f[0].Fatal || !f[0].Fixable {
		t.Errorf("findings %+v", f)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(info.Config), "data")); !os.IsNotExist(err) {
		t.Errorf("checking has created the data directory (error %v)", err)
	}
	if out, _, code = runCommand(t, "check", "--live", "--fix", "--config", info.Config); code != 0 {
		t.Errorf("--fix: exit code %d\n%s", code, out)
	}
	if out, _, code = runCommand(t, "check", "--live", "--config", info.Config); code != 0 {
		t.Errorf("after --fix: exit code %d\n%s", code, out)
	}
}

func TestASecondWorkerOnOneDataDirectoryIsRefused(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	_, errs, code := runCommand(t, "serve", "--config", info.Config)
	if code != exitFailed || !strings.Contains(errs, "another crmsync is running") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestStopping(t *testing.T) {
	info := simulate(t, "--latency", "500ms")
	worker := serve(t, info)
	l := newLoad(info)
	l.post("wamid.FIRST", "15556000001", "Hello!")
	eventually(t, 60*time.Second, "the first message is in HubSpot", func() bool { return stats(t, info).Messages == 1 })
	for i := range 20 {
		l.post("wamid.STOP"+string(rune('a'+i)), "15556000001", "Hello!")
	}
	time.Sleep(300 * time.Millisecond) // calls are under way
	began := time.Now()
	if code := worker.stop(); code != 0 || time.Since(began) > 11*time.Second {
		t.Errorf("exit code %d after %v, want 0 within 10 s; log:\n%s", code, time.Since(began), worker.errors)
	}
	worker = serve(t, info)
	eventually(t, 60*time.Second, "all 21 messages are in HubSpot", func() bool { return stats(t, info).Messages == 21 })
	if s := stats(t, info); s.DuplicateMessages != 0 {
		t.Errorf("doubled: %+v", s)
	}
	_ = worker.cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(50 * time.Millisecond) // two signals at once are one
	_ = worker.cmd.Process.Signal(syscall.SIGTERM)
	worker.wait(time.Second)
}

// What operators and dashboards read carries neither people nor secrets.
func TestLogsAndMetricsAreFreeOfPeopleAndSecrets(t *testing.T) {
	info := simulate(t)
	worker := serve(t, info)
	l := newLoad(info)
	l.post("wamid.PRIVATE", "15551239876", "a very private text")
	eventually(t, 10*time.Second, "the message is in HubSpot", func() bool { return len(messagesOf(t, info, "wamid.PRIVATE")) == 1 })
	response, err := http.Get(info.Worker.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var metrics strings.Builder
	if _, err := io.Copy(&metrics, response.Body); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		`crmsync_facts_total{account="whatsapp",kind="message"} 1`, "crmsync_deliveries_total", "crmsync_end_to_end_seconds_count",
		"crmsync_webhook_answer_seconds_count", `crmsync_backlog{account="hubspot"}`, `crmsync_breaker_open{account="hubspot"} 0`,
		`crmsync_api_calls_total{account="hubspot"`, "crmsync_batch_records_count",
	} {
		if !strings.Contains(metrics.String(), name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	for _, private := range []string{"15551239876", "5551239876", "very private", info.HubSpot.Token, info.HubSpot.ClientSecret, info.Bitrix24.ApplicationToken, info.Zoho.ClientSecret, info.WhatsApp.AppSecret, info.WhatsApp.VerifyToken, url.QueryEscape(info.WhatsApp.VerifyToken)} {
		if strings.Contains(metrics.String(), private) {
			t.Errorf("/metrics carries %q", private)
		}
		if strings.Contains(worker.errors.String(), private) {
			t.Errorf("the log carries %q", private)
		}
	}
}

// What could not be printed was not said.
func TestAFullDiskIsNoSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	defer full.Close()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"version"}, {"version", "--output", "json"}, {"audit", "--help"}} {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Stdout = full
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("%v: %v", args, err)
		}
	}
}
