package bitrix24sim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

const appToken = "fedcba9876543210fedcba9876543210"

func keysOf(body string) string {
	var names []string
	for _, pair := range strings.Split(body, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, strings.NewReplacer("%5B", "[", "%5D", "]").Replace(name))
	}
	return strings.Join(names, " ")
}

func TestTwoShapesOfEvents(t *testing.T) {
	t.Parallel()
	hooked, bound := listen(t), listen(t)
	p := application(t, bitrix24sim.Options{EventURL: hooked.url, ApplicationToken: appToken})
	token := p.login()
	p.as(token, "event.bind", obj{"event": "onCrmContactUpdate", "handler": bound.url}).ok()
	p.add(`{"NAME":"Ada"}`)
	p.update(1, `{"NAME":"Bo"}`).ok()
	got := hooked.wait(t, 2)[1]
	same(t, "event", got.Get("event")+got.Get("data[FIELDS][ID]"), "ONCRMCONTACTUPDATE1")
	same(t, "token", got.Get("auth[application_token]"), appToken)
	same(t, "ts", got.Get("ts"), "1790841600")
	if strings.Contains(hooked.bodies[1], "[") {
		t.Errorf("got %s, want brackets in percents", hooked.bodies[1])
	}
	same(t, "outgoing webhook", keysOf(hooked.bodies[1]), "event event_handler_id data[FIELDS][ID] ts auth[domain] auth[client_endpoint] auth[server_endpoint] auth[member_id] auth[application_token]")
	got = bound.wait(t, 1)[0]
	same(t, "application", keysOf(bound.bodies[0]), "event event_handler_id data[FIELDS][ID] ts auth[access_token] auth[expires] auth[expires_in] auth[scope] auth[domain] auth[server_endpoint] auth[status] auth[client_endpoint] auth[member_id] auth[user_id] auth[application_token]")
	p.as(got.Get("auth[access_token]"), "user.current", obj{}).ok()
	same(t, "bindings", p.as(token, "event.get", obj{}).ok().json("result", 0, "event"), `"ONCRMCONTACTUPDATE"`)
	same(t, "unbound", p.as(token, "event.unbind", obj{"event": "ONCRMCONTACTUPDATE", "handler": bound.url}).ok().json("result"), `{"count":1}`)
	p.as(token, "event.bind", obj{"event": "ONNOTHING", "handler": "x"}).refused(400, "ERROR_EVENT_NOT_FOUND", "")
}

func TestEveryChangeIsToldOnce(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.status = http.StatusInternalServerError
	p := open(t, bitrix24sim.Options{EventURL: l.url})
	p.add(`{"NAME":"Ada"}`)
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"name":"Ada"}}`).ok()
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"name":"Bo"}}`).ok()
	p.call("batch", `{"cmd":{"a":"crm.contact.update?id=1&fields[NAME]=Cy"}}`).ok()
	p.call("crm.contact.delete", `{"id":1}`).ok()
	var events []string
	for _, e := range l.wait(t, 4) {
		events = append(events, strings.TrimPrefix(e.Get("event"), "ONCRMCONTACT"))
	}
	same(t, "events", strings.Join(events, " "), "ADD UPDATE UPDATE DELETE")
}

