package zohosim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

// todo is a task for a contact.
func todo(contact, subject string) obj {
	return obj{
		"Subject": subject, "Who_Id": obj{"id": contact}, "Due_Date": "2026-10-02", "Priority": "High", "Status": "Not Started",
		"Description": "wants to know", "$se_module": "Contacts", "Owner": obj{"id": "5725767000000411102"},
	}
}

// coql asks a query.
func (a *org) coql(query string) answer {
	a.t.Helper()
	return a.post("/coql", obj{"select_query": query})
}

func TestATaskIsGivenToAPerson(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada := a.person(obj{})
	id := a.post("/Tasks", rows(todo(ada, "call back"))).says(t, 201, "record added").str("data", 0, "details", "id")
	got := a.get("/Tasks/"+id).want(t, 200)
	for name, want := range map[string]any{"Subject": "call back", "Due_Date": "2026-10-02", "Priority": "High", "Status": "Not Started", "What_Id": nil} {
		same(t, name, got.at("data", 0, name), want)
	}
	same(t, "whose", got.str("data", 0, "Who_Id", "id"), ada)
	same(t, "Owner", got.str("data", 0, "Owner", "id"), "5725767000000411102")
	shown := list[zohosim.Task](t, a.get("/_sim/tasks?id="+id))
	if want := (zohosim.Task{
		ID: id, ContactID: ada, Title: "call back", Text: "wants to know", Owner: "5725767000000411102", Due: "2026-10-02", Priority: "High",
		CreatedAt: "2026-10-01T08:00:00.500Z",
	}); len(shown) != 1 || shown[0] != want {
		t.Errorf("got %+v, want %+v", shown, want)
	}
	a.put("/Tasks/"+id, rows(obj{"Status": "Completed", "Due_Date": nil})).says(t, 200, "record updated")
	same(t, "due", a.Tasks(id, "")[0].Due, "")
	var many []obj
	for range 101 {
		many = append(many, todo(ada, "x"))
	}
	a.post("/Tasks", rows(many...)).says(t, 400, `"maximum_length":100`)
	a.post("/Tasks", rows(many[:100]...)).says(t, 201)
	same(t, "of the contact", len(list[zohosim.Task](t, a.get("/_sim/tasks?contact_id="+ada))), 101)
	same(t, "stats", a.get("/_sim/stats").at("tasks"), 101)
	a.remove("/Tasks?ids="+id).says(t, 200, "record deleted")
	a.get("/Tasks/"+id).silent(t, 204)
	same(t, "tasks", a.Stats().Tasks, 100)
	same(t, "of nobody", len(a.Tasks("", "77"))+len(a.Tasks("77", "")), 0)
	same(t, "messages", a.Stats().Messages, 0)
}

