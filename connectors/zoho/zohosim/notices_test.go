package zohosim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

// receiver takes callbacks and remembers them.
type receiver struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	got    []obj
	status int
}

func newReceiver(t *testing.T) *receiver {
	p := &receiver{t: t, status: 200}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body obj
		_ = json.Unmarshal(raw, &body)
		p.mu.Lock()
		p.got = append(p.got, body)
		status := p.status
		p.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(p.Close)
	return p
}

// wait returns the callbacks once there are n of them, and fails if there are
// more or they do not come.
func (p *receiver) wait(n int) []obj {
	p.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p.mu.Lock()
		got := slices.Clone(p.got)
		p.mu.Unlock()
		if len(got) >= n || time.Now().After(end) {
			if len(got) != n {
				p.t.Fatalf("got %d callbacks %v, want %d", len(got), got, n)
			}
			return got
		}
	}
}

// none fails if a callback comes.
func (p *receiver) none() {
	p.t.Helper()
	time.Sleep(50 * time.Millisecond)
	p.wait(0)
}

func (p *receiver) forget() { p.mu.Lock(); p.got = nil; p.mu.Unlock() }

// follow subscribes channel 1 to what happens to contacts.
func (a *org) follow(url string, more obj) answer {
	a.t.Helper()
	return a.post("/actions/watch", watch(url, more))
}

func watch(url string, more obj) obj {
	item := obj{"channel_id": 1000000068001, "events": []string{"Contacts.all"}, "notify_url": url, "notify_on_related_action": false}
	for k, v := range more {
		if v == nil {
			delete(item, k)
		} else {
			item[k] = v
		}
	}
	return obj{"watch": []obj{item}}
}

func TestChannelsExpireInSilence(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.get("/actions/watch").silent(t, 204)
	got := a.follow("https://x.example/hook", nil).want(t, 201)
	event := []any{"watch", 0, "details", "events", 0}
	same(t, "an hour", got.str(append(event, "channel_expiry")...), "2026-10-01T14:30:00+05:30")
	same(t, "id", got.str(append(event, "channel_id")...), "1000000068001")
	same(t, "message", got.str("watch", 0, "message"), "Successfully subscribed for actions-watch of the given module")
	same(t, "address", got.str(append(event, "resource_uri")...), "http://example.com/crm/v2/Contacts")
	for expiry, want := range map[string]string{
		"2026-10-08T13:30:00+05:30": "2026-10-08T13:30:00+05:30", "2026-10-08T13:30:01+05:30": "2026-10-01T14:30:00+05:30",
		"2026-10-02T08:00:00Z": "2026-10-02T13:30:00+05:30",
	} {
		same(t, expiry, a.call("PATCH", "/actions/watch", watch("", obj{"notify_url": nil, "channel_expiry": expiry})).want(t, 200).
			str(append(event, "channel_expiry")...), want)
	}
	a.follow("https://x.example/hook", obj{"token": strings.Repeat("x", 51)}).says(t, 400, "INVALID_DATA", `"maximum_length":50`)
	a.follow("https://x.example/hook", obj{"events": []string{"Notes.create"}}).says(t, 400, "INVALID_DATA", "events")
	a.follow("https://x.example/hook", obj{"events": nil}).says(t, 400, "MANDATORY_NOT_FOUND")
	a.follow("", obj{"notify_url": nil, "channel_id": "7"}).says(t, 400, "MANDATORY_NOT_FOUND", "notify_url")
	group := func(names ...string) []obj {
		var list []obj
		for _, name := range names {
			list = append(list, obj{"field": obj{"api_name": name}})
		}
		return []obj{{"type": "field_selection", "field_selection": obj{"group_operator": "or", "group": list}}}
	}
	a.follow("https://x.example/hook", obj{"notification_condition": group("Email", "Phone", "Mobile")}).says(t, 400, "INVALID_DATA", "notification_condition")
	a.follow("https://x.example/hook", obj{"notification_condition": group("Email", "Phone"), "token": "secret"}).want(t, 201)
	shown := a.get("/actions/watch?channel_id=1000000068001&module=Contacts").want(t, 200)
	same(t, "token", shown.str("watch", 0, "token"), "secret")
	same(t, "events", shown.at("watch", 0, "events"), "[Contacts.all]")
	same(t, "info", shown.at("info", "count"), 1)
	a.pass(time.Hour)
	a.token = a.refresh("r").str("access_token")
	a.get("/actions/watch").silent(t, 204)
	for _, method := range []string{"PUT", "PATCH"} {
		a.call(method, "/actions/watch", watch("https://x.example", nil)).says(t, 400, "NOT_SUBSCRIBED")
	}
	a.remove("/actions/watch?channel_ids=1000000068001").says(t, 400, "NOT_SUBSCRIBED")
	a.follow("https://x.example/hook", nil).want(t, 201)
	a.call("PATCH", "/actions/watch", watch("https://x.example", obj{"_delete_events": true, "events": []string{"Contacts.all"}})).says(t, 200, "Successfully removed")
	a.remove("/actions/watch?channel_ids=1000000068001,2").says(t, 400, "NOT_SUBSCRIBED")
	a.follow("https://x.example/hook", nil).want(t, 201)
	a.remove("/actions/watch?channel_ids=1000000068001").says(t, 200, "Successfully un-subscribed from actions-watch")
	a.knob(`{"require_https":true}`)
	a.follow("http://x.example/hook", nil).says(t, 400, "notify_url")
}