func TestEveryWayToChangeAContactIsTold(t *testing.T) {
	t.Parallel()
	l, other := listen(t), listen(t)
	p := open(t, bitrix24sim.Options{ApplicationToken: appToken})
	p.add(`{"NAME":"nobody is told of"}`)
	p.call("crm.entity.mergeBatch", `{"params":{"entityTypeId":3,"entityIds":[1,1]}}`).refused(400, "", "twice")
	same(t, "address", p.sim("POST", "webhook", `{"url":"`+l.url+`"}`).ok().at("url"), l.url)
	told := 0
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"classic add", func() { p.add(`{"NAME":"Ada"}`) }, "ADD 2"},
		{"classic update", func() { p.update(2, `{"NAME":"Bo"}`).ok() }, "UPDATE 2"},
		{"item add", func() { p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"Cy"}}`).ok() }, "ADD 3"},
		{"item update", func() { p.call("crm.item.update", `{"entityTypeId":3,"id":3,"fields":{"name":"Di"}}`).ok() }, "UPDATE 3"},
		{"commands of a batch", func() {
			p.call("batch", `{"cmd":{"a":"crm.contact.update?id=2&fields[NAME]=Ed","b":"crm.contact.update?id=3&fields[NAME]=Fay"}}`).ok()
		}, "UPDATE 2 UPDATE 3"},
		{"a person creates", func() { p.sim("POST", "contacts", `{"phone":"+12125550101"}`).ok() }, "ADD 4"},
		{"a person edits", func() { p.sim("POST", "contacts", `{"id":"4","fields":{"NAME":"Gil"}}`).ok() }, "UPDATE 4"},
		{"a person deletes", func() { p.sim("DELETE", "contacts?id=4", "").ok() }, "DELETE 4"},
		{"a merge", func() {
			p.call("crm.entity.mergeBatch", `{"params":{"entityTypeId":3,"entityIds":[2,3]}}`).ok()
		}, "DELETE 3 UPDATE 2"},
		{"item delete", func() { p.call("crm.item.delete", `{"entityTypeId":3,"id":2}`).ok() }, "DELETE 2"},
		{"classic delete", func() { p.call("crm.contact.delete", `{"id":1}`).ok() }, "DELETE 1"},
	} {
		step.do()
		count := len(strings.Fields(step.want)) / 2
		var got []string
		for _, e := range l.wait(t, told+count)[told:] {
			got = append(got, strings.TrimPrefix(e.Get("event"), "ONCRMCONTACT")+" "+e.Get("data[FIELDS][ID]"))
			same(t, "token", e.Get("auth[application_token]"), appToken)
		}
		told += count
		same(t, step.what, strings.Join(got, " "), step.want)
	}
	// Nothing but the id is told, and refusals are not.
	if strings.Contains(strings.Join(l.bodies, " "), "Ada") {
		t.Error("an event has a name in it")
	}
	p.update(2, `{"NAME":"Hal"}`).refused(400, "", "Contact is not found")
	p.sim("POST", "contacts", `{"count":3}`).ok()
	p.sim("POST", "webhook", `{"url":"`+other.url+`"}`).ok()
	p.add(`{}`)
	other.wait(t, 1)
	p.sim("POST", "webhook", `{"url":""}`).ok()
	p.add(`{}`)
	l.wait(t, told)
	other.wait(t, 1)
}

func TestAnApplicationIsToldOfCommentsAndActivities(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := application(t, bitrix24sim.Options{})
	token := p.login()
	for _, event := range []string{"ONCRMTIMELINECOMMENTADD", "ONCRMTIMELINECOMMENTUPDATE", "ONCRMTIMELINECOMMENTDELETE", "ONCRMACTIVITYADD", "ONCRMACTIVITYUPDATE", "ONCRMACTIVITYDELETE"} {
		p.as(token, "event.bind", obj{"event": event, "handler": l.url}).ok()
	}
	p.add(`{}`)
	id := p.comment(1, "hello")
	p.rewrite(id, obj{"COMMENT": "hi"}).ok()
	p.call("crm.timeline.comment.delete", obj{"id": id}).ok()
	other := p.call("crm.activity.add", obj{"fields": activity(1)}).ok().at("result")
	p.call("crm.activity.update", obj{"id": other, "fields": obj{"SUBJECT": "x"}}).ok()
	p.call("crm.activity.delete", obj{"id": other}).ok()
	got := ""
	for _, e := range l.wait(t, 6) {
		got += strings.TrimPrefix(e.Get("event"), "ONCRM") + e.Get("data[FIELDS][ID]") + " "
	}
	same(t, "told", got, fmt.Sprintf("TIMELINECOMMENTADD%[1]d TIMELINECOMMENTUPDATE%[1]d TIMELINECOMMENTDELETE%[1]d ACTIVITYADD%[2]v ACTIVITYUPDATE%[2]v ACTIVITYDELETE%[2]v ", id, other))
}

func TestWhatIsNotTakenIsLost(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]http.HandlerFunc{
		"unavailable":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"elsewhere":           func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) },
		"the connection ends": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			l.refuse = refuse
			p := open(t, bitrix24sim.Options{EventURL: l.url})
			p.add(`{}`)
			p.update(1, `{"NAME":"Ada"}`).ok()
			p.Advance(48 * time.Hour)
			var events []string
			for _, e := range l.wait(t, 2) {
				events = append(events, e.Get("event"))
			}
			same(t, "each once", events, "[ONCRMCONTACTADD ONCRMCONTACTUPDATE]")
			same(t, "calls", l.calls, 2)
		})
	}
}

func TestAHandlerThatDoesNotAnswerIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.refuse = func(_ http.ResponseWriter, r *http.Request) {
		if l.calls == 1 {
			<-r.Context().Done()
		}
	}
	p := open(t, bitrix24sim.Options{EventURL: l.url})
	p.HandlerTimeout(500 * time.Millisecond)
	p.add(`{}`)
	p.update(1, `{"NAME":"Ada"}`).ok()
	got := l.wait(t, 2)
	same(t, "the next one comes", got[0].Get("event")+" "+got[1].Get("event"), "ONCRMCONTACTADD ONCRMCONTACTUPDATE")
	same(t, "calls", l.calls, 2)
}

func TestTheTimeIsThatOfSending(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url, Knobs: bitrix24sim.Knobs{EventDelayMS: 1000, NoHandlerID: true}})
	p.add(`{}`)
	same(t, "ts", l.wait(t, 1)[0].Get("ts"), "1790841601")
	same(t, "keys", keysOf(l.bodies[0]), "event data[FIELDS][ID] ts auth[domain] auth[client_endpoint] auth[server_endpoint] auth[member_id] auth[application_token]")
}

func TestDelayedReorderedDoubledDropped(t *testing.T) {
	t.Parallel()
	run := func(k bitrix24sim.Knobs, count int) (string, time.Duration) {
		l := listen(t)
		p := open(t, bitrix24sim.Options{EventURL: l.url, Knobs: k})
		began := time.Now()
		p.add(`{}`)
		p.call("crm.contact.delete", `{"id":1}`).ok()
		events := ""
		for _, e := range l.wait(t, count) {
			events += strings.TrimPrefix(e.Get("event"), "ONCRMCONTACT")[:1]
		}
		return events, time.Since(began)
	}
	got, took := run(bitrix24sim.Knobs{EventDelayMS: 60}, 2)
	same(t, "delayed", got, "AD")
	if took < 60*time.Millisecond {
		t.Errorf("delivered after %v", took)
	}
	got, _ = run(bitrix24sim.Knobs{ReorderEvents: true, EventDelayMS: 50}, 2)
	same(t, "reordered", got, "DA")
	got, _ = run(bitrix24sim.Knobs{DuplicateEvents: 1}, 4)
	same(t, "doubled", got, "AADD")
	got, _ = run(bitrix24sim.Knobs{DropEvents: 1}, 0)
	same(t, "dropped", got, "")
}

func TestWrongApplicationToken(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url, ApplicationToken: appToken, Knobs: bitrix24sim.Knobs{WrongApplicationToken: true}})
	p.add(`{}`)
	if got := l.wait(t, 1)[0].Get("auth[application_token]"); got == appToken || len(got) != 32 {
		t.Errorf("got %q", got)
	}
}

func TestTheOfflineQueueKeepsARowForEachObject(t *testing.T) {
	t.Parallel()
	p := application(t, bitrix24sim.Options{})
	token := p.login()
	p.as(token, "event.bind", obj{"event": "ONCRMCONTACTUPDATE", "event_type": "offline"}).ok()
	p.as(token, "event.bind", obj{"event": "ONCRMCONTACTUPDATE", "event_type": "offline", "auth_connector": "crmsync"}).ok()
	p.add(`{}`)
	p.add(`{}`)
	p.update(1, `{"NAME":"A"}`).ok()
	p.update(1, `{"NAME":"B"}`).ok()
	p.as(token, "crm.contact.update", obj{"id": 2, "fields": obj{"NAME": "own"}, "auth_connector": "crmsync"}).ok()
	get := func(in obj) answer { return p.as(token, "event.offline.get", in).ok() }
	got := get(obj{"auth_connector": "crmsync", "clear": 0})
	same(t, "one row for the object, none for the own write", got.count("result", "events"), 1)
	same(t, "data", got.json("result", "events", 0, "EVENT_DATA"), `{"FIELDS":{"ID":1}}`)
	process, _ := got.at("result", "process_id").(string)
	same(t, "reserved", get(obj{"auth_connector": "crmsync", "clear": 0}).count("result", "events"), 0)
	same(t, "still listed", p.as(token, "event.offline.list", obj{"auth_connector": "crmsync"}).ok().at("result", 0, "PROCESS_ID"), process)
	same(t, "cleared", p.as(token, "event.offline.clear", obj{"process_id": process}).ok().at("result"), true)
	same(t, "gone", p.as(token, "event.offline.list", obj{"auth_connector": "crmsync"}).ok().count("result"), 0)
	got = get(obj{})
	same(t, "without a source", got.count("result", "events"), 2)
	same(t, "process", got.at("result", "process_id"), nil)
	same(t, "removed on reading", get(obj{}).count("result", "events"), 0)
	p.as(token, "crm.contact.update", obj{"id": 2, "fields": obj{"NAME": "another's"}, "auth_connector": "other"}).ok()
	same(t, "another source", get(obj{"auth_connector": "crmsync"}).json("result", "events", 0, "EVENT_DATA"), `{"FIELDS":{"ID":2}}`)
}

func TestAProcessClearsItsOfflineRows(t *testing.T) {
	t.Parallel()
	p := application(t, bitrix24sim.Options{})
	token := p.login()
	call := func(method string, in obj) answer { t.Helper(); return p.as(token, method, in).ok() }
	call("event.bind", obj{"event": "ONCRMCONTACTADD", "event_type": "offline"})
	for range 4 {
		p.add(`{}`)
	}
	rows := call("event.offline.get", obj{"clear": 0, "limit": 3})
	process := rows.at("result", "process_id")
	same(t, "limit", rows.count("result", "events"), 3)
	for name, want := range map[string]string{"EVENT_NAME": `"ONCRMCONTACTADD"`, "EVENT_ADDITIONAL": "false", "ID": `"1"`, "TIMESTAMP_X": `"2026-10-01T11:00:00+03:00"`} {
		same(t, name, rows.json("result", "events", 0, name), want)
	}
	left := func() int { return call("event.offline.list", obj{}).count("result") }
	call("event.offline.clear", obj{"process_id": "nobody's"})
	same(t, "of nobody", left(), 4)
	call("event.offline.clear", obj{"process_id": process, "id": []any{rows.at("result", "events", 0, "ID")}})
	call("event.offline.clear", obj{"process_id": process, "message_id": []any{rows.at("result", "events", 1, "MESSAGE_ID")}})
	same(t, "cleared by id and by message", left(), 2)
	same(t, "failed", call("event.offline.error", obj{"process_id": process, "message_id": []any{rows.at("result", "events", 2, "MESSAGE_ID")}}).at("result"), true)
	same(t, "shown", call("event.offline.list", obj{}).json("result", 0, "ERROR"), `"1"`)
	same(t, "what nobody has reserved", call("event.offline.get", obj{}).json("result", "events", 0, "EVENT_DATA"), `{"FIELDS":{"ID":4}}`)
}

func TestAConnectorSilencesTheOfflineQueueOnly(t *testing.T) {
	t.Parallel()
	hooked, bound := listen(t), listen(t)
	p := application(t, bitrix24sim.Options{EventURL: hooked.url})
	token := p.login()
	p.as(token, "event.bind", obj{"event": "ONCRMCONTACTADD", "handler": bound.url, "auth_connector": "crmsync"}).ok()
	p.as(token, "event.bind", obj{"event": "ONCRMCONTACTADD", "event_type": "offline", "auth_connector": "crmsync"}).ok()
	p.as(token, "crm.contact.add", obj{"fields": obj{}, "auth_connector": "crmsync"}).ok()
	p.as(token, "batch", obj{"cmd": obj{"a": "crm.contact.add?fields[NAME]=x&auth_connector=crmsync"}}).ok()
	hooked.wait(t, 2)
	bound.wait(t, 2)
	same(t, "queued", p.as(token, "event.offline.list", obj{"auth_connector": "crmsync"}).ok().count("result"), 0)
}
