package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// ofNumber wraps a change of WhatsApp's business number into a webhook.
func ofNumber(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"` + field + `","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},` + value + `}}]}]}`
}

func textFrom(number, name, text string) (contact, message string) {
	return fmt.Sprintf(`{"profile":{"name":%q},"wa_id":%q}`, name, number),
		fmt.Sprintf(`{"from":%q,"id":"wamid.%s%d","timestamp":"1763800200","type":"text","text":{"body":%q}}`, number, number, len(text), text)
}

func hello() string {
	contact, message := textFrom("393331234567", "Ada Lovelace", "Does it come in another colour?")
	return ofNumber("messages", `"contacts":[`+contact+`],"messages":[`+message+`]`)
}

const sampleMapping = "../../config/mapping.yaml"

// tryOn runs mapping try with a payload on standard input.
func tryOn(t *testing.T, payload string, args ...string) (out, errs string, code int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"mapping", "try"}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(payload), &stdout, &stderr
	_ = cmd.Run() // its exit code says the rest
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func tried(t *testing.T, payload string, args ...string) (r app.Rehearsed) {
	t.Helper()
	out, errs, code := tryOn(t, payload, append([]string{sampleMapping, "--payload", "-", "--output", "json"}, args...)...)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func TestAWebhookIsTriedOnAMapping(t *testing.T) {
	t.Parallel()
	r := tried(t, hello())
	if len(r.Facts) != 1 || r.Facts[0].Kind != "message" || r.Facts[0].Type != "text" || r.Facts[0].Outcome != "applied" || r.Account != "whatsapp" || r.MappingRevision == "" {
		t.Fatalf("facts %+v of %q", r.Facts, r.Account)
	}
	if len(r.Contacts) != 1 || len(r.Notes) != 0 {
		t.Fatalf("%+v", r)
	}
	ada := r.Contacts[0]
	if ada.ID != 0 || ada.Name != "Ada Lovelace" || ada.Fields["phone"] != "+393331234567" || ada.Fields["country"] != "IT" || ada.Fields["last_name"] != "Lovelace" {
		t.Errorf("the contact is %+v", ada)
	}
	if got := slices.Sorted(maps.Keys(ada.Accounts)); !slices.Equal(got, []string{"bitrix24", "hubspot", "zoho"}) {
		t.Errorf("accounts %v", got)
	}
	hubspot := ada.Accounts["hubspot"]
	line := lineOf(t, sampleMapping, "firstname: first_name")
	if f := hubspot.Fields["firstname"]; f != (app.RehearsedField{Value: "Ada", Type: "text", From: "first_name", Line: line, Written: true, OnlyFilledIn: true}) {
		t.Errorf("firstname is %+v, want line %d", f, line)
	}
	if f := hubspot.Fields["crmsync_unread_count"]; f.Value != 1.0 || f.Type != "number" || !f.Written || f.OnlyFilledIn {
		t.Errorf("crmsync_unread_count is %+v", f)
	}
	if f := hubspot.Fields["crmsync_last_message_at"]; f.Value != "2025-11-22T08:30:00Z" || f.Type != "time" {
		t.Errorf("crmsync_last_message_at is %+v", f)
	}
	if _, known := hubspot.Fields["email"]; known || hubspot.State != app.AccountNew || hubspot.RecordID != "" || len(hubspot.Refused) != 0 {
		t.Errorf("hubspot is %+v", hubspot)
	}
	if len(ada.Messages) != 1 || ada.Messages[0].Accounts["zoho"].Text != "Does it come in another colour?" || ada.Messages[0].Direction != "in" || ada.Messages[0].WAMID == "" {
		t.Errorf("messages %+v", ada.Messages)
	}

	out, _, code := tryOn(t, "", "--payload", "-", sampleMapping)
	if code != exitFailed || out != "" {
		t.Errorf("nothing: exit code %d: %s", code, out)
	}
	out, errs, code := tryOn(t, hello(), "--payload", "-", sampleMapping)
	for _, want := range []string{"1 fact, 1 contact", "message text", "A new contact  Ada Lovelace", "hubspot  a new record: ", "firstname *", "Messages, as they would be logged", "bitrix24, hubspot, zoho", "Nothing was written, and nobody was called."} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q (exit code %d):\n%s%s", want, code, out, errs)
		}
	}
}

