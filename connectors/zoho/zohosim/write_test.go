package zohosim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func TestMoreThanAHundredRowsAreRefused(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	var many []obj
	for n := range 101 {
		many = append(many, obj{"Last_Name": fmt.Sprint(n)})
	}
	for _, path := range []string{"/Contacts", "/Contacts/upsert"} {
		a.post(path, rows(many...)).says(t, 400, `"code":"INVALID_DATA"`, `"maximum_length":100`, `"json_path":"$.data"`)
		a.post(path, obj{}).says(t, 400, "MANDATORY_NOT_FOUND", `"api_name":"data"`)
		a.post(path, "nonsense").says(t, 400, "INVALID_DATA", "jsonobject")
	}
	same(t, "written", a.Stats().Contacts, 0)
	a.post("/Contacts", rows(many[:100]...)).says(t, 201)
	same(t, "written", a.Stats().Contacts, 100)
}

func TestRowsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
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
	good, bad := obj{"Last_Name": "A"}, obj{"First_Name": "A"}
	for profile, want := range map[string]string{
		"spec": "201 207 400 200 207 400", "flat200": "200 200 200 200 200 200", "legacy202": "201 202 202 200 202 202",
	} {
		a := open(t, zohosim.Options{Knobs: zohosim.Knobs{StatusProfile: profile}})
		var got []string
		for _, path := range []string{"/Contacts", "/Contacts/upsert"} {
			for _, body := range []obj{rows(good), rows(good, bad), rows(bad)} {
				answer := a.post(path, body)
				got = append(got, fmt.Sprint(answer.status))
				if answer.count("data") != len(body["data"].([]obj)) {
					t.Errorf("%s: got %s, want a row for each", profile, answer.body)
				}
			}
		}
		same(t, profile, strings.Join(got, " "), want)
	}
}

func TestMandatoryFieldsAndIDs(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"Last_Name": "A", "Email": "a@example.com"})
	a.post("/Leads", rows(obj{"Email": "l@example.com"})).says(t, 400, "MANDATORY_NOT_FOUND", `"api_name":"Last_Name"`)
	a.upserted("Contacts", nil, obj{"Email": "new@example.com"}).says(t, 400, "MANDATORY_NOT_FOUND", "$.data[0].Last_Name")
	a.upserted("Contacts", nil, obj{"Email": "A@example.com", "Title": "Dr"}).says(t, 200, `"action":"update"`)
	a.put("/Contacts", rows(obj{"Title": "x"})).says(t, 400, "MANDATORY_NOT_FOUND", `"api_name":"id"`)
	a.put("/Contacts", rows(obj{"id": "5725767000000999999", "Title": "x"})).says(t, 400, "INVALID_DATA", "the id given seems to be invalid")
	a.put("/Contacts/"+id, rows(obj{"Last_Name": nil})).says(t, 400, "MANDATORY_NOT_FOUND")
	a.put("/Contacts/"+id, rows(obj{"Title": nil, "Department": "Z"})).says(t, 200, "record updated")
	got := a.get("/Contacts/" + id)
	same(t, "cleared", got.at("data", 0, "Title"), nil)
	same(t, "kept", got.str("data", 0, "Email"), "A@example.com")
	a.get("/Contacts/abc").says(t, 400, "INVALID_DATA", `"resource_path_index":1`)
	a.get("/contacts?fields=id").says(t, 400, "INVALID_MODULE", `"resource_path_index":0`)
	a.get("/Contacts/1/nowhere").says(t, 404, "INVALID_URL_PATTERN")
	a.call("PATCH", "/Contacts", nil).says(t, 400, "INVALID_REQUEST_METHOD")
}

func TestUpsertComparesInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "u1", "text", unique).want(t, 201)
	a.define("Contacts", "u2", "text", unique).want(t, 201)
	names := map[string]string{
		a.person(obj{"Email": "e@example.com"}): "Email", a.person(obj{"u1": "One"}): "u1", a.person(obj{"u2": "Two"}): "u2",
	}
	// What a row with several known keys leads to shows the order.
	tests := map[string]struct {
		checks []string
		row    obj
		want   string
	}{
		"no list: the system field first":      {nil, obj{"Email": "E@Example.com"}, "Email"},
		"no list: then the first unique one":   {nil, obj{"Email": "new@example.com", "u1": "ONE"}, "u1"},
		"no list: then the second":             {nil, obj{"u2": "two"}, "u2"},
		"u1 listed":                            {[]string{"u1"}, obj{"u1": "one"}, "u1"},
		"u1 listed, and u2 without being so":   {[]string{"u1"}, obj{"u1": "other", "u2": "two"}, "u2"},
		"u1 listed, the system field not":      {[]string{"u1"}, obj{"Email": "e@example.com"}, ""},
		"u2 listed, and u1 without being so":   {[]string{"u2"}, obj{"u1": "one"}, "u1"},
		"both listed":                          {[]string{"u1", "u2"}, obj{"u2": "two"}, "u2"},
		"the system field listed":              {[]string{"Email"}, obj{"Email": "e@example.com"}, "Email"},
		"the system field listed, not matched": {[]string{"Email"}, obj{"Email": "x@example.com", "u2": "two"}, "u2"},
	}
	for name, test := range tests {
		test.row["Last_Name"] = "A"
		got := a.upserted("Contacts", test.checks, test.row).want(t, 200)
		field, _ := got.at("data", 0, "duplicate_field").(string)
		same(t, name, field, test.want)
		id := got.str("data", 0, "details", "id")
		if same(t, name, names[id], test.want); test.want == "" {
			same(t, name, got.str("data", 0, "action"), "insert")
			a.remove("/Contacts?ids="+id).want(t, 200)
		}
		// Back to how it was.
		for id, field := range names {
			row := obj{"id": id, "Email": nil, "u1": nil, "u2": nil}
			row[field] = map[string]string{"Email": "e@example.com", "u1": "One", "u2": "Two"}[field]
			a.put("/Contacts", rows(row)).want(t, 200)
		}
	}
	// Two known keys of two records: the first one decides, the other collides.
	a.upserted("Contacts", []string{"u2"}, obj{"u1": "one", "u2": "two"}).says(t, 400, "DUPLICATE_DATA", `"api_name":"u1"`)
	a.upserted("Contacts", []string{"Phone"}, obj{"Last_Name": "A"}).says(t, 400, "INVALID_DATA", `"api_name":"Phone"`)
	same(t, "twins", a.upserted("Contacts", []string{"u1"}, obj{"Last_Name": "A", "u1": "t"}, obj{"Last_Name": "B", "u1": "T"}).str("data", 1, "action"), "update")
	a.knob(`{"refuse_twins":true}`)
	same(t, "twins", a.upserted("Contacts", []string{"u1"}, obj{"Last_Name": "A", "u1": "z"}, obj{"Last_Name": "B", "u1": "Z"}).codes(), "SUCCESS DUPLICATE_DATA")
}

func TestCollisionsNameTheRecordInTheWay(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "WA ID", "text", unique).want(t, 201)
	a.define("Contacts", "Key", "text", unique).want(t, 201)
	ada, bob := a.person(obj{"WA_ID": "abc"}), a.person(obj{"Key": "k"})
	got := a.post("/Contacts", rows(obj{"Last_Name": "C", "WA_ID": "ABC"})).says(t, 400, "DUPLICATE_DATA")
	same(t, "id", got.str("data", 0, "details", "duplicate_record", "id"), ada)
	same(t, "module", got.str("data", 0, "details", "duplicate_record", "module", "api_name"), "Contacts")
	got = a.post("/Contacts", rows(obj{"Last_Name": "C", "WA_ID": "abc", "Key": "K"})).says(t, 400, "MULTIPLE_OR_MULTI_ERRORS")
	same(t, "both", got.str("data", 0, "details", "errors", 1, "details", "duplicate_record", "id"), bob)
	a.put("/Contacts/"+bob, rows(obj{"WA_ID": "abc"})).says(t, 400, "DUPLICATE_DATA")
	a.put("/Contacts/"+ada, rows(obj{"WA_ID": "Abc"})).says(t, 200)
	a.knob(`{"wrap_single_duplicate":true}`)
	a.post("/Contacts", rows(obj{"Last_Name": "C", "Key": "k"})).says(t, 400, "MULTIPLE_OR_MULTI_ERRORS", `"errors":[{"code":"DUPLICATE_DATA"`)
	a.knob(`{"wrap_single_duplicate":false,"old_duplicate_form":true}`)
	got = a.post("/Contacts", rows(obj{"Last_Name": "C", "Key": "k"})).says(t, 400, `"code":"DUPLICATE_DATA"`)
	same(t, "old form", got.str("data", 0, "details", "id"), bob)
	same(t, "old form", got.at("data", 0, "details", "duplicate_record"), nil)
	a.remove("/Contacts?ids="+bob).want(t, 200)
	a.post("/Contacts", rows(obj{"Last_Name": "C", "Key": "k"})).says(t, 201)
}

