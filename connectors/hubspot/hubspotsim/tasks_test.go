package hubspotsim_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

const tasks = "/crm/v3/objects/tasks"

// todo are the properties of a task.
func todo(title string) obj {
	return obj{
		"hs_timestamp": "2026-10-02T09:00:00Z", "hs_task_subject": title, "hs_task_body": "wants to know", "hs_task_status": "NOT_STARTED",
		"hs_task_priority": "HIGH", "hs_task_type": "TODO", "hubspot_owner_id": "41629780",
	}
}

func TestATaskIsGivenToAPerson(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada"})
	for n, path := range []string{tasks, "/crm/objects/2026-03/tasks", "/crm/objects/2026-09/0-27"} {
		got := a.post(path, obj{"properties": todo(fmt.Sprint("call back ", n)), "associations": toContact(ada, 204)}).want(t, 201)
		same(t, "Location", got.header.Get("Location"), path+"/"+got.str("id"))
		same(t, "due", got.at("properties", "hs_timestamp"), "2026-10-02T09:00:00.000Z")
		read := a.get(path+"/"+got.str("id")+"?properties=hs_task_subject,hs_task_type&associations=contacts").want(t, 200)
		same(t, "title", read.at("properties", "hs_task_subject"), fmt.Sprint("call back ", n))
		same(t, "whose", read.at("associations", "contacts", "results", 0, "id"), ada)
		same(t, "unasked", read.at("properties", "hs_createdate"), "2026-10-01T08:00:00.000Z")
		shown := list[hubspotsim.Task](t, a.get("/_sim/tasks?id="+got.str("id")))
		if want := (hubspotsim.Task{
			ID: got.str("id"), ContactID: ada, Title: fmt.Sprint("call back ", n), Text: "wants to know", Owner: "41629780",
			Due: "2026-10-02T09:00:00.000Z", Priority: "HIGH", CreatedAt: "2026-10-01T08:00:00.000Z",
		}); len(shown) != 1 || shown[0] != want {
			t.Errorf("got %+v, want %+v", shown, want)
		}
	}
	first := a.Tasks("", ada)[0].ID
	a.patch(tasks+"/"+first, obj{"properties": obj{"hs_task_status": "COMPLETED", "hs_timestamp": 1790841600000}}).says(t, 200, `"hs_task_status":"COMPLETED"`)
	same(t, "due", a.Tasks(first, "")[0].Due, "2026-10-01T08:00:00.000Z")
	same(t, "linked", a.get("/crm/v4/objects/contacts/"+ada+"/associations/tasks").at("results", 0, "associationTypes", 0, "typeId"), 203)
	other := a.person(obj{"firstname": "Bo"})
	a.put("/crm/objects/2026-03/tasks/"+first+"/associations/default/contacts/"+other, nil).says(t, 200, `"associationTypeId":204`)
	same(t, "of the other, too", len(a.Tasks("", other)), 1)
	same(t, "stats", a.get("/_sim/stats").at("tasks"), 3)
	a.remove(tasks+"/"+first).want(t, 204)
	a.get(tasks+"/"+first).says(t, 404)
	same(t, "left", len(list[hubspotsim.Task](t, a.get("/_sim/tasks?contact_id="+ada))), 2)
	same(t, "stats", a.Stats().Tasks, 2)
	same(t, "of nobody", len(a.Tasks("", "999"))+len(a.Tasks("999", "")), 0)
	same(t, "messages", a.Stats().Messages, 0)
}

