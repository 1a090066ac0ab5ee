package hubspot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"crmsync/connectors"
)

const (
	contactFields = "GET properties/2026-09/contacts"
	newField      = "POST properties/2026-09/contacts"
	newGroup      = "POST properties/2026-09/contacts/groups"
	messageFields = "GET properties/2026-09/communications"
	newOnMessage  = "POST properties/2026-09/communications"
	messageGroup  = "POST properties/2026-09/communications/groups"
)

func defined(typ, name string, more ...any) m {
	d := m{"name": name, "type": typ, "fieldType": "text"}
	for i := 0; i < len(more); i += 2 {
		d[more[i].(string)] = more[i+1]
	}
	return d
}

func list(d ...m) reply { return say(200, m{"results": d}) }

func ready() []m {
	return []m{defined("string", messageKeyProperty, "hasUniqueValue", true), defined("string", wamidProperty), defined("enumeration", directionProperty), defined("enumeration", statusProperty)}
}

func summary(findings []connectors.Finding) (s []string) {
	for _, f := range findings {
		line := f.Object + "." + f.Field
		if f.Fatal {
			line += " fatal"
		}
		if f.Fixable {
			line += " fixable"
		}
		s = append(s, line)
	}
	return s
}

func TestSetupFindsWhatIsMissingAndTouchesNothing(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, list(
		defined("string", "firstname"), defined("number", "age"), defined("datetime", "createdate", "modificationMetadata", m{"readOnlyValue": true}),
		defined("enumeration", "tags", "fieldType", "checkbox", "options", []m{{"value": "vip"}}),
		defined("enumeration", "colour", "fieldType", "select", "options", []m{{"value": "red"}}),
		defined("enumeration", "stage", "fieldType", "select"), defined("date", "birthday")))
	p.on(messageFields, list())
	got, err := c.Setup(t.Context(), []connectors.Field{
		{Name: "firstname", Type: connectors.TypeText},
		{Name: "age", Type: connectors.TypeTime},
		{Name: "createdate", Type: connectors.TypeTime},
		{Name: "tags", Type: connectors.TypeLabels, Options: []string{"vip", "new"}},
		{Name: "colour", Type: connectors.TypeEnum, Options: []string{"red", "blue"}},
		{Name: "stage", Type: connectors.TypeLabels},
		{Name: "wa_lang", Type: connectors.TypeText},
		{Name: "birthday", Type: connectors.TypeTime},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"contacts.crmsync_wa_id fatal fixable", "contacts.age fatal", "contacts.createdate fatal", "contacts.colour", "contacts.stage fatal",
		"contacts.wa_lang fatal fixable", "communications.crmsync_message_key fixable", "communications.crmsync_wamid fixable", "communications.crmsync_direction fixable", "communications.crmsync_status fixable",
	}
	if s := summary(got); !slices.Equal(s, want) {
		t.Errorf("got %q, want %q", s, want)
	}
	if !c.dates()["birthday"] {
		t.Error("birthday is not known to be a date")
	}
}

