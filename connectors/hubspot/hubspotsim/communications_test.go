package hubspotsim_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

// whatsApp are the properties of a logged message.
func whatsApp(body string) obj {
	return obj{
		"hs_communication_channel_type": "WHATS_APP", "hs_communication_logged_from": "CRM",
		"hs_communication_body": body, "hs_timestamp": "2026-10-01T07:59:00Z",
	}
}

// toContact associates by a type id.
func toContact(id string, kind int) []obj {
	return []obj{{"to": obj{"id": id}, "types": []obj{{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}}}}
}

func TestWhatAMessageNeeds(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	tests := map[string]struct {
		change obj
		want   []string
	}{
		"no time":                  {obj{"hs_timestamp": nil}, []string{"Error creating COMMUNICATION.  Some required properties were not set.", `"properties":["hs_timestamp"]`}},
		"no channel":               {obj{"hs_communication_channel_type": ""}, []string{`"properties":["hs_communication_channel_type"]`}},
		"another channel":          {obj{"hs_communication_channel_type": "PIGEON"}, []string{"INVALID_OPTION"}},
		"not logged from CRM":      {obj{"hs_communication_logged_from": "API"}, []string{"Logged SMS, WhatsApp and LinkedIn message objects must have hs_communication_logged_from set to CRM"}},
		"logged from nowhere":      {obj{"hs_communication_logged_from": ""}, []string{"hs_communication_logged_from"}},
		"an unknown property":      {obj{"direction": "in"}, []string{"PROPERTY_DOESNT_EXIST"}},
		"a time in plain words":    {obj{"hs_timestamp": "noon"}, []string{"INVALID_LONG"}},
		"a read-only conversation": {obj{"hs_communication_conversations_thread_id": "1"}, []string{"READ_ONLY_VALUE"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := whatsApp("hello")
			for k, v := range test.change {
				p[k] = v
			}
			want := append([]string{`"category":"VALIDATION_ERROR"`}, test.want...)
			a.post(communications, obj{"properties": p}).says(t, 400, want...)
			a.post(communications+"/batch/create", obj{"inputs": []obj{{"properties": whatsApp("well")}, {"properties": p}}}).says(t, 400, want...)
			part := a.post(communications+"/batch/create", obj{"inputs": traced(p)}).want(t, 207)
			same(t, "failed", part.at("errors", 0, "context", "objectWriteTraceId", 0), "t0")
		})
	}
	same(t, "messages", a.Stats().Messages, 0)
	for n, channel := range []string{"WHATS_APP", "LINKEDIN_MESSAGE", "SMS"} {
		good := whatsApp("hello")
		good["hs_communication_channel_type"] = channel
		id := a.post(communications, obj{"properties": good}).want(t, 201).str("id")
		same(t, "messages", a.Stats().Messages, n+1)
		for name, value := range map[string]string{"hs_timestamp": "", "hs_communication_channel_type": "", "hs_communication_logged_from": "API"} {
			a.patch(communications+"/"+id, obj{"properties": obj{name: value}}).says(t, 400, name)
		}
	}
	seconds := whatsApp("hello")
	seconds["hs_timestamp"] = 1790841600
	got := a.post(communications, obj{"properties": seconds}).want(t, 201)
	same(t, "seconds are taken for milliseconds", got.at("properties", "hs_timestamp"), "1970-01-21T17:27:21.600Z")
}

