package bitrix24sim_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestBothFamiliesShowTheSameContact(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	id := p.add(`{"NAME":"Ada","ASSIGNED_BY_ID":"11","PHONE":[{"VALUE":"+4915550100","VALUE_TYPE":"MOBILE"}]}`)
	got := p.contact(id)
	same(t, "ID", got.json("result", "ID"), strconv.Quote(itoa(id)))
	same(t, "ASSIGNED_BY_ID", got.json("result", "ASSIGNED_BY_ID"), `"11"`)
	same(t, "LAST_NAME", got.json("result", "LAST_NAME"), "null")
	same(t, "BIRTHDATE", got.json("result", "BIRTHDATE"), `""`)
	same(t, "DATE_CREATE", got.at("result", "DATE_CREATE"), "2026-10-01T11:00:00+03:00")
	same(t, "PHONE", got.json("result", "PHONE"), `[{"ID":"3002","TYPE_ID":"PHONE","VALUE":"+4915550100","VALUE_TYPE":"MOBILE"}]`)
	item := p.item(id)
	same(t, "id", item.json("result", "item", "id"), itoa(id))
	same(t, "assignedById", item.json("result", "item", "assignedById"), "11")
	same(t, "hasPhone", item.at("result", "item", "hasPhone"), "Y")
	same(t, "phone", item.at("result", "item", "phone"), "+4915550100")
	same(t, "imol", item.json("result", "item", "imol"), `""`)
	same(t, "login", item.json("result", "item", "login"), `null`)
	same(t, "createdTime", item.at("result", "item", "createdTime"), "2026-10-01T11:00:00+03:00")
	same(t, "fm", item.json("result", "item", "fm"), `[{"id":3002,"typeId":"PHONE","value":"+4915550100","valueType":"MOBILE"}]`)
	p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"Bo","companyId":5,"fm":[{"typeId":"EMAIL","value":"b@c.d"}]}}`).ok()
	got = p.contact(2)
	same(t, "the other way", got.json("result", "NAME")+got.json("result", "COMPANY_ID")+got.json("result", "EMAIL", 0, "VALUE"), `"Bo""5""b@c.d"`)
}

func TestEachFamilyHasItsTypes(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.userfield.add", `{"fields":{"USER_TYPE_ID":"integer","FIELD_NAME":"SHOE"}}`).ok()
	p.add(`{"NAME":"Ada","COMPANY_ID":5,"BIRTHDATE":"1815-12-10","UF_CRM_SHOE":39}`)
	listed := p.call("crm.contact.list", `{}`).ok()
	for _, shown := range []any{p.contact(1).at("result"), listed.at("result", 0)} {
		for name, v := range shown.(obj) {
			switch v.(type) {
			case bool, float64, obj:
				t.Errorf("%s: got %v, want a string", name, v)
			}
		}
	}
	for _, shown := range []any{p.item(1).at("result", "item"), p.call("crm.item.list", `{"entityTypeId":3}`).ok().at("result", "items", 0)} {
		for _, name := range []string{"id", "assignedById", "createdBy", "updatedBy", "lastActivityBy", "companyId", "entityTypeId", "ufCrmShoe"} {
			if _, is := at(shown, name).(float64); !is {
				t.Errorf("%s: got %v, want a number", name, at(shown, name))
			}
		}
		for _, name := range []string{"opened", "export", "hasPhone", "hasEmail", "hasImol"} {
			if v := at(shown, name); v != "Y" && v != "N" {
				t.Errorf("%s: got %v, want Y or N", name, v)
			}
		}
	}
}

func TestMultifieldsMustBeNamed(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	id := p.add(`{"NAME":"Ada","PHONE":[{"VALUE":"1"}]}`)
	for sel, want := range map[string]bool{`[]`: false, `["*","UF_*"]`: false, `["ID","PHONE"]`: true, `["*","PHONE","EMAIL"]`: true} {
		got := p.call("crm.contact.list", `{"select":`+sel+`}`).ok()
		same(t, sel+" PHONE", got.has("result", 0, "PHONE"), want)
		same(t, sel+" EMAIL", got.has("result", 0, "EMAIL"), false)
	}
	same(t, "get PHONE", p.contact(id).has("result", "PHONE"), true)
	same(t, "get EMAIL", p.contact(id).has("result", "EMAIL"), false)
}

// rows shows the multifields of a contact in short.
func rows(p *portal, id int) string {
	var out []string
	fm, _ := p.item(id).at("result", "item", "fm").([]any)
	for _, r := range fm {
		out = append(out, at(r, "typeId").(string)[:1]+":"+at(r, "valueType").(string)[:1]+":"+at(r, "value").(string))
	}
	return strings.Join(out, " ")
}

func TestClassicRowOperations(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]string{
		`[{"VALUE":"1","VALUE_TYPE":"HOME"}]`:          "P:W:1 P:M:2 P:H:1",
		`[{"VALUE":"1"}]`:                              "P:W:1 P:M:2 P:W:1",
		`[{"ID":"3002","VALUE":"9"}]`:                  "P:W:9 P:M:2",
		`[{"ID":3002,"VALUE":"9","VALUE_TYPE":"FAX"}]`: "P:F:9 P:M:2",
		`[{"ID":"3002","DELETE":"Y"}]`:                 "P:M:2",
		`[{"ID":"3002","VALUE":""}]`:                   "P:M:2",
		`[{"ID":"3003"}]`:                              "P:W:1",
		`[]`:                                           "P:W:1 P:M:2",
		`"5"`:                                          "P:W:1 P:M:2",
		`{"VALUE":"5","VALUE_TYPE":"WORK"}`:            "P:W:1 P:M:2",
		`[{"ID":"3002","DELETE":"Y"},{"VALUE":"7"},{"ID":"999999"}]`: "P:M:2 P:W:7",
	} {
		p := open(t, bitrix24sim.Options{})
		id := p.add(`{"PHONE":[{"VALUE":"1"},{"VALUE":"2","VALUE_TYPE":"MOBILE"}]}`)
		same(t, operation, p.update(id, `{"PHONE":`+operation+`}`).ok().at("result"), true)
		same(t, operation, rows(p, id), want)
	}
	p := open(t, bitrix24sim.Options{})
	p.call("crm.contact.add", `{"fields":{"EMAIL":[{"VALUE":"nobody"}]}}`).refused(400, "ERROR_CORE", "The field Work e-mail contains an invalid address")
}

func TestFMIsChangedByItsKeys(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]string{
		`{"n0":{"typeId":"PHONE","valueType":"HOME","value":"3"},"n1":{"typeId":"EMAIL","valueType":"WORK","value":"a@b.c"}}`: "P:W:1 P:M:2 P:H:3 E:W:a@b.c",
		`{"3002":{"typeId":"PHONE","valueType":"FAX","value":"9"}}`:                                                           "P:F:9 P:M:2",
		`{"3002":{"typeId":"PHONE","value":""}}`:                                                                              "P:M:2",
		`{"3002":{"value":""}}`:                                                                                               "P:W:1 P:M:2",
		`{"3002":{"value":"9","valueType":"FAX"}}`:                                                                            "P:W:1 P:M:2",
		`{"n0":{"valueType":"WORK","value":"3"}}`:                                                                             "P:W:1 P:M:2",
		`{"777":{"typeId":"PHONE","valueType":"WORK","value":"3"}}`:                                                           "P:W:1 P:M:2 P:W:3",
		`[{"typeId":"PHONE","valueType":"WORK","value":"1"}]`:                                                                 "P:W:1 P:M:2 P:W:1",
		`"3"`: "P:W:1 P:M:2",
		`{"n0":{"typeId":"SMOKE","valueType":"WORK","value":"three"}}`: "P:W:1 P:M:2 S:W:three",
	} {
		p := open(t, bitrix24sim.Options{})
		p.call("crm.item.add", `{"entityTypeId":3,"fields":{"fm":[{"typeId":"PHONE","valueType":"WORK","value":"1"},{"typeId":"PHONE","valueType":"MOBILE","value":"2"}]}}`).ok()
		got := p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"fm":`+operation+`}}`).ok()
		same(t, operation, rows(p, 1), want)
		same(t, "answered", got.json("result", "item", "fm"), p.item(1).json("result", "item", "fm"))
	}
	p := open(t, bitrix24sim.Options{})
	p.call("crm.item.add", `{"entityTypeId":3,"fields":{"fm":[{"valueType":"WORK","value":"1"},{"typeId":"PHONE","value":"2"}]}}`).ok()
	same(t, "added", rows(p, 1), "P:W:2")
}

