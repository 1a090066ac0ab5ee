package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// letters reads JSON that a deadletters command prints.
func letters(t *testing.T, into any, args ...string) {
	t.Helper()
	out, errs, code := runCommand(t, append([]string{"deadletters"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil || code != 0 {
		t.Fatalf("deadletters %v: %s%s (exit code %d): %v", args, out, errs, code, err)
	}
}

// remap changes the mapping that a worker will be started with.
func remap(t *testing.T, info sandbox.Info, old, changed string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(info.Config), "mapping.yaml")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("the mapping has no %q (error %v)", old, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, changed, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// One wrong line of the mapping is refused for everybody, one edit mends it,
// and one replay brings all of them over, each once.
func TestLettersOfOneCauseAreMendedByOneEditOfTheMapping(t *testing.T) {
	t.Parallel()
	const people = 412
	info := simulate(t)
	remap(t, info, "      email: email\n", "      email: profile_name\n")
	worker := serve(t, info)
	worker.delivering(info)
	l := newLoad(info)
	var posts sync.WaitGroup
	for n := range people {
		posts.Go(func() { l.post(fmt.Sprintf("wamid.MENDED%d", n), fmt.Sprintf("1415555%04d", n), "Hello!") })
		if n%20 == 19 {
			posts.Wait()
		}
	}
	posts.Wait()
	var groups []app.LetterGroup
	list := func(args ...string) []app.LetterGroup {
		groups = nil
		letters(t, &groups, append([]string{"list", "--account", "hubspot", "--group-by", "cause", "--config", info.Config, "--output", "json"}, args...)...)
		return groups
	}
	eventually(t, 60*time.Second, "all of them are one group", func() bool { return len(list()) == 1 && groups[0].Letters == people })
	group := groups[0]
	if group.Field != "email" || group.Title != group.Code+" on email" {
		t.Errorf("the group is %+v", group)
	}
	if len(list("--cause", group.Title)) != 1 || len(list("--cause", "ANOTHER")) != 0 || len(list("--older", "1h")) != 0 || len(list("--due-before", "2d")) != 1 {
		t.Error("the filters do not go together with --group-by cause")
	}
	replay := func() (string, string, int) {
		t.Helper()
		return runCommand(t, "deadletters", "replay", "--group", group.ID, "--wait", "--config", info.Config)
	}
	// Nobody is there to try: it says so, and the letters wait.
	worker.stop()
	out, errs, code := replay()
	if code != exitFailed || !strings.Contains(out, "412 open letters to be tried again.") || !strings.Contains(out, "No worker is running") {
		t.Fatalf("replay without a worker: %s%s (exit code %d)", out, errs, code)
	}
	worker = serve(t, info)
	eventually(t, 60*time.Second, "they have failed again", func() bool { return len(list()) == 1 && groups[0].Letters == people })

	remap(t, info, "      email: profile_name\n", "")
	eventually(t, 20*time.Second, "the mapping is in force", func() bool { return strings.Contains(worker.errors.String(), `"msg":"the configuration is in force"`) })
	if out, errs, code = replay(); code != 0 || !strings.Contains(out, "412 letters applied.") {
		t.Fatalf("replay: %s%s (exit code %d)", out, errs, code)
	}
	eventually(t, 30*time.Second, "all messages are there", func() bool { return stats(t, info).Messages == people })
	if s := stats(t, info); s.Contacts != people || s.DuplicateContacts+s.DuplicateMessages != 0 {
		t.Errorf("HubSpot has %+v, want %d contacts and none twice", s, people)
	}
	if left := list("--state", "open"); len(left) != 0 {
		t.Errorf("open: %+v", left)
	}
}

// A value is mended in the directory and tried again in one go; the letter says
// what was tried and who did what, and shows nobody's data.
func TestAValueIsMendedAndTriedAgain(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	const line = "      country: country\n"
	remap(t, info, line, line+"      website: username\n")
	serve(t, info)
	if status := post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "reject", "match": "Wrong Name"}); status/100 != 2 {
		t.Fatal(status)
	}
	l := newLoad(info)
	l.deliverFrom("wamid.WRONG", "14155550001", "Wrong Name")
	var open []app.Letter
	eventually(t, 20*time.Second, "the contact is a dead letter", func() bool {
		letters(t, &open, "list", "--account", "hubspot", "--config", info.Config, "--output", "json")
		return len(open) == 1
	})
	id := open[0].ID
	config := []string{"--config", info.Config}
	command := func(args ...string) (string, string, int) {
		t.Helper()
		return runCommand(t, append(append([]string{"deadletters"}, args...), config...)...)
	}
	out, errs, code := command("show", id)
	for _, want := range []string{"To bring", "firstname (first_name)", "phone", "text, 12 characters", "> crmsync_profile_name", "HTTP 207 INVALID_OPTION", "edit " + id, "What to do", "in 23h"} {
		if !strings.Contains(strings.ToLower(out), strings.ToLower(want)) {
			t.Errorf("show does not say %q:\n%s%s", want, out, errs)
		}
	}
	if strings.Contains(out, "4155550001") || strings.Contains(out, "Wrong") || code != 0 {
		t.Errorf("show (exit code %d) gives a value away:\n%s", code, out)
	}
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"another account":  {[]string{"--set", "account=zoho"}, `there is no contact field "account"`},
		"a header":         {[]string{"--set", "reason=none"}, `there is no contact field "reason"`},
		"a misspelt field": {[]string{"--set", "emial=a@b.example"}, "did you mean email?"},
		"a derived field":  {[]string{"--set", "unread_count=0"}, "it follows from the messages"},
		"an identity":      {[]string{"--set", "wa_id=1"}, "who the contact is"},
		"not an address":   {[]string{"--set", "email=anna"}, "anna@example.com"},
		"not a number":     {[]string{"--set", "phone=12"}, "with its country code"},
		"no value":         {[]string{"--set", "email"}, "FIELD=VALUE"},
		"nothing":          {nil, "say what to mend"},
		"both":             {[]string{"--set", "email=a@b.example", "--raw", "x"}, "never both"},
	} {
		if out, errs, code := command(append([]string{"edit", id}, tt.args...)...); code != exitUsage || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: %s%s (exit code %d), want 2 and %q", name, out, errs, code, tt.says)
		}
	}
	if out, errs, code = command("edit", id, "--set", "email=anna@example.com", "--by", "marco"); code != 0 || !strings.Contains(out, "still open") {
		t.Errorf("edit: %s%s (exit code %d)", out, errs, code)
	}
	time.Sleep(1500 * time.Millisecond) // the worker looks every second
	if letters(t, &open, "list", "--account", "hubspot", "--config", info.Config, "--output", "json"); len(open) != 1 {
		t.Error("an edit alone has settled the letter")
	}
	// It is refused again, and says so.
	out, errs, code = command("replay", id, "--wait")
	if code != exitFailed || !strings.Contains(out, "0 letters applied, 1 failed again.") || !strings.Contains(out, open[0].Reason) {
		t.Errorf("replay of what fails again: %s%s (exit code %d)", out, errs, code)
	}
	out, errs, code = command("edit", id, "--set", "full_name=Anna Bianchi", "--set", "profile_name=Anna", "--replay", "--wait")
	if code != 0 || !strings.Contains(out, "1 letter applied.") {
		t.Errorf("edit --replay: %s%s (exit code %d)", out, errs, code)
	}
	var people []sandbox.SimContact
	get(t, info.HubSpot.URL+"/_sim/contacts?phone=%2B14155550001", &people)
	if len(people) != 1 || people[0].Fields["firstname"] != "Anna" || people[0].Fields["lastname"] != "Bianchi" || people[0].Fields["email"] != "anna@example.com" {
		t.Errorf("HubSpot has %+v", people)
	}
	var details app.LetterDetails
	letters(t, &details, "show", id, "--config", info.Config, "--output", "json")
	var did []string
	for _, a := range details.Actions {
		did = append(did, a.Do)
		if a.By == "" || a.At.IsZero() || strings.Contains(a.Became, "Anna") {
			t.Errorf("action %+v", a)
		}
	}
	if got := strings.Join(did, " "); got != "edit replay edit edit replay" || details.Actions[0].By != "marco" || details.State != "delivered" {
		t.Errorf("actions %s of a letter that is %s", got, details.State)
	}
	if out, errs, code = command("edit", id, "--set", "email="); code != exitFailed || !strings.Contains(errs, "it was delivered") {
		t.Errorf("editing a settled letter: %s%s (exit code %d)", out, errs, code)
	}
}