func TestWhatATaskNeeds(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada := a.person(obj{})
	with := func(more obj) obj {
		in := todo(ada, "call back")
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	account := a.post("/Accounts", rows(obj{"Account_Name": "Acme"})).str("data", 0, "details", "id")
	for name, test := range map[string]struct {
		in   obj
		want string
	}{
		"no subject":           {obj{"Who_Id": obj{"id": ada}}, `"code":"MANDATORY_NOT_FOUND","details":{"api_name":"Subject","json_path":"$.data[0].Subject"}`},
		"a long subject":       {with(obj{"Subject": strings.Repeat("é", 256)}), `"maximum_length":255`},
		"a time for a day":     {with(obj{"Due_Date": "2026-10-02T09:00:00+00:00"}), `"api_name":"Due_Date","expected_data_type":"date"`},
		"a bare id":            {with(obj{"Who_Id": ada}), `"api_name":"Who_Id","expected_data_type":"jsonobject"`},
		"nobody":               {with(obj{"Who_Id": obj{"id": "5725767000000999999"}}), "the id given seems to be invalid"},
		"nobody to do it":      {with(obj{"Owner": obj{"id": "1"}}), `"api_name":"Owner"`},
		"about what":           {obj{"Subject": "x", "What_Id": obj{"id": account}}, `"code":"MANDATORY_NOT_FOUND","details":{"api_name":"$se_module"`},
		"about another module": {with(obj{"What_Id": obj{"id": account}, "$se_module": "Things"}), `"api_name":"$se_module"`},
		"about nothing":        {with(obj{"What_Id": obj{"id": "1"}, "$se_module": "Accounts"}), `"api_name":"What_Id"`},
	} {
		a.post("/Tasks", rows(test.in)).says(t, 400, test.want)
		mixed := a.post("/Tasks", rows(todo(ada, "well"), test.in)).want(t, 207)
		if codes := mixed.codes(); !strings.HasPrefix(codes, "SUCCESS ") || strings.HasSuffix(codes, "SUCCESS") {
			t.Errorf("%s: got %s", name, codes)
		}
	}
	same(t, "tasks", a.Stats().Tasks, 9)
	about := a.post("/Tasks", rows(with(obj{"What_Id": obj{"id": account}, "$se_module": "Accounts"}), todo(ada, "about nobody else"))).want(t, 201)
	same(t, "about", a.get("/Tasks/"+about.str("data", 0, "details", "id")).str("data", 0, "What_Id", "name"), "Acme")
	same(t, "the next row is about none", a.get("/Tasks/"+about.str("data", 1, "details", "id")).at("data", 0, "What_Id"), nil)
	a.upserted("Tasks", nil, todo(ada, "x")).says(t, 400, "NOT_SUPPORTED")
	a.post("/Tasks", rows(with(obj{"Priority": "Urgent"}))).says(t, 201)
	a.knob(`{"restricted_picklists":true}`)
	a.post("/Tasks", rows(with(obj{"Priority": "Urgent"}))).says(t, 400, `"api_name":"Priority"`)
}

func TestATaskIsFoundAgain(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Lag: true})
	ada, bo := a.person(obj{}), a.person(obj{})
	a.define("Tasks", "Sync Key", "text", unique).want(t, 201)
	keyed := todo(ada, "call back")
	keyed["Sync_Key"] = "rule-7"
	a.fault(`{"mode":"reset_after_commit"}`)
	if got, err := a.try(http.MethodPost, "/crm/v8/Tasks", rows(keyed)); err == nil {
		t.Fatalf("got %d %s, want no answer", got.status, got.body)
	}
	a.fault(`{"mode":"none"}`)
	id := a.Tasks("", ada)[0].ID
	again := a.post("/Tasks", rows(keyed)).says(t, 400, "DUPLICATE_DATA", `"api_name":"Sync_Key"`)
	same(t, "the one there is", again.str("data", 0, "details", "id"), id)
	for _, where := range []string{
		"Sync_Key = 'RULE-7'", "Who_Id = '" + ada + "'", "(Who_Id.id = '" + ada + "' and Subject = 'Call back')", "Who_Id in ('" + ada + "','" + bo + "')",
	} {
		got := a.coql("select Subject, Who_Id, Due_Date from Tasks where "+where).want(t, 200)
		same(t, where, fmt.Sprint(got.count("data"), got.at("data", 0, "id"), got.at("data", 0, "Who_Id")), fmt.Sprint(1, id, "map[id:", ada, "]"))
	}
	same(t, "in its list", a.get("/Contacts/"+ada+"/Tasks?fields=Subject,Sync_Key").want(t, 200).str("data", 0, "Sync_Key"), "rule-7")
	a.get("/Contacts/"+bo+"/Tasks?fields=Subject").silent(t, 204)
	a.get("/Contacts/77/Tasks?fields=Subject").says(t, 400, "INVALID_DATA")
	a.get("/Contacts/"+ada+"/Tasks").says(t, 400, "REQUIRED_PARAM_MISSING")
	a.post("/Contacts/"+ada+"/Tasks", rows(keyed)).says(t, 400, "INVALID_REQUEST_METHOD")
	same(t, "its name", a.get("/settings/related_lists?module=Contacts").str("related_lists", 1, "api_name"), "Tasks")
	same(t, "of other modules", a.get("/settings/related_lists?module=Leads").count("related_lists"), 1)
	search := "/Tasks/search?criteria=" + url.QueryEscape("((Who_Id:equals:"+ada+")and(Subject:starts_with:call))")
	a.get(search).silent(t, 204)
	a.pass(4 * time.Second)
	same(t, "searched", a.get(search).want(t, 200).str("data", 0, "id"), id)
	same(t, "by key", a.get("/Tasks/search?criteria="+url.QueryEscape("(Sync_Key:equals:rule-7)")).want(t, 200).count("data"), 1)
	same(t, "tasks", []int{a.Stats().Tasks, a.Stats().DuplicateTasks}, "[1 0]")
}