func TestFMCannotBeSelected(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada","PHONE":[{"VALUE":"1"}]}`)
	list := func(sel string) answer {
		return p.call("crm.item.list", `{"entityTypeId":3`+sel+`}`).ok()
	}
	same(t, "no select", list("").has("result", "items", 0, "fm"), true)
	same(t, "star", list(`,"select":["id","*"]`).has("result", "items", 0, "fm"), true)
	same(t, "by name", list(`,"select":["id","fm"]`).json("result", "items"), `[{"id":1}]`)
	same(t, "nothing else", list(`,"select":["fm"]`).json("result", "items"), `[[]]`)
	same(t, "first values", list(`,"select":["phone","email","nothing"]`).json("result", "items"), `[{"email":"","phone":"1"}]`)
}

func TestOriginalNamesBreakTheSelection(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{"NAME":"Ada"}`)
	p.add(`{"NAME":"Bo"}`)
	same(t, "items", p.call("crm.item.list", `{"entityTypeId":3,"useOriginalUfNames":"Y","select":["id","name"]}`).ok().json("result", "items"), "[[],[]]")
	got := p.call("crm.item.list", `{"entityTypeId":3,"useOriginalUfNames":"Y"}`).ok()
	same(t, "without a selection", got.json("result", "items", 0, "name"), `"Ada"`)
}

func TestNothingIsUnique(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	fields := `{"ORIGINATOR_ID":"crmsync","ORIGIN_ID":"wa:1","PHONE":[{"VALUE":"+12125550101"}]}`
	if one, two := p.add(fields), p.add(fields); one == two {
		t.Errorf("got %d twice", one)
	}
	same(t, "duplicates", p.Stats().DuplicateContacts, 1)
	item := `{"entityTypeId":3,"fields":{"originatorId":"crmsync","originId":"wa:1","fm":[{"typeId":"PHONE","value":"+12125550101"}]}}`
	p.call("crm.item.add", item).ok()
	p.call("crm.item.add", item).ok()
	same(t, "found", p.call("crm.contact.list", `{"filter":{"ORIGINATOR_ID":"crmsync","ORIGIN_ID":"wa:1"}}`).at("total"), 4)
	same(t, "by phone", p.call("crm.duplicate.findbycomm", `{"type":"PHONE","values":["+12125550101"]}`).json("result"), `{"CONTACT":[1,2,3,4]}`)
}

func TestWhatWritesAnswer(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	same(t, "add", p.call("crm.contact.add", `{"fields":{"NAME":"Ada"}}`).ok().json("result"), "1")
	same(t, "update", p.update(1, `{"NAME":"Bo"}`).ok().json("result"), "true")
	same(t, "delete", p.call("crm.contact.delete", `{"ID":1}`).ok().json("result"), "true")
	same(t, "item add", p.call("crm.item.add", `{"entityTypeId":3,"fields":{"name":"Ada"}}`).ok().at("result", "item", "name"), "Ada")
	same(t, "item update", p.call("crm.item.update", `{"entityTypeId":3,"id":2,"fields":{"name":"Bo"}}`).ok().at("result", "item", "name"), "Bo")
	same(t, "item get", p.item(2).at("result", "item", "name"), "Bo")
	same(t, "enveloped once more", p.item(2).has("result", "name"), false)
	same(t, "item delete", p.call("crm.item.delete", `{"entityTypeId":3,"id":2}`).ok().json("result"), "[]")
}

func TestUnknownFieldsAreIgnoredOrRefused(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	id := p.add(`{"NAME":"Ada","SHOE":"39","UF_CRM_CRMSYNC_WA_ID":"1"}`)
	same(t, "unknown", p.contact(id).has("result", "UF_CRM_CRMSYNC_WA_ID"), false)
	item := p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"shoe":"39","phone":"5"}}`).ok()
	same(t, "item", item.has("result", "item", "shoe"), false)
	same(t, "an alias is not written", item.json("result", "item", "phone"), `""`)
	same(t, "classic filter", p.call("crm.contact.list", `{"filter":{"SHOE":"1"},"order":{"SHOE":"ASC"}}`).ok().count("result"), 1)
	list := func(rest string) answer { return p.call("crm.item.list", `{"entityTypeId":3,`+rest+`}`) }
	list(`"filter":{"=shoe":"1"}`).refused(400, "INVALID_ARG_VALUE", "Invalid filter: field 'shoe' is not allowed in filter")
	list(`"filter":{"0":{"logic":"OR","0":{"shoe":"1"}}}`).refused(400, "INVALID_ARG_VALUE", "Invalid filter: field 'shoe' is not allowed in filter")
	list(`"filter":{"NAME":"Ada"}`).refused(400, "INVALID_ARG_VALUE", "Invalid filter: field 'NAME' is not allowed in filter")
	list(`"filter":{">updatedTime":"yesterday"}`).refused(400, "INVALID_ARG_VALUE", "Invalid filter: field 'updatedTime' has invalid value")
	list(`"order":{"shoe":"ASC"}`).refused(400, "INVALID_ARG_VALUE", "Invalid order: field 'shoe' is not allowed in order")
	list(`"order":{"id":"Y"}`).refused(400, "INVALID_ARG_VALUE", "Invalid order: allowed sort directions are `ASC, DESC`. But got 'Y' for field 'id'")
	same(t, "select", list(`"select":["shoe","id"]`).ok().json("result", "items"), `[{"id":1}]`)
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	for _, c := range []struct {
		method, in string
		status     int
		code, text string
	}{
		{"crm.contact.get", `{"id":99}`, 400, "", "Not found"},
		{"crm.contact.get", `{}`, 400, "", "ID is not defined or invalid."},
		{"crm.contact.update", `{"id":99,"fields":{}}`, 400, "", "Contact is not found"},
		{"crm.contact.update", `{"id":"x","fields":{}}`, 400, "", "ID is not defined or invalid."},
		{"crm.contact.delete", `{"id":99}`, 400, "ERROR_CORE", "Element not found"},
		{"crm.contact.add", `{"fields":"x"}`, 400, "", "Parameter 'fields' must be array."},
		{"crm.contact.add", `{}`, 400, "", "Parameter 'fields' must be array."},
		{"crm.contact.update", `{"id":1,"fields":"x"}`, 400, "", "Parameter 'fields' must be array."},
		{"crm.contact.delete", `{}`, 400, "", "ID is not defined or invalid."},
		{"crm.contact.list", `{"filter":"x"}`, 400, "", "Parameter 'filter' must be array."},
		{"crm.contact.list", `{"order":"x"}`, 400, "", "Parameter 'order' must be array."},
		{"crm.contact.add", `{"fields":{},"params":"x"}`, 400, "", "Parameter 'params' must be array."},
		{"crm.item.get", `{"entityTypeId":3,"id":99}`, 400, "NOT_FOUND", "Element not found"},
		{"crm.item.update", `{"entityTypeId":3,"id":99,"fields":{}}`, 400, "NOT_FOUND", "Element not found"},
		{"crm.item.delete", `{"entityTypeId":3,"id":99}`, 400, "NOT_FOUND", "Element not found"},
		{"crm.item.get", `{"entityTypeId":99,"id":1}`, 400, "NOT_FOUND", "Smart process not found"},
		{"crm.item.get", `{"id":1}`, 400, "100", "Could not find value for parameter {entityTypeId}"},
		{"crm.item.get", `{"entityTypeId":3}`, 400, "100", "Could not find value for parameter {id}"},
		{"crm.item.delete", `{"entityTypeId":3}`, 400, "100", "Could not find value for parameter {id}"},
		{"crm.item.update", `{"entityTypeId":3,"id":1}`, 400, "100", "Could not find value for parameter {fields}"},
		{"crm.item.list", `{}`, 400, "100", "Could not find value for parameter {entityTypeId}"},
		{"crm.item.add", `{"entityTypeId":3,"fields":"x"}`, 400, "100", "Should be value of type array"},
		{"crm.item.get", `{"entityTypeId":2,"id":1}`, 400, "ENTITY_TYPE_NOT_SUPPORTED", ""},
		{"crm.item.add", `{"entityTypeId":3}`, 400, "100", "Could not find value for parameter {fields}"},
		{"crm.item.add", `{"entityTypeId":3,"FIELDS":{}}`, 400, "100", "Could not find value for parameter {fields}"},
		{"crm.item.add", `{"entityTypeId":3,`, 400, "100", ""},
		{"crm.item.add", `{"entityTypeId":3,"fields":{"companyIds":"4"}}`, 400, "100", "Expected iterable value for multiple field, but got `string` instead"},
	} {
		p.call(c.method, c.in).refused(c.status, c.code, c.text)
	}
}

