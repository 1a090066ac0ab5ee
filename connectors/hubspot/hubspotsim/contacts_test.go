package hubspotsim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestValuesAreKeptAsStrings(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	created := a.post(contacts, `{"properties":{"firstname":"Ada","numemployees":12,"phone":"+1 212 555 0101","city":"Turin"}}`).want(t, 201)
	id := created.str("id")
	same(t, "a number", created.at("properties", "numemployees"), "12")
	same(t, "calculated phone", created.at("properties", "hs_searchable_calculated_phone_number"), "2125550101")
	same(t, "stage of a new contact", created.at("properties", "lifecyclestage"), "lead")
	if !strings.HasSuffix(created.header.Get("Location"), "/"+id) {
		t.Errorf("got Location %q, want it to end in the id", created.header.Get("Location"))
	}
	a.patch(contacts+"/"+id, obj{"properties": obj{"city": ""}}).want(t, 200)
	got := a.get(contacts+"/"+id+"?properties=city,firstname&properties=nothing_of_the_kind").want(t, 200)
	if v, there := got.at("properties").(obj)["city"]; !there || v != nil {
		t.Errorf("a cleared value: got %v, want null", v)
	}
	same(t, "first name", got.at("properties", "firstname"), "Ada")
	if _, there := got.at("properties").(obj)["nothing_of_the_kind"]; there {
		t.Error("a property that is not defined is shown")
	}
	usual := a.get(contacts+"/"+id).want(t, 200)
	for _, name := range []string{"createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"} {
		if _, there := usual.at("properties").(obj)[name]; !there {
			t.Errorf("%s is not among the usual properties", name)
		}
	}
}

func TestAllUnknownPropertiesAreNamed(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	got := a.post(contacts, obj{"properties": obj{"firstname": "Ada", "shoe": "39", "hat": "56"}})
	got.says(t, 400, `"category":"VALIDATION_ERROR"`, `Property values were not valid: [{\"isValid\":false`, `\"name\":\"hat\"`, `\"name\":\"shoe\"`)
	same(t, "errors", got.count("errors"), 2)
	same(t, "code", got.at("errors", 1, "code"), "PROPERTY_DOESNT_EXIST")
	same(t, "name", got.at("errors", 1, "context", "propertyName", 0), "shoe")
	same(t, "message", got.at("errors", 1, "message"), `Property "shoe" does not exist`)
	same(t, "contacts", a.Stats().Contacts, 0)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		properties string
		want       []string
	}{
		"a record id":               {`{"hs_object_id":"7"}`, []string{"READ_ONLY_VALUE", "is a read only property; its value cannot be set."}},
		"the time of creation":      {`{"createdate":"2026-01-01T00:00:00Z"}`, []string{"READ_ONLY_VALUE"}},
		"the time of change":        {`{"lastmodifieddate":"2026-01-01T00:00:00Z"}`, []string{"READ_ONLY_VALUE"}},
		"something calculated":      {`{"hs_full_name_or_email":"Ada"}`, []string{"READ_ONLY_VALUE", "is a calculated property"}},
		"an address without domain": {`{"email":"ada@"}`, []string{"INVALID_EMAIL", "Email address ada@ is invalid"}},
		"a misspelt domain":         {`{"email":"ada@example.con"}`, []string{"INVALID_EMAIL"}},
		"a one-letter domain":       {`{"email":"abc@d.c"}`, []string{"INVALID_EMAIL", "Email address abc@d.c is invalid"}},
		"an unknown option":         {`{"hs_language":"klingon"}`, []string{"INVALID_OPTION", "klingon was not one of the allowed options: [label: "}},
		"an owner's user id":        {`{"hubspot_owner_id":"910901"}`, []string{"INVALID_OWNER_ID", "910901 was not a valid owner ID"}},
		"words for a number":        {`{"numemployees":"many"}`, []string{"INVALID_INTEGER"}},
		"a day for a time":          {`{"closedate":"2021-11-04"}`, []string{"INVALID_LONG", "2021-11-04 was not a valid long."}},
		"a list for a text":         {`{"firstname":["Ada"]}`, []string{"Invalid input JSON on line 1", "Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`)"}},
		"a novel":                   {`{"firstname":"` + strings.Repeat("a", 65537) + `"}`, []string{"VALIDATION_ERROR"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, hubspotsim.Options{})
			id := a.person(obj{"firstname": "Ada"})
			got := a.patch(contacts+"/"+id, `{"properties":`+test.properties+`}`)
			got.says(t, 400, test.want...)
			same(t, "first name", a.get(contacts+"/"+id).at("properties", "firstname"), "Ada")
		})
	}
}

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
	read := a.post(contacts+"/batch/read", obj{
		"idProperty": "crmsync_wa_id", "properties": []string{"crmsync_wa_id"}, "inputs": []obj{{"id": "12125550101"}},
	})
	same(t, "read by it at once", read.at("results", 0, "id"), ada)
	for n := range 9 {
		a.define("contacts", fmt.Sprintf("unique_%d", n), obj{"hasUniqueValue": true}).want(t, 201)
	}
	a.define("contacts", "one_too_many", obj{"hasUniqueValue": true}).says(t, 400, "10 unique properties")
}

