package hubspotsim_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func list[T any](t *testing.T, g answer) []T {
	t.Helper()
	var out []T
	if err := json.Unmarshal([]byte(g.body), &out); err != nil {
		t.Fatalf("got %d %s: %v", g.status, g.body, err)
	}
	return out
}

func TestAPersonEditsAContact(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true})
	a.token = ""
	made := a.post("/_sim/contacts", obj{"phone": "+1 212 555 0101", "fields": obj{"firstname": "Ada", "lastname": "Lovelace", "numemployees": 3}}).want(t, 200)
	same(t, "phone", made.str("phone"), "+1 212 555 0101")
	same(t, "name", made.str("name"), "Ada Lovelace")
	same(t, "source", made.at("fields", "hs_object_source"), "CRM_UI")
	same(t, "created_at", made.str("created_at"), "2026-10-01T08:00:00.000Z")
	a.pass(time.Minute)
	a.post("/_sim/contacts", obj{"id": made.str("id"), "fields": obj{"city": "London"}}).want(t, 200)
	a.post("/_sim/contacts", obj{"phone": "12125550101", "fields": obj{"company": "Engines"}}).want(t, 200)
	found := list[hubspotsim.Contact](t, a.get("/_sim/contacts?phone=%2B1(212)555-0101"))
	if len(found) != 1 || found[0].Fields["city"] != "London" || found[0].Fields["company"] != "Engines" ||
		found[0].Phone != "+1 212 555 0101" || found[0].UpdatedAt <= made.str("updated_at") {
		t.Errorf("got %+v", found)
	}
	if _, null := found[0].Fields["email"]; null {
		t.Error("a property that is not set is shown")
	}
	a.post("/_sim/contacts", obj{"id": "999", "fields": obj{"city": "x"}}).says(t, 400, "no contact has the id 999")
	a.post("/_sim/contacts", obj{"phone": "12125550101", "fields": obj{"shoe": "39"}}).says(t, 400, "shoe")
	a.post("/_sim/contacts", obj{}).says(t, 400, "say count")
	same(t, "stats", a.get("/_sim/stats").at("contacts"), 1)
	same(t, "calls", a.Stats().Calls, 0)
	a.remove("/_sim/contacts?id="+found[0].ID).says(t, 200)
	a.remove("/_sim/contacts?id="+found[0].ID).says(t, 404)
	same(t, "deleted", a.get("/_sim/contacts?id="+found[0].ID).body, "[]\n")
}

func TestDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "crmsync_wa_id", nil).want(t, 201)
	dup := func() int { return a.Stats().DuplicateContacts }
	a.person(obj{"phone": "+1 212 555 0101", "crmsync_wa_id": "12125550101"})
	same(t, "one contact with one number twice", dup(), 0)
	a.person(obj{"mobilephone": "+1 212 555 0102"})
	second := a.person(obj{"phone": "1-212-555-0101"})
	same(t, "the same number in other words", dup(), 1)
	third := a.person(obj{"crmsync_wa_id": "12125550101"})
	same(t, "the same WhatsApp id", dup(), 2)
	a.patch(contacts+"/"+third, obj{"properties": obj{"crmsync_wa_id": "12125550109"}}).want(t, 200)
	same(t, "corrected", dup(), 1)
	a.remove(contacts+"/"+second).want(t, 204)
	same(t, "deleted", dup(), 0)
	a.post("/_sim/contacts", obj{"phone": "+12125550102", "new": true, "fields": obj{"firstname": "Twin"}}).want(t, 200)
	same(t, "a person creates a double on purpose", dup(), 1)
	same(t, "both are shown", len(a.Contacts("", "12125550102")), 2)
}

