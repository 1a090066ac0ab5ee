package hubspotsim_test

import (
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestAPropertyIsDefinedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "age__c", obj{"label": "Age"}).says(t, 201, `"name":"age__c"`)
	got := a.define("contacts", "age__c", nil)
	got.says(t, 409, "A property named 'age__c' already exists.", "OBJECT_ALREADY_EXISTS", "Properties.PROPERTY_WITH_NAME_EXISTS")
	same(t, "name", got.at("context", "name", 0), "age__c")
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
	a.patch(path, obj{"hasUniqueValue": true}).says(t, 200, `"hasUniqueValue":false`)
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
}