func TestCheckboxesAreReplacedOrAdded(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	var options []obj
	for n, v := range []string{"vip", "newsletter", "late"} {
		options = append(options, obj{"label": strings.ToUpper(v), "value": v, "displayOrder": n, "hidden": false})
	}
	a.define("contacts", "labels", obj{"type": "enumeration", "fieldType": "checkbox", "options": options}).want(t, 201)
	id := a.person(obj{"firstname": "Ada", "labels": "vip"})
	for _, step := range []struct{ write, want string }{
		{";newsletter;vip", "vip;newsletter"},
		{"late", "late"},
		{"vip;late", "vip;late"},
	} {
		got := a.patch(contacts+"/"+id, obj{"properties": obj{"labels": step.write}}).want(t, 200)
		same(t, "after "+step.write, got.at("properties", "labels"), step.want)
	}
	a.patch(contacts+"/"+id, obj{"properties": obj{"labels": "vip,late"}}).says(t, 400, "INVALID_OPTION", "vip,late was not one of")
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
	if message.at("properties", "lastmodifieddate") != nil {
		t.Error("a message has lastmodifieddate")
	}
}

func TestAnArchivedContactIsInTheRecycleBin(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada"})
	a.remove(contacts+"/"+id).says(t, 204)
	a.remove(contacts+"/"+id).says(t, 204)
	a.remove(contacts+"/999999").says(t, 204)
	same(t, "listed", a.get(contacts).count("results"), 0)
	same(t, "found", a.search(obj{}).at("total"), 0)
	a.get(contacts+"/"+id).says(t, 404, `"message":"resource not found"`)
	a.get(contacts+"/"+id+"?archived=true").says(t, 200, `"archived":true`, `"archivedAt":"2026-`)
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

func TestADayIsAtMidnight(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "wa_since", obj{"type": "date", "fieldType": "date"}).want(t, 201)
	write := func(version string, value any) answer {
		return a.post("/crm/objects/"+version+"/contacts", obj{"properties": obj{"firstname": "Ada", "wa_since": value}})
	}
	for _, good := range []any{"2023-05-24", 1684886400000} {
		same(t, fmt.Sprint(good), write("2026-03", good).at("properties", "wa_since"), "2023-05-24")
	}
	write("2026-03", 1684914035320).says(t, 400, "INVALID_DATE", "1684914035320 is at 7:40:35.320 UTC, not midnight!")
	write("2026-03", "2023-05-24T07:40:35Z").says(t, 400, "INVALID_DATE")
	write("2026-09", "soon").says(t, 400, "INVALID_DATE")
	for _, odd := range []any{1684914035320, "2023-05-24T07:40:35Z", 1684914035} {
		got := write("2026-09", odd).want(t, 201)
		same(t, fmt.Sprint(odd), got.at("properties", "wa_since"), "2023-05-24")
		same(t, "warning", got.at("warnings", 0, "category"), "PROPERTY_VALUE_NORMALIZED")
		same(t, "normalized", got.at("warnings", 0, "context", "normalizedValue"), "2023-05-24")
	}
}

func TestAnAdministratorsRulesHoldFrom202609(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Rules: hubspotsim.Rules{
		OnCreate:    []string{"city"},
		Conditional: []hubspotsim.Conditional{{Property: "lifecyclestage", Value: "customer", Requires: []string{"company"}}},
	}})
	a.person(obj{"firstname": "Ada"})
	strict := "/crm/objects/2026-09/contacts"
	a.post(strict, obj{"properties": obj{"firstname": "Ada"}}).says(t, 400, "MISSING_REQUIRED_PROPERTY", "A value for city must be provided")
	id := a.post(strict, obj{"properties": obj{"city": "Rome"}}).want(t, 201).str("id")
	late := obj{"properties": obj{"lifecyclestage": "customer"}}
	got := a.patch(strict+"/"+id, late)
	got.says(t, 400, "MISSING_CONDITIONAL_REQUIRED_PROPERTY")
	same(t, "name", got.at("errors", 0, "context", "propertyName", 0), "company")
	a.patch(contacts+"/"+id, late).says(t, 200)
}

func TestAStageOnlyMovesForward(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	id := a.person(obj{"firstname": "Ada", "lifecyclestage": "customer"})
	stage := func(v string) any {
		return a.patch(contacts+"/"+id, obj{"properties": obj{"lifecyclestage": v}}).want(t, 200).at("properties", "lifecyclestage")
	}
	same(t, "backwards", stage("lead"), "customer")
	stage("")
	same(t, "after clearing", stage("lead"), "lead")
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
	a.pass(time.Second)
}