func TestAnItemUpdateWithoutChangeIsNotSaved(t *testing.T) {
	t.Parallel()
	l := listen(t)
	p := open(t, bitrix24sim.Options{EventURL: l.url})
	id := p.add(`{"NAME":"Ada"}`)
	p.pass(time.Minute)
	was := p.item(id).at("result", "item", "updatedTime")
	got := p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"name":"Ada","lastName":""}}`).ok()
	same(t, "unchanged", got.at("result", "item", "updatedTime"), was)
	got = p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"name":"Bo"}}`).ok()
	same(t, "changed", got.at("result", "item", "updatedTime"), "2026-10-01T11:01:00+03:00")
	p.call("crm.item.update", `{"entityTypeId":3,"id":1,"fields":{"name":""}}`).ok()
	same(t, "an empty value does not clear", p.item(id).at("result", "item", "name"), "Bo")
	p.update(id, `{"NAME":""}`).ok()
	same(t, "it does in the classic family", p.contact(id).json("result", "NAME"), "null")
	l.wait(t, 3) // added, and changed twice
}

func TestLongValuesAreCutOrRefused(t *testing.T) {
	t.Parallel()
	p := open(t, bitrix24sim.Options{})
	p.add(`{}`)
	for _, f := range []struct {
		limit int
		// names are by the classic family and the item family.
		names [][2]string
	}{
		{50, [][2]string{{"NAME", "name"}, {"SECOND_NAME", "secondName"}, {"LAST_NAME", "lastName"}, {"TYPE_ID", "typeId"}, {"SOURCE_ID", "sourceId"}}},
		{255, [][2]string{{"POST", "post"}, {"ORIGINATOR_ID", "originatorId"}, {"ORIGIN_ID", "originId"}, {"ORIGIN_VERSION", "originVersion"}}},
		{600, [][2]string{{"UTM_SOURCE", "utmSource"}, {"UTM_MEDIUM", "utmMedium"}, {"UTM_CAMPAIGN", "utmCampaign"}, {"UTM_CONTENT", "utmContent"}, {"UTM_TERM", "utmTerm"}}},
	} {
		for _, name := range f.names {
			long, other := strings.Repeat("ü", f.limit+1), strings.Repeat("o", f.limit+1)
			p.SetKnobs(bitrix24sim.Knobs{})
			p.update(1, `{"`+name[0]+`":"`+long+`"}`).ok()
			same(t, name[0], p.contact(1).at("result", name[0]), long[2:])
			item := obj{"entityTypeId": 3, "id": 1, "fields": obj{name[1]: other}}
			same(t, name[1], p.call("crm.item.update", item).ok().at("result", "item", name[1]), other[1:])
			p.SetKnobs(bitrix24sim.Knobs{RefuseLong: true})
			p.update(1, `{"`+name[0]+`":"`+long+`"}`).refused(400, "ERROR_CORE", itoa(f.limit))
			p.call("crm.item.update", item).refused(400, "ERROR_CORE", itoa(f.limit))
			p.update(1, `{"`+name[0]+`":"`+long[2:]+`"}`).ok()
		}
	}
	for kind, limit := range map[string]int{"VALUE": 250, "VALUE_TYPE": 50} {
		row := obj{"VALUE": "1", "VALUE_TYPE": "WORK"}
		row[kind] = strings.Repeat("1", limit+1)
		in := obj{"fields": obj{"PHONE": []obj{row}}}
		p.call("crm.contact.add", in).refused(400, "ERROR_CORE", itoa(limit))
		p.SetKnobs(bitrix24sim.Knobs{})
		id, _ := p.call("crm.contact.add", in).ok().at("result").(float64)
		same(t, kind, p.contact(int(id)).at("result", "PHONE", 0, kind), strings.Repeat("1", limit))
		p.SetKnobs(bitrix24sim.Knobs{RefuseLong: true})
	}
}