func TestOldVersionsAllowOneDay(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	for version, want := range map[string]string{"v2": "14:30", "v2.1": "14:30", "v3": "14:30", "v4": "13:30", "v8": "13:30"} {
		got := a.post("/crm/"+version+"/actions/watch", watch("https://x.example/hook", obj{"channel_expiry": "2026-10-03T13:30:00+05:30"})).want(t, 201)
		if expiry := got.str("watch", 0, "details", "events", 0, "channel_expiry"); !strings.Contains(expiry, "T"+want) {
			t.Errorf("%s: got %s, want %s", version, expiry, want)
		}
	}
	a.post("/crm/v2/actions/watch", watch("https://x.example/hook", obj{"channel_expiry": "2026-10-02T13:30:00+05:30"})).
		says(t, 201, "2026-10-02T13:30:00+05:30")
}

func TestEveryWayToChangeAContactIsCalledBack(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	a.follow(p.URL, obj{"token": "secret"}).want(t, 201)
	owner := a.get("/users?type=ActiveUsers").str("users", 1, "id")
	var id, other string
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"an insert", func() { id = a.person(obj{"Email": "a@example.com"}) }, "insert 1"},
		{"an upsert of a new one", func() {
			other = a.upserted("Contacts", []string{"Email"}, obj{"Last_Name": "B", "Email": "b@example.com"}).str("data", 0, "details", "id")
		}, "insert 2"},
		{"an upsert of both", func() {
			a.upserted("Contacts", []string{"Email"}, obj{"Last_Name": "A2", "Email": "a@example.com"}, obj{"Last_Name": "B2", "Email": "b@example.com"})
		}, "update 1,2"},
		{"an update", func() { a.put("/Contacts/"+id, rows(obj{"Phone": "+391"})).want(t, 200) }, "update 1"},
		{"a new owner", func() {
			a.post("/Contacts/actions/change_owner", obj{"ids": []string{id}, "owner": obj{"id": owner}}).want(t, 200)
		}, "update 1"},
		{"a person creates", func() { a.post("/_sim/contacts", obj{"phone": "+12125550103", "new": true}).want(t, 200) }, "insert ?"},
		{"a person edits", func() { a.post("/_sim/contacts", obj{"id": id, "fields": obj{"Title": "Countess"}}).want(t, 200) }, "update 1"},
		{"a person deletes", func() { a.remove("/_sim/contacts?id="+id).want(t, 200) }, "delete 1"},
		{"a deletion", func() { a.remove("/Contacts?ids="+other).want(t, 200) }, "delete 2"},
	} {
		step.do()
		notice := p.wait(1)[0]
		var ids []string
		for _, v := range notice["ids"].([]any) {
			ids = append(ids, map[any]string{any(id): "1", any(other): "2"}[v])
		}
		got := fmt.Sprint(notice["operation"], " ", strings.Join(ids, ","))
		same(t, step.what, strings.TrimSuffix(got, " "), strings.TrimSuffix(step.want, " ?"))
		same(t, "token", notice["token"], "secret")
		p.forget()
	}
	// Those who were there all along and what is read are not told of.
	a.post("/_sim/contacts", obj{"count": 3}).want(t, 200)
	a.get("/Contacts?fields=Last_Name").want(t, 200)
	p.none()
}

