package hubspotsim_test

import (
	"fmt"
	"strings"
	"testing"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestAnEmailBelongsToOneContact(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"email": "Ada@Example.com", "hs_additional_emails": "countess@example.com"})
	bob := a.person(obj{"email": "bob@example.com"})
	for _, email := range []string{"ada@example.com", "ADA@EXAMPLE.COM", "countess@example.com"} {
		a.post(contacts, obj{"properties": obj{"email": email}}).says(t, 409,
			`"message":"Contact already exists. Existing ID: `+ada+`"`, `"category":"CONFLICT"`)
		a.patch(contacts+"/"+bob, obj{"properties": obj{"email": email}}).says(t, 409, "Existing ID: "+ada)
	}
	a.patch(contacts+"/"+ada, obj{"properties": obj{"email": "ada@example.com"}}).says(t, 200)
	got := a.patch(contacts+"/ADA@example.com?idProperty=email", obj{"properties": obj{"city": "London"}})
	same(t, "addressed by email", got.str("id"), ada)
	// An additional address is as good as the first, and as unique.
	for what, email := range map[string]string{"primary": "Bob@example.com", "additional": "Countess@example.com"} {
		a.post(contacts, obj{"properties": obj{"email": "cy@example.com", "hs_additional_emails": "cyd@example.com;" + email}}).says(t, 409,
			"Contact already exists. Existing ID: "+map[string]string{"primary": bob, "additional": ada}[what], `"category":"CONFLICT"`)
	}
	up := a.batch("upsert", []obj{{"id": "countess@example.com", "idProperty": "email", "properties": obj{"jobtitle": "Analyst"}}}).want(t, 200)
	same(t, "upserted by an additional address", []any{up.at("results", 0, "id"), up.at("results", 0, "new")}, []any{ada, false})
	same(t, "first address", a.get(contacts+"/"+ada).at("properties", "email"), "ada@example.com")
	same(t, "contacts", a.Stats().Contacts, 2)
	a.remove(contacts+"/"+ada).want(t, 204)
	a.person(obj{"email": "ada@example.com"})
}

func TestACustomUniqueValueBelongsToOneContact(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "crmsync_wa_id", obj{"hasUniqueValue": true}).want(t, 201)
	ada := a.person(obj{"crmsync_wa_id": "12125550101"})
	a.post(contacts, obj{"properties": obj{"crmsync_wa_id": "12125550101"}}).says(t, 400, `"category":"VALIDATION_ERROR"`,
		"Cannot set PropertyValueCoordinates{portalId=62515, objectTypeId=ObjectTypeId{legacyObjectType=CONTACT}, "+
			"propertyName=crmsync_wa_id, value=12125550101} on ", ada+" already has that value.")
	bob := a.person(obj{"crmsync_wa_id": "12125550102"})
	taken := obj{"crmsync_wa_id": "12125550101"}
	a.patch(contacts+"/"+bob, obj{"properties": taken}).says(t, 400, "value=12125550101} on "+bob+". "+ada+" already has that value.")
	a.batch("update", []obj{{"id": bob, "properties": taken}}).says(t, 400, ada+" already has that value.")
	a.batch("create", []obj{{"properties": obj{"crmsync_wa_id": "1"}}, {"properties": obj{"crmsync_wa_id": "1"}}}).says(t, 400, "already has that value.")
	part := a.batch("create", traced(taken, obj{"crmsync_wa_id": "12125550103"})).want(t, 207)
	same(t, "in a batch", []any{part.at("errors", 0, "category"), part.at("errors", 0, "context", "objectWriteTraceId", 0)}, "[VALIDATION_ERROR t0]")
	a.patch(contacts+"/"+ada, obj{"properties": taken}).says(t, 200)
	same(t, "contacts", a.Stats().Contacts, 3)
	read := a.post(contacts+"/batch/read", obj{
		"idProperty": "crmsync_wa_id", "properties": []string{"crmsync_wa_id"}, "inputs": []obj{{"id": "12125550101"}},
	})
	same(t, "read by it at once", read.at("results", 0, "id"), ada)
	for n := range 9 {
		a.define("contacts", fmt.Sprintf("unique_%d", n), obj{"hasUniqueValue": true}).want(t, 201)
	}
	a.define("contacts", "one_too_many", obj{"hasUniqueValue": true}).says(t, 400, "10 unique properties")
	a.define("contacts", "common", nil).says(t, 201)
	a.define("0-18", "unique_message", obj{"hasUniqueValue": true}).says(t, 201)
}

func TestOwnersAreAssignedById(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	list := a.get("/crm/v3/owners?limit=1").want(t, 200)
	owner, user := list.str("results", 0, "id"), fmt.Sprintf("%.0f", list.at("results", 0, "userId"))
	same(t, "owners on a page", list.count("results"), 1)
	more := a.get("/crm/v3/owners?limit=1&after="+list.str("paging", "next", "after")).want(t, 200)
	if more.str("results", 0, "id") == owner || more.count("results") != 1 || more.at("paging") != nil {
		t.Errorf("second page: got %s", more.body)
	}
	same(t, "by email", a.get("/crm/v3/owners?email="+list.str("results", 0, "email")).str("results", 0, "id"), owner)
	same(t, "by user id", a.get("/crm/v3/owners/"+user+"?idProperty=userId").str("id"), owner)
	same(t, "archived", a.get("/crm/v3/owners?archived=true").count("results"), 1)
	a.get("/crm/v3/owners/"+user).says(t, 404)
	got := a.post(contacts, obj{"properties": obj{"firstname": "Ada", "hubspot_owner_id": owner}})
	got.says(t, 201, `"hubspot_owner_id":"`+owner+`"`)
	for _, wrong := range []string{user, "1", "greta@example.com"} {
		for path, properties := range map[string]obj{contacts: {"firstname": "Bo"}, communications: whatsApp("hello")} {
			properties["hubspot_owner_id"] = wrong
			a.post(path, obj{"properties": properties}).says(t, 400, "INVALID_OWNER_ID", wrong+" was not a valid owner ID")
		}
	}
	id := got.str("id")
	same(t, "nobody's", a.patch(contacts+"/"+id, obj{"properties": obj{"hubspot_owner_id": ""}}).want(t, 200).at("properties", "hubspot_owner_id"), nil)
}

