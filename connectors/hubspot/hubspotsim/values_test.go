package hubspotsim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

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

func TestEveryReadShowsWhatIsUnsetAndNotWhatIsUndefined(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	yes := []obj{{"label": "Yes", "value": "true", "displayOrder": 0, "hidden": false}, {"label": "No", "value": "false", "displayOrder": 1, "hidden": false}}
	a.define("contacts", "wa_ok", obj{"type": "bool", "fieldType": "booleancheckbox", "options": yes}).want(t, 201)
	id := a.post(contacts, `{"properties":{"numemployees":12,"wa_ok":true,"closedate":1790841600000,"city":"Turin"}}`).want(t, 201).str("id")
	a.patch(contacts+"/"+id, `{"properties":{"city":""}}`).want(t, 200)
	names := []string{"numemployees", "wa_ok", "closedate", "city", "company", "nothing_of_the_kind"}
	stored := obj{"numemployees": "12", "wa_ok": "true", "closedate": "2026-10-01T08:00:00.000Z", "city": nil, "company": nil}
	query := "?properties=" + strings.Join(names, ",")
	for what, got := range map[string]any{
		"one":         a.get(contacts + "/" + id + query).at("properties"),
		"a list":      a.get(contacts+query).at("results", 0, "properties"),
		"a batch":     a.post(contacts+"/batch/read", obj{"inputs": []obj{{"id": id}}, "properties": names}).at("results", 0, "properties"),
		"a search":    a.search(obj{"properties": names}).at("results", 0, "properties"),
		"with dates":  a.get("/crm/objects/2026-09/contacts/" + id + query).at("properties"),
		"many a time": a.get(contacts + "/" + id + "?properties=" + strings.Join(names, "&properties=")).at("properties"),
	} {
		got, _ := got.(obj)
		for name, want := range stored {
			if v, there := got[name]; !there || v != want {
				t.Errorf("%s: got %q for %s, want %v", what, v, name, want)
			}
		}
		if _, there := got["nothing_of_the_kind"]; there {
			t.Errorf("%s: shows a property that is not defined", what)
		}
	}
}

func TestAllOffendersAreNamedTwice(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	want := []string{
		`email INVALID_EMAIL Email address ada@ is invalid`,
		`hat PROPERTY_DOESNT_EXIST Property "hat" does not exist`,
		`hs_object_id READ_ONLY_VALUE "hs_object_id" is a read only property; its value cannot be set.`,
		`hubspot_owner_id INVALID_OWNER_ID 910901 was not a valid owner ID`,
		`shoe PROPERTY_DOESNT_EXIST Property "shoe" does not exist`,
	}
	wrong := obj{"properties": obj{
		"firstname": "Ada", "shoe": "39", "hat": "56", "hs_object_id": "7", "email": "ada@", "hubspot_owner_id": "910901",
	}}
	id := a.person(obj{"lastname": "King"})
	for name, got := range map[string]answer{
		"create": a.post(contacts, wrong), "update": a.patch(contacts+"/"+id, wrong),
		"batch": a.batch("create", []obj{{"properties": obj{"firstname": "Bo"}}, wrong}),
	} {
		got.says(t, 400, `"category":"VALIDATION_ERROR"`)
		for n, line := range want {
			same(t, name, fmt.Sprint(got.at("errors", n, "context", "propertyName", 0), " ", got.at("errors", n, "code"), " ", got.at("errors", n, "message")), line)
		}
		same(t, name, got.count("errors"), len(want))
		list, found := strings.CutPrefix(got.str("message"), "Property values were not valid: ")
		var inside []obj
		if err := json.Unmarshal([]byte(list), &inside); err != nil || !found || len(inside) != len(want) {
			t.Fatalf("%s: got message %s, want %d values: %v", name, got.str("message"), len(want), err)
		}
		for n, e := range inside {
			same(t, name, fmt.Sprint(e["name"], " ", e["error"], " ", e["message"]), want[n])
			same(t, name, []any{e["isValid"], e["localizedErrorMessage"], e["portalId"]}, []any{false, e["message"], 62515})
		}
		same(t, name, inside[1]["propertyValue"], "56")
	}
	same(t, "contacts", a.Stats().Contacts, 1)
	same(t, "first name", a.get(contacts+"/"+id).at("properties", "firstname"), nil)
}