// The keys of --output json are what scripts rely on.
func TestTheKeysOfATriedWebhook(t *testing.T) {
	t.Parallel()
	out, _, _ := tryOn(t, hello(), sampleMapping, "--payload", "-", "--output", "json")
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	contact := r["contacts"].([]any)[0].(map[string]any)
	account := contact["accounts"].(map[string]any)["hubspot"].(map[string]any)
	for what, tt := range map[string]struct {
		got  map[string]any
		want string
	}{
		"all":        {r, "account contacts facts mapping_file mapping_revision notes"},
		"a fact":     {r["facts"].([]any)[0].(map[string]any), "at kind message outcome person type"},
		"a contact":  {contact, "accounts fields id messages name rules"},
		"an account": {account, "fields refused state"},
		"a field":    {account["fields"].(map[string]any)["phone"].(map[string]any), "from line type value written"},
		"a message":  {contact["messages"].([]any)[0].(map[string]any), "accounts at direction wamid"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(tt.got)), " "); got != tt.want {
			t.Errorf("%s has %s, want %s", what, got, tt.want)
		}
	}
}

func lineOf(t *testing.T, file, text string) int {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(source), text)
	if !found {
		t.Fatalf("%s has no %q", file, text)
	}
	return strings.Count(before, "\n") + 1
}