// A part of a webhook that cannot be read is mended as a file.
func TestAPartOfAWebhookIsMendedAndTriedAgain(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	l := newLoad(info)
	good := l.body("wamid.PART", "14155550002", "Anna", `"type":"text","text":{"body":"Hello!"}`)
	if _, err := l.send(good[:len(good)-2]); err != nil {
		t.Fatal(err)
	}
	var open []app.Letter
	eventually(t, 10*time.Second, "the part is a dead letter", func() bool {
		letters(t, &open, "list", "--config", info.Config, "--output", "json")
		return len(open) == 1
	})
	id := open[0].ID
	part, errs, code := runCommand(t, "deadletters", "show", id, "--raw", "--config", info.Config)
	if part != string(good[:len(good)-2]) || code != 0 {
		t.Errorf("the part is %q %s (exit code %d)", part, errs, code)
	}
	file := filepath.Join(t.TempDir(), "part.json")
	edit := func(text []byte, more ...string) (string, string, int) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return runCommand(t, append([]string{"deadletters", "edit", id, "--raw", file, "--config", info.Config}, more...)...)
	}
	if _, errs, code := edit([]byte("{")); code != exitFailed || !strings.Contains(errs, "still cannot be read") {
		t.Errorf("an edit that mends nothing: %s (exit code %d)", errs, code)
	}
	if out, errs, code := edit(good, "--replay", "--wait"); code != 0 || !strings.Contains(out, "1 letter applied.") {
		t.Errorf("edit --raw: %s%s (exit code %d)", out, errs, code)
	}
	eventually(t, 10*time.Second, "the message is in HubSpot", func() bool { return len(messagesOf(t, info, "wamid.PART")) == 1 })
	if out, _, _ := runCommand(t, "deadletters", "show", id, "--config", info.Config); !strings.Contains(out, "mended the part") || strings.Contains(out, "Hello!") {
		t.Errorf("show:\n%s", out)
	}
}

