package zohosim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	last   *http.Request
	status int
}

func newReceiver(t *testing.T) *receiver {
	p := &receiver{t: t, status: 200}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body obj
		_ = json.Unmarshal(raw, &body)
		p.mu.Lock()
		p.got, p.last = append(p.got, body), r
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
	want := obj{
		"module": "Contacts", "operation": "insert", "ids": []any{ada, bob}, "affected_fields": []any{}, "channel_id": "1000000068001", "token": nil,
		"resource_uri": "https://www.zohoapis.com/crm/v2/Contacts", "query_params": obj{"who": "me"}, "server_time": float64(a.Now().UnixMilli()),
	}
	// Nothing is missing, null included, and there are no values which nobody asked for.
	if !reflect.DeepEqual(first, want) {
		t.Errorf("got %v, want %v", first, want)
	}
	p.mu.Lock()
	same(t, "request", []string{p.last.Method, p.last.URL.String(), p.last.Header.Get("Content-Type")}, "[POST /hook?who=me application/json]")
	p.mu.Unlock()
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

func TestOneCallIsCalledBackForEachOperation(t *testing.T) {
	t.Parallel()
	a, p := open(t, zohosim.Options{}), newReceiver(t)
	ada, bob := a.person(obj{"Email": "ada@example.com"}), a.person(obj{"Email": "bob@example.com"})
	a.follow(p.URL, nil).want(t, 201)
	eve := a.upserted("Contacts", nil,
		obj{"Last_Name": "Ada", "Email": "ada@example.com"}, obj{"Last_Name": "Eve", "Email": "eve@example.com"},
		obj{"Email": "refused@example.com"}, obj{"Last_Name": "Bob", "Email": "bob@example.com"},
	).want(t, 207).str("data", 1, "details", "id")
	ids := map[any]any{}
	for _, notice := range p.wait(2) {
		ids[notice["operation"]] = notice["ids"]
	}
	same(t, "ids", ids, map[any]any{"insert": []string{eve}, "update": []string{ada, bob}})
	p.forget()
	a.remove("/Contacts?ids="+ada+","+bob+","+eve).want(t, 200)
	gone := p.wait(1)[0]
	same(t, "deleted", []any{gone["operation"], gone["ids"], gone["affected_fields"]}, []any{"delete", []string{ada, bob, eve}, []any{}})
}

func TestAReceiverThatDoesNotAnswerIsLeft(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	var calls atomic.Int32
	waited := make(chan time.Duration, 1)
	second := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch begin := time.Now(); calls.Add(1) {
		case 1:
			<-r.Context().Done()
			waited <- time.Since(begin)
		case 2:
			close(second)
		}
	}))
	defer slow.Close()
	a.follow(slow.URL, nil).want(t, 201)
	begin := time.Now()
	a.person(obj{})
	a.person(obj{})
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the writes took %v, as if they waited for the receiver", took)
	}
	if took := <-waited; took < 4*time.Second || took > 8*time.Second {
		t.Errorf("was left after %v, want 5 s", took)
	}
	<-second
	time.Sleep(50 * time.Millisecond)
	same(t, "one attempt each", calls.Load(), 2)
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