func TestCallbacksCarryIDs(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	a.follow(p.URL+"/hook?who=me", nil).want(t, 201)
	got := a.post("/Contacts", rows(obj{"Last_Name": "A"}, obj{"First_Name": "refused"}, obj{"Last_Name": "B"}))
	ada, bob := got.str("data", 0, "details", "id"), got.str("data", 2, "details", "id")
	first := p.wait(1)[0]
	for key, want := range (obj{
		"module": "Contacts", "operation": "insert", "ids": []string{ada, bob}, "affected_fields": []any{}, "channel_id": "1000000068001", "token": nil,
		"resource_uri": "https://www.zohoapis.com/crm/v2/Contacts", "query_params": obj{"who": "me"}, "server_time": float64(a.Now().UnixMilli()),
	}) {
		same(t, key, first[key], want)
	}
	if _, is := first["affected_values"]; is {
		t.Error("there are values which nobody asked for")
	}
	p.forget()
	a.follow(p.URL, obj{"token": "secret", "return_affected_field_values": true}).want(t, 201)
	a.put("/Contacts", rows(obj{"id": ada, "Phone": "+391", "Last_Name": "A"}, obj{"id": bob, "Phone": "+392", "Title": "x"})).want(t, 200)
	update := p.wait(1)[0]
	same(t, "operation", update["operation"], "update")
	same(t, "fields", update["affected_fields"], []obj{{ada: []string{"Phone"}}, {bob: []string{"Phone", "Title"}}})
	same(t, "values", update["affected_values"].([]any)[0], obj{"record_id": ada, "values": obj{"Phone": "+391"}})
	same(t, "token", update["token"], "secret")
	p.forget()
	a.remove("/Contacts?ids="+ada).want(t, 200)
	gone := p.wait(1)[0]
	same(t, "operation", gone["operation"], "delete")
	same(t, "values", gone["affected_values"].([]any)[0].(obj)["values"].(obj)["Record_Status__s"], 0)
	p.forget()
	a.follow(p.URL, obj{"events": []string{"Contacts.create", "Leads.all"}}).want(t, 201)
	a.put("/Contacts/"+bob, rows(obj{"Phone": "+393"})).want(t, 200)
	p.none()
	a.post("/Leads", rows(obj{"Last_Name": "L"})).want(t, 201)
	same(t, "module", p.wait(1)[0]["module"], "Leads")
	p.forget()
	a.pass(time.Hour)
	a.post("/_sim/contacts", obj{"phone": "+1", "new": true}).want(t, 200)
	p.none()
}