func TestWhatATaskNeeds(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	tests := map[string]struct {
		change obj
		want   []string
	}{
		"no due date":           {obj{"hs_timestamp": nil}, []string{"Error creating TASK.  Some required properties were not set.", `"properties":["hs_timestamp"]`}},
		"a time in plain words": {obj{"hs_timestamp": "tomorrow"}, []string{"INVALID_LONG"}},
		"another priority":      {obj{"hs_task_priority": "URGENT"}, []string{"INVALID_OPTION", `"propertyName":["hs_task_priority"]`}},
		"another status":        {obj{"hs_task_status": "OPEN"}, []string{"INVALID_OPTION"}},
		"a user's id":           {obj{"hubspot_owner_id": "910902"}, []string{"INVALID_OWNER_ID", "910902 was not a valid owner ID"}},
		"an unknown property":   {obj{"title": "x"}, []string{"PROPERTY_DOESNT_EXIST"}},
		"a read-only one":       {obj{"hs_createdate": "2026-10-01T08:00:00Z"}, []string{"READ_ONLY_VALUE"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := todo("call back")
			for k, v := range test.change {
				p[k] = v
			}
			want := append([]string{`"category":"VALIDATION_ERROR"`}, test.want...)
			a.post(tasks, obj{"properties": p}).says(t, 400, want...)
			a.post(tasks+"/batch/create", obj{"inputs": []obj{{"properties": todo("well")}, {"properties": p}}}).says(t, 400, want...)
			part := a.post(tasks+"/batch/create", obj{"inputs": traced(p)}).want(t, 207)
			same(t, "failed", part.at("errors", 0, "context", "objectWriteTraceId", 0), "t0")
		})
	}
	same(t, "tasks", a.Stats().Tasks, 0)
	id := a.post(tasks, obj{"properties": obj{"hs_timestamp": "2026-10-02T09:00:00Z"}}).want(t, 201).str("id")
	a.patch(tasks+"/"+id, obj{"properties": obj{"hs_timestamp": ""}}).says(t, 400, "hs_timestamp")
	for kind, want := range map[int]string{
		81: "invalid from object type 0-27 for associations to be created. expected: 0-18", 203: "expected: 0-1", 999: "One or more associations are invalid",
	} {
		a.post(tasks, obj{"properties": todo("x"), "associations": toContact("1", kind)}).says(t, 400, want)
	}
	a.post(tasks, obj{"properties": todo("x"), "associations": toContact("999", 204)}).says(t, 400, "CONTACT=999 is not valid")
	many := make([]obj, 101)
	for n := range many {
		many[n] = obj{"properties": todo("x")}
	}
	a.post(tasks+"/batch/create", obj{"inputs": many}).says(t, 400, "is 100.")
	same(t, "tasks", a.Stats().Tasks, 1)
	a.post(tasks+"/batch/create", obj{"inputs": many[:100]}).says(t, 201, `"status":"COMPLETE"`)
	same(t, "tasks", a.Stats().Tasks, 101)
}

func TestATaskIsFoundAgain(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true})
	ada := a.person(obj{"firstname": "Ada"})
	a.define("tasks", "crmsync_key", obj{"hasUniqueValue": true, "groupName": "task"}).want(t, 201)
	a.fault(`{"mode":"reset_after_commit"}`)
	keyed := todo("call back")
	keyed["crmsync_key"] = "rule-7"
	row := obj{"properties": keyed, "associations": toContact(ada, 204)}
	if got, err := a.try(http.MethodPost, tasks, row); err == nil {
		t.Fatalf("got %d %s, want no answer", got.status, got.body)
	}
	a.fault(`{"mode":"none"}`)
	id := a.Tasks("", ada)[0].ID
	same(t, "by its key", a.get(tasks+"/rule-7?idProperty=crmsync_key").want(t, 200).str("id"), id)
	same(t, "in a batch", a.post(tasks+"/batch/read", obj{"idProperty": "crmsync_key", "inputs": []obj{{"id": "rule-7"}}}).want(t, 200).str("results", 0, "id"), id)
	a.post(tasks, row).says(t, 400, `propertyName=crmsync_key, value=rule-7`, id+" already has that value")
	upsert := func() answer {
		return a.post(tasks+"/batch/upsert", obj{"inputs": []obj{{"id": "rule-7", "idProperty": "crmsync_key", "properties": keyed}}}).want(t, 200)
	}
	same(t, "once more", upsert().at("results", 0, "new"), false)
	same(t, "stored at once", a.get("/crm/v4/objects/contacts/"+ada+"/associations/tasks").count("results"), 1)
	search := func(filter obj) int {
		q := obj{"filterGroups": []obj{{"filters": []obj{filter}}}, "properties": []string{"hs_task_subject"}}
		return a.post(tasks+"/search", q).want(t, 200).count("results")
	}
	key := obj{"propertyName": "crmsync_key", "operator": "EQ", "value": "rule-7"}
	same(t, "before the lag", search(key), 0)
	a.pass(8 * time.Second)
	same(t, "by key", search(key), 1)
	same(t, "by contact", search(obj{"propertyName": "associations.contact", "operator": "EQ", "value": ada}), 1)
	same(t, "by title", search(obj{"propertyName": "hs_task_subject", "operator": "EQ", "value": "Call back"}), 1)
	same(t, "by words", a.post(tasks+"/search", obj{"query": "wants"}).count("results"), 1)
	same(t, "by an open status", search(obj{"propertyName": "hs_task_status", "operator": "NEQ", "value": "COMPLETED"}), 1)
	same(t, "tasks", []int{a.Stats().Tasks, a.Stats().DuplicateTasks}, "[1 0]")
}

