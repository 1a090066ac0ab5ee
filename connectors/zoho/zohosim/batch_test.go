package zohosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"crmsync/connectors/zoho/zohosim"
)

// batch is a way to write many records in one call.
type batch struct {
	name, method, path string
	// success is the documented status.
	success int
	// good is a row that can be written, bad one that lacks what it must have.
	good, bad obj
}

// batches are all such ways, about the contact with this id.
func batches(id string) []batch {
	return []batch{
		{"insert", "POST", "/Contacts", 201, obj{"Last_Name": "A"}, obj{"First_Name": "A"}},
		{"update", "PUT", "/Contacts", 200, obj{"id": id, "Title": "A"}, obj{"Title": "A"}},
		{"upsert", "POST", "/Contacts/upsert", 200, obj{"Last_Name": "A"}, obj{"First_Name": "A"}},
		{"notes", "POST", "/Notes", 201, note(id, "x"), note(id, "")},
		{"notes of a record", "POST", "/Contacts/" + id + "/Notes", 201, obj{"Note_Title": "x"}, obj{"Note_Title": ""}},
	}
}

func TestABatchThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"Title": "before"})
	for _, b := range batches(id) {
		t.Run(b.name, func(t *testing.T) {
			before := a.Stats().Writes
			for what, test := range map[string]struct {
				body any
				want []string
			}{
				"too many": {rows(slices.Repeat([]obj{b.good}, 101)...), []string{`"code":"INVALID_DATA"`, `"maximum_length":100`, `"json_path":"$.data"`}},
				"no data":  {obj{}, []string{"MANDATORY_NOT_FOUND", `"api_name":"data"`}},
				"null":     {obj{"data": nil}, []string{"MANDATORY_NOT_FOUND", `"api_name":"data"`}},
				"no rows":  {rows([]obj{}...), []string{`"code":"`, `"status":"error"`}},
				"no list":  {obj{"data": b.good}, []string{"INVALID_DATA", "jsonarray"}},
				"a list":   {[]obj{b.good}, []string{"INVALID_DATA", "jsonobject"}},
				"no JSON":  {"nonsense", []string{"INVALID_DATA", "jsonobject"}},
				"half":     {`{"data":[{"Last_Name":`, []string{"INVALID_DATA", "jsonobject"}},
				"nothing":  {nil, []string{"INVALID_DATA", "jsonobject"}},
			} {
				got := a.call(b.method, b.path, test.body).says(t, 400, test.want...)
				if got.str("status") != "error" || got.at("data") != nil {
					t.Errorf("%s: got %s, want one error for the whole call", what, got.body)
				}
			}
			same(t, "writes", a.Stats().Writes, before)
			got := a.call(b.method, b.path, rows(slices.Repeat([]obj{b.good}, 100)...)).want(t, b.success)
			same(t, "a hundred", got.count("data"), 100)
		})
	}
	ids := strings.TrimSuffix(strings.Repeat(id+",", 101), ",")
	a.remove("/Contacts?ids="+ids).says(t, 400, "LIMIT_EXCEEDED")
	a.get("/Contacts/"+id).want(t, 200)
}

func TestABadRowStopsNoOther(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{})
	for _, b := range batches(id) {
		t.Run(b.name, func(t *testing.T) {
			got := a.call(b.method, b.path, obj{"data": []any{b.bad, b.good, "no object", b.good, b.bad}}).want(t, 207)
			same(t, "rows", got.count("data"), 5)
			for n, code := range []string{"", "SUCCESS", "INVALID_DATA", "SUCCESS", ""} {
				if code == "" && got.str("data", n, "status") != "error" || code != "" && got.str("data", n, "code") != code {
					t.Errorf("row %d: got %v, want %q", n, got.at("data", n), code)
				}
			}
			for _, path := range []string{"$.data[0].", "$.data[2]", "$.data[4]."} {
				got.says(t, 207, path)
			}
			module := "/Contacts/"
			if strings.Contains(b.name, "notes") {
				module = "/Notes/"
			}
			for _, n := range []int{1, 3} {
				a.get(module+got.str("data", n, "details", "id")).says(t, 200, fmt.Sprintf(`"%s"`, map[bool]string{true: "x", false: "A"}[module == "/Notes/"]))
			}
		})
	}
	got := a.post("/Contacts", rows(obj{"Last_Name": "A"}, obj{"First_Name": "B"}, obj{"Last_Name": "C", "Email": "c"}, obj{"Last_Name": "D"})).want(t, 207)
	same(t, "codes", got.codes(), "SUCCESS MANDATORY_NOT_FOUND INVALID_DATA SUCCESS")
	same(t, "path", got.str("data", 1, "details", "json_path"), "$.data[1].Last_Name")
	same(t, "path", got.str("data", 2, "details", "json_path"), "$.data[2].Email")
	same(t, "the last", a.get("/Contacts/"+got.str("data", 3, "details", "id")).str("data", 0, "Last_Name"), "D")
	row := got.at("data", 0, "details").(obj)
	same(t, "state", row["$approval_state"], "approved")
	same(t, "by", row["Created_By"].(obj)["name"], "CRM Sync")
}