func TestConditionsNarrowCallbacks(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	pair := func(operator string) []obj {
		return []obj{{"type": "field_selection", "field_selection": obj{
			"group_operator": operator, "group": []obj{{"field": obj{"api_name": "Email"}}, {"field": obj{"api_name": "Phone"}}},
		}}}
	}
	id := a.person(obj{})
	a.follow(p.URL, obj{"notification_condition": pair("or")}).want(t, 201)
	a.put("/Contacts/"+id, rows(obj{"Title": "x"})).want(t, 200)
	p.none()
	a.put("/Contacts/"+id, rows(obj{"Phone": "1"})).want(t, 200)
	p.wait(1)
	p.forget()
	a.follow(p.URL, obj{"notification_condition": pair("and")}).want(t, 201)
	a.put("/Contacts/"+id, rows(obj{"Phone": "2"})).want(t, 200)
	p.none()
	a.put("/Contacts/"+id, rows(obj{"Phone": "3", "Email": "a@example.com"})).want(t, 200)
	p.wait(1)
}

func TestOwnWritesAreCalledBackToo(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	a.follow(p.URL, nil).want(t, 201)
	body := rows(obj{"Last_Name": "A"})
	body["trigger"] = []string{}
	a.post("/Contacts", body).want(t, 201)
	p.wait(1)
	p.forget()
	a.knob(`{"quiet_trigger":true}`)
	a.post("/Contacts", body).want(t, 201)
	p.none()
	a.person(obj{})
	p.wait(1)
	p.forget()
	a.post("/_sim/contacts", obj{"phone": "+1", "fields": obj{"Last_Name": "P"}}).want(t, 200)
	same(t, "a person's edit", p.wait(1)[0]["operation"], "insert")
}

func TestDeliveryMisbehavesOnRequest(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	a.follow(p.URL, nil).want(t, 201)
	a.knob(`{"drop_notices":1}`)
	a.person(obj{})
	p.none()
	a.knob(`{"drop_notices":0,"duplicate_notices":1}`)
	a.person(obj{})
	p.wait(2)
	p.forget()
	a.knob(`{"duplicate_notices":0,"notice_delay_ms":150}`)
	begin := time.Now()
	a.person(obj{})
	p.wait(1)
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("got the notice after %v", took)
	}
	p.forget()
	a.knob(`{"notice_delay_ms":0,"notice_first":true}`)
	a.person(obj{})
	p.mu.Lock()
	same(t, "before the answer", len(p.got), 1)
	p.mu.Unlock()
	p.forget()
	a.knob(`{"notice_first":false,"reorder_notices":true}`)
	ids := []string{a.person(obj{}), a.person(obj{}), a.person(obj{}), a.person(obj{})}
	var order []string
	for _, n := range p.wait(4) {
		order = append(order, fmt.Sprint(n["ids"].([]any)[0]))
	}
	if slices.Equal(order, ids) {
		t.Errorf("got %v in order", order)
	}
	p.forget()
	a.knob(`{"reorder_notices":false}`)
	p.mu.Lock()
	p.status = 500
	p.mu.Unlock()
	a.person(obj{})
	time.Sleep(50 * time.Millisecond)
	p.wait(1)
	p.forget()
	a.knob(`{"notice_attempts":3}`)
	a.person(obj{})
	p.wait(3)
}

func TestChangesOfRelatedRecordsAreCalledBack(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	a.messages()
	ada := a.person(obj{})
	for _, more := range []obj{{"notify_on_related_action": nil}, {"notify_on_related_action": true}} {
		a.follow(p.URL, more).want(t, 201)
		a.post("/Notes", rows(note(ada, "x"))).want(t, 201)
		got := p.wait(1)[0]
		same(t, "a note", fmt.Sprint(got["operation"], " ", got["ids"], " ", got["affected_fields"]), fmt.Sprintf("update [%s] [map[%s:[]]]", ada, ada))
		p.forget()
		a.post("/WhatsApp_Messages", rows(obj{"Name": "m", "Contact": obj{"id": ada}})).want(t, 201)
		p.wait(1)
		p.forget()
	}
	a.follow(p.URL, obj{"notify_on_related_action": false}).want(t, 201)
	a.post("/Notes", rows(note(ada, "x"))).want(t, 201)
	p.none()
}
