package zohosim_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func TestMandatoryFieldsAndIDs(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{"Last_Name": "A", "Email": "a@example.com"})
	a.post("/Leads", rows(obj{"Email": "l@example.com"})).says(t, 400, "MANDATORY_NOT_FOUND", `"api_name":"Last_Name"`)
	a.post("/Contacts", rows(obj{"Last_Name": ""})).says(t, 400, "MANDATORY_NOT_FOUND", "$.data[0].Last_Name", "required field not found")
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
	a.define("WhatsApp_Messages", "Two", "text", unique).says(t, 201)
	a.define("WhatsApp_Messages", "Three", "text", unique).says(t, 400, "LIMIT_EXCEEDED", `"limit":2`)
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
		got := a.put("/Contacts/"+id, rows(obj{"Title": "z"})).says(t, 412, `"data":[{"code":"ALREADY_MODIFIED"`,
			`"message":"record updated time has already passed if-unmodified-since time"`, `"Created_Time"`, `"Modified_By"`, `"Created_By"`)
		same(t, "id", got.str("data", 0, "details", "id"), id)
		same(t, "time", got.str("data", 0, "details", "Modified_Time"), "2026-10-01T13:30:01+05:30")
		a.upserted("Contacts", nil, obj{"Last_Name": "A", "Email": "a@example.com"}).says(t, 412, "ALREADY_MODIFIED")
		a.upserted("Contacts", nil, obj{"Last_Name": "A", "Email": "b@example.com"}).says(t, 200)
	})
	same(t, "unchanged", a.get("/Contacts/"+id).str("data", 0, "Title"), "y")
	// The header is about the whole call.
	other := a.person(obj{})
	a.pass(time.Second)
	a.put("/Contacts/"+id, rows(obj{"Title": "y"})).want(t, 200)
	a.with("If-Unmodified-Since", "2026-10-01T08:00:01Z", func() {
		got := a.put("/Contacts", rows(obj{"id": other, "Title": "z"}, obj{"id": id, "Title": "z"})).want(t, 412)
		same(t, "rows", got.count("data"), 1)
	})
	same(t, "unchanged too", a.get("/Contacts/"+other).at("data", 0, "Title"), nil)
}

func TestValuesAreChecked(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	a.define("Contacts", "When", "datetime", nil).want(t, 201)
	a.define("Contacts", "Hobbies", "multiselectpicklist", nil).want(t, 201)
	a.define("Contacts", "Age", "integer", nil).want(t, 201)
	a.define("Contacts", "Big", "bigint", nil).want(t, 201)
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
		"a number as long as may be": {"Phone", "+" + strings.Repeat("1", 29), ""},
		"a long number":              {"Phone", strings.Repeat("1", 31), `"maximum_length":30`},
		"two plus signs":             {"Phone", "++4915112345678", `"expected_data_type":"phone"`},
		"a long address":             {"Email", strings.Repeat("x", 89) + "@example.com", `"maximum_length":100`},
		"18 digits":                  {"Big", strings.Repeat("9", 18), ""},
		"18 digits, as a number":     {"Big", 1e17, `"expected_data_type":"bigint"`},
		"19 digits":                  {"Big", strings.Repeat("9", 18) + "1", `"expected_data_type":"bigint"`},
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
	a.post("/Contacts", rows(obj{"Last_Name": "A", "Lead_Source": "Chat"})).says(t, 201)
	a.post("/Contacts", rows(obj{"Last_Name": "A", "Hobbies": []string{"chess"}})).says(t, 400, "supported_values")
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
	other := a.post("/Accounts", rows(obj{"Account_Name": "Looms"})).str("data", 0, "details", "id")
	both := rows(obj{"Last_Name": "A", "Account_Name": obj{"id": other, "Acc": "acc-7"}})
	a.with("X-EXTERNAL", "Contacts.Account_Name.Acc, Contacts.Ext", func() {
		got := a.post("/Contacts", both).want(t, 201)
		a.header.Del("X-EXTERNAL")
		same(t, "wins over an id", a.get("/Contacts/"+got.str("data", 0, "details", "id")).str("data", 0, "Account_Name", "id"), account)
		got = a.post("/Contacts", both).want(t, 201)
		same(t, "counts only with the header", a.get("/Contacts/"+got.str("data", 0, "details", "id")).str("data", 0, "Account_Name", "id"), other)
	})
	a.with("X-EXTERNAL", "Contacts.Title", func() { a.get("/Contacts/x").says(t, 400) })
	a.upserted("Contacts", []string{"Ext"}, obj{"Last_Name": "B", "Ext": "A/1"}).says(t, 200, `"duplicate_field":"Ext"`)
}