func TestTheStatusDependsOnTheProfile(t *testing.T) {
	t.Parallel()
	// All rows written, some of them, none.
	for profile, want := range map[string]func(success int) []int{
		"spec":      func(success int) []int { return []int{success, 207, 400} },
		"flat200":   func(int) []int { return []int{200, 200, 200} },
		"legacy202": func(success int) []int { return []int{success, 202, 202} },
	} {
		a := open(t, zohosim.Options{Knobs: zohosim.Knobs{StatusProfile: profile}})
		id := a.post("/Contacts", rows(obj{"Last_Name": "A"})).str("data", 0, "details", "id")
		for _, b := range batches(id) {
			var got []int
			for _, list := range [][]obj{{b.good}, {b.good, b.bad}, {b.bad}} {
				answer := a.call(b.method, b.path, rows(list...))
				got = append(got, answer.status)
				if answer.count("data") != len(list) {
					t.Errorf("%s: got %s, want a row for each", profile, answer.body)
				}
			}
			same(t, profile+" "+b.name, got, want(b.success))
		}
		other := a.post("/Contacts", rows(obj{"Last_Name": "B"})).str("data", 0, "details", "id")
		var got []int
		for _, ids := range []string{id, id + "," + other, other} {
			got = append(got, a.remove("/Contacts?ids="+ids).status)
		}
		same(t, profile+" delete", got, want(200))
	}
}

func TestARefusedRowIsNotWrittenInPart(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"Email": "a@example.com", "Assistant": "before", "Title": "before"})
	half := obj{"id": id, "Last_Name": "A", "Email": "A@example.com", "Assistant": "after", "Title": "after", "Phone": "no <number>"}
	a.put("/Contacts", rows(half)).says(t, 400, "INVALID_DATA", "$.data[0].Phone")
	a.upserted("Contacts", []string{"Email"}, half).says(t, 400, "INVALID_DATA", "$.data[0].Phone")
	got := a.get("/Contacts/"+id).at("data", 0).(obj)
	same(t, "record", []any{got["Assistant"], got["Email"], got["Title"]}, "[before a@example.com before]")
	same(t, "contacts", a.Stats().Contacts, 1)
}

func TestWhatCannotBeWrittenIsLeftOut(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"First_Name": "Ada", "Last_Name": "L"})
	before := a.get("/Contacts/"+id).at("data", 0).(obj)
	row := obj{
		"Created_Time": "2001-01-01T00:00:00Z", "Modified_By": obj{"id": "1"}, "Full_Name": "Nobody", "Tag": []obj{{"name": "x"}}, "Record_Status__s": "Trash",
		"Shoe_Size": 39, "$anything": true, "Title": "Countess",
	}
	a.put("/Contacts/"+id, rows(row)).says(t, 200, "SUCCESS")
	after := a.get("/Contacts/"+id).at("data", 0).(obj)
	for _, name := range []string{"id", "Created_Time", "Modified_By", "Full_Name", "Tag", "Record_Status__s", "Shoe_Size", "$anything"} {
		same(t, name, after[name], before[name])
	}
	same(t, "what can be", after["Title"], "Countess")
}

func TestTriggersSetWorkflowsOff(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{})
	for _, b := range batches(id) {
		for _, step := range []struct {
			trigger any
			want    int64
		}{{nil, 2}, {[]string{}, 0}, {[]string{"workflow"}, 2}, {[]string{"blueprint"}, 0}} {
			body := rows(b.good, b.bad, b.good)
			if step.trigger != nil {
				body["trigger"] = step.trigger
			}
			before := a.Stats().Workflows
			a.call(b.method, b.path, body).want(t, 207)
			same(t, fmt.Sprint(b.name, " ", step.trigger), a.Stats().Workflows-before, step.want)
		}
	}
	for query, want := range map[string]int64{"": 1, "&wf_trigger=false": 0} {
		id, before := a.person(obj{}), a.Stats().Workflows
		a.remove("/Contacts?ids="+id+query).want(t, 200)
		same(t, "delete"+query, a.Stats().Workflows-before, want)
	}
}