// A letter that nobody settles in time is told of once, and one that is settled
// loses what it holds of people.
func TestOverdueLettersAreToldOfAndSettledOnesForget(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	var mu sync.Mutex
	var told []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		told = append(told, string(body))
	}))
	defer hook.Close()
	file, err := os.OpenFile(info.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(file, "notify: [{url: '%s', format: slack, private: true}]\n", hook.URL)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	env := []string{"CRMSYNC_RETRY_SETTLE_WITHIN=1s", "CRMSYNC_RETENTION_DEAD_LETTERS=1s", "CRMSYNC_JOBS_RETENTION=* * * * *"}
	worker := serve(t, info, env...)
	if _, err := newLoad(info).send([]byte(`{"object":"whatsapp_business_account","entry":[{"private text"`)); err != nil {
		t.Fatal(err)
	}
	hears := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(told)
	}
	eventually(t, 30*time.Second, "somebody is told", func() bool { return hears() == 1 })
	if !strings.Contains(told[0], "1 dead letter overdue") || !strings.Contains(told[0], "whatsapp: MALFORMED") || strings.Contains(told[0], "private text") {
		t.Errorf("told %s", told[0])
	}
	if !strings.Contains(worker.errors.String(), `"level":"WARN","msg":"dead letters are overdue`) {
		t.Errorf("the log does not say so:\n%s", worker.errors)
	}
	var open []app.Letter
	letters(t, &open, "list", "--overdue", "--config", info.Config, "--output", "json")
	if len(open) != 1 {
		t.Fatalf("overdue: %+v", open)
	}
	show := func(more ...string) (string, string, int) {
		return runCommand(t, append([]string{"deadletters", "show", open[0].ID, "--config", info.Config}, more...)...)
	}
	if part, _, code := show("--raw"); code != 0 || !strings.Contains(part, "private text") {
		t.Errorf("the part is %q (exit code %d)", part, code)
	}
	if _, errs, code := runCommand(t, "deadletters", "discard", open[0].ID, "--reason", "half a webhook", "--by", "marco", "--config", info.Config); code != 0 {
		t.Fatal(errs)
	}
	eventually(t, 70*time.Second, "the part is gone", func() bool {
		_, errs, code := show("--raw")
		return code == exitFailed && strings.Contains(errs, "not kept any more")
	})
	if out, _, code := show(); code != 0 || !strings.Contains(out, open[0].Reason) || !strings.Contains(out, "half a webhook") || !strings.Contains(out, "marco discarded it") {
		t.Errorf("the history (exit code %d):\n%s", code, out)
	}
	if n := hears(); n != 1 {
		t.Errorf("told %d times", n)
	}
}