func TestAPlainInsertWithAKnownEmailMakesADouble(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	first := a.person(obj{"Email": "a@example.com"})
	if second := a.person(obj{"Email": "a@example.com"}); first == second {
		t.Error("got the same contact")
	}
	same(t, "the oldest is updated", a.upserted("Contacts", nil, obj{"Last_Name": "A", "Email": "a@example.com"}).str("data", 0, "details", "id"), first)
}

func TestAThirdUniqueFieldIsRefused(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "WA ID", "text", unique).says(t, 201, "field created")
	a.define("Contacts", "Two", "text", obj{"unique": true}).says(t, 201)
	a.define("Contacts", "Three", "text", unique).says(t, 400, "LIMIT_EXCEEDED")
	a.define("Contacts", "wa id", "text", nil).says(t, 400, "DUPLICATE_DATA")
	a.define("Contacts", "Small", "text", obj{"length": 256}).says(t, 400, "INVALID_DATA", `"maximum_length":255`)
	a.define("Contacts", "Odd", "shape", nil).says(t, 400, "INVALID_DATA", "data_type")
	a.define("Leads", "WA ID", "text", unique).says(t, 201)
	a.messages()
	got := a.get("/settings/fields?module=WhatsApp_Messages").want(t, 200)
	for n := range got.count("fields") {
		if got.str("fields", n, "api_name") == "WA_Message_ID" {
			same(t, "unique", got.at("fields", n, "unique"), obj{"case_sensitive": false})
			return
		}
	}
	t.Errorf("got %s, want the new field among them", got.body)
}

func TestAChangeMeanwhileStopsAnUpdate(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"Email": "a@example.com"})
	read := a.get("/Contacts/"+id).str("data", 0, "Modified_Time")
	a.with("If-Unmodified-Since", read, func() { a.put("/Contacts/"+id, rows(obj{"Title": "x"})).says(t, 200) })
	a.pass(time.Second)
	a.put("/Contacts/"+id, rows(obj{"Title": "y"})).want(t, 200)
	a.with("If-Unmodified-Since", read, func() {
		got := a.put("/Contacts/"+id, rows(obj{"Title": "z"})).says(t, 412, `"data":[{"code":"ALREADY_MODIFIED"`)
		same(t, "time", got.str("data", 0, "details", "Modified_Time"), "2026-10-01T13:30:01+05:30")
		a.upserted("Contacts", nil, obj{"Last_Name": "A", "Email": "a@example.com"}).says(t, 412, "ALREADY_MODIFIED")
		a.upserted("Contacts", nil, obj{"Last_Name": "A", "Email": "b@example.com"}).says(t, 200)
	})
	same(t, "unchanged", a.get("/Contacts/"+id).str("data", 0, "Title"), "y")
}

