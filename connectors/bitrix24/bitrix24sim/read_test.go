package bitrix24sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func TestARequiredUserFieldIsRequired(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	id := p.add(`{"NAME":"Ada"}`)
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"string","FIELD_NAME":"SHOE","LABEL":"Shoe size","MANDATORY":"Y"}}`).ok()
	p.call("crm.contact.add", `{"fields":{"NAME":"Bo"}}`).refused(400, "CRM_FIELD_ERROR_REQUIRED", "Shoe size")
	p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"Bo"}}`).refused(400, "CRM_FIELD_ERROR_REQUIRED", "Shoe size")
	p.update(id, `{"NAME":"Bo"}`).ok()
	p.update(id, `{"UF_CRM_SHOE":""}`).refused(400, "CRM_FIELD_ERROR_REQUIRED", "")
	got := p.call("batch", `{"cmd":{"a":"crm.contact.add?fields[NAME]=Bo"}}`).ok()
	same(t, "in a batch", got.at("result", "result_error", "a", "error"), "CRM_FIELD_ERROR_REQUIRED")
	same(t, "contacts", p.Stats().Contacts, 1)
	p.add(`{"UF_CRM_SHOE":"39"}`)
}

// frame says how long a page is, where the next one starts and how many
// there are in all.
func frame(page answer) string {
	next := "none"
	if page.has("next") {
		next = page.json("next")
	}
	return fmt.Sprint(max(page.count("result"), page.count("result", "items")), " ", next, " ", page.at("total"))
}

func TestAFullPageMayBeTheLast(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	for _, step := range []struct {
		count int
		want  string
	}{{49, "49 none 49"}, {1, "50 none 50"}, {1, "50 50 51"}} {
		p.send("POST", "/_sim/contacts", "", fmt.Sprintf(`{"count":%d}`, step.count)).ok()
		same(t, "page", frame(p.call("crm.contact.list", `{}`).ok()), step.want)
		same(t, "of items", frame(p.call("crm.item.list", `{"entityTypeId":3}`).ok()), step.want)
	}
	got := p.call("batch", `{"cmd":{"a":"crm.contact.list","b":"crm.contact.list?start=50"}}`).ok()
	same(t, "in a batch", got.json("result", "result_next")+got.json("result", "result_total"), `{"a":50}{"a":51,"b":51}`)
}

func TestPagesOfFifty(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.send("POST", "/_sim/contacts", "", `{"count":120}`).ok()
	for range 120 {
		p.comment(1, "hello")
	}
	for start, want := range map[int]string{0: "50 50 120", 50: "50 100 120", 70: "50 none 120", 100: "20 none 120", 150: "0 none 120", -1: "50 none 0"} {
		same(t, fmt.Sprint("start ", start), frame(p.call("crm.contact.list", obj{"start": start}).ok()), want)
		same(t, fmt.Sprint("item start ", start), frame(p.call("crm.item.list", obj{"entityTypeId": 3, "start": start}).ok()), want)
		same(t, fmt.Sprint("filtered start ", start), frame(p.call("crm.contact.list", obj{"start": start, "filter": obj{">ID": 0}}).ok()), want)
		same(t, fmt.Sprint("sorted start ", start), frame(p.call("crm.contact.list", obj{"start": start, "order": obj{"NAME": "ASC"}}).ok()), want)
		same(t, fmt.Sprint("comments start ", start), frame(p.call("crm.timeline.comment.list", obj{"start": start, "filter": obj{"ENTITY_ID": 1, "ENTITY_TYPE": "contact"}}).ok()), want)
	}
	last, seen := 0, 0
	for {
		got := p.call("crm.item.list", obj{"entityTypeId": 3, "start": -1, "filter": obj{">id": last}, "order": obj{"id": "ASC"}, "select": []string{"id"}}).ok()
		n := got.count("result", "items")
		seen += n
		if n < 50 {
			break
		}
		last = int(got.at("result", "items", n-1, "id").(float64))
	}
	same(t, "by keyset", seen, 120)
	same(t, "descending", p.call("crm.contact.list", `{"order":{"ID":"DESC"},"select":["ID"],"start":100}`).at("result", 19, "ID"), "1")
	same(t, "by name", p.call("crm.contact.list", `{"order":{"NAME":"ASC"},"select":["NAME"]}`).at("result", 0, "NAME"), "Ada")
}

