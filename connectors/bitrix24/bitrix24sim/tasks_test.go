package bitrix24sim_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

// todo are the parameters of an activity to do.
func todo(owner int, title string) obj {
	return obj{
		"ownerTypeId": 3, "ownerId": owner, "deadline": "2026-10-02T09:00:00+00:00", "title": title, "description": "wants to know", "responsibleId": 11,
	}
}

// tracked are the fields of an activity to do that carries a key.
func tracked(owner int, title, key string) obj {
	return obj{
		"OWNER_TYPE_ID": 3, "OWNER_ID": owner, "TYPE_ID": 6, "PROVIDER_ID": "CRM_TODO", "PROVIDER_TYPE_ID": "TODO", "SUBJECT": title, "RESPONSIBLE_ID": 11,
		"DEADLINE": "2026-12-24T09:00:00+00:00", "START_TIME": "2026-10-02T08:00:00+00:00", "END_TIME": "2026-10-02T09:00:00+00:00", "PRIORITY": 3,
		"COMMUNICATIONS": []obj{{"VALUE": "+1", "ENTITY_ID": owner, "ENTITY_TYPE_ID": 3, "TYPE": "PHONE"}}, "ORIGINATOR_ID": "crmsync", "ORIGIN_ID": key,
	}
}

// job are the fields of a task.
func job(owner int, title, key string) obj {
	return obj{
		"TITLE": title, "DESCRIPTION": "wants to know", "RESPONSIBLE_ID": 11, "DEADLINE": "2026-10-02T09:00:00+00:00", "PRIORITY": 2,
		"UF_CRM_TASK": []string{"D_5", "C_" + itoa(owner)}, "XML_ID": key,
	}
}

func (p *portal) tasksBy(query string) []bitrix24sim.Task {
	p.t.Helper()
	var list []bitrix24sim.Task
	if err := json.Unmarshal([]byte(p.sim("GET", "tasks?"+query, "").body), &list); err != nil {
		p.t.Fatal(err)
	}
	return list
}

