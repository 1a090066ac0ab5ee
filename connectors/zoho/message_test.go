package zoho

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

const (
	upsertMessages = "POST WhatsApp_Messages/upsert"
	updateMessages = "PUT WhatsApp_Messages"
	createNotes    = "POST Notes"
	updateNotes    = "PUT Notes"
	notesOf        = "GET Contacts/42/Notes"
)

func message(wamid string) connectors.MessageChange {
	return connectors.MessageChange{
		ContactRecordID: "42", WAMID: wamid, BusinessNumber: "106540352242922", Direction: connectors.In,
		Text: "ciao", Status: "delivered", At: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
	}
}

func TestMessagesAreUpsertedByADigest(t *testing.T) {
	o, c := newOrg(t)
	o.on(upsertMessages, accept)
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), message("wamid.a"), message("wamid.A"), {WAMID: ""}, {WAMID: "wamid.B"}})
	for i, r := range got[:3] {
		if r.Err != nil || !r.Created || r.RecordID == "" {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if got[0].RecordID != got[2].RecordID || got[0].RecordID == got[1].RecordID {
		t.Errorf("records %+v", got)
	}
	if e := got[3].Err; e == nil || e.Class != connectors.Rejected {
		t.Errorf("no wamid: %v", e)
	}
	if e := got[4].Err; e == nil || e.Class != connectors.Conflict {
		t.Errorf("no contact: %v", e)
	}
	a := o.calls(upsertMessages)[0]
	want := `{"Body":"ciao","Contact":{"id":"42"},"Direction":"in","Name":"in 2026-01-31 10:00","Sent_Time":"2026-01-31T10:00:00+00:00","Status":"delivered","WAMID":"wamid.A","WA_Message_ID":"` + keyOf(&connectors.MessageChange{BusinessNumber: "106540352242922", WAMID: "wamid.A"}) + `"}`
	if !strings.Contains(a.body, want) || !strings.Contains(a.body, `"trigger":[],"duplicate_check_fields":["WA_Message_ID"]`) {
		t.Errorf("upsert %s", a.body)
	}
	if c.Limits() != (connectors.Limits{Contacts: 100, Messages: 100, MessageCalls: 3, LookAfter: time.Second}) {
		t.Errorf("limits %+v", c.Limits())
	}
}

func TestMessagesWhoseFateIsNotKnown(t *testing.T) {
	for name, r := range map[string]reply{"broken off": say(0, nil), "outage": say(503, "<html>"), "garbled": say(200, "<html>"), "too short": rows()} {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.on(upsertMessages, r)
			if got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")}); got[0].Err == nil || got[0].Err.Class != connectors.UnknownOutcome {
				t.Errorf("got %+v", got[0])
			}
		})
	}
}

func TestAMessageWhoseContactIsGone(t *testing.T) {
	o, c := newOrg(t)
	o.on(upsertMessages, say(400, m{"data": []m{fails("INVALID_DATA", m{"api_name": "Contact", "json_path": "$.data[0].Contact"})}}))
	if e := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")})[0].Err; e == nil || e.Class != connectors.Conflict || e.Code != "NO_CONTACT" || e.RecordID != "" {
		t.Errorf("got %v", e)
	}
}

