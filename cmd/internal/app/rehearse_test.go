package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"crmsync/cmd/internal/app"
)

const aMessage = `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",
	"metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"Ada Lovelace"},"wa_id":"393331234567"}],
	"messages":[{"from":"393331234567","id":"wamid.1","timestamp":"1763800200","type":"text","text":{"body":"Hello!"}}]}}]}]}`

// All that a line can say shows in a rehearsal: fields of the mapping's own, computed
// ones, the account's type of a value, messages in the reader's words, refusals.
func TestARehearsalGoesByTheWholeMapping(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	write(t, file, `version: 1
fields:
  segment: {type: enum, options: [gold, silver]}
accounts:
  crm:
    message: {language: it, text: "${direction_word}: ${text}"}
    contact:
      summary: {value: "last_name + ', ' + text(unread_count)"}
      count: {field: unread_count, write: "text(value) + ' new'"}
      segment: {field: segment, default: gold}
      mail: email
  strict:
    message: {text: "${kind == 'image' ? text : ''}"}
    contact:
      name: {field: profile_name, max_length: 5, overflow: refuse}
      mail: {field: email, required: true}
      first: first_name
`)
	r, err := app.NewRehearsal(file, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Payload(t.Context(), []byte(aMessage))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Contacts) != 1 {
		t.Fatalf("%+v", got)
	}
	c := got.Contacts[0]
	want := map[string]app.RehearsedField{
		"summary": {Value: "Lovelace, 1", Type: "text", Line: 8, Written: true},
		"count":   {Value: "1 new", Type: "text", From: "unread_count", Line: 9, Written: true},
		"segment": {Value: "gold", Type: "enum", From: "segment", Line: 10, Written: true, OnlyFilledIn: true},
	}
	for name, f := range want {
		if c.Accounts["crm"].Fields[name] != f {
			t.Errorf("%s is %+v, want %+v", name, c.Accounts["crm"].Fields[name], f)
		}
	}
	if len(c.Accounts["crm"].Fields) != len(want) {
		t.Errorf("fields %+v", c.Accounts["crm"].Fields)
	}
	var refused []string
	for _, f := range c.Accounts["strict"].Refused {
		refused = append(refused, f.Field)
	}
	if !slices.Equal(refused, []string{"name", "mail"}) || c.Accounts["strict"].Refused[0].Line != 15 || c.Accounts["strict"].Refused[0].Reason == "" {
		t.Errorf("refused is %+v", c.Accounts["strict"].Refused)
	}
	if c.Accounts["strict"].Fields["first"].Value != "Ada" {
		t.Errorf("what is left of a refused contact is %+v", c.Accounts["strict"].Fields)
	}
	for name, f := range c.Accounts["strict"].Fields {
		if f.Written {
			t.Errorf("%s of a refused contact is written", name)
		}
	}
	m := c.Messages[0].Accounts
	if m["crm"].Text != "ricevuto: Hello!" || m["crm"].Words["in"] != "ricevuto" || m["strict"].Refused == "" || m["strict"].Text != "" {
		t.Errorf("messages %+v", m)
	}
	text, err := json.Marshal(got)
	if err != nil || !json.Valid(text) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestTheSampleOfTheConfigurationHasExamplesThatPass(t *testing.T) {
	t.Parallel()
	const file = "../../../config/mapping.yaml"
	m, err := app.ReadMapping(file)
	if err != nil {
		t.Fatal(err)
	}
	n, found, err := app.RunExamples(t.Context(), file, m, app.ExamplesOf(file))
	if err != nil || n < 3 || len(found) > 0 {
		t.Errorf("%d examples, findings %v (error %v)", n, found, err)
	}
}

// Rules look at a webhook of the past as they would have then: which fire, what that
// does, and why the others do not.
func TestARehearsalSaysWhichRulesFire(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	write(t, file, `version: 1
fields:
  segment: {type: enum, options: [gold, silver]}
rules:
  - name: greeting
    when: {event: message, keyword: [hello]}
    do:
      - add_label: polite
      - set: {segment: gold}
  - name: complaint
    when: {event: message, keyword: [refund]}
    do:
      - add_label: complaint
accounts:
  crm:
    contact: {segment: segment, tags: labels}
`)
	r, err := app.NewRehearsal(file, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Payload(t.Context(), []byte(aMessage))
	if err != nil {
		t.Fatal(err)
	}
	c := got.Contacts[0]
	if len(c.Rules) != 2 {
		t.Fatalf("rules %+v", c.Rules)
	}
	fires, not := c.Rules[0], c.Rules[1]
	if fires.Rule != "greeting" || !fires.Fired || fires.Line != 5 || fires.Event != "message" || fires.At.Year() != 2025 || len(fires.Actions) != 2 ||
		fires.Actions[0].Kind != "add_label" || fires.Actions[0].Value != "polite" || fires.Actions[1].Field != "segment" || fires.Actions[1].Line != 9 {
		t.Errorf("what fires is %+v", fires)
	}
	if not.Rule != "complaint" || not.Fired || not.Why == "" || len(not.Actions) != 0 {
		t.Errorf("what does not is %+v", not)
	}
	if f := c.Accounts["crm"].Fields; f["segment"].Value != "gold" || !slices.Equal(f["tags"].Value.([]string), []string{"polite"}) {
		t.Errorf("written is %+v", f)
	}
}

// What an example does not say of its contact follows as it does for everybody.
func TestWhatFollowsFromAnExamplesContact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "mapping.yaml")
	write(t, file, `version: 1
fields:
  score: {type: number}
accounts:
  crm: {contact: {n: name, f: first_name, l: last_name, c: consent, s: {field: score, write: value * 2}, t: labels}}
`)
	m, err := app.ReadMapping(file)
	if err != nil {
		t.Fatal(err)
	}
	for contact, expected := range map[string]string{
		"{full_name: Ada King Byron}":                              "{n: Ada King Byron, f: Ada, l: King Byron}",
		"{first_name: Ada, last_name: King}":                       "{n: Ada King, f: Ada, l: King}",
		"{first_name: Ada, last_name: null}":                       "{n: Ada, f: Ada, l: null}",
		"{profile_name: Ada, name: Somebody}":                      "{n: Somebody, f: Ada}",
		"{phone: '+393331234567'}":                                 "{n: '+393331234567', f: '+393331234567'}",
		"{wa_id: '393331234567'}":                                  "{c: unknown}",
		"{consent: marketing, score: 3, labels: []}":               "{c: marketing, s: 6, t: []}",
		"{labels: [a, b], first_inbound_at: 2026-11-22T09:30:00Z}": "{t: [b, a], c: transactional}",
	} {
		folder := filepath.Join(dir, "examples")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "x.yaml"), "contact: "+contact+"\nexpect: {crm: "+expected+"}\n")
		if n, found, err := app.RunExamples(t.Context(), file, m, folder); err != nil || n != 1 || len(found) > 0 {
			t.Errorf("%s: %d examples, %v (error %v)", contact, n, found, err)
		}
	}
}
