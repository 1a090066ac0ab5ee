package zoho

import (
	"fmt"
	"strings"
	"testing"

	"crmsync/connectors"
)

const (
	newFields  = "POST settings/fields"
	newModules = "POST settings/modules"
)

// create answers as Zoho does, and derives the API name from the label.
func (o *org) create(suffix string) reply {
	return func(a ask) (int, any) {
		module := strings.TrimPrefix(a.query, "module=")
		f := a.in.Fields[0]
		id := fmt.Sprint(7000 + len(o.asked))
		made := m{"id": id, "api_name": strings.ReplaceAll(f["field_label"].(string), " ", "_") + suffix, "custom_field": true}
		for k, v := range f {
			made[k] = v
		}
		o.fields[module] = append(o.fields[module], made)
		return 201, m{"fields": []m{{"code": "SUCCESS", "details": m{"id": id}, "message": "field created", "status": "success"}}}
	}
}

func (o *org) createModule(ask) (int, any) {
	o.fields[messageModule] = []m{field("Name", "text"), field("Owner", "ownerlookup")}
	return 201, m{"modules": []m{{"code": "SUCCESS", "details": m{"id": "5"}, "message": "module created successfully", "status": "success"}}}
}

func TestAnEmptyOrganisationIsSetUp(t *testing.T) {
	o, c := newOrg(t)
	o.fields = map[string][]m{contacts: {field("Last_Name", "text"), field("Phone", "phone"), field("Tag", "text")}}
	o.on(newFields, o.create(""))
	o.on(newModules, o.createModule)
	o.on(users, oneUser)
	fields := []connectors.Field{
		{Name: "Last_Name", Type: connectors.TypeText},
		{Name: "WA_Opt_In", Label: "WhatsApp consent", Type: connectors.TypeEnum, Options: []string{"yes", "no"}},
		{Name: "Lead_Points", Label: "Lead Points", Type: connectors.TypeNumber},
		{Name: "Tag", Type: connectors.TypeLabels},
	}

	before, err := c.Setup(t.Context(), fields, false)
	if err != nil || len(before) != 4 {
		t.Fatalf("before: %+v, %v", before, err)
	}
	for _, f := range before {
		if !f.Fixable || f.Fatal != (f.Object == contacts) {
			t.Errorf("finding %+v", f)
		}
	}
	if c.Limits().LookAfter.Seconds() != 5 {
		t.Error("messages are not notes without the module")
	}
	for range 2 {
		if after, err := c.Setup(t.Context(), fields, true); err != nil || len(after) != 0 {
			t.Fatalf("after: %+v, %v", after, err)
		}
	}
	if c.Limits().LookAfter.Seconds() != 1 || c.schema.key != keyField || len(c.schema.module) != 7 {
		t.Errorf("schema %+v", c.schema)
	}
	made := o.calls(newFields)
	if len(made) != 10 {
		t.Errorf("%d fields", len(made))
	}
	if want := `{"fields":[{"field_label":"WA ID","data_type":"text","length":255,"unique":{"case_sensitive":false}}]}`; strings.TrimSpace(made[0].body) != want {
		t.Errorf("key %s", made[0].body)
	}
	modules := o.calls(newModules)
	if len(modules) != 1 || !strings.Contains(modules[0].body, `"profiles":[{"id":"77"}]`) || !strings.Contains(modules[0].body, `"api_name":"WhatsApp_Messages"`) {
		t.Errorf("modules %+v", modules)
	}
}

