package hubspot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/hubspotsim"
	"crmsync/connectors/phone"
)

// The simulator is an independent reading of HubSpot's documentation; these
// tests hold the connector against it, in both ways of writing messages.

type account struct {
	*hubspot.Client
	t   *testing.T
	sim *hubspotsim.Server
	url string
}

var fields = []connectors.Field{
	{Name: "firstname", Type: connectors.TypeText},
	{Name: "phone", Type: connectors.TypePhone},
	{Name: "crmsync_consent", Label: "Consent", Type: connectors.TypeEnum, Options: []string{"unknown", "marketing"}},
	{Name: "crmsync_last_message_at", Label: "Last message", Type: connectors.TypeTime},
	{Name: "crmsync_unread_count", Label: "Unread", Type: connectors.TypeNumber},
	{Name: "crmsync_labels", Label: "Labels", Type: connectors.TypeLabels, Options: []string{"vip", "new"}},
}

func onBoth(t *testing.T, test func(t *testing.T, a *account)) {
	t.Parallel()
	for _, properties := range []string{"allowed", "refused"} {
		t.Run("custom properties on messages "+properties, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, hubspotsim.Options{Token: "t", Quota: "off", CustomCommunicationProperties: properties})
			if findings, err := a.Setup(t.Context(), fields, true); err != nil {
				t.Fatalf("setup: %v %v", findings, err)
			}
			test(t, a)
		})
	}
}

func newAccount(t *testing.T, o hubspotsim.Options) *account {
	sim := hubspotsim.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	client := hubspot.New(hubspot.Options{
		BaseURL: server.URL, Token: hubspot.StaticToken("t"), Timeout: time.Second, BatchTimeout: time.Second,
	})
	return &account{Client: client, t: t, sim: sim, url: server.URL}
}

func (a *account) control(path string, body any) {
	a.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := http.Post(a.url+"/_sim/"+path, "application/json", bytes.NewReader(data))
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		a.t.Fatalf("%s answered %s", path, response.Status)
	}
}

func person(n int, more map[string]any) connectors.ContactChange {
	digits := fmt.Sprintf("1631555%04d", n)
	c := connectors.ContactChange{Key: digits, Phones: []string{"+" + digits}, Fields: map[string]any{
		"firstname": fmt.Sprintf("Zoë %d 🌊", n), "phone": "+" + digits, "crmsync_consent": "unknown",
		"crmsync_last_message_at": time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), "crmsync_unread_count": int64(n),
	}}
	for k, v := range more {
		c.Fields[k] = v
	}
	return c
}

func (a *account) write(changes ...connectors.ContactChange) []string {
	a.t.Helper()
	ids := make([]string, len(changes))
	for i, r := range a.WriteContacts(a.t.Context(), changes) {
		if r.Err != nil || r.RecordID == "" {
			a.t.Fatalf("contact %d: record %q, error %v", i, r.RecordID, r.Err)
		}
		ids[i] = r.RecordID
	}
	return ids
}

func message(contact string, n int) connectors.MessageChange {
	return connectors.MessageChange{
		ContactRecordID: contact, WAMID: fmt.Sprintf("wamid.%d", n), BusinessNumber: "1", Direction: connectors.In,
		Text: fmt.Sprintf("Perché no? %d 😀", n), At: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
	}
}

func TestSetupTwiceFindsNothingToDo(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		findings, err := a.Setup(t.Context(), fields, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Fatal || f.Object != "communications" {
				t.Errorf("finding %+v", f)
			}
		}
	})
}

func TestWithoutFixSetupOnlyReports(t *testing.T) {
	t.Parallel()
	a := newAccount(t, hubspotsim.Options{Token: "t", Quota: "off"})
	before := a.sim.Stats().Writes
	findings, err := a.Setup(t.Context(), fields, false)
	if err != nil {
		t.Fatal(err)
	}
	fatal := 0
	for _, f := range findings {
		if f.Fatal && f.Fixable {
			fatal++
		}
	}
	if fatal < 5 || a.sim.Stats().Writes != before {
		t.Errorf("findings = %+v, %d writes; want the missing contact fields and no write", findings, a.sim.Stats().Writes-before)
	}
}

func TestTheSameContactTwiceIsOneRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		first := a.write(person(1, nil), person(2, nil))
		second := a.write(person(1, map[string]any{"firstname": "Changed"}), person(2, nil))
		if first[0] != second[0] || first[1] != second[1] || first[0] == first[1] {
			t.Errorf("records %v, then %v", first, second)
		}
		got := a.sim.Contacts(first[0], "")[0].Fields
		for name, want := range map[string]string{
			"firstname": "Changed", "phone": "+16315550001", "crmsync_wa_id": "16315550001", "crmsync_unread_count": "1",
			"crmsync_last_message_at": "2026-11-20T09:00:00.000Z", "crmsync_consent": "unknown",
		} {
			if got[name] != want {
				t.Errorf("%s = %q, want %q", name, got[name], want)
			}
		}
		if s := a.sim.Stats(); s.Contacts != 2 || s.DuplicateContacts != 0 {
			t.Errorf("%+v, want two contacts", s)
		}
	})
}

func TestSomebodyWhomAPersonHasEnteredIsFoundByPhone(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		a.control("contacts", map[string]any{"phone": "+1 (631) 555-0007", "fields": map[string]string{"firstname": "Entered by hand"}})
		a.control("contacts", map[string]any{"phone": "+55 11 98765-4321", "fields": map[string]string{"firstname": "João"}})
		a.control("clock", map[string]string{"advance": "1m"}) // the index has caught up
		brazil := connectors.ContactChange{Key: "551187654321", Phones: []string{"+5511987654321", "+551187654321"}, Fields: map[string]any{"crmsync_consent": "marketing"}}
		a.write(person(7, nil), brazil)
		if s := a.sim.Stats(); s.Contacts != 2 || s.DuplicateContacts != 0 {
			t.Errorf("%+v, want the two contacts that were there", s)
		}
		if got := a.sim.Contacts("", "+5511987654321"); len(got) != 1 || got[0].Fields["crmsync_wa_id"] != "551187654321" || got[0].Fields["firstname"] != "João" {
			t.Errorf("contact = %+v", got)
		}
	})
}

func TestWhatAPersonHasEnteredStaysAndTheRestIsFilled(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		a.control("contacts", map[string]any{"phone": "+1 (631) 555-0007", "fields": map[string]string{"firstname": "Entered by hand"}})
		a.control("clock", map[string]string{"advance": "1m"}) // the index has caught up
		seven := person(7, map[string]any{"lastname": "Guessed", "country": "US"})
		seven.Fill = [][]string{{"firstname", "lastname"}, {"country"}}
		r := a.WriteContacts(t.Context(), []connectors.ContactChange{seven})[0]
		if r.Err != nil || !slices.Equal(r.Kept, []string{"firstname", "lastname"}) {
			t.Fatalf("result = %+v, want both parts of the name kept", r)
		}
		got := a.sim.Contacts(r.RecordID, "")[0].Fields
		if got["firstname"] != "Entered by hand" || got["lastname"] != "" || got["country"] != "US" {
			t.Errorf("fields = %v", got)
		}
	})
}

func TestNumbersAsPeopleWriteThemAreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		italian := hubspot.New(hubspot.Options{BaseURL: a.url, Token: hubspot.StaticToken("t"), Region: "IT"})
		if _, err := italian.Setup(t.Context(), fields, true); err != nil {
			t.Fatal(err)
		}
		written := map[string]string{ // as it stands in HubSpot, and WhatsApp's id
			"333 765 4321":        "393337654321",
			"0039 3337654322":     "393337654322",
			"393337654323":        "393337654323",
			"+54 11 15-3456-7892": "5491134567892",
			"+52 1 55 1234 5678":  "525512345678",
			"02 1234 5678":        "390212345678",
		}
		for text := range written {
			a.control("contacts", map[string]any{"phone": text, "fields": map[string]string{"firstname": text}})
		}
		a.control("clock", map[string]string{"advance": "1m"})
		for text, id := range written {
			change := connectors.ContactChange{Key: id, Fields: map[string]any{"crmsync_consent": "unknown"}}
			for _, v := range phone.Variants(id) {
				change.Phones = append(change.Phones, "+"+v)
			}
			r := italian.WriteContacts(t.Context(), []connectors.ContactChange{change})[0]
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if got := a.sim.Contacts(r.RecordID, "")[0].Fields["firstname"]; got != text {
				t.Errorf("%s went to the record of %q, want that of %q", id, got, text)
			}
		}
	})
}