func TestMessagesAreFoundByTheirDigest(t *testing.T) {
	o, c := newOrg(t)
	there := message("wamid.7")
	o.on(query, people(m{"id": "77", "WA_Message_ID": strings.ToUpper(keyOf(&there))}), nobody)
	var changes []connectors.MessageChange
	for i := range 60 {
		changes = append(changes, message(fmt.Sprint("wamid.", i)))
	}
	got := c.FindMessages(t.Context(), changes)
	for i, r := range got {
		if want := map[int]string{7: "77"}[i]; r.Err != nil || r.RecordID != want {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if calls := o.calls(query); len(calls) != 2 || !strings.HasPrefix(calls[0].in.Query, "select WA_Message_ID from WhatsApp_Messages where (WA_Message_ID in ('") {
		t.Errorf("queries %+v", calls)
	}
}

func TestMessagesAreUpdatedByID(t *testing.T) {
	o, c := newOrg(t)
	o.on(updateMessages, rows(done("1"), fails("INVALID_DATA", m{"api_name": "id"})))
	a, b, none, twice := message("wamid.A"), message("wamid.B"), message("wamid.C"), message("wamid.D")
	a.RecordID, b.RecordID, twice.RecordID = "1", "2", "1"
	a.Text = strings.Repeat("😀", 20000)
	got := c.UpdateMessages(t.Context(), []connectors.MessageChange{a, b, none, twice})
	if got[0].Err != nil || got[0].RecordID != "1" {
		t.Errorf("got %+v", got[0])
	}
	for _, r := range got[1:] {
		if r.Err == nil || r.Err.Class != connectors.Conflict {
			t.Errorf("got %+v", r)
		}
	}
	body := o.calls(updateMessages)[0].in.Data[0]["Body"].(string)
	if connectors.Length(body) > maxBody || !strings.HasSuffix(body, "😀…") {
		t.Errorf("%d characters", connectors.Length(body))
	}
}

func withoutModule(t *testing.T) (*org, *Client) {
	o, c := newOrg(t)
	delete(o.fields, messageModule)
	return o, c
}

func TestWithoutTheModuleMessagesAreNotes(t *testing.T) {
	o, c := withoutModule(t)
	o.on(createNotes, say(201, m{"data": []m{done("1"), fails("INVALID_DATA", m{"api_name": "Parent_Id"})}}))
	o.on(updateNotes, accept)
	noStatus := message("wamid.B")
	noStatus.Status = ""
	got := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A"), noStatus})
	if got[0].Err != nil || !got[0].Created || got[1].Err == nil || got[1].Err.Code != "NO_CONTACT" {
		t.Errorf("got %+v", got)
	}
	a := o.calls(createNotes)[0]
	want := `{"data":[{"Note_Content":"ciao\n\n— WhatsApp in · delivered · wamid.A","Parent_Id":{"id":"42","module":{"api_name":"Contacts"}}},{"Note_Content":"ciao\n\n— WhatsApp in · wamid.B",`
	if !strings.HasPrefix(a.body, want) {
		t.Errorf("notes %s", a.body)
	}
	read := message("wamid.A")
	read.RecordID, read.Status, read.Text = "1", "read", strings.Repeat("x", 70000)
	if got := c.UpdateMessages(t.Context(), []connectors.MessageChange{read}); got[0].Err != nil {
		t.Errorf("got %+v", got[0])
	}
	content := o.calls(updateNotes)[0].in.Data[0]["Note_Content"].(string)
	if connectors.Length(content) != maxContent || marked(content) != "wamid.A" || !strings.Contains(content, "· read ·") {
		t.Errorf("%d characters: %s", connectors.Length(content), content[len(content)-60:])
	}
	if c.Limits().LookAfter != 5*time.Second {
		t.Errorf("limits %+v", c.Limits())
	}
}

func TestNotesAreFoundByTheirLastLine(t *testing.T) {
	o, c := withoutModule(t)
	quoting := message("wamid.X")
	quoting.Text = "see\n\n— WhatsApp in · wamid.A"
	o.on(notesOf,
		say(200, m{"data": []m{{"id": "1", "Note_Content": "by hand"}, {"id": "2", "Note_Content": content(&quoting)}, {"id": "3", "Note_Content": nil}}, "info": m{"count": 3, "more_records": true, "next_page_token": "t1"}}),
		say(200, m{"data": []m{{"id": "4", "Note_Content": "<p>ciao</p><p>— WhatsApp in · wamid.A</p>"}}, "info": m{"count": 1, "more_records": false}}),
		nobody)
	list := []connectors.MessageChange{message("wamid.A"), message("wamid.B")}
	got := c.FindMessages(t.Context(), list)
	if got[0].Err != nil || got[0].RecordID != "4" || got[1].Err != nil || got[1].RecordID != "" {
		t.Errorf("got %+v", got)
	}
	if q := o.calls(notesOf); len(q) != 2 || !strings.Contains(q[1].query, "page_token=t1") || !strings.Contains(q[0].query, "fields=Note_Content") {
		t.Errorf("asked %+v", q)
	}
	if got := c.FindMessages(t.Context(), list); got[0].Err != nil || got[0].RecordID != "" {
		t.Errorf("no notes: %+v", got)
	}
}

func TestALookAtNotesThatProvesNothing(t *testing.T) {
	for name, r := range map[string]reply{
		"an outage":               say(502, "<html>"),
		"an empty list":           say(200, m{"data": []m{}, "info": m{"count": 0}}),
		"half a list":             say(200, m{"data": []m{{"id": "1"}}, "info": m{"count": 2}}),
		"more without a token":    say(200, m{"data": []m{{"id": "1"}}, "info": m{"more_records": true}}),
		"the same page for ever":  say(200, m{"data": []m{{"id": "1"}}, "info": m{"more_records": true, "next_page_token": "t"}}),
		"something without an id": say(200, m{"data": []m{{"x": "1"}}}),
	} {
		t.Run(name, func(t *testing.T) {
			o, c := withoutModule(t)
			o.on(notesOf, r)
			if e := c.FindMessages(t.Context(), []connectors.MessageChange{message("wamid.A")})[0].Err; e == nil || e.Class != connectors.Transient {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestALostNoteIsOfUnknownOutcome(t *testing.T) {
	o, c := withoutModule(t)
	o.on(createNotes, say(0, nil))
	if e := c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")})[0].Err; e == nil || e.Class != connectors.UnknownOutcome {
		t.Errorf("got %v", e)
	}
}
