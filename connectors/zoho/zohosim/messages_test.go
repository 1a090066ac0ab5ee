package zohosim_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func note(contact, text string) obj {
	return obj{"Parent_Id": obj{"module": obj{"api_name": "Contacts"}, "id": contact}, "Note_Content": text}
}

func TestNotesCannotBeToldApart(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Grants: map[string]zohosim.Grant{"standard": {Standard: true}}})
	ada := a.person(obj{})
	for range 2 {
		a.post("/Notes", rows(note(ada, "hello"))).says(t, 201, "record added")
	}
	got := a.get("/Contacts/"+ada+"/Notes?fields=Note_Content,Parent_Id").want(t, 200)
	same(t, "two notes", got.count("data"), 2)
	same(t, "parent", got.str("data", 0, "Parent_Id", "id"), ada)
	first := got.str("data", 0, "id")
	a.get("/Contacts/"+ada+"/Notes").says(t, 400, "REQUIRED_PARAM_MISSING")
	a.post("/Contacts/"+ada+"/Notes", rows(obj{"Note_Title": "t"})).says(t, 201)
	a.post("/Notes", rows(obj{"Parent_Id": ada, "se_module": "Contacts", "Note_Content": "old form"})).says(t, 201)
	a.post("/Notes", rows(obj{"Parent_Id": ada, "$se_module": "Contacts", "Note_Content": "older"})).says(t, 201)
	many := []obj{}
	for range 101 {
		many = append(many, note(ada, "x"))
	}
	a.post("/Notes", rows(many...)).says(t, 400, `"maximum_length":100`)
	got = a.post("/Notes", rows(note("5725767000000999999", "x"), note(ada, ""), note(ada, strings.Repeat("é", 65535)), note(ada, strings.Repeat("x", 65536)),
		obj{"Parent_Id": obj{"module": obj{"api_name": "Contacts"}, "id": ada}, "Note_Title": strings.Repeat("x", 121)})).want(t, 207)
	same(t, "codes", got.codes(), "INVALID_DATA EXPECTED_FIELD_MISSING SUCCESS INVALID_DATA INVALID_DATA")
	same(t, "message", got.str("data", 0, "message"), "the related id given seems to be invalid")
	same(t, "message", got.str("data", 1, "message"), "should contain either content or title")
	same(t, "expected", got.count("data", 1, "details", "expected_fields"), 2)
	a.put("/Contacts/"+ada+"/Notes/"+first, rows(obj{"Note_Content": "changed"})).says(t, 200, "record updated")
	a.put("/Notes", rows(obj{"id": first, "Note_Content": "again"})).says(t, 200)
	list := a.get("/Contacts/"+ada+"/Notes?fields=Note_Content").want(t, 200)
	same(t, "still the oldest", list.str("data", 0, "Note_Content"), "again")
	a.remove("/Notes?ids="+first).says(t, 200, "record deleted")
	same(t, "one less", a.get("/Contacts/"+ada+"/Notes?fields=id").count("data"), list.count("data")-1)
	a.get("/Contacts/"+a.person(obj{})+"/Notes?fields=id").silent(t, 204)
	a.upserted("Notes", nil, note(ada, "x")).says(t, 400, "NOT_SUPPORTED")
	a.get("/Notes?fields=id").says(t, 200)
	a.token = a.refresh("standard").str("access_token")
	a.get("/Notes?fields=id").says(t, 403, "NOT_SUPPORTED")
}

func TestMessagesAreUpsertedByAUniqueText(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.upserted("WhatsApp_Messages", nil, obj{"Name": "x"}).says(t, 400, "INVALID_MODULE")
	a.messages()
	ada := a.person(obj{})
	key := []string{"WA_Message_ID"}
	stub := a.upserted("WhatsApp_Messages", key, obj{"Name": "m", "WA_Message_ID": "abcdef", "Status": "read"}).says(t, 200, `"action":"insert"`)
	full := a.upserted("WhatsApp_Messages", key, obj{"Name": "m", "WA_Message_ID": "ABCDEF", "Body": "hi", "Contact": obj{"id": ada}, "Direction": "in"})
	full.says(t, 200, `"action":"update"`, `"duplicate_field":"WA_Message_ID"`)
	same(t, "one record", full.str("data", 0, "details", "id"), stub.str("data", 0, "details", "id"))
	a.upserted("WhatsApp_Messages", key, obj{"WA_Message_ID": "other"}).says(t, 400, "MANDATORY_NOT_FOUND", `"api_name":"Name"`)
	// Without a list, Name is what duplicates are looked for by.
	a.upserted("WhatsApp_Messages", nil, obj{"Name": "M", "Body": "another"}).says(t, 200, `"duplicate_field":"Name"`)
	same(t, "messages", a.Stats().Messages, 1)
}

func TestModulesAreCreatedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	profile := []obj{{"id": a.get("/settings/profiles").str("profiles", 0, "id")}}
	create := func(m obj) answer {
		t.Helper()
		return a.post("/settings/modules", obj{"modules": []obj{m}})
	}
	create(obj{"plural_label": "WhatsApp Messages", "singular_label": "X", "profiles": profile}).says(t, 400, "DUPLICATE_DATA")
	create(obj{"plural_label": "Things", "singular_label": "Thing"}).says(t, 400, "MINIMUM_DATA_NOT_FOUND")
	create(obj{"plural_label": strings.Repeat("x", 26), "singular_label": "Thing", "profiles": profile}).says(t, 400, "INVALID_DATA")
	create(obj{"plural_label": "Users", "singular_label": "User", "profiles": profile}).says(t, 403, "RESERVED_KEYWORD_NOT_ALLOWED")
	same(t, "generated", a.get("/settings/modules/WhatsApp_Messages").str("modules", 0, "generated_type"), "custom")
	a.get("/settings/modules/Nothing").says(t, 400, "INVALID_MODULE")
	free := open(t, zohosim.Options{Edition: "free"})
	free.post("/settings/modules", obj{"modules": []obj{{"plural_label": "A", "singular_label": "B", "profiles": profile}}}).says(t, 400, "LIMIT_EXCEEDED")
	id := a.define("Contacts", "Temp", "picklist", nil).str("fields", 0, "details", "id")
	a.call("PATCH", "/settings/fields/"+id+"?module=Contacts", obj{"fields": []obj{{"field_label": "Heat"}}}).says(t, 200, "field updated")
	a.get("/settings/fields/"+id+"?module=Contacts").says(t, 200, `"api_name":"Temp"`, `"field_label":"Heat"`)
	a.remove("/settings/fields/"+id+"?module=Contacts").says(t, 200, "field deleted")
}

func TestTagsHaveLimits(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada, bob := a.person(obj{}), a.person(obj{})
	a.get("/settings/tags?module=Contacts").silent(t, 204)
	a.post("/settings/tags?module=Contacts", obj{"tags": []obj{{"name": "VIP", "color_code": "#57B1FD"}}}).says(t, 201, "SUCCESS")
	got := a.post("/settings/tags?module=Contacts", obj{"tags": []obj{{"name": "vip"}, {"name": strings.Repeat("x", 26)}, {"name": "a,b"}}}).want(t, 400)
	same(t, "known", got.str("tags", 0, "code"), "DUPLICATE_DATA")
	same(t, "its id", got.str("tags", 0, "details", "id"), a.get("/settings/tags?module=Contacts").str("tags", 0, "id"))
	same(t, "long", got.at("tags", 1, "details", "maximum_length"), 25)
	got = a.post("/Contacts/actions/add_tags", obj{"tags": []obj{{"name": "VIP"}, {"name": "new"}}, "ids": []string{ada, bob, "77"}}).want(t, 207)
	same(t, "counter", fmt.Sprintf("%T %v", got.at("success_count"), got.at("success_count")), "string 2")
	same(t, "counter", got.str("locked_count"), "0")
	same(t, "message", got.str("data", 0, "message"), "tags updated successfully")
	same(t, "read", a.get("/Contacts/"+ada).str("data", 0, "Tag", 1, "name"), "new")
	a.post("/Contacts/"+bob+"/actions/remove_tags", obj{"tags": []obj{{"name": "new"}}}).says(t, 200)
	same(t, "left", a.get("/Contacts/"+bob).count("data", 0, "Tag"), 1)
	a.post("/Contacts/actions/add_tags", obj{"tags": []obj{{"name": "VIP", "color_code": "#F17574"}}, "ids": []string{ada}}).says(t, 400, "MAPPING_MISMATCH")
	a.post("/Contacts/actions/add_tags", obj{"tags": []obj{{"name": "VIP"}}, "ids": make([]string, 501)}).says(t, 400, "LIMIT_EXCEEDED")
	var nine []obj
	for n := range 9 {
		nine = append(nine, obj{"name": fmt.Sprint("t", n)})
	}
	a.post("/Contacts/"+ada+"/actions/add_tags", obj{"tags": nine}).says(t, 400, "LIMIT_EXCEEDED", `"limit":10`)
	a.post("/Contacts/"+ada+"/actions/add_tags", obj{"tags": nine, "over_write": true}).says(t, 200)
	same(t, "replaced", a.get("/Contacts/"+ada).count("data", 0, "Tag"), 9)
	for n := range 89 {
		a.post("/settings/tags?module=Contacts", obj{"tags": []obj{{"name": fmt.Sprint("n", n)}}}).want(t, 201)
	}
	a.post("/settings/tags?module=Contacts", obj{"tags": []obj{{"name": "one too many"}}}).says(t, 400, "LIMIT_EXCEEDED", `"limit":100`)
}

