package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
)

// about runs a contacts command and reads its JSON.
func about[T any](t *testing.T, info sandbox.Info, args ...string) (answer T) {
	t.Helper()
	out, errs, code := runCommand(t, append(append([]string{"contacts"}, args...), "--output", "json", "--config", info.Config)...)
	if code != 0 {
		t.Fatalf("contacts %v: %s%s (exit code %d)", args, out, errs, code)
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("contacts %v: %v: %s", args, err, out)
	}
	return answer
}

// A value that a person has entered in one CRM is explained: which fact set it,
// by which line of which mapping, and what the others were told. Whatever the
// contact is called by, it is found; and one that is not of its field's type is
// listed, until somebody mends it.
func TestAContactIsExplained(t *testing.T) {
	info := simulate(t)
	t.Setenv("CRMSYNC_DEFAULT_REGION", "US")
	worker := serve(t, info)
	hubspot, zoho, bitrix24 := info.CRMs()[0], info.CRMs()[1], info.CRMs()[2]
	load := newLoad(info)
	const ada, bob = "16315551234", "16315551235"
	load.post("wamid.1", ada, "hello, this is secret text")
	load.post("wamid.2", bob, "hello too")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the messages", func() bool { return len(textsIn(t, crm, ada))+len(textsIn(t, crm, bob)) == 2 })
	}
	time.Sleep(3 * time.Second) // until the fields of the conversation are there too
	editIn(t, bitrix24, ada, `{"NAME":"Augusta","LAST_NAME":"King"}`)
	editIn(t, hubspot, ada, `{"email":"ada@example.com"}`)
	eventually(t, 15*time.Second, "Zoho CRM follows", func() bool { return fieldsIn(t, zoho, ada)["First_Name"] == "Augusta" })

	var e app.ContactExplained
	field := func(name string) (f app.FieldExplained) {
		for _, f := range e.Fields {
			if f.Field == name {
				return f
			}
		}
		t.Errorf("there is no field %s", name)
		return f
	}
	in := func(f app.FieldExplained, account string) app.FieldAccount {
		i := slices.IndexFunc(f.Accounts, func(a app.FieldAccount) bool { return a.Account == account })
		if i < 0 {
			t.Fatalf("%s is not in %s", f.Field, account)
		}
		return f.Accounts[i]
	}
	eventually(t, 15*time.Second, "all agree", func() bool {
		e = about[app.ContactExplained](t, info, "explain", "+1 (631) 555-1234")
		return in(field("first_name"), "zoho").State == app.FieldAgrees && in(field("first_name"), "hubspot").State == app.FieldAgrees && len(e.Pending) == 0
	})
	if e.Name != "Augusta King" {
		t.Errorf("the name is %q", e.Name)
	}
	name := field("first_name")
	if by := name.SetBy; name.Value != "Augusta" || by == nil || by.Account != "bitrix24" || by.Kind != "observed" || !by.Entered ||
		!strings.HasPrefix(by.Fact, "bitrix24/") || by.ReceivedAt == nil || by.MappingRevision != e.MappingRevision || by.MappingLine != in(name, "bitrix24").MappingLine {
		t.Errorf("first_name: %+v, set by %+v", name, name.SetBy)
	}
	phone := field("phone")
	if by := phone.SetBy; by == nil || by.Account != "whatsapp" || by.Kind != "message" || by.MappingLine != 0 {
		t.Errorf("phone is set by %+v", by)
	}
	for _, a := range e.Accounts {
		if a.RecordID == "" || a.WrittenAt == nil || a.MappingRevision != e.MappingRevision || a.State != "agreed" {
			t.Errorf("%+v", a)
		}
	}

	// Who it is can be said in many ways; the error does not repeat it.
	record := e.Accounts[slices.IndexFunc(e.Accounts, func(a app.ContactAccount) bool { return a.Account == "zoho" })].RecordID
	for _, who := range []string{"16315551234", "0016315551234", "(631) 555-1234", "zoho:" + record, "Ada@Example.com", "contact:1", e.KnownAs[len(e.KnownAs)-1].Value} {
		if s := about[app.ContactShown](t, info, "show", who); s.ID != e.ID || s.Fields["email"] != "ada@example.com" || s.Messages.Received != 1 {
			t.Errorf("%s is %+v", who, s)
		}
	}
	for _, who := range []string{"+16315559999", "nobody@example.com", "zoho:0", "NOBODY.1", "contact:99"} {
		out, errs, code := runCommand(t, "contacts", "explain", who, "--config", info.Config)
		if code != exitFailed || out != "" || strings.Contains(errs, strings.TrimPrefix(who, "contact:")) && !strings.HasPrefix(who, "contact:") {
			t.Errorf("%s: exit code %d, %s%s", who, code, out, errs)
		}
	}
	editIn(t, zoho, bob, `{"Email":"ada@example.com"}`) // which HubSpot does not allow
	eventually(t, 15*time.Second, "the address is two people's", func() bool {
		_, errs, code := runCommand(t, "contacts", "show", "ada@example.com", "--config", info.Config)
		return code == exitFailed && strings.Contains(errs, "contact:1, contact:2")
	})
	eventually(t, 15*time.Second, "HubSpot refuses it", func() bool {
		e = about[app.ContactExplained](t, info, "explain", "contact:2")
		return len(e.Pending) == 1 && e.Pending[0].DeadLetter == "hubspot.contact.2" && e.Pending[0].State == "dead" && e.Pending[0].Reason != ""
	})

	e = about[app.ContactExplained](t, info, "explain", "contact:1")

	// What is not of its field's type is listed and not carried on.
	var wrong []app.UnfitValue
	editIn(t, hubspot, ada, `{"phone":"ask Anna"}`)
	eventually(t, 15*time.Second, "it is listed", func() bool { wrong = about[[]app.UnfitValue](t, info, "invalid"); return len(wrong) == 1 })
	if w := wrong[0]; w.Account != "hubspot" || w.To != "phone" || w.Contact != e.ID || w.Value != "" || !strings.Contains(w.Problem, "not a phone number") {
		t.Errorf("%+v", w)
	}
	if wrong = about[[]app.UnfitValue](t, info, "invalid", "--values"); wrong[0].Value != "ask Anna" {
		t.Errorf("%+v", wrong)
	}
	if wrong = about[[]app.UnfitValue](t, info, "invalid", "--account", "zoho"); len(wrong) != 0 {
		t.Errorf("%+v", wrong)
	}
	e = about[app.ContactExplained](t, info, "explain", "contact:1")
	if f := in(field("phone"), "hubspot"); f.State != app.FieldUnfit || field("phone").Value != "+16315551234" {
		t.Errorf("%+v", f)
	}
	hub := e.Accounts[slices.IndexFunc(e.Accounts, func(a app.ContactAccount) bool { return a.Account == "hubspot" })].RecordID
	ask(t, hubspot.URL+"/_sim/contacts", map[string]any{"id": hub, "fields": map[string]string{"phone": "631-555-7777"}}, nil)
	eventually(t, 15*time.Second, "the mended value is taken", func() bool {
		wrong = about[[]app.UnfitValue](t, info, "invalid")
		return len(wrong) == 0 && fieldsIn(t, zoho, "16315557777")["Phone"] != nil
	})

	// A worker is not needed, and nothing of all this is in its log.
	worker.stop()
	out, _, code := runCommand(t, "contacts", "explain", "+16315557777", "--config", info.Config)
	if code != 0 || !strings.Contains(out, "set by    hubspot, as its record showed it") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, secret := range []string{"secret text", "5551234", "ask Anna", "ada@example.com"} {
		if strings.Contains(worker.errors.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