func TestTasksMayHaveNoUniqueFields(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Knobs: zohosim.Knobs{PlainTasks: true}})
	a.define("Tasks", "Sync Key", "text", unique).says(t, 400, "NOT_SUPPORTED")
	a.define("Tasks", "Sync Key", "text", nil).says(t, 201)
	a.define("Contacts", "Sync Key", "text", unique).says(t, 201)
}

func TestTasksAreCountedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada, bo := a.person(obj{}), a.person(obj{})
	add := func(in obj) string { return a.post("/Tasks", rows(in)).want(t, 201).str("data", 0, "details", "id") }
	first := add(todo(ada, "call back"))
	add(todo(bo, "call back"))
	add(todo(ada, "write"))
	same(t, "different ones", a.Stats().DuplicateTasks, 0)
	add(todo(ada, "call back"))
	same(t, "the same for the same", a.Stats().DuplicateTasks, 1)
	a.define("Tasks", "Sync Key", "text", nil).want(t, 201)
	a.put("/Tasks/"+first, rows(obj{"Sync_Key": "k"})).want(t, 200)
	same(t, "told apart by a key", a.Stats().DuplicateTasks, 0)
	keyed := todo(bo, "else")
	keyed["Sync_Key"] = "k"
	second := add(keyed)
	same(t, "one key twice", a.Stats().DuplicateTasks, 1)
	a.remove("/Tasks/"+second).want(t, 200)
	same(t, "deleted", a.Stats().DuplicateTasks, 0)
	a.define("Tasks", "Sync Task", "text", unique).want(t, 201)
	for _, one := range []string{"a", "b"} {
		apart := todo(ada, "write")
		apart["Sync_Task"], apart["Sync_Key"] = one, "k"
		add(apart)
	}
	same(t, "a unique field is the key, whatever its name", a.Stats().DuplicateTasks, 0)
}

func TestWhatBecomesOfADeletedContactsTasks(t *testing.T) {
	t.Parallel()
	for drop, left := range map[bool]int{false: 1, true: 0} {
		a := open(t, zohosim.Options{Knobs: zohosim.Knobs{DropTasks: drop}})
		ada, bo := a.person(obj{}), a.person(obj{})
		a.post("/Tasks", rows(todo(ada, "call back"), todo(bo, "call back"))).want(t, 201)
		a.remove("/Contacts/"+ada).want(t, 200)
		same(t, "tasks", a.Stats().Tasks, 1+left)
		same(t, "of the deleted one", len(a.Tasks("", ada)), 0)
		same(t, "of the other", len(a.Tasks("", bo)), 1)
		same(t, "of nobody", a.Tasks("", "")[0].ContactID == "", !drop)
	}
}

func TestFaultsMeetTasksToo(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented", Grants: map[string]zohosim.Grant{"other": {Scopes: []string{"ZohoCRM.modules.contacts.ALL"}}}})
	ada := a.person(obj{})
	a.fault(`{"mode":"reject","match":"poison"}`)
	got := a.post("/Tasks", rows(todo(ada, "well"), todo(ada, "poison"))).want(t, 207)
	same(t, "rejected", got.str("data", 1, "details", "api_name"), "Subject")
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"outage","status":500}`)
	a.post("/Tasks", rows(todo(ada, "x"))).says(t, 500, "INTERNAL_ERROR")
	a.fault(`{"mode":"none"}`)
	before := a.Stats().Credits
	a.post("/Tasks", rows(todo(ada, "a"), todo(ada, "b"))).want(t, 201)
	same(t, "credits", a.Stats().Credits-before, 1)
	same(t, "calls", a.Stats().ByCall["POST /Tasks"], 2)
	a.token = a.refresh("other").str("access_token")
	a.post("/Tasks", rows(todo(ada, "x"))).says(t, 401, "OAUTH_SCOPE_MISMATCH")
	a.get("/Contacts/"+ada+"/Tasks?fields=id").says(t, 401, "OAUTH_SCOPE_MISMATCH")
	same(t, "tasks", a.Stats().Tasks, 3)
}