func TestDatesCompareAsInstants(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada"}`) // 08:00:00Z
	p.pass(90*time.Second + 700*time.Millisecond)
	p.add(`{"NAME":"Bo"}`) // 08:01:30.7Z
	count := func(op, at string) any {
		classic := p.call("crm.contact.list", obj{"filter": obj{op + "DATE_MODIFY": at}}).ok().at("total")
		same(t, "item "+op+at, p.call("crm.item.list", obj{"entityTypeId": 3, "filter": obj{op + "updatedTime": at}}).ok().at("total"), classic)
		return classic
	}
	same(t, "Zulu", count(">=", "2026-10-01T08:01:30Z"), 1)
	same(t, "another offset", count(">=", "2026-10-01T01:01:30-07:00"), 1)
	same(t, "seconds are all there is", count(">", "2026-10-01T11:01:30+03:00"), 0)
	same(t, "the portal's time", count("<=", "2026-10-01 11:00:00"), 1)
	same(t, "shown", p.contact(2).at("result", "DATE_MODIFY"), "2026-10-01T11:01:30+03:00")
	p.SetKnobs(bitrix24sim.Knobs{IgnoreOffset: true})
	same(t, "offset not honoured", count(">=", "2026-10-01T08:01:30Z"), 2)
	same(t, "the portal's time still is", count(">=", "2026-10-01 11:01:30"), 1)
	p = open(t, bitrix24sim.Options{Offset: time.FixedZone("", -7*60*60)})
	p.add(`{}`)
	same(t, "another portal", p.item(1).at("result", "item", "updatedTime"), "2026-10-01T01:00:00-07:00")
}