func TestAMessageIsAssociatedInItsDirection(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada", "phone": "+12125550101"})
	create := func(links []obj) answer {
		return a.post(communications, obj{"properties": whatsApp("hello"), "associations": links})
	}
	create(toContact(ada, 82)).says(t, 400, "invalid from object type 0-18 for associations to be created. expected: 0-1", "VALIDATION_ERROR")
	gone := create(toContact("22645422197", 81))
	gone.says(t, 400, "One or more associations are invalid")
	same(t, "which", gone.at("context"), "map[INVALID_OBJECT_IDS:[CONTACT=22645422197 is not valid] objectId:[22645422197] objectType:[CONTACT]]")
	same(t, "category", gone.at("category"), "VALIDATION_ERROR")
	company := create(toContact("7", 87))
	same(t, "of another kind", company.at("context", "objectType", 0), "COMPANY")
	rows := traced(whatsApp("lost"), whatsApp("found"))
	rows[0]["associations"], rows[1]["associations"] = toContact("22645422197", 81), toContact(ada, 81)
	part := a.post(communications+"/batch/create", obj{"inputs": rows}).want(t, 207)
	same(t, "in a batch", part.at("errors", 0, "context", "INVALID_OBJECT_IDS", 0), "CONTACT=22645422197 is not valid")
	a.remove(communications+"/"+part.str("results", 0, "id")).want(t, 204)
	create([]obj{{"to": obj{"id": ada}, "types": []obj{{}}}}).says(t, 400,
		"Cannot build AssociationSpec, some of required attributes are not set [associationCategory, associationTypeId]")
	same(t, "messages", a.Stats().Messages, 0)

	id := create(toContact(ada, 81)).want(t, 201).str("id")
	for path, want := range map[string]any{
		"/crm/v4/objects/contacts/" + ada + "/associations/communications":      json.Number(id),
		"/crm/objects/2026-03/contacts/" + ada + "/associations/communications": id,
		"/crm/objects/2026-09/communications/" + id + "/associations/contacts":  ada,
	} {
		got := a.get(path).want(t, 200)
		if _, number := want.(json.Number); number {
			same(t, path, fmt.Sprintf("%.0f", got.at("results", 0, "toObjectId")), want)
			same(t, "type", got.at("results", 0, "associationTypes", 0, "typeId"), 82)
			continue
		}
		same(t, path, got.at("results", 0, "toObjectId"), want)
	}
	same(t, "old form", a.get(contacts+"/"+ada+"/associations/communications").at("results", 0, "id"), id)
	same(t, "with the record", a.get(contacts+"/"+ada+"?associations=communications").at("associations", "communications", "results", 0, "id"), id)
}

func TestAMessageIsAssociatedLater(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada"})
	var ids []string
	for range 3 {
		ids = append(ids, a.post(communications, obj{"properties": whatsApp("hello")}).want(t, 201).str("id"))
	}
	for range 2 {
		a.put("/crm/objects/2026-03/communications/"+ids[0]+"/associations/default/contacts/"+ada, nil).says(t, 200, `"status":"COMPLETE"`)
	}
	end := func(id string) obj { return obj{"id": id} }
	got := a.post("/crm/associations/2026-03/communications/contacts/batch/associate/default",
		obj{"inputs": []obj{{"from": end(ids[1]), "to": end(ada)}, {"from": end(ids[2]), "to": end("999")}}}).want(t, 207)
	same(t, "error", got.at("errors", 0, "subCategory"), "crm.associations.INVALID_IDENTIFIER")
	a.post("/crm/v4/associations/contacts/communications/batch/create", obj{"inputs": []obj{{
		"from": end(ada), "to": end(ids[2]), "types": []obj{{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 82}},
	}}}).says(t, 201)
	first := a.get("/crm/objects/2026-09/contacts/"+ada+"/associations/communications?limit=2").want(t, 200)
	rest := a.get("/crm/objects/2026-09/contacts/" + ada + "/associations/communications?limit=2&after=" + first.str("paging", "next", "after"))
	same(t, "linked", []any{first.count("results"), rest.count("results"), rest.at("paging")}, "[2 1 <nil>]")
	read := a.post("/crm/associations/2026-09/communications/contacts/batch/read", obj{"inputs": []obj{end(ids[1]), end("7")}}).want(t, 207)
	same(t, "read", read.at("results", 0, "to", 0, "toObjectId"), ada)
	a.remove("/crm/v4/objects/contacts/"+ada+"/associations/communications/"+ids[0]).says(t, 204)
	a.remove(communications+"/"+ids[1]).says(t, 204)
	same(t, "left", a.get("/crm/v4/objects/contacts/"+ada+"/associations/communications").count("results"), 1)
}