func TestTwoNumbersMayHaveMessagesOfTheSameWAMID(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		ids := a.write(person(1, nil), person(2, nil))
		one, two := message(ids[0], 1), message(ids[1], 1)
		two.BusinessNumber, two.Text = "2", "on another number"
		for _, r := range a.CreateMessages(t.Context(), []connectors.MessageChange{one, two}) {
			if r.Err != nil || !r.Created {
				t.Fatalf("result = %+v", r)
			}
		}
		found := a.FindMessages(t.Context(), []connectors.MessageChange{one, two})
		if got := a.sim.Messages("wamid.1", ""); len(got) != 2 || found[0].RecordID == found[1].RecordID {
			t.Errorf("messages = %+v, found %+v", got, found)
		}
	})
}

func TestThreeBadRowsOfAHundredDoNotHoldUpTheOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		changes := make([]connectors.ContactChange, 100)
		for i := range changes {
			changes[i] = person(i, nil)
		}
		for _, i := range []int{3, 50, 99} {
			changes[i].Fields["crmsync_consent"] = "perhaps"
		}
		for i, r := range a.WriteContacts(t.Context(), changes) {
			bad := i == 3 || i == 50 || i == 99
			switch {
			case !bad && r.Err != nil:
				t.Errorf("contact %d: %v", i, r.Err)
			case bad && (r.Err == nil || r.Err.Class != connectors.Rejected || r.Err.Field != "crmsync_consent"):
				t.Errorf("contact %d: %+v, want it refused for crmsync_consent", i, r.Err)
			case bad && (strings.Contains(r.Err.Error(), "perhaps") || strings.Contains(r.Err.Error(), "1631555")):
				t.Errorf("the error carries a value: %v", r.Err)
			}
		}
		if s := a.sim.Stats(); s.Contacts != 97 {
			t.Errorf("%d contacts, want 97", s.Contacts)
		}
	})
}

func TestAMessageIsWrittenFoundAndUpdated(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		contact := a.write(person(1, nil))[0]
		m := message(contact, 1)
		if r := a.FindMessages(t.Context(), []connectors.MessageChange{m})[0]; r.Err != nil || r.RecordID != "" {
			t.Fatalf("found before it was written: %+v", r)
		}
		created := a.CreateMessages(t.Context(), []connectors.MessageChange{m, message(contact, 2)})
		for _, r := range created {
			if r.Err != nil || r.RecordID == "" {
				t.Fatalf("created %+v", r)
			}
		}
		found := a.FindMessages(t.Context(), []connectors.MessageChange{message(contact, 3), m})
		if found[0].RecordID != "" || found[1].RecordID != created[0].RecordID {
			t.Errorf("found %+v, want nothing and %s", found, created[0].RecordID)
		}
		m.RecordID, m.Status = created[0].RecordID, "read"
		if r := a.UpdateMessages(t.Context(), []connectors.MessageChange{m})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		got := a.sim.Messages("wamid.1", "")
		if len(got) != 1 || got[0].Text != m.Text || got[0].Status != "read" || got[0].Direction != "in" || got[0].ContactID != contact {
			t.Errorf("message = %+v", got)
		}
	})
}

// HubSpot carries the call out and the connection is cut.
func TestALostAnswerLeavesOneMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		contact := a.write(person(1, nil))[0]
		a.control("faults", map[string]any{"mode": "reset_after_commit", "match": "batch/create", "times": 1})
		batch := []connectors.MessageChange{message(contact, 1), message(contact, 2)}
		for _, r := range a.CreateMessages(t.Context(), batch) {
			if r.Err == nil || r.Err.Class != connectors.UnknownOutcome {
				t.Fatalf("result %+v, want an unknown outcome", r)
			}
		}
		for i, r := range a.FindMessages(t.Context(), batch) {
			if r.Err != nil || r.RecordID == "" {
				t.Errorf("message %d was not found: %+v", i, r)
			}
		}
		if s := a.sim.Stats(); s.Messages != 2 || s.DuplicateMessages != 0 {
			t.Errorf("%+v, want two messages", s)
		}
	})
}