func TestWhateverWhatsAppSendsIsTried(t *testing.T) {
	t.Parallel()
	people, messages := []string{}, []string{}
	for i := range 30 {
		contact, message := textFrom(fmt.Sprintf("3933312345%02d", i), fmt.Sprint("Person ", i), "hello")
		people, messages = append(people, contact), append(messages, message)
	}
	crowd := tried(t, ofNumber("messages", `"contacts":[`+strings.Join(people, ",")+`],"messages":[`+strings.Join(messages, ",")+`]`))
	if len(crowd.Facts) != 30 || len(crowd.Contacts) != 30 || len(crowd.Contacts[29].Accounts) != 3 || len(crowd.Contacts[29].Messages) != 1 {
		t.Errorf("of 30 people: %d facts, %d contacts", len(crowd.Facts), len(crowd.Contacts))
	}

	status := tried(t, ofNumber("messages", `"statuses":[{"id":"wamid.OUT","status":"delivered","timestamp":"1763800200","recipient_id":"393331234567"}]`))
	if len(status.Facts) != 1 || status.Facts[0].Kind != "status" || len(status.Contacts) != 1 || len(status.Contacts[0].Messages) != 1 {
		t.Fatalf("a status: %+v", status)
	}
	if m := status.Contacts[0].Messages[0]; m.Status != "delivered" || m.Direction != "out" || m.Accounts["hubspot"].Text != directory.UnreportedText {
		t.Errorf("a status makes the message %+v", m)
	}

	_, past := textFrom("393331234567", "", "long ago")
	history := tried(t, ofNumber("history", `"history":[{"metadata":{"phase":0,"chunk_order":1,"progress":100},"threads":[{"id":"393331234567","messages":[`+
		past+`,{"from":"15550783881","to":"393331234567","id":"wamid.PAST","timestamp":"1763800300","type":"text","text":{"body":"our answer"},"history_context":{"status":"READ"}}]}]}]`))
	if len(history.Contacts) != 1 || len(history.Contacts[0].Messages) != 2 || history.Contacts[0].Messages[1].Direction != "out" {
		t.Errorf("a history: %+v", history)
	}

	contact, message := textFrom("393331234567", "Ada Lovelace", "hello")
	crowded, _, _ := tryOn(t, ofNumber("messages", `"contacts":[`+strings.Join(people, ",")+`],"messages":[`+strings.Join(append(messages, `{"from":5}`), ",")+`]`), sampleMapping, "--payload", "-")
	if !strings.Contains(crowded, "and 11 facts more") || !strings.Contains(crowded, "and 10 contacts more") || !strings.Contains(crowded, "malformed: ") {
		t.Errorf("of 30 people:\n%.3000s", crowded)
	}

	half := tried(t, ofNumber("messages", `"contacts":[`+contact+`],"messages":[`+message+`,{"from":5,"id":"wamid.X","timestamp":"1763800200","type":"text"}]`))
	malformed := slices.IndexFunc(half.Facts, func(f app.RehearsedFact) bool { return f.Kind == "malformed" })
	if len(half.Contacts) != 1 || malformed < 0 || !strings.HasPrefix(half.Facts[malformed].Outcome, "malformed: ") || len(half.Notes) != 1 || !strings.Contains(half.Notes[0], "dead letter") {
		t.Errorf("half of it malformed: %+v, notes %q", half.Facts, half.Notes)
	}

	odd := strings.ReplaceAll(hello(), "Ada", `Ada\u001b[31m\u009b`)
	if out, errs, code := tryOn(t, odd, sampleMapping, "--payload", "-"); code != 0 || strings.ContainsAny(out, "\x1b\u009b") || !strings.Contains(out, "Ada") {
		t.Errorf("a name takes charge of the terminal (exit code %d): %q%s", code, out, errs)
	}

	for what, payload := range map[string]string{
		"an object of another kind": `{"object":"page","entry":[{"id":"1"}]}`,
		"a list":                    `[1,2]`,
		"an empty object":           `{}`,
		"a template's approval":     `{"object":"whatsapp_business_account","entry":[{"id":"1","time":1763800200,"changes":[{"field":"message_template_status_update","value":{"event":"APPROVED"}}]}]}`,
	} {
		r := tried(t, payload)
		if len(r.Contacts) != 0 || len(r.Facts) == 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "names nobody") {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

func TestWhatIsNoWebhookIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "large.json")
	if err := os.WriteFile(mine, []byte(`{"object":"`+strings.Repeat("x", 10<<20)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		payload string
		args    []string
		code    int
		says    string
	}{
		"not JSON":                {"{\n  \"object\": oops\n}", []string{"--payload", "-"}, exitFailed, "standard input is not JSON at line 2, column 13"},
		"cut off":                 {hello()[:100], []string{"--payload", "-"}, exitFailed, "is not JSON"},
		"blank":                   {" \n", []string{"--payload", "-"}, exitFailed, "is empty"},
		"10 MB":                   {"", []string{"--payload", mine}, exitFailed, "large.json is larger than 3 MB"},
		"10 MB on standard input": {strings.Repeat(" ", 10<<20), []string{"--payload", "-"}, exitFailed, "larger than 3 MB"},
		"no such file":            {"", []string{"--payload", filepath.Join(dir, "none.json")}, exitFailed, "no such file"},
		"a folder":                {"", []string{"--payload", dir}, exitFailed, "is a directory"},
		"nothing to try":          {"", nil, exitUsage, "--payload WEBHOOK or --contact WHO"},
		"too much to try":         {"", []string{"--payload", "-", "--contact", "contact:1"}, exitUsage, "--payload WEBHOOK or --contact WHO"},
		"an account of nothing":   {"", []string{"--payload", "-", "--account", "x"}, exitUsage, "--account goes with"},
		"a missing mapping":       {hello(), []string{"--payload", "-", filepath.Join(dir, "none.yaml")}, exitFailed, "no such file"},
	} {
		args := tt.args
		if what != "a missing mapping" {
			args = append(slices.Clone(args), sampleMapping)
		}
		out, errs, code := tryOn(t, tt.payload, args...)
		if code != tt.code || !strings.Contains(errs, tt.says) || out != "" || len(errs) > 1000 {
			t.Errorf("%s: exit code %d, %.300q, %.300q", what, code, out, errs)
		}
	}
}

// With a configuration, the webhook feeds the accounts that its number delivers to,
// and its own stop words count. Nothing comes to be in the data directory.
func TestAWebhookIsTriedForANumberOfTheConfiguration(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	edit(t, info.Config, "    kind: whatsapp\n", "    kind: whatsapp\n    deliver_to: [zoho]\n")
	contact, message := textFrom("393331234567", "Ada Lovelace", "basta")
	edit(t, info.Config, "accounts:\n", "consent:\n  stop_words: [basta]\naccounts:\n")
	payload := ofNumber("messages", `"contacts":[`+contact+`],"messages":[`+message+`]`)
	out, errs, code := tryOn(t, payload, mappingPath(info), "--payload", "-", "--config", info.Config, "--output", "json")
	var r app.Rehearsed
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || len(r.Contacts) != 1 {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, errs)
	}
	if a := r.Contacts[0].Accounts; len(a) != 1 || a["zoho"].Fields["WhatsApp_Consent"].Value != "opted_out" {
		t.Errorf("accounts %+v", a)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(info.Config), "data")); !os.IsNotExist(err) {
		t.Errorf("trying has created the data directory (error %v)", err)
	}
	if _, errs, code := tryOn(t, payload, mappingPath(info), "--payload", "-", "--config", info.Config, "--account", "hubspot"); code != exitUsage || !strings.Contains(errs, `no WhatsApp account "hubspot"`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, errs, code := tryOn(t, "", mappingPath(info), "--contact", "contact:1", "--config", info.Config); code != exitFailed || !strings.Contains(errs, "no database yet") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// A contact of the directory is shown with what each account has been told.
func TestAContactIsTriedOnAMapping(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	populate(t, info, 3)
	leave(t, info, "zoho", 2, "Last_Name", directory.KeptAs("ask Anna"))
	file := another(t, info, "      firstname: first_name\n", "      firstname: last_name\n      jobtitle: profile_name\n")
	out, errs, code := runCommand(t, "mapping", "try", file, "--contact", "hubspot:1002", "--config", info.Config, "--output", "json")
	var r app.Rehearsed
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || len(r.Contacts) != 1 {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, errs)
	}
	c := r.Contacts[0]
	hubspot, zoho := c.Accounts["hubspot"], c.Accounts["zoho"]
	if c.ID != 2 || hubspot.State != app.AccountKnown || hubspot.RecordID != "1002" || len(r.Facts) != 0 {
		t.Errorf("%+v", r)
	}
	if f := hubspot.Fields["firstname"]; f.Value != "Family1" || !f.Written || f.Told == nil || *f.Told != "Given1" || f.OnlyFilledIn {
		t.Errorf("firstname is %+v", f)
	}
	if f := hubspot.Fields["jobtitle"]; !f.Written || f.Told != nil {
		t.Errorf("jobtitle is %+v", f)
	}
	if f := hubspot.Fields["lastname"]; f.Written || f.Told == nil || *f.Told != "Family1" {
		t.Errorf("lastname is %+v", f)
	}
	if f := zoho.Fields["Last_Name"]; f.Written || !f.Left || *f.Told != "ask Anna" {
		t.Errorf("Last_Name is %+v", f)
	}
	out, errs, code = runCommand(t, "mapping", "try", file, "--contact", "contact:2", "--config", info.Config)
	for _, want := range []string{"contact:2  Given1 Family1", "hubspot  record 1002: 2 of ", "IT WAS TOLD", "it is left to the people there", "Nothing was written"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q (exit code %d):\n%s%s", want, code, out, errs)
		}
	}
	t.Log(out)
	if _, errs, code := runCommand(t, "mapping", "try", file, "--contact", "+393331234567", "--config", info.Config); code != exitFailed || !strings.Contains(errs, "nobody has that number") || strings.Contains(errs, "393331234567") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// leave changes what an account was last told of a contact.
func leave(t *testing.T, info sandbox.Info, account string, contact int64, field, shadow string) {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), filepath.Join(filepath.Dir(info.Config), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Record(t.Context(), func(tx directory.Tx) error {
		links, err := tx.Links([]int64{contact})
		if err != nil {
			return err
		}
		links = slices.DeleteFunc(links, func(l directory.Link) bool { return l.Account != account })
		links[0].State, links[0].Shadow[field] = "", shadow
		return tx.SaveRecords(links)
	})
	if err != nil {
		t.Fatal(err)
	}
}