func TestWhatAssociatingAnswers(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada"})
	said := a.post(communications, obj{"properties": whatsApp("hello")}).want(t, 201).str("id")
	types := []obj{{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 81}}
	one := obj{"from": obj{"id": said}, "to": obj{"id": ada}}
	typed := obj{"from": obj{"id": said}, "to": obj{"id": ada}, "types": types}
	spec := `{"associationSpec":{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":%d},"from":{"id":"%s"},"to":{"id":"%s"}}`
	usual := fmt.Sprintf(spec+","+spec, 81, said, ada, 82, ada, said)
	pair := `{"fromObjectId":` + said + `,"fromObjectTypeId":"0-18","labels":[],"toObjectId":` + ada + `,"toObjectTypeId":"0-1"}`
	dated := `{"fromObjectId":"` + said + `","fromObjectTypeId":"0-18","labels":[],"toObjectId":"` + ada + `","toObjectTypeId":"0-1"}`
	for _, call := range []struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		{"PUT", "/crm/v4/objects/communications/" + said + "/associations/default/contacts/" + ada, nil, 200, `"results":[` + usual + `]`},
		{"PUT", "/crm/v4/objects/communications/" + said + "/associations/contacts/" + ada, types, 201, pair},
		{"PUT", "/crm/objects/2026-09/communications/" + said + "/associations/contacts/" + ada, types, 201, dated},
		{"POST", "/crm/v4/associations/communications/contacts/batch/associate/default", obj{"inputs": []obj{one}}, 200, `"results":[` + usual + `]`},
		{"POST", "/crm/v4/associations/communications/contacts/batch/create", obj{"inputs": []obj{typed}}, 201, `"results":[` + pair + `]`},
		{"POST", "/crm/associations/2026-03/communications/contacts/batch/create", obj{"inputs": []obj{typed}}, 201, `"results":[` + dated + `]`},
		{"POST", "/crm/associations/2026-03/communications/contacts/batch/create", obj{"inputs": []obj{one}}, 400, "Cannot build AssociationSpec"},
		{"PUT", "/crm/v4/objects/communications/" + said + "/associations/contacts/" + ada, []obj{}, 400, "Cannot build AssociationSpec"},
		{"PUT", "/crm/v4/objects/communications/" + said + "/associations/contacts/999", types, 400, `"subCategory":"crm.associations.INVALID_IDENTIFIER"`},
		{"PUT", "/crm/v4/objects/contacts/" + ada + "/associations/communications/" + said, types, 400, "does not lead from 0-1 to 0-18"},
		{"DELETE", "/crm/v4/objects/communications/" + said + "/associations/contacts/" + ada, nil, 204, ""},
		{"POST", "/crm/associations/2026-03/communications/contacts/batch/archive", obj{"inputs": []obj{one}}, 204, ""},
	} {
		a.call(call.method, call.path, call.body).says(t, call.status, call.want)
	}
	list := func(n int) obj {
		inputs := make([]obj, n)
		for i := range inputs {
			inputs[i] = obj{"id": ada, "from": obj{"id": said}, "to": obj{"id": ada}}
		}
		return obj{"inputs": inputs}
	}
	a.post("/crm/v4/associations/contacts/communications/batch/read", list(1001)).says(t, 400, "is 1000.")
	a.post("/crm/v4/associations/communications/contacts/batch/associate/default", list(2001)).says(t, 400, "is 2000.")
	same(t, "left", a.get("/crm/v4/objects/contacts/"+ada+"/associations/communications").count("results"), 0)
}

func TestAMessageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("0-18", "crmsync_wamid", obj{"hasUniqueValue": true}).want(t, 201)
	a.define("communications", "crmsync_status", obj{"groupName": "communication"}).want(t, 201)
	row := func(status string) obj {
		p := whatsApp("hello")
		p["crmsync_status"] = status
		return obj{"inputs": []obj{{"id": "wamid.A", "idProperty": "crmsync_wamid", "properties": p}}}
	}
	same(t, "first", a.post(communications+"/batch/upsert", row("sent")).want(t, 200).at("results", 0, "new"), true)
	same(t, "again", a.post(communications+"/batch/upsert", row("read")).want(t, 200).at("results", 0, "new"), false)
	same(t, "status", a.Messages("wamid.A", "")[0].Status, "read")
	same(t, "messages", a.Stats().Messages, 1)
}

func TestCustomPropertiesOfMessagesMayBeRefused(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{CustomCommunicationProperties: "refused"})
	for _, kind := range []string{"0-18", "communications"} {
		a.define(kind, "crmsync_wamid", obj{"hasUniqueValue": true, "groupName": "communication"}).says(t, 403, "MISSING_SCOPES")
	}
	a.post("/crm/properties/2026-09/communications/batch/create", obj{"inputs": []obj{{
		"name": "crmsync_wamid", "label": "x", "type": "string", "fieldType": "text", "groupName": "communication",
	}}}).says(t, 403, "MISSING_SCOPES")
	a.get("/crm/v3/properties/communications/crmsync_wamid").says(t, 404)
	unknown := whatsApp("hello")
	unknown["crmsync_wamid"] = "wamid.A"
	a.post(communications, obj{"properties": unknown}).says(t, 400, "PROPERTY_DOESNT_EXIST")
	a.post(communications+"/batch/upsert", obj{"inputs": []obj{{"id": "wamid.A", "idProperty": "crmsync_wamid", "properties": unknown}}}).says(t, 400,
		"Unable to perform upsert by non-unique 0-18 property crmsync_wamid")
	a.define("contacts", "crmsync_wa_id", nil).says(t, 201)
}