func TestMessagesAreShownHoweverTheyWereMarked(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada", "phone": "+12125550101"})
	for _, name := range []string{"crmsync_wamid", "crmsync_direction", "crmsync_status"} {
		a.define("0-18", name, nil).want(t, 201)
	}
	custom := whatsApp("hello\n\nthere")
	custom["crmsync_wamid"], custom["crmsync_direction"], custom["crmsync_status"] = "wamid.A", "out", "delivered"
	a.post(communications, obj{"properties": custom, "associations": toContact(ada, 81)}).want(t, 201)
	a.pass(1500 * time.Millisecond)
	a.post(communications+"/batch/create", obj{"inputs": []obj{
		{"properties": whatsApp("yes\n\n— WhatsApp in · wamid.B"), "associations": toContact(ada, 81)},
		{"properties": whatsApp("no\n\n— WhatsApp out · read · wamid.C")},
		{"properties": whatsApp("a line\n— WhatsApp is nice")},
	}}).want(t, 201)
	tests := map[string]hubspotsim.Message{
		"wamid.A": {ContactID: ada, Direction: "out", Status: "delivered", Text: "hello\n\nthere", CommittedAt: "2026-10-01T08:00:00.000Z"},
		"wamid.B": {ContactID: ada, Direction: "in", Text: "yes", CommittedAt: "2026-10-01T08:00:01.500Z"},
		"wamid.C": {Direction: "out", Status: "read", Text: "no", CommittedAt: "2026-10-01T08:00:01.500Z"},
	}
	for wamid, want := range tests {
		got := list[hubspotsim.Message](t, a.get("/_sim/messages?wamid="+wamid))
		if len(got) != 1 {
			t.Fatalf("%s: got %+v, want one", wamid, got)
		}
		want.ID, want.WAMID, want.At = got[0].ID, wamid, "2026-10-01T07:59:00.000Z"
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v, want %+v", got[0], want)
		}
	}
	same(t, "of a phone", len(list[hubspotsim.Message](t, a.get("/_sim/messages?phone=%2B12125550101"))), 2)
	same(t, "all", len(a.Messages("", "")), 4)
	same(t, "one that only looks marked", a.Messages("", "")[3].WAMID, "")
	same(t, "doubles", a.Stats().DuplicateMessages, 0)
	a.post(communications, obj{"properties": whatsApp("yes\n\n— WhatsApp in · wamid.B")}).want(t, 201)
	same(t, "doubles", a.Stats().DuplicateMessages, 1)
}

func TestAHundredThousandContactsStayFast(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	begin := time.Now()
	a.post("/_sim/contacts", `{"count":100000}`).want(t, 200)
	seeded := time.Since(begin)
	begin = time.Now()
	for n := range 200 {
		phone := fmt.Sprintf("+1201555%04d", n)
		if found := a.Contacts("", phone); len(found) != 1 {
			t.Fatalf("%s: got %d contacts, want 1", phone, len(found))
		}
		a.post(contacts, obj{"properties": obj{"email": fmt.Sprintf("n%d@example.com", n)}}).want(t, 201)
		a.get("/_sim/stats").want(t, 200)
	}
	t.Logf("seeded in %v, 600 calls in %v", seeded, time.Since(begin))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("600 calls took %v", took)
	}
	got := a.Stats()
	same(t, "contacts", got.Contacts, 100200)
	same(t, "doubles", got.DuplicateContacts, 0)
	a.post("/_sim/contacts", `{"count":1000000}`).says(t, 400, "count 1000000 is not between 1 and")
	same(t, "found", a.search(obj{"filterGroups": []obj{group(where("phone", "IN", []string{"+12015550000", "+12025550000"}))}}).at("total"), 2)
}

func TestWritesAndCallsAreCounted(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	a.get(contacts+"/"+id).want(t, 200)
	a.search(obj{}).want(t, 200)
	a.batch("read", []obj{{"id": id}}).want(t, 200)
	a.batch("update", []obj{{"id": id, "properties": obj{"city": "Rome"}}}).want(t, 200)
	a.batch("update", []obj{{"id": "999"}}).want(t, 207)
	a.post(contacts, obj{"properties": obj{"shoe": "39"}}).want(t, 400)
	got := a.Stats()
	same(t, "calls", got.Calls, 7)
	same(t, "writes", got.Writes, 2)
}

func TestTheClockCanBeMoved(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.post("/_sim/clock", `{"advance":"24h"}`).says(t, 200, "2026-10-02T08:00:00.000Z")
	a.post("/_sim/clock", `{"advance":"tomorrow"}`).says(t, 400, "tomorrow")
	same(t, "created", a.post(contacts, obj{"properties": obj{"firstname": "Ada"}}).str("createdAt"), "2026-10-02T08:00:00.000Z")
	a.get("/_sim/nothing").says(t, 404)
}

func TestManyCallersAtOnceLeaveOneContactEach(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true, Quota: "documented", Limits: hubspotsim.Limits{TenSeconds: 10000, SearchSecond: 10000}})
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for m := range 20 {
				id := fmt.Sprintf("1212555%04d", m)
				a.batch("upsert", []obj{{"id": id, "idProperty": "crmsync_wa_id", "properties": obj{"firstname": fmt.Sprint(n)}}})
				a.search(obj{})
				a.get("/_sim/contacts?phone=" + id)
				a.get("/_sim/stats")
				a.post("/_sim/faults", `{"mode":"throttle","share":0.01}`)
				a.Advance(time.Second)
			}
		})
	}
	callers.Wait()
	a.fault(`{"mode":"none"}`)
	got := a.Stats()
	same(t, "contacts", got.Contacts, 20)
	same(t, "doubles", got.DuplicateContacts, 0)
}