func TestCustomPropertiesOfTasksMayBeRefused(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.post("/_sim/knobs", `{"plain_tasks":true}`).says(t, 200, `"plain_tasks":true`)
	a.define("0-27", "crmsync_key", obj{"hasUniqueValue": true}).says(t, 403, "MISSING_SCOPES", "crm.schemas.tasks.write")
	a.define("0-18", "crmsync_wamid", nil).says(t, 201)
}

func TestTasksAreCountedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada, bo := a.person(obj{"firstname": "Ada"}), a.person(obj{"firstname": "Bo"})
	add := func(who string, p obj) string {
		return a.post(tasks, obj{"properties": p, "associations": toContact(who, 204)}).want(t, 201).str("id")
	}
	first := add(ada, todo("call back"))
	add(bo, todo("call back"))
	add(ada, todo("write"))
	same(t, "different ones", a.Stats().DuplicateTasks, 0)
	add(ada, todo("call back"))
	same(t, "the same for the same", a.Stats().DuplicateTasks, 1)
	a.define("tasks", "crmsync_key", obj{"groupName": "task"}).want(t, 201)
	a.patch(tasks+"/"+first, obj{"properties": obj{"crmsync_key": "k"}}).want(t, 200)
	same(t, "told apart by a key", a.Stats().DuplicateTasks, 0)
	keyed := todo("else")
	keyed["crmsync_key"] = "k"
	second := add(bo, keyed)
	same(t, "one key twice", a.Stats().DuplicateTasks, 1)
	a.remove(tasks+"/"+second).want(t, 204)
	same(t, "archived", a.Stats().DuplicateTasks, 0)
	a.define("tasks", "crmsync_task", obj{"groupName": "task", "hasUniqueValue": true}).want(t, 201)
	for _, one := range []string{"a", "b"} {
		unique := todo("write")
		unique["crmsync_task"], unique["crmsync_key"] = one, "k"
		add(ada, unique)
	}
	same(t, "a unique property is the key, whatever its name", a.Stats().DuplicateTasks, 0)
}

func TestTasksOutliveTheirContact(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(a *account, id string){
		"archived": func(a *account, id string) { a.remove(contacts+"/"+id).want(a.t, 204) },
		"for good": func(a *account, id string) { a.post(contacts+"/gdpr-delete", obj{"objectId": id}).want(a.t, 204) },
	} {
		a := open(t, hubspotsim.Options{})
		ada := a.person(obj{"firstname": "Ada"})
		id := a.post(tasks, obj{"properties": todo("call back"), "associations": toContact(ada, 204)}).want(t, 201).str("id")
		remove(a, ada)
		same(t, name, a.get(tasks+"/"+id+"?associations=contacts").want(t, 200).at("associations"), nil)
		same(t, name, a.Tasks(id, "")[0].ContactID, "")
		of := obj{"filterGroups": []obj{{"filters": []obj{{"propertyName": "associations.contact", "operator": "EQ", "value": ada}}}}}
		same(t, name, a.post(tasks+"/search", of).want(t, 200).at("total"), 0)
		same(t, name, len(a.Tasks("", ada)), 0)
		same(t, name, a.Stats().Tasks, 1)
	}
	a := open(t, hubspotsim.Options{})
	ada, bo := a.person(obj{"firstname": "Ada"}), a.person(obj{"firstname": "Bo"})
	a.post(tasks, obj{"properties": todo("call back"), "associations": toContact(bo, 204)}).want(t, 201)
	one := a.post(contacts+"/merge", obj{"primaryObjectId": ada, "objectIdToMerge": bo}).want(t, 200).str("id")
	same(t, "a merge takes it along", len(a.Tasks("", one)), 1)
}

func TestFaultsMeetTasksToo(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Quota: "documented", Tokens: map[string][]string{"reader": {"crm.objects.contacts.read"}}})
	a.fault(`{"mode":"reject","match":"poison"}`)
	got := a.post(tasks+"/batch/create", obj{"inputs": traced(todo("well"), todo("poison"))}).want(t, 207)
	same(t, "rejected", got.at("errors", 0, "errors", 0, "context", "propertyName", 0), "hs_task_subject")
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"outage","status":503}`)
	a.post(tasks, obj{"properties": todo("x")}).says(t, 503, "<html>")
	a.fault(`{"mode":"none"}`)
	a.token = "reader"
	a.get(tasks).says(t, 200)
	a.post(tasks, obj{"properties": todo("x")}).says(t, 403, "crm.objects.contacts.write")
	for range 5 {
		a.post(tasks+"/search", obj{}).want(t, 200)
	}
	a.post(tasks+"/search", obj{}).says(t, 429, "secondly")
	same(t, "tasks", a.Stats().Tasks, 1)
}