func TestWhatASetupFinds(t *testing.T) {
	tests := map[string]struct {
		have  m
		field connectors.Field
		fatal bool
		says  string
	}{
		"read-only":     {field("F", "text", m{"read_only": true}), connectors.Field{Type: connectors.TypeText}, true, "read-only"},
		"not writable":  {field("F", "text", m{"operation_type": m{"api_update": false}}), connectors.Field{Type: connectors.TypeText}, true, "read-only"},
		"wrong type":    {field("F", "boolean"), connectors.Field{Type: connectors.TypeText}, true, "type boolean"},
		"one value":     {field("F", "picklist"), connectors.Field{Type: connectors.TypeLabels}, true, "cannot hold"},
		"list for text": {field("F", "picklist"), connectors.Field{Type: connectors.TypeText}, false, "list of values"},
		"lacks values":  {field("F", "picklist", m{"pick_list_values": []m{{"actual_value": "a"}}}), connectors.Field{Type: connectors.TypeEnum, Options: []string{"a", "b"}}, false, "add them in Zoho: b"},
		"fine":          {field("F", "datetime"), connectors.Field{Type: connectors.TypeTime}, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.fields[contacts] = append(o.fields[contacts], test.have)
			test.field.Name = "F"
			got, err := c.Setup(t.Context(), []connectors.Field{test.field}, true)
			if err != nil || len(got) > 1 || (len(got) == 0) != (test.says == "") {
				t.Fatalf("got %+v, %v", got, err)
			}
			if len(got) == 1 && (got[0].Fatal != test.fatal || !strings.Contains(got[0].Problem, test.says) || got[0].Fixable) {
				t.Errorf("got %+v", got[0])
			}
		})
	}
}

func TestAKeyThatIsNotUnique(t *testing.T) {
	o, c := newOrg(t)
	o.fields[contacts] = []m{field("WA_ID", "text"), field("Last_Name", "text")}
	got, err := c.Setup(t.Context(), nil, true)
	if err != nil || len(got) != 1 || !got[0].Fatal || got[0].Field != keyField {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Zoho has the last word on API names.
func TestNamesAreReadAndNotComputed(t *testing.T) {
	o, c := newOrg(t)
	o.fields[contacts] = []m{field("Last_Name", "text")}
	o.on(newFields, o.create("1"))
	got, err := c.Setup(t.Context(), []connectors.Field{{Name: "Lead_Points", Type: connectors.TypeNumber}}, true)
	if err != nil || len(got) != 1 || !strings.Contains(got[0].Problem, "Lead_Points1") {
		t.Errorf("got %+v, %v", got, err)
	}
	o.on(query, nobody)
	o.on(upsert, accept)
	if r := c.WriteContacts(t.Context(), []connectors.ContactChange{change("IT.1", nil)}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	if a := o.calls(upsert)[0]; a.in.Check[0] != "WA_ID1" || a.in.Data[0]["WA_ID1"] != "IT.1" {
		t.Errorf("upsert %s", a.body)
	}
}

func TestAnEditionWithoutModulesOrUniqueFields(t *testing.T) {
	for name, r := range map[string]reply{
		"row":        say(400, m{"modules": []m{fails("LIMIT_EXCEEDED", m{"limit": 0})}}),
		"whole":      say(400, fails("LIMIT_EXCEEDED", m{})),
		"permission": say(403, fails("NO_PERMISSION", m{})),
		"scope":      say(401, fails("OAUTH_SCOPE_MISMATCH", m{})),
	} {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			delete(o.fields, messageModule)
			o.on(users, oneUser)
			o.on(newModules, r)
			got, err := c.Setup(t.Context(), nil, true)
			if err != nil || len(got) != 1 || got[0].Fatal || got[0].Object != messageModule || !strings.Contains(got[0].Problem, "notes") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	o, c := newOrg(t)
	o.fields[contacts] = []m{field("Last_Name", "text"), field("A", "text", once), field("B", "text", once)}
	o.on(newFields, say(400, m{"fields": []m{fails("LIMIT_EXCEEDED", m{"limit": 2})}}))
	got, err := c.Setup(t.Context(), nil, true)
	if err != nil || len(got) != 1 || !got[0].Fatal || !strings.Contains(got[0].Problem, "LIMIT_EXCEEDED") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestASetupThatCannotAsk(t *testing.T) {
	o, c := newOrg(t)
	o.on("GET settings/fields", say(503, "<html>"))
	if _, err := c.Setup(t.Context(), nil, true); connectors.AsError(err).Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
}