func TestAnActivityIsGivenToAPerson(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.add(`{}`)
	id := fmt.Sprint(p.call("crm.activity.todo.add", todo(1, "call back")).ok().at("result", "id"))
	got := p.call("crm.activity.get", obj{"id": id}).ok()
	for name, want := range map[string]string{
		"SUBJECT": "call back", "DESCRIPTION": "wants to know", "RESPONSIBLE_ID": "11", "PROVIDER_ID": "CRM_TODO", "TYPE_ID": "6", "OWNER_ID": "1",
		"COMPLETED": "N", "DEADLINE": "2026-10-02T12:00:00+03:00",
	} {
		same(t, name, got.at("result", name), want)
	}
	if got, want := p.tasksBy("id="+id), (bitrix24sim.Task{
		ID: id, ContactID: "1", Title: "call back", Text: "wants to know", Owner: "11", Due: "2026-10-02T09:00:00.000Z", Priority: "2",
		CreatedAt: "2026-10-01T08:00:00.000Z",
	}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	bare := p.call("crm.activity.todo.add", `{"ownerTypeId":"3","ownerId":"1","deadline":"2026-10-02"}`).ok().at("result", "id")
	same(t, "by default the caller's", p.call("crm.activity.get", obj{"id": bare}).ok().at("result", "RESPONSIBLE_ID"), "7")
	found := p.call("crm.activity.list", `{"filter":{"OWNER_TYPE_ID":3,"OWNER_ID":1,"PROVIDER_ID":"CRM_TODO","COMPLETED":"N"},"order":{"ID":"DESC"}}`).ok()
	same(t, "found", found.at("total"), 2)
	same(t, "newest", found.at("result", 0, "ID"), bare)
	change := todo(1, "write")
	change["id"] = id
	same(t, "update", p.call("crm.activity.todo.update", change).ok().at("result", "id"), id)
	change["ownerId"] = 2
	p.call("crm.activity.todo.update", change).refused(400, "NOT_FOUND", "Not found.")
	for name, c := range map[string]struct {
		change obj
		code   string
	}{
		"no deadline":           {obj{"deadline": nil}, "100"},
		"no owner":              {obj{"ownerId": nil}, "100"},
		"no kind of owner":      {obj{"ownerTypeId": nil}, "100"},
		"nobody":                {obj{"ownerId": 99}, "NOT_FOUND"},
		"a lead":                {obj{"ownerTypeId": 1}, "OWNER_NOT_FOUND"},
		"a time in plain words": {obj{"deadline": "soon"}, "WRONG_DATETIME_FORMAT"},
	} {
		in := todo(1, "x")
		for k, v := range c.change {
			in[k] = v
		}
		got := p.call("crm.activity.todo.add", in)
		same(t, name, fmt.Sprint(got.status, got.at("error")), "400"+c.code)
	}
	same(t, "stats", p.sim("GET", "stats", "").at("tasks"), 2)
	same(t, "completed", p.call("crm.activity.update", obj{"id": id, "fields": obj{"COMPLETED": "Y"}}).ok().at("result"), true)
	p.call("crm.activity.delete", obj{"id": id}).ok()
	same(t, "left", len(p.tasksBy("contact_id=1")), 1)
	same(t, "of nobody", len(p.tasksBy("contact_id=99"))+len(p.tasksBy("contact_id=2"))+len(p.tasksBy("id=1")), 0)
}

func TestAnActivityIsFoundAgainByItsOrigin(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	list := func(key string) answer {
		return p.call("crm.activity.list", obj{"filter": obj{"ORIGINATOR_ID": "crmsync", "ORIGIN_ID": key}}).ok()
	}
	id := p.call("crm.activity.add", obj{"fields": tracked(1, "call back", "rule-7")}).ok().at("result")
	same(t, "found", list("rule-7").at("result", 0, "ID"), id)
	same(t, "the deadline is the end", list("rule-7").at("result", 0, "DEADLINE"), "2026-10-02T09:00:00+00:00")
	same(t, "due", p.tasksBy("")[0].Due, "2026-10-02T09:00:00.000Z")
	same(t, "priority", p.tasksBy("")[0].Priority, "3")
	same(t, "no message", p.Stats().Messages, 0)
	p.call("crm.activity.add", obj{"fields": tracked(1, "else", "rule-7")}).ok()
	same(t, "nothing keeps it from being there twice", list("rule-7").at("total"), 2)
	same(t, "doubles", p.Stats().DuplicateTasks, 1)

	// One to do gets its key by a second command, which may not be reached.
	got := p.call("batch", obj{"halt": 1, "cmd": obj{
		"a": "crm.activity.todo.add?ownerTypeId=3&ownerId=1&deadline=2026-10-02&title=call",
		"b": "crm.activity.update?id=$result[a][id]&fields[ORIGINATOR_ID]=crmsync&fields[ORIGIN_ID]=rule-8",
	}}).ok()
	same(t, "key", got.at("result", "result", "b"), true)
	same(t, "found", list("rule-8").at("result", 0, "ID"), got.at("result", "result", "a", "id"))
	same(t, "it is still to do", list("rule-8").at("result", 0, "DEADLINE"), "2026-10-02T00:00:00+03:00")
	same(t, "tasks", p.Stats().Tasks, 3)
}

func TestATaskIsGivenToAPerson(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	made := p.call("tasks.task.add", obj{"fields": job(1, "call back", "rule-7")}).ok()
	id := fmt.Sprint(made.at("result", "task", "id"))
	for name, want := range map[string]any{
		"title": "call back", "responsibleId": "11", "createdBy": "7", "xmlId": "rule-7", "priority": "2", "status": "2",
		"deadline": "2026-10-02T12:00:00+03:00", "ufCrmTask": nil,
	} {
		same(t, name, made.at("result", "task", name), want)
	}
	got := p.call("tasks.task.get", `{"taskId":`+id+`,"select":["ID","UF_CRM_TASK"]}`).ok()
	same(t, "chosen", got.json("result", "task"), `{"id":"`+id+`","ufCrmTask":["D_5","C_1"]}`)
	got = p.call("tasks.task.get", `{"taskId":`+id+`,"select":["UF_*","*"]}`).ok()
	same(t, "everything", got.json("result", "task", "ufCrmTask")+fmt.Sprint(got.at("result", "task", "xmlId")), `["D_5","C_1"]rule-7`)
	same(t, "unasked", p.call("tasks.task.get", `{"taskId":`+id+`,"select":["*"]}`).ok().has("result", "task", "ufCrmTask"), false)
	if got, want := p.tasksBy("contact_id=1"), (bitrix24sim.Task{
		ID: id, ContactID: "1", Title: "call back", Text: "wants to know", Owner: "11", Due: "2026-10-02T09:00:00.000Z", Priority: "2",
		CreatedAt: "2026-10-01T08:00:00.000Z",
	}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.call("tasks.task.update", `{"taskId":`+id+`,"fields":{"STATUS":5}}`).ok()
	same(t, "nothing there", p.call("tasks.task.get", `{"taskId":77}`).ok().json("result"), "[]")
	for _, c := range []struct{ method, in, code, text string }{
		{"add", `{}`, "100", "{fields}"},
		{"add", `{"fields":{"RESPONSIBLE_ID":11}}`, "ERROR_CORE", "name"},
		{"add", `{"fields":{"TITLE":"x"}}`, "ERROR_CORE", "responsible"},
		{"add", `{"fields":{"TITLE":"x","RESPONSIBLE_ID":99}}`, "ERROR_CORE", "not found"},
		{"update", `{"taskId":` + id + `,"fields":{"TITLE":""}}`, "ERROR_CORE", "name"},
		{"update", `{"taskId":77,"fields":{"TITLE":"x"}}`, "1048582", ""},
		{"delete", `{"taskId":77}`, "1048582", ""},
		{"get", `{}`, "100", ""},
		{"get", `{"taskId":"x"}`, "0", "wrong task id"},
	} {
		p.call("tasks.task."+c.method, c.in).refused(400, c.code, c.text)
	}
	same(t, "deleted", p.call("tasks.task.delete", `{"taskId":`+id+`}`).ok().at("result", "task"), true)
	same(t, "tasks", p.Stats().Tasks, 0)
}

func TestATaskIsFoundAgainByItsExternalID(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.add(`{}`)
	p.call("tasks.task.add", obj{"fields": job(1, "call back", "rule-7")}).ok()
	p.call("batch", obj{"cmd": obj{"a": "tasks.task.add?fields[TITLE]=write&fields[RESPONSIBLE_ID]=11&fields[UF_CRM_TASK][]=C_2&fields[XML_ID]=rule-8"}}).ok()
	titles := func(filter string) string {
		got := p.call("tasks.task.list", `{"filter":`+filter+`,"select":["ID","TITLE"]}`).ok()
		var list []any
		for n := range got.count("result", "tasks") {
			list = append(list, got.at("result", "tasks", n, "title"))
		}
		same(t, "total of "+filter, got.at("total"), len(list))
		return fmt.Sprint(list)
	}
	for filter, want := range map[string]string{
		`{}`: "[write call back]", `{"XML_ID":"rule-7"}`: "[call back]", `{"=XML_ID":["rule-7","rule-8"]}`: "[write call back]", `{"UF_CRM_TASK":["C_2"]}`: "[write]",
		`{"TITLE":"%call%"}`: "[call back]", `{"!XML_ID":"rule-7"}`: "[write]", `{"XML_ID":"rule-9"}`: "[]", `{"RESPONSIBLE_ID":11,"PRIORITY":2}`: "[call back]",
		`{"UF_CRM_TASK":"C_1","TITLE":"write"}`: "[]", `{"UF_AUTO_1":"x"}`: "[write call back]",
	} {
		same(t, filter, titles(filter), want)
	}
	p.sim("POST", "knobs", `{"no_xml_id_filter":true}`).ok()
	same(t, "a filter passed over", titles(`{"XML_ID":"rule-7"}`), "[write call back]")
	p.call("tasks.task.add", obj{"fields": job(2, "else", "rule-7")}).ok()
	same(t, "nothing keeps it from being there twice", p.Stats().DuplicateTasks, 1)
}

func TestTasksAreCountedOnce(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.add(`{}`)
	add := func(in obj) any { return p.call("crm.activity.todo.add", in).ok().at("result", "id") }
	first := add(todo(1, "call back"))
	add(todo(2, "call back"))
	add(todo(1, "write"))
	same(t, "different ones", p.Stats().DuplicateTasks, 0)
	add(todo(1, "call back"))
	same(t, "the same for the same", p.Stats().DuplicateTasks, 1)
	p.call("crm.activity.update", obj{"id": first, "fields": obj{"ORIGIN_ID": "k"}}).ok()
	same(t, "told apart by a key", p.Stats().DuplicateTasks, 0)
	p.call("crm.entity.mergeBatch", `{"params":{"entityTypeId":3,"entityIds":[1,2]}}`).ok()
	same(t, "of one contact now", p.Stats().DuplicateTasks, 1)
	same(t, "of one contact now", len(p.tasksBy("contact_id=1")), 4)
}

func TestActivitiesGoWithTheirContactAndTasksStay(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	p.call("crm.activity.todo.add", todo(1, "call back")).ok()
	p.call("tasks.task.add", obj{"fields": job(1, "call back", "k")}).ok()
	p.call("crm.contact.delete", `{"id":1}`).ok()
	left := p.tasksBy("")
	if len(left) != 1 || left[0].Title != "call back" || left[0].ContactID != "" {
		t.Errorf("got %+v, want the task alone, of nobody", left)
	}
	same(t, "of the deleted one", len(p.tasksBy("contact_id=1")), 0)
	same(t, "tasks", p.Stats().Tasks, 1)
}

func TestFaultsMeetTasksToo(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{Scopes: []string{"crm"}})
	p.add(`{}`)
	p.call("tasks.task.add", obj{"fields": job(1, "x", "k")}).refused(401, "insufficient_scope", "")
	p.fault(`{"mode":"reject","match":"poison"}`)
	p.call("crm.activity.todo.add", todo(1, "poison")).refused(400, "INVALID_ARG_VALUE", "")
	got := p.call("batch", obj{"cmd": obj{
		"a": "crm.activity.todo.add?ownerTypeId=3&ownerId=1&deadline=2026-10-02&title=poison",
		"b": "crm.activity.todo.add?ownerTypeId=3&ownerId=1&deadline=2026-10-02&title=well",
	}}).ok()
	same(t, "in a batch", got.at("result", "result_error", "a", "error"), "INVALID_ARG_VALUE")
	p.fault(`{"mode":"none"}`)
	p.fault(`{"mode":"outage","status":500}`)
	same(t, "outage", p.call("crm.activity.todo.add", todo(1, "x")).status, 500)
	p.fault(`{"mode":"none"}`)
	same(t, "tasks", p.Stats().Tasks, 1)
}
