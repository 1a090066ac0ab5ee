package hubspotsim_test

import (
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestAPropertyIsDefinedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "age__c", obj{"label": "Age"}).says(t, 201, `"name":"age__c"`)
	a.define("contacts", "age__c", nil).exactly(t, 409, `{"status":"error","message":"A property named 'age__c' already exists.","correlationId":"…",`+
		`"category":"OBJECT_ALREADY_EXISTS","subCategory":"Properties.PROPERTY_WITH_NAME_EXISTS","context":{"name":["age__c"]}}`)
	id := a.person(obj{"firstname": "Ada", "age__c": "36"})
	a.remove("/crm/v3/properties/contacts/age__c").says(t, 204)
	a.get("/crm/v3/properties/contacts/age__c").says(t, 404, "OBJECT_NOT_FOUND")
	a.patch(contacts+"/"+id, obj{"properties": obj{"age__c": "37"}}).says(t, 400, "PROPERTY_DOESNT_EXIST")
	a.define("contacts", "age__c", obj{"label": "Years"}).says(t, 201, `"label":"Years"`)
	same(t, "value of the restored property", a.get(contacts+"/"+id+"?properties=age__c").at("properties", "age__c"), "36")
	a.define("contacts", "odd", obj{"type": "number", "fieldType": "checkbox"}).says(t, 400)
	a.define("contacts", "odd", obj{"label": nil}).says(t, 400, "[label]")
	a.define("contacts", "odd", obj{"type": "bool", "fieldType": "booleancheckbox"}).says(t, 400, "INVALID_BOOLEAN_OPTION")
	a.remove("/crm/v3/properties/contacts/email").says(t, 400)
	if n := a.get("/crm/v3/properties/contacts").count("results"); n < 30 {
		t.Errorf("got %d properties, want the usual ones", n)
	}
}

func TestOptionsAreReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	options := func(values ...string) []obj {
		var list []obj
		for n, v := range values {
			list = append(list, obj{"label": v, "value": v, "displayOrder": n, "hidden": false})
		}
		return list
	}
	a.define("contacts", "labels", obj{"type": "enumeration", "fieldType": "checkbox", "options": options("vip", "late")}).want(t, 201)
	path := "/crm/v3/properties/contacts/labels"
	same(t, "label alone", a.patch(path, obj{"label": "Labels"}).want(t, 200).count("options"), 2)
	same(t, "options", a.patch(path, obj{"options": options("new")}).want(t, 200).count("options"), 1)
	a.post(contacts, obj{"properties": obj{"labels": "vip"}}).says(t, 400, "INVALID_OPTION")
	same(t, "what is left", a.get(path).str("options", 0, "value"), "new")
	same(t, "label", a.get(path).str("label"), "Labels")
}

func TestWhatIsUniqueStaysSo(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "nickname", nil).want(t, 201)
	path := "/crm/v3/properties/contacts/nickname"
	a.patch(path, obj{"hasUniqueValue": true}).says(t, 200, `"hasUniqueValue":false`)
	a.person(obj{"nickname": "Ace"})
	a.person(obj{"nickname": "Ace"})
	a.batch("upsert", []obj{{"id": "Ace", "idProperty": "nickname", "properties": obj{"city": "Rome"}}}).says(t, 400, "non-unique 0-1 property nickname")

	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).says(t, 201, `"hasUniqueValue":true`)
	unique := "/crm/v3/properties/contacts/crmsync_wa_id"
	a.patch(unique, obj{"hasUniqueValue": false, "label": "WhatsApp"}).says(t, 200, `"hasUniqueValue":true`, `"label":"WhatsApp"`)
	row := []obj{{"id": "12125550101", "idProperty": "crmsync_wa_id", "properties": obj{"city": "Rome"}}}
	first := a.batch("upsert", row).want(t, 200).str("results", 0, "id")
	// Archived it is no key; back again it knows whose each value is.
	a.remove(unique).want(t, 204)
	a.batch("upsert", row).says(t, 400, "non-unique 0-1 property crmsync_wa_id")
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true, "label": "Anew"}).says(t, 201, `"label":"Anew"`)
	again := a.batch("upsert", row).want(t, 200)
	same(t, "whose", []any{again.at("results", 0, "id"), again.at("results", 0, "new")}, []any{first, false})
}

func TestAPropertyLivesInAGroup(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "note", obj{"groupName": "whatsapp"}).says(t, 400, "whatsapp")
	group := obj{"name": "whatsapp", "label": "WhatsApp", "displayOrder": -1}
	a.post("/crm/properties/2026-03/contacts/groups", group).says(t, 201)
	a.post("/crm/properties/2026-03/contacts/groups", group).says(t, 409, "OBJECT_ALREADY_EXISTS")
	same(t, "groups", a.get("/crm/v3/properties/contacts/groups").count("results"), 2)
	a.define("contacts", "note", obj{"groupName": "whatsapp"}).says(t, 201)
	a.get("/crm/v3/properties/contacts/groups/whatsapp").says(t, 200, `"label":"WhatsApp"`)
	a.get("/crm/v3/properties/contacts/groups/none").says(t, 404)
	same(t, "of messages", a.get("/crm/v3/properties/communications/groups").count("results"), 1)
	a.post("/crm/v3/properties/contacts/groups", obj{"name": "nameless"}).says(t, 400)
}

func TestPropertiesAreDefinedInBatches(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	row := func(name string) obj {
		return obj{"name": name, "label": name, "type": "string", "fieldType": "text", "groupName": "contactinformation"}
	}
	got := a.post("/crm/v3/properties/contacts/batch/create", obj{"inputs": []obj{row("a1"), row("email")}}).want(t, 207)
	same(t, "created", got.at("results", 0, "name"), "a1")
	same(t, "refused", got.at("errors", 0, "subCategory"), "Properties.PROPERTY_WITH_NAME_EXISTS")
	a.post("/crm/v3/properties/contacts/batch/read", obj{"inputs": []obj{{"name": "a1"}}}).says(t, 200, `"name":"a1"`)
	a.post("/crm/v3/properties/contacts/batch/archive", obj{"inputs": []obj{{"name": "a1"}}}).says(t, 204)
	a.get("/crm/v3/properties/contacts/a1").says(t, 404)
	gone := obj{"inputs": []obj{{"name": "a1"}, {"name": "never_there"}}}
	a.post("/crm/v3/properties/contacts/batch/archive", gone).says(t, 204)
	a.post("/crm/v3/properties/contacts/batch/read", gone).says(t, 207, "OBJECT_NOT_FOUND")
	back := a.post("/crm/v3/properties/contacts/batch/create", obj{"inputs": []obj{row("a1")}}).want(t, 201)
	same(t, "back again", []any{back.str("results", 0, "name"), back.at("results", 0, "archived")}, "[a1 false]")
}