// Where the account allows the unique property, it refuses a second copy, and
// the connector takes the first one for its own.
func TestAUniquePropertyMakesCreatingTwiceHarmless(t *testing.T) {
	t.Parallel()
	a := newAccount(t, hubspotsim.Options{Token: "t", Quota: "off"})
	if _, err := a.Setup(t.Context(), fields, true); err != nil {
		t.Fatal(err)
	}
	contact := a.write(person(1, nil))[0]
	first := a.CreateMessages(t.Context(), []connectors.MessageChange{message(contact, 1)})[0]
	second := a.CreateMessages(t.Context(), []connectors.MessageChange{message(contact, 1), message(contact, 2)})
	if second[0].Err != nil || second[0].RecordID != first.RecordID || second[1].Err != nil {
		t.Errorf("second copy: %+v, want record %s and no error", second, first.RecordID)
	}
	if s := a.sim.Stats(); s.Messages != 2 {
		t.Errorf("%d messages, want 2", s.Messages)
	}
}

func TestAMessageForADeletedContactIsAConflict(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		ids := a.write(person(1, nil), person(2, nil))
		a.sim.Delete(ids[0])
		results := a.CreateMessages(t.Context(), []connectors.MessageChange{message(ids[0], 1), message(ids[1], 2)})
		if results[0].Err == nil || results[0].Err.Class != connectors.Conflict {
			t.Errorf("result %+v, want a conflict", results[0])
		}
		if results[1].Err != nil {
			t.Errorf("the other message: %v", results[1].Err)
		}
	})
}

func TestAnUpdateOfADeletedContactMakesItAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, a *account) {
		id := a.write(person(1, nil))[0]
		a.sim.Delete(id)
		change := person(1, nil)
		change.RecordID, change.Key = id, ""
		r := a.WriteContacts(t.Context(), []connectors.ContactChange{change})[0]
		if r.Err == nil || r.Err.Class != connectors.Conflict {
			t.Fatalf("result %+v, want a conflict: the engine then looks for it again", r)
		}
		if again := a.write(person(1, nil))[0]; again == id {
			t.Errorf("record %s again, want a new one", again)
		}
	})
}

func TestFaultsHaveTheirClass(t *testing.T) {
	t.Parallel()
	a := newAccount(t, hubspotsim.Options{Token: "t", Quota: "off"})
	if _, err := a.Setup(t.Context(), fields, true); err != nil {
		t.Fatal(err)
	}
	contact := a.write(person(1, nil))[0]
	tests := map[string]struct {
		fault           map[string]any
		contact, create connectors.Class
	}{
		"an outage":              {map[string]any{"mode": "outage"}, connectors.Transient, connectors.UnknownOutcome},
		"a cut before the call":  {map[string]any{"mode": "reset"}, connectors.Transient, connectors.UnknownOutcome},
		"a cut after the call":   {map[string]any{"mode": "reset_after_commit"}, connectors.Transient, connectors.UnknownOutcome},
		"half an answer":         {map[string]any{"mode": "truncate"}, connectors.Transient, connectors.UnknownOutcome},
		"headers, then nothing":  {map[string]any{"mode": "silence"}, connectors.Transient, connectors.UnknownOutcome},
		"a byte a second":        {map[string]any{"mode": "slowloris"}, connectors.Transient, connectors.UnknownOutcome},
		"too slow":               {map[string]any{"mode": "slow", "delay": "3s"}, connectors.Transient, connectors.UnknownOutcome},
		"200 MB of an answer":    {map[string]any{"mode": "oversize"}, connectors.Transient, connectors.UnknownOutcome},
		"a redirect":             {map[string]any{"mode": "redirect"}, connectors.Transient, connectors.Transient},
		"slow down":              {map[string]any{"mode": "throttle"}, connectors.Throttled, connectors.Throttled},
		"the token is not valid": {map[string]any{"mode": "expire_token"}, connectors.Unauthorized, connectors.Unauthorized},
	}
	for name, tt := range tests {
		a.control("faults", tt.fault)
		n := len(name) // any number of its own
		if r := a.WriteContacts(t.Context(), []connectors.ContactChange{person(1000+n, nil)})[0]; r.Err == nil || r.Err.Class != tt.contact {
			t.Errorf("%s: contact %+v, want %s", name, r.Err, tt.contact)
		}
		if r := a.CreateMessages(t.Context(), []connectors.MessageChange{message(contact, 1000+n)})[0]; r.Err == nil || r.Err.Class != tt.create {
			t.Errorf("%s: message %+v, want %s", name, r.Err, tt.create)
		}
		a.control("faults", map[string]any{"mode": "none"})
	}
}