func TestWhatIsJustWithinTheLimitsOfTags(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	ada := a.person(obj{})
	var ten []obj
	for n := range 10 {
		ten = append(ten, obj{"name": fmt.Sprint(strings.Repeat("é", 24), n)})
	}
	path := "/Contacts/actions/add_tags"
	got := a.post(path, obj{"tags": ten, "ids": slices.Repeat([]string{ada}, 500)}).want(t, 200)
	same(t, "counter", got.at("success_count"), "500")
	same(t, "tags", got.count("data", 499, "details", "tags"), 10)
	a.post(path, obj{"tags": []obj{{"name": strings.Repeat("x", 26)}}, "ids": []string{ada}}).says(t, 400, "INVALID_DATA", `"maximum_length":25`)
	// An id wins over a name; one that nobody has is not a new tag.
	first := got.at("data", 0, "details", "tags", 0).(obj)
	bob := a.person(obj{})
	got = a.post(path, obj{"tags": []obj{{"id": first["id"], "name": "another"}}, "ids": []string{bob}}).want(t, 200)
	same(t, "tag", got.at("data", 0, "details", "tags"), []any{first})
	a.post(path, obj{"tags": []obj{{"id": "77", "name": "another"}}, "ids": []string{bob}}).says(t, 400, "INVALID_DATA")
	same(t, "tags of all", a.get("/settings/tags?module=Contacts").count("tags"), 10)
}

func TestMessagesAreShownHoweverTheyWereWritten(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	ada := a.person(obj{"Phone": "+1 212 555 0101"})
	a.upserted("WhatsApp_Messages", []string{"WA_Message_ID"}, obj{
		"Name": "out", "WA_Message_ID": "a", "WAMID": "wamid.A", "Contact": obj{"id": ada}, "Direction": "out", "Body": "hello\n\nthere",
		"Status": "delivered", "Sent_Time": "2026-10-01T09:59:00+02:00",
	}).want(t, 200)
	a.pass(1500 * time.Millisecond)
	a.post("/Notes", rows(note(ada, "yes\n\n— WhatsApp in · wamid.B"), note(ada, "no\n\n— WhatsApp out · read · wamid.C"), note(ada, "a line\n— WhatsApp is nice"))).want(t, 201)
	for wamid, want := range map[string]zohosim.Message{
		"wamid.A": {Direction: "out", Status: "delivered", Text: "hello\n\nthere", At: "2026-10-01T07:59:00.000Z", CommittedAt: "2026-10-01T08:00:00.500Z"},
		"wamid.B": {Direction: "in", Text: "yes", At: "2026-10-01T08:00:02.000Z", CommittedAt: "2026-10-01T08:00:02.000Z"},
		"wamid.C": {Direction: "out", Status: "read", Text: "no", At: "2026-10-01T08:00:02.000Z", CommittedAt: "2026-10-01T08:00:02.000Z"},
	} {
		got := list[zohosim.Message](t, a.get("/_sim/messages?wamid="+wamid))
		if len(got) != 1 {
			t.Fatalf("%s: got %+v, want one", wamid, got)
		}
		want.ID, want.WAMID, want.ContactID = got[0].ID, wamid, ada
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v, want %+v", got[0], want)
		}
	}
	same(t, "of a phone", len(list[zohosim.Message](t, a.get("/_sim/messages?phone=%2B12125550101"))), 3)
	same(t, "all", len(a.Messages("", "")), 3)
	same(t, "counted", a.Stats().Messages, 3)
	same(t, "doubles", a.Stats().DuplicateMessages, 0)
	a.post("/Notes", rows(note(ada, "yes\n\n— WhatsApp in · wamid.B"))).want(t, 201)
	same(t, "doubles", a.Stats().DuplicateMessages, 1)
	a.remove("/Notes?ids="+a.Messages("wamid.B", "")[1].ID).want(t, 200)
	same(t, "doubles", a.Stats().DuplicateMessages, 0)
}
