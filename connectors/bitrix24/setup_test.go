package bitrix24

import (
	"net/url"
	"strings"
	"testing"

	"crmsync/connectors"
)

// ready has a portal with nothing left to be done.
func ready(t *testing.T) (*portal, *Client) {
	p, c := newPortal(t)
	p.on(scope, always([]string{"crm", "user_basic"}))
	return p, c
}

func mapped() []connectors.Field {
	return []connectors.Field{
		{Name: "NAME", Type: connectors.TypeText},
		{Name: "PHONE", Type: connectors.TypePhone},
		{Name: "ASSIGNED_BY_ID", Type: connectors.TypeOwner},
		{Name: "UF_CRM_LABELS", Type: connectors.TypeLabels, Options: []string{"vip"}},
		{Name: "UF_CRM_OPT_IN", Type: connectors.TypeBool},
	}
}

func TestAPortalThatIsReady(t *testing.T) {
	p, c := ready(t)
	got, err := c.Setup(t.Context(), mapped(), false)
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if n := len(p.requests); n != 3 {
		t.Errorf("took %d requests", n)
	}
}

func TestWhatIsWrongWithAPortal(t *testing.T) {
	field := func(name string, typ connectors.FieldType, options ...string) connectors.Field {
		return connectors.Field{Name: name, Type: typ, Options: options}
	}
	tests := map[string]struct {
		change  func(p *portal, f m)
		field   connectors.Field
		want    string
		fatal   bool
		fixable bool
	}{
		"no key":               {func(_ *portal, f m) { delete(f, keyField) }, field("NAME", "text"), "recognises contacts by it", true, true},
		"a multiple key":       {func(_ *portal, f m) { f[keyField].(m)["isMultiple"] = true }, field("NAME", "text"), "is multiple", true, false},
		"no field":             {nil, field("UF_CRM_NEW", "text"), "does not exist", true, true},
		"no standard field":    {nil, field("NICKNAME", "text"), "no such field", true, false},
		"a name too long":      {nil, field("UF_CRM_"+strings.Repeat("A", 44), "text"), "no such field", true, false},
		"read-only":            {nil, field("DATE_MODIFY", "time"), "read-only", true, false},
		"the wrong type":       {nil, field("UF_CRM_NUMBER", "bool"), "cannot hold a bool", true, false},
		"labels need a set":    {nil, field("UF_CRM_LEVEL", "labels"), "labels need", true, false},
		"values are lacking":   {nil, field("UF_CRM_LABELS", "labels", "vip", "late"), "lacks values: late", false, true},
		"must be filled":       {func(_ *portal, f m) { f["BIRTHDATE"].(m)["isRequired"] = "Y" }, field("NAME", "text"), "must be filled", false, false},
		"no scope for CRM":     {func(p *portal, _ m) { p.on(scope, always([]string{"user"})) }, field("NAME", "text"), "scope crm", true, false},
		"no scope for owners":  {func(p *portal, _ m) { p.on(scope, always([]string{"crm"})) }, field("ASSIGNED_BY_ID", "owner"), "user_basic", false, false},
		"the filter is broken": {func(p *portal, _ m) { p.on(contactList, always([]m{person("1", "")})) }, field("NAME", "text"), "filter by time", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := ready(t)
			f := fields()
			if tt.change != nil {
				tt.change(p, f)
			}
			p.on(contactFields, always(f))
			got, err := c.Setup(t.Context(), []connectors.Field{tt.field}, false)
			if err != nil || len(got) != 1 || !strings.Contains(got[0].Problem, tt.want) || got[0].Fatal != tt.fatal || got[0].Fixable != tt.fixable {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestWhatIsMissingIsCreated(t *testing.T) {
	p, c := ready(t)
	f := fields()
	delete(f, keyField)
	delete(f, "UF_CRM_LABELS")
	p.on(contactFields, always(f))
	p.on(fieldAdd, func(q url.Values) any {
		f["UF_CRM_"+q.Get("fields[FIELD_NAME]")] = fields()["UF_CRM_"+q.Get("fields[FIELD_NAME]")]
		return 77
	})
	got, err := c.Setup(t.Context(), mapped(), true)
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	q := p.calls(fieldAdd)
	has(t, q[0], "fields[FIELD_NAME]", "CRMSYNC_WA_ID", "fields[USER_TYPE_ID]", "string", "fields[MULTIPLE]", "-")
	has(t, q[1], "fields[FIELD_NAME]", "LABELS", "fields[USER_TYPE_ID]", "enumeration", "fields[MULTIPLE]", "Y", "fields[LIST][0][VALUE]", "vip")
	if c.schema.fields[keyField].Type != "string" {
		t.Error("the new field is not known")
	}
	if got, err = c.Setup(t.Context(), mapped(), true); err != nil || len(got) != 0 || len(p.calls(fieldAdd)) != 2 {
		t.Errorf("the second time: %+v, %v", got, err)
	}
}

func TestAPortalThatLetsNothingBeCreated(t *testing.T) {
	p, c := ready(t)
	f := fields()
	delete(f, keyField)
	p.on(contactFields, always(f))
	p.on(fieldAdd, always(no{400, "", "Access denied."}))
	p.on(fieldList, always(no{400, "", "Access denied."}))
	got, err := c.Setup(t.Context(), []connectors.Field{{Name: "UF_CRM_LABELS", Type: "labels", Options: []string{"late"}}}, true)
	if err != nil || len(got) != 2 || !got[1].Fatal || got[1].Field != keyField || got[0].Fatal || !strings.Contains(got[0].Problem, "late") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAccountThatCannotBeAsked(t *testing.T) {
	p, c := ready(t)
	p.on(contactFields, always(no{401, "INVALID_CREDENTIALS", "Invalid request credentials"}))
	_, err := c.Setup(t.Context(), nil, true)
	e := connectors.AsError(err)
	if e == nil || e.Class != connectors.Unauthorized {
		t.Errorf("got %v", err)
	}
	private(t, e)
}

func TestTheFilterByTimeIsTriedInBothForms(t *testing.T) {
	p, c := ready(t)
	p.on(contactList, func(q url.Values) any {
		if strings.Contains(q.Get("filter[>=DATE_MODIFY]"), "T") {
			return []m{person("1", "")}
		}
		return []m{}
	})
	if got, err := c.Setup(t.Context(), nil, false); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if z := c.schema.dates.zone; z == nil || !strings.Contains(z.String()+noon.In(z).Format("-0700"), "+0300") {
		t.Errorf("zone %v", z)
	}
}

func TestAPortalThatDoesNotTellItsScopes(t *testing.T) {
	p, c := newPortal(t)
	p.on(scope, always(no{404, "ERROR_METHOD_NOT_FOUND", "Method not found!"}))
	if got, err := c.Setup(t.Context(), nil, false); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