func TestTheTimeOfChangeAlwaysAdvances(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	before := a.get(contacts + "/" + id)
	same(t, "createdAt", before.str("createdAt"), before.at("properties", "createdate"))
	for range 3 {
		after := a.patch(contacts+"/"+id, obj{"properties": obj{"city": "London"}}).want(t, 200)
		if after.str("updatedAt") <= before.str("updatedAt") {
			t.Errorf("got %s after %s, want later", after.str("updatedAt"), before.str("updatedAt"))
		}
		same(t, "updatedAt", after.str("updatedAt"), after.at("properties", "lastmodifieddate"))
		before = after
	}
	message := a.post(communications, obj{"properties": whatsApp("hello")}).want(t, 201)
	same(t, "hs_lastmodifieddate of a message", message.at("properties", "hs_lastmodifieddate"), message.str("updatedAt"))
	same(t, "hs_createdate of a message", message.at("properties", "hs_createdate"), message.str("createdAt"))
	later := a.patch(communications+"/"+message.str("id"), obj{"properties": obj{"hs_communication_body": "hello!"}}).want(t, 200)
	if later.str("updatedAt") <= message.str("updatedAt") || later.at("properties", "hs_lastmodifieddate") != later.str("updatedAt") {
		t.Errorf("got %s after %s", later.body, message.str("updatedAt"))
	}
	for _, name := range []string{"createdate", "lastmodifieddate"} {
		read := a.get(communications + "/" + message.str("id") + "?properties=" + name)
		if _, there := read.at("properties").(obj)[name]; there {
			t.Errorf("a message has %s", name)
		}
	}
	same(t, "of a contact", a.get(contacts+"/"+id+"?properties=hs_lastmodifieddate").at("properties", "hs_lastmodifieddate"), nil)
}

func TestAnArchivedContactIsInTheRecycleBin(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	a.remove(contacts+"/"+id).says(t, 204)
	a.remove(contacts+"/"+id).says(t, 204)
	for _, nobody := range []string{"/999999", "/ada", "/" + id} {
		same(t, "body", a.remove(contacts+nobody).want(t, 204).body, "")
	}
	same(t, "listed", a.get(contacts).count("results"), 0)
	same(t, "found", a.search(obj{}).at("total"), 0)
	a.get(contacts+"/"+id).says(t, 404, `"message":"resource not found"`)
	a.get(contacts+"/"+id+"?archived=true").says(t, 200, `"archived":true`, `"archivedAt":"2026-`)
	a.batch("read", []obj{{"id": id}}).says(t, 207, "OBJECT_NOT_FOUND")
	archived := a.post(contacts+"/batch/read?archived=true", obj{"inputs": []obj{{"id": id}}}).want(t, 200)
	same(t, "read as archived", archived.at("results", 0, "archived"), true)
	same(t, "listed as archived", a.get(contacts+"?archived=true").count("results"), 1)
	a.get(contacts+"/ada").says(t, 404, "Object not found.  objectId are usually numeric.", `"category":"OBJECT_NOT_FOUND"`, `"id":["ada"]`)
	same(t, "patched", a.patch(contacts+"/"+id, obj{"properties": obj{"city": "x"}}).status, 404)
}

func TestAContactWithoutNameMayBeRefused(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{RequireName: true})
	a.post(contacts, obj{"properties": obj{"phone": "+12125550101"}}).says(t, 400, "Some required properties were not set.")
	a.person(obj{"phone": "+12125550101", "lastname": "Lovelace"})
	open(t, hubspotsim.Options{}).person(obj{"phone": "+12125550101"})
}

func TestTheListIsInTheOrderOfIds(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	for n := range 5 {
		a.person(obj{"firstname": fmt.Sprintf("P%d", n)})
	}
	var names []string
	path := contacts + "?limit=2"
	for pages := 1; ; pages++ {
		got := a.get(path).want(t, 200)
		names = append(names, got.values("firstname")...)
		if pages == 1 {
			a.person(obj{"firstname": "P5"})
			a.remove(contacts+"/"+got.str("results", 0, "id")).want(t, 204)
		}
		after := got.str("paging", "next", "after")
		if after == "" {
			same(t, "pages", pages, 3)
			if strings.Contains(got.body, "paging") {
				t.Error("the last page has paging")
			}
			break
		}
		path = contacts + "?limit=2&after=" + after
	}
	same(t, "names", names, "[P0 P1 P2 P3 P4 P5]")
	a.get(contacts+"?limit=101").says(t, 400)
	a.get(contacts+"?after=abc").says(t, 400, "Invalid input JSON")
	same(t, "default page", a.get(contacts).count("results"), 5)
	a.batch("create", many(100)).want(t, 201)
	same(t, "pages", []any{a.get(contacts).count("results"), a.get(contacts + "?limit=100").count("results")}, "[10 100]")
	link := a.get(contacts+"?limit=2").str("paging", "next", "link")
	same(t, "link, on another path", link, "https://api.hubapi.com/crm/objects/v3/contacts?offset_param=after&limit=2&after=104")
}