func TestSetupCreatesWhatIsMissing(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, list(defined("string", "firstname")))
	p.on(messageFields, list())
	exists := say(409, m{"category": "OBJECT_ALREADY_EXISTS", "subCategory": "Properties.PROPERTY_WITH_NAME_EXISTS"})
	p.on(newGroup, exists) // another replica was faster
	p.on(newField, exists, say(201, m{}))
	p.on(messageGroup, say(201, m{}))
	p.on(newOnMessage, say(201, m{}))
	p.on(createMessages, accept)
	got, err := c.Setup(t.Context(), []connectors.Field{
		{Name: "n", Type: connectors.TypeNumber},
		{Name: "b", Type: connectors.TypeBool},
		{Name: "d", Type: connectors.TypeTime},
		{Name: "e", Type: connectors.TypeEnum, Options: []string{"x"}},
		{Name: "l", Label: "Labels", Type: connectors.TypeLabels, Options: []string{"x", "y"}},
		{Name: "o", Type: connectors.TypeOwner},
		{Name: "firstname", Type: connectors.TypeText},
		{Name: "n", Type: connectors.TypeNumber},
	}, true)
	if err != nil || len(got) != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	var made []string
	for _, a := range p.calls(newField) {
		made = append(made, a.body)
	}
	for i, s := range []string{
		`{"name":"crmsync_wa_id","label":"WhatsApp id (crmsync)","groupName":"crmsync","type":"string","fieldType":"text","hasUniqueValue":true}`,
		`{"name":"n","label":"n","groupName":"crmsync","type":"number","fieldType":"number"}`,
		`"type":"bool","fieldType":"booleancheckbox","options":[{"label":"Yes","value":"true"`,
		`"type":"datetime","fieldType":"date"`,
		`"type":"enumeration","fieldType":"select","options":[{"label":"x","value":"x","displayOrder":0,"hidden":false}]`,
		`{"name":"l","label":"Labels","groupName":"crmsync","type":"enumeration","fieldType":"checkbox","options":[{"label":"x","value":"x","displayOrder":0,"hidden":false},{"label":"y"`,
		`"name":"o","label":"o","groupName":"crmsync","type":"string"`,
	} {
		if i >= len(made) || !strings.Contains(made[i], s) {
			t.Errorf("property %d: got %v, want %s", i, made, s)
		}
	}
	if len(made) != 7 {
		t.Errorf("made %d properties", len(made))
	}
	want(t, c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")}), "+9000")
	if got := p.calls(createMessages)[0].in.Inputs[0].Properties[wamidProperty]; got != "wamid.A" {
		t.Errorf("the new property is not used: %q", got)
	}
}

func TestAnAccountWithoutOwnPropertiesOnMessagesIsUsableAllTheSame(t *testing.T) {
	for name, refuse := range map[string]reply{
		"not allowed":   say(400, m{"category": "VALIDATION_ERROR", "message": "no"}),
		"missing scope": say(403, m{"category": "MISSING_SCOPES"}),
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortal(t)
			p.on(contactFields, list(defined("string", keyProperty, "hasUniqueValue", true)))
			p.on(messageFields, list())
			p.on(messageGroup, refuse)
			p.on(createMessages, accept)
			got, err := c.Setup(t.Context(), nil, true)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"communications.crmsync_message_key", "communications.crmsync_wamid", "communications.crmsync_direction", "communications.crmsync_status"}
			if s := summary(got); !slices.Equal(s, want) {
				t.Errorf("got %q, want %q", s, want)
			}
			c.CreateMessages(t.Context(), []connectors.MessageChange{message("wamid.A")})
			if in := p.calls(createMessages)[0].in.Inputs[0]; !strings.HasSuffix(in.Properties[bodyProperty], "wamid.A") {
				t.Errorf("got %+v", in)
			}
		})
	}
}

func TestAKeyThatIsNotUniqueCannotBeMended(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, list(defined("string", keyProperty)))
	p.on(messageFields, list(ready()...))
	got, err := c.Setup(t.Context(), nil, true)
	if err != nil || !slices.Equal(summary(got), []string{"contacts.crmsync_wa_id fatal"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAccountThatCannotBeAskedIsAnError(t *testing.T) {
	for status, class := range map[int]connectors.Class{401: connectors.Unauthorized, 403: connectors.Unauthorized, 503: connectors.Transient, 404: connectors.Transient, 429: connectors.Throttled} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			p, c := newPortal(t)
			p.on(contactFields, say(status, m{"status": "error"}))
			p.on("GET properties/2026-03/contacts", say(status, m{"status": "error"}))
			_, err := c.Setup(t.Context(), nil, true)
			if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Class != class {
				t.Errorf("got %v, want %s", err, class)
			}
		})
	}
}