func TestFindByCommComparesWholeNumbers(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"PHONE":[{"VALUE":"+49 155 50100"}],"EMAIL":[{"VALUE":"Ada@Example.org"}]}`)
	p.add(`{"PHONE":[{"VALUE":"8 900 1234567"}]}`)
	find := func(in string) answer { return p.call("crm.duplicate.findbycomm", in) }
	same(t, "found", find(`{"entity_type":"CONTACT","type":"PHONE","values":["+4915550100"]}`).ok().json("result"), `{"CONTACT":[1]}`)
	same(t, "not found", find(`{"type":"PHONE","values":["+1"]}`).ok().json("result"), `[]`)
	same(t, "whole numbers", find(`{"type":"PHONE","values":["+79001234567","1234567"]}`).ok().json("result"), `[]`)
	same(t, "extension", find(`{"type":"PHONE","values":["+4915550100#4048"]}`).ok().json("result"), `{"CONTACT":[1]}`)
	same(t, "e-mail", find(`{"type":"EMAIL","values":["ada@example.org"]}`).ok().json("result"), `{"CONTACT":[1]}`)
	same(t, "leads", find(`{"entity_type":"LEAD","type":"PHONE","values":["+4915550100"]}`).ok().json("result"), `[]`)
	find(`{"type":"PHONE","values":"+4915550100"}`).refused(400, "", "Communication values is not defined")
	find(`{"values":["1"]}`).refused(400, "", "Communication type is not defined")
	find(`{"type":"IM","values":["1"]}`).refused(400, "", "Communication type 'IM' is not supported in current context")
	find(`{"type":"PHONE"}`).refused(400, "", "Communication values is not defined")
	values := strings.Repeat(`"1",`, 19)
	same(t, "the 20th value", find(`{"type":"PHONE","values":[`+values+`"+4915550100"]}`).ok().json("result"), `{"CONTACT":[1]}`)
	values += `"1",`
	same(t, "the 21st value", find(`{"type":"PHONE","values":[`+values+`"+4915550100"]}`).ok().json("result"), `[]`)
	for range 25 {
		p.add(`{"PHONE":[{"VALUE":"777"}]}`)
	}
	got := find(`{"type":"PHONE","values":["777"]}`).ok()
	same(t, "the oldest 20", got.count("result", "CONTACT"), 20)
	same(t, "the oldest", got.at("result", "CONTACT", 0), 3)
}

func TestMergedAndDeletedContactsAreGone(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url})
	p.add(`{"NAME":"Ada","PHONE":[{"VALUE":"1"}]}`)
	p.add(`{"LAST_NAME":"Moreau","PHONE":[{"VALUE":"2"}]}`)
	p.add(`{}`)
	l.wait(t, 3)
	p.call("crm.timeline.comment.add", `{"fields":{"ENTITY_ID":2,"ENTITY_TYPE":"contact","COMMENT":"hello"}}`).ok()
	same(t, "status", p.call("crm.entity.mergeBatch", `{"params":{"entityTypeId":3,"entityIds":[1,2]}}`).ok().at("result", "STATUS"), "SUCCESS")
	p.update(2, `{"NAME":"x"}`).refused(400, "", "Contact is not found")
	same(t, "rows", rows(p, 1), "P:W:1 P:W:2")
	same(t, "comments", p.call("crm.timeline.comment.list", `{"filter":{"ENTITY_ID":1,"ENTITY_TYPE":"contact"}}`).ok().at("total"), 1)
	p.send("DELETE", "/_sim/contacts?id=3", "", "").ok()
	for _, id := range []int{2, 3} {
		p.call("crm.item.update", obj{"entityTypeId": 3, "id": id, "fields": obj{"name": "x"}}).refused(400, "NOT_FOUND", "Element not found")
		p.update(id, `{"NAME":"x"}`).refused(400, "", "Contact is not found")
		p.call("crm.contact.get", obj{"id": id}).refused(400, "", "Not found")
	}
	got := l.wait(t, 6)
	same(t, "merge", got[3].Get("event")+got[3].Get("data[FIELDS][ID]"), "ONCRMCONTACTDELETE2")
	same(t, "survivor", got[4].Get("event")+got[4].Get("data[FIELDS][ID]"), "ONCRMCONTACTUPDATE1")
	same(t, "delete", got[5].Get("event")+got[5].Get("data[FIELDS][ID]"), "ONCRMCONTACTDELETE3")
}

func TestUserFieldsInBothFamilies(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	define := func(fields string) answer {
		return p.call("crm.contact.userfield.add", `{"fields":`+fields+`}`)
	}
	same(t, "id", define(`{"USER_TYPE_ID":"string","FIELD_NAME":"crmsync_wa_id"}`).ok().json("result"), "1")
	define(`{"USER_TYPE_ID":"boolean","FIELD_NAME":"UF_CRM_OPT_IN"}`).ok()
	define(`{"USER_TYPE_ID":"enumeration","FIELD_NAME":"UF_CRM_1720697698689","MULTIPLE":"Y","LIST":[{"VALUE":"gold"},{"VALUE":"silver"}]}`).ok()
	define(`{"USER_TYPE_ID":"datetime","FIELD_NAME":"UF_CRM_2_1639"}`).ok()
	define(`{"FIELD_NAME":"X"}`).refused(400, "ERROR_CORE", "The 'USER_TYPE_ID' field is not found.")
	define(`{}`).refused(400, "ERROR_CORE", "The 'USER_TYPE_ID' field is not found.\nThe 'FIELD_NAME' field is not found.")
	define(`{"USER_TYPE_ID":"string","FIELD_NAME":"`+strings.Repeat("A", 44)+`"}`).refused(400, "ERROR_CORE", "not valid")
	define(`{"USER_TYPE_ID":"string","FIELD_NAME":"CRMSYNC_WA_ID"}`).refused(400, "ERROR_CORE", "already exists")
	fields := p.call("crm.item.fields", `{"entityTypeId":3}`).ok()
	for item, upper := range map[string]string{
		"ufCrmCrmsyncWaId": "UF_CRM_CRMSYNC_WA_ID", "ufCrm_1720697698689": "UF_CRM_1720697698689", "ufCrm2_1639": "UF_CRM_2_1639", "updatedTime": "DATE_MODIFY",
	} {
		same(t, item, fields.at("result", "fields", item, "upperName"), upper)
	}
	same(t, "items", fields.json("result", "fields", "ufCrm_1720697698689", "items"), `[{"ID":"102","VALUE":"gold"},{"ID":"104","VALUE":"silver"}]`)
	id := p.add(`{"UF_CRM_CRMSYNC_WA_ID":"4915550100","UF_CRM_OPT_IN":"Y","UF_CRM_1720697698689":["104","gold"],"UF_CRM_2_1639":"2026-10-01T08:00:00Z"}`)
	got := p.contact(id)
	same(t, "boolean", got.json("result", "UF_CRM_OPT_IN"), `"1"`)
	same(t, "enumeration", got.json("result", "UF_CRM_1720697698689"), `["104"]`)
	same(t, "datetime", got.at("result", "UF_CRM_2_1639"), "2026-10-01T11:00:00+03:00")
	item := p.item(id)
	same(t, "item boolean", item.at("result", "item", "ufCrmOptIn"), "Y")
	same(t, "item enumeration", item.json("result", "item", "ufCrm_1720697698689"), `[104]`)
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"ufCrmOptIn":"N"}}`).ok()
	upper := p.call("crm.item.get", `{"entityTypeId":3,"id":1,"useOriginalUfNames":"Y"}`).ok()
	same(t, "upper-case name", upper.at("result", "item", "UF_CRM_CRMSYNC_WA_ID"), "4915550100")
	same(t, "not both", upper.has("result", "item", "ufCrmCrmsyncWaId"), false)
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"useOriginalUfNames":"Y","fields":{"UF_CRM_CRMSYNC_WA_ID":"5"}}`).ok()
	same(t, "written by it", p.contact(id).at("result", "UF_CRM_CRMSYNC_WA_ID"), "5")
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"ufCrmCrmsyncWaId":"4915550100","UF_CRM_CRMSYNC_WA_ID":"6"}}`).ok()
	same(t, "written by the other", p.contact(id).at("result", "UF_CRM_CRMSYNC_WA_ID"), "4915550100")
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"ufCrm_1720697698689":["gold"]}}`).refused(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "")
	same(t, "no is 0", p.contact(id).json("result", "UF_CRM_OPT_IN"), `"0"`)
	same(t, "classic filter 0", p.call("crm.contact.list", `{"filter":{"UF_CRM_OPT_IN":0}}`).ok().at("total"), 1)
	same(t, "classic filter 1", p.call("crm.contact.list", `{"filter":{"UF_CRM_OPT_IN":1}}`).ok().at("total"), 0)
	same(t, "filter 0", p.call("crm.item.list", `{"entityTypeId":3,"filter":{"ufCrmOptIn":0}}`).ok().at("total"), 1)
	same(t, "filter N", p.call("crm.item.list", `{"entityTypeId":3,"filter":{"ufCrmOptIn":"N"}}`).ok().at("total"), 0)
	same(t, "filter", p.call("crm.contact.list", `{"filter":{"UF_CRM_CRMSYNC_WA_ID":"4915550100"}}`).ok().at("total"), 1)
	list := p.call("crm.contact.userfield.list", `{"filter":{"FIELD_NAME":"UF_CRM_OPT_IN"}}`).ok()
	same(t, "listed", list.json("result", 0, "ID")+list.json("total"), `"2"1`)
	p.call("crm.contact.userfield.update", `{"id":3,"fields":{"LIST":[{"ID":"102","DEL":"Y"},{"VALUE":"bronze"}]}}`).ok()
	same(t, "changed", p.call("crm.contact.userfield.get", `{"id":3}`).ok().at("result", "LIST", 1, "VALUE"), "bronze")
	p.call("crm.contact.userfield.delete", `{"id":1}`).ok()
	same(t, "gone", p.contact(id).has("result", "UF_CRM_CRMSYNC_WA_ID"), false)
}

func TestReadOnlyFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	ro := `{"ID":"99","DATE_CREATE":"2030-01-01T00:00:00+03:00","DATE_MODIFY":"2030-01-02T00:00:00+03:00","CREATED_BY_ID":"5","MODIFY_BY_ID":"6","HAS_PHONE":"Y","LAST_ACTIVITY_BY":"5","LEAD_ID":"4"}`
	shown := func(id int) string {
		t.Helper()
		out := ""
		for _, name := range []string{"ID", "DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID", "HAS_PHONE", "LAST_ACTIVITY_BY", "LEAD_ID"} {
			out += fmt.Sprint(p.contact(id).at("result", name), " ")
		}
		return out
	}
	const ignored = " 2026-10-01T11:00:00+03:00 2026-10-01T11:00:00+03:00 7 7 N 7 <nil> "
	p.add(ro)
	same(t, "add", shown(1), "1"+ignored)
	p.update(1, ro).ok()
	same(t, "update", shown(1), "1"+ignored)
	p.call("crm.contact.update", `{"id":1,"fields":`+ro+`,"params":{"IMPORT":"Y"}}`).ok()
	same(t, "an update that says IMPORT", shown(1), "1"+ignored)
	item := `"fields":{"id":99,"createdTime":"2030-01-01T00:00:00+03:00","updatedTime":"2030-01-02T00:00:00+03:00","createdBy":5,"updatedBy":6,"hasPhone":"Y"}`
	p.call("crm.item.add", `{"entityTypeId":3,`+item+`}`).ok()
	p.call("crm.item.update", `{"entityTypeId":3,"id":2,`+item+`}`).ok()
	same(t, "item", shown(2), "2"+ignored)
	p.call("crm.contact.add", `{"fields":`+ro+`,"params":{"IMPORT":"N"}}`).ok()
	same(t, "IMPORT=N", shown(3), "3"+ignored)
	p.call("crm.contact.add", `{"fields":`+ro+`,"params":{"IMPORT":"Y"}}`).ok()
	same(t, "IMPORT=Y", shown(4), "4 2030-01-01T00:00:00+03:00 2030-01-02T00:00:00+03:00 5 6 N 7 <nil> ")
	p.call("crm.contact.add", `{"fields":{"DATE_CREATE":"2029-01-01"},"params":{"IMPORT":"Y"}}`).refused(400, "ERROR_CORE", "")
}

func TestUsersAreShown(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	got := p.call("user.current", `{}`).ok()
	same(t, "owner", got.json("result", "ID")+got.json("result", "ACTIVE"), `"7"true`)
	other := open(t, bitrix24sim.Options{UserID: 12})
	same(t, "another owner", other.send("POST", "/rest/12/s3cr3t/user.current", "", "").ok().json("result", "ID"), `"12"`)
	got = p.call("user.get", `{}`).ok()
	same(t, "all", got.at("total"), 4)
	for n := range got.count("result") {
		_, id := got.at("result", n, "ID").(string)
		_, active := got.at("result", n, "ACTIVE").(bool)
		_, department := got.at("result", n, "UF_DEPARTMENT", 0).(float64)
		same(t, "types", fmt.Sprint(id, active, department, " ", got.json("result", n, "TIMESTAMP_X")), "true true true {}")
	}
	got = p.call("user.get", `{"FILTER":{"ACTIVE":false}}`).ok()
	same(t, "dismissed", got.json("result", 0, "ID")+got.json("result", 0, "ACTIVE")+got.json("total"), `"13"false1`)
	same(t, "by id", p.call("user.get", `{"ID":11}`).ok().json("result", 0, "NAME"), `"Ivan"`)
}

func TestFilters(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	for _, name := range []string{"Ada", "Adam", "Bo", ""} {
		p.add(`{"NAME":"` + name + `","PHONE":[{"VALUE":"+1-` + name + `"}]}`)
	}
	for filter, want := range map[string]string{
		`{"%NAME":"da"}`: "1 2", `{"=%NAME":"ada%"}`: "1 2", `{"%=NAME":"%m"}`: "2", `{"!%NAME":"da"}`: "3 4", `{"!=%NAME":"a%"}`: "3 4",
		`{"@ID":[1,3]}`: "1 3", `{"ID":[1,"3"]}`: "1 3", `{"!@ID":[1,3]}`: "2 4", `{"!ID":2}`: "1 3 4", `{"!=ID":2}`: "1 3 4", `{">ID":2}`: "3 4",
		`{">=ID":2,"<ID":4}`: "2 3", `{"<=ID":2}`: "1 2", `{"NAME":""}`: "4", `{"!NAME":""}`: "1 2 3", `{"=NAME":["Ada","Bo"]}`: "1 3",
		`{"PHONE":"+1-Bo"}`: "3", `{"PHONE":"1-Bo"}`: "", `{"@PHONE":["+1-Bo","+1-Ada"]}`: "1 3", `{"HAS_EMAIL":"Y"}`: "", `{"ASSIGNED_BY_ID":7}`: "1 2 3 4",
	} {
		var ids []string
		got := p.call("crm.contact.list", `{"select":["ID"],"filter":`+filter+`}`).ok()
		for n := range got.count("result") {
			ids = append(ids, got.at("result", n, "ID").(string))
		}
		same(t, filter, strings.Join(ids, " "), want)
	}
	got := p.call("crm.item.list", `{"entityTypeId":3,"select":["id"],"filter":{">id":1,"0":{"logic":"OR","0":{"name":"Bo"},"1":{"%name":"dam"}}}}`).ok()
	same(t, "or", got.json("result", "items"), `[{"id":2},{"id":3}]`)
}