func TestWhatHubSpotSetsNobodyElseDoes(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	for path, names := range map[string][]string{
		contacts: {
			"hs_object_id", "lastmodifieddate", "hs_lastmodifieddate", "hs_merged_object_ids", "hs_email_domain", "hs_full_name_or_email",
			"hs_is_unworked", "hs_searchable_calculated_phone_number", "hs_object_source", "hs_object_source_id", "num_notes",
		},
		communications: {"hs_object_id", "hs_createdate", "hs_lastmodifieddate", "hs_body_preview", "hs_object_source"},
	} {
		good := obj{"firstname": "Ada"}
		if path == communications {
			good = whatsApp("hello")
		}
		id := a.post(path, obj{"properties": good}).want(t, 201).str("id")
		for _, name := range names {
			bad := obj{name: "1"}
			for k, v := range good {
				bad[k] = v
			}
			for what, got := range map[string]answer{"create": a.post(path, obj{"properties": bad}), "update": a.patch(path+"/"+id, obj{"properties": obj{name: "1"}})} {
				if got.status != 400 || got.str("errors", 0, "code") != "READ_ONLY_VALUE" || got.count("errors") != 1 {
					t.Errorf("%s with %s: got %d %s, want READ_ONLY_VALUE", what, name, got.status, got.body)
				}
			}
		}
	}
	// A contact may bring the time of its creation along, but it never changes.
	id := a.person(obj{"firstname": "Bo", "createdate": "2020-02-02T10:00:00Z"})
	same(t, "created", a.get(contacts+"/"+id).str("createdAt"), "2020-02-02T10:00:00.000Z")
	a.patch(contacts+"/"+id, obj{"properties": obj{"createdate": "2021-02-02T10:00:00Z"}}).says(t, 400, "READ_ONLY_VALUE")
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
		{"", "<nil>"},
		{";late;late", "late"},
		{"vip;vip", "vip"},
	} {
		got := a.patch(contacts+"/"+id, obj{"properties": obj{"labels": step.write}}).want(t, 200)
		same(t, "after "+step.write, got.at("properties", "labels"), step.want)
	}
	a.patch(contacts+"/"+id, obj{"properties": obj{"labels": "vip,late"}}).says(t, 400, "INVALID_OPTION", "vip,late was not one of the allowed options: [label: ")
	a.patch(contacts+"/"+id, obj{"properties": obj{"labels": ";late;unheard_of"}}).says(t, 400, "INVALID_OPTION", "unheard_of was not one of")
	same(t, "after both", a.get(contacts+"/"+id+"?properties=labels").at("properties", "labels"), "vip")
	same(t, "of a new contact", a.post(contacts, obj{"properties": obj{"labels": ";late;vip"}}).want(t, 201).at("properties", "labels"), "late;vip")
	a.post(contacts, obj{"properties": obj{"hs_language": "en;it"}}).says(t, 400, "INVALID_OPTION", "en;it was not one of")
}

func TestADayIsAtMidnight(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.define("contacts", "wa_since", obj{"type": "date", "fieldType": "date"}).want(t, 201)
	write := func(version string, value any) answer {
		path := contacts
		if version != "v3" {
			path = "/crm/objects/" + version + "/contacts"
		}
		return a.post(path, obj{"properties": obj{"firstname": "Ada", "wa_since": value}})
	}
	for _, version := range []string{"v3", "2026-03", "2026-09"} {
		for _, good := range []any{"2023-05-24", 1684886400000} {
			got := write(version, good).want(t, 201)
			same(t, fmt.Sprint(version, good), got.at("properties", "wa_since"), "2023-05-24")
			same(t, "warnings", got.at("warnings"), nil)
		}
		write(version, "soon").says(t, 400, "INVALID_DATE")
	}
	for _, version := range []string{"v3", "2026-03"} {
		write(version, 1684914035320).says(t, 400, "INVALID_DATE", "1684914035320 is at 7:40:35.320 UTC, not midnight!")
		write(version, "2023-05-24T07:40:35Z").says(t, 400, "INVALID_DATE")
	}
	for _, odd := range []any{1684914035320, "2023-05-24T07:40:35Z", 1684914035} {
		got := write("2026-09", odd).want(t, 201)
		same(t, fmt.Sprint(odd), got.at("properties", "wa_since"), "2023-05-24")
		same(t, "warning", got.at("warnings", 0, "category"), "PROPERTY_VALUE_NORMALIZED")
		context, _ := json.Marshal(got.at("warnings", 0, "context"))
		same(t, "context", string(context), fmt.Sprintf(`{"normalizedValue":"2023-05-24","propertyName":"wa_since","rawValue":"%v"}`, odd))
	}
	batch := a.post("/crm/objects/2026-09/contacts/batch/create", obj{"inputs": []obj{{"properties": obj{"wa_since": 1684914035320}}}}).want(t, 201)
	same(t, "in a batch", batch.at("results", 0, "warnings", 0, "category"), "PROPERTY_VALUE_NORMALIZED")
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
	batch := a.post(strict+"/batch/create", obj{"inputs": traced(obj{"city": "Rome"}, obj{"firstname": "Ada"})}).want(t, 207)
	same(t, "in a batch", batch.at("errors", 0, "errors", 0, "code"), "MISSING_REQUIRED_PROPERTY")
	same(t, "which", batch.at("errors", 0, "context", "objectWriteTraceId", 0), "t1")
	a.patch(strict+"/"+id, obj{"properties": obj{"lifecyclestage": "customer", "company": "Engines"}}).says(t, 200)
	// Older versions know nothing of it.
	a.post("/crm/objects/2026-03/contacts", obj{"properties": obj{"lifecyclestage": "customer"}}).says(t, 201)
	a.patch(contacts+"/"+id, obj{"properties": obj{"company": ""}}).says(t, 200)
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