func TestValuesAreChecked(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	a.define("Contacts", "When", "datetime", nil).want(t, 201)
	a.define("Contacts", "Hobbies", "multiselectpicklist", nil).want(t, 201)
	a.define("Contacts", "Age", "integer", nil).want(t, 201)
	tests := map[string]struct {
		field string
		value any
		want  string
	}{
		"too long":                   {"First_Name", strings.Repeat("x", 41), `"maximum_length":40`},
		"long, in letters not bytes": {"First_Name", strings.Repeat("ü", 40), ""},
		"not text":                   {"First_Name", 7, `"expected_data_type":"text"`},
		"no address":                 {"Email", "ada(at)example.com", `"expected_data_type":"email"`},
		"a plain number":             {"Phone", "+4915112345678", ""},
		"as people write":            {"Phone", "(030) 123-456 ext.7", ""},
		"no number":                  {"Phone", "call <me>!", `"expected_data_type":"phone"`},
		"a long number":              {"Phone", strings.Repeat("1", 31), `"maximum_length":30`},
		"a new choice":               {"Lead_Source", "WhatsApp", ""},
		"an offset":                  {"When", "2026-01-31T10:00:00+01:00", ""},
		"UTC":                        {"When", "2026-01-31T10:00:00Z", ""},
		"a fraction":                 {"When", "2026-01-31T10:00:00.123+01:00", `"expected_data_type":"datetime"`},
		"no zone":                    {"When", "2026-01-31T10:00:00", `"expected_data_type":"datetime"`},
		"no day":                     {"Date_of_Birth", "31.1.1990", `"expected_data_type":"date"`},
		"no truth":                   {"Email_Opt_Out", "yes", `"expected_data_type":"boolean"`},
		"choices":                    {"Hobbies", []string{"a", "b"}, ""},
		"one choice":                 {"Hobbies", "a", `"expected_data_type":"jsonarray"`},
		"a number":                   {"Age", 36, ""},
		"a number as text":           {"Age", "36", `"expected_data_type":"integer"`},
		"a name for a lookup":        {"Account_Name", "Engines", `"expected_data_type":"jsonobject"`},
		"a lookup to nowhere":        {"Account_Name", obj{"id": "5725767000000999999"}, "the id given seems to be invalid"},
		"an owner who is none":       {"Owner", obj{"id": "1"}, "the id given seems to be invalid"},
		"an unknown field":           {"Shoe_Size", "39", ""},
		"a field of the system's":    {"Created_Time", "long ago", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := a.post("/Contacts", rows(obj{"Last_Name": "A", test.field: test.value}))
			if test.want == "" {
				got.says(t, 201)
				return
			}
			got.says(t, 400, `"code":"INVALID_DATA"`, test.want, `"api_name":"`+test.field+`"`, `"json_path":"$.data[0].`+test.field)
		})
	}
	a.knob(`{"restricted_picklists":true,"refuse_unknown_fields":true}`)
	a.post("/Contacts", rows(obj{"Last_Name": "A", "Lead_Source": "WhatsApp"})).says(t, 400, "supported_values")
	a.post("/Contacts", rows(obj{"Last_Name": "A", "Shoe_Size": "39"})).says(t, 400, "INVALID_DATA", "Shoe_Size")
}

func TestExternalIDsNameRecords(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "Ext", "text", obj{"external": obj{"type": "org", "show": true}}).want(t, 201)
	a.define("Accounts", "Acc", "text", obj{"external": obj{"type": "org", "show": true}}).want(t, 201)
	a.define("Contacts", "Mail", "email", obj{"external": obj{"type": "org", "show": true}}).says(t, 400, "NOT_SUPPORTED")
	id := a.person(obj{"Ext": "a/1"})
	a.person(obj{"Ext": "2"})
	account := a.post("/Accounts", rows(obj{"Account_Name": "Engines", "Acc": "acc-7"})).str("data", 0, "details", "id")
	a.with("X-EXTERNAL", "Contacts.Ext", func() {
		same(t, "read", a.get("/Contacts/a%2F1").str("data", 0, "id"), id)
		same(t, "several", a.get("/Contacts?fields=Ext&ids=a%2F1,2").count("data"), 2)
		a.put("/Contacts/a%2F1", rows(obj{"Title": "x"})).says(t, 200, `"Ext":"a/1"`)
		a.get("/Contacts/nobody").says(t, 400, "The value of the external field is invalid.")
		a.remove("/Contacts/2").says(t, 200, "record deleted")
	})
	a.with("X-EXTERNAL", "Contacts.Account_Name.Acc", func() {
		got := a.post("/Contacts", rows(obj{"Last_Name": "A", "Account_Name": obj{"Acc": "ACC-7"}})).want(t, 201)
		same(t, "looked up", a.get("/Contacts/"+got.str("data", 0, "details", "id")).str("data", 0, "Account_Name", "id"), account)
		a.post("/Contacts", rows(obj{"Last_Name": "A", "Account_Name": obj{"Acc": "none"}})).says(t, 400, "The value of the external field is invalid.")
	})
	a.with("X-EXTERNAL", "Contacts.Title", func() { a.get("/Contacts/x").says(t, 400) })
	a.upserted("Contacts", []string{"Ext"}, obj{"Last_Name": "B", "Ext": "A/1"}).says(t, 200, `"duplicate_field":"Ext"`)
}

func TestTriggersSetWorkflowsOff(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	for _, step := range []struct {
		trigger any
		want    int
	}{{nil, 1}, {[]string{}, 1}, {[]string{"workflow"}, 2}, {[]string{"blueprint"}, 2}} {
		body := rows(obj{"Last_Name": "A"})
		if step.trigger != nil {
			body["trigger"] = step.trigger
		}
		a.post("/Contacts", body).want(t, 201)
		same(t, fmt.Sprint(step.trigger), a.Stats().Workflows, step.want)
	}
}
