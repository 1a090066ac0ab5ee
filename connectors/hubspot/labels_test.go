package hubspot

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

const (
	tagsField = "GET properties/2026-09/contacts/tags"
	editTags  = "PATCH properties/2026-09/contacts/tags"
)

func newPortalWithFields(t *testing.T) (*portal, *Client) {
	t.Helper()
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	if _, err := c.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.on(find, nobody)
	p.on(upsert, accept)
	return p, c
}

func TestAnOwnerMayBeGivenByEmail(t *testing.T) {
	p, c := newPortalWithFields(t)
	p.on(users, say(200, m{"results": []m{{"id": "71", "email": "Ada@x.it"}, {"id": "72", "email": "q@x.it", "type": "QUEUE"}}}))
	fields := map[string]any{"firstname": "ada@x.it", ownerProperty: " ADA@x.it"}
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{Key: "1", Fields: fields},
		{Key: "2", Fields: map[string]any{"firstname": "B", ownerProperty: "99"}},
		{Key: "3", Fields: map[string]any{"firstname": "C", "buddy": "ada@x.it", ownerProperty: nil}},
		{Key: "4", Fields: map[string]any{"firstname": "D", ownerProperty: "q@x.it"}},
	})
	want(t, got, "+9000", "+9001", "+9002", "rejected")
	if e := got[3].Err; e.Code != "INVALID_OWNER_ID" || e.Field != ownerProperty || strings.Contains(e.Error(), "q@x") {
		t.Errorf("got %v", e)
	}
	in := p.calls(upsert)[0].in.Inputs
	if in[0].Properties[ownerProperty] != "71" || in[0].Properties["firstname"] != "ada@x.it" || in[1].Properties[ownerProperty] != "99" || in[2].Properties["buddy"] != "71" || in[2].Properties[ownerProperty] != "" {
		t.Errorf("wrote %+v", in)
	}
	if fields[ownerProperty] != " ADA@x.it" {
		t.Error("the caller's fields have changed")
	}
	if n := len(p.calls(users)); n != 1 {
		t.Errorf("asked for the owners %d times", n)
	}
}

func TestSomebodyWhoIsNotOnTheListOfOwnersMayBeNew(t *testing.T) {
	p, c := newPortalWithFields(t)
	p.on(users, say(200, m{"results": []m{{"id": "71", "email": "ada@x.it"}}}), say(200, m{"results": []m{{"id": "71", "email": "ada@x.it"}, {"id": "75", "email": "new@x.it"}}}))
	owned := func(email string) connectors.ContactChange {
		return connectors.ContactChange{Key: email, Fields: map[string]any{"firstname": "N", ownerProperty: email}}
	}
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{owned("ada@x.it")}), "+9000")
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{owned("new@x.it"), owned("nobody@x.it"), owned("no-one@x.it")}), "+9000", "rejected", "rejected")
	if n := len(p.calls(users)); n != 2 {
		t.Errorf("asked for the owners %d times", n)
	}
	c.owners.at = time.Now().Add(-ownersFor - time.Second)
	c.WriteContacts(t.Context(), []connectors.ContactChange{owned("ada@x.it")})
	if n := len(p.calls(users)); n != 3 {
		t.Errorf("an old list is good for ever: asked %d times", n)
	}
}

func TestOwnersThatCannotBeListedHoldUpTheirContactsOnly(t *testing.T) {
	for status, class := range map[int]string{503: "transient", 403: "rejected", 401: "unauthorized"} {
		p, c := newPortalWithFields(t)
		p.on(users, say(status, m{"category": "MISSING_SCOPES", "context": m{"requiredGranularScopes": []string{"crm.objects.owners.read"}}}))
		mail := map[string]any{"firstname": "N", ownerProperty: "ada@x.it"}
		got := c.WriteContacts(t.Context(), []connectors.ContactChange{{Key: "1", Fields: mail}, {Key: "2", Fields: map[string]any{"firstname": "N"}}, {Key: "3", Fields: mail}})
		want(t, got, class, "+9000", class)
		if e := got[0].Err; status == 403 && !strings.Contains(e.Reason, "crm.objects.owners.read") {
			t.Errorf("got %v", e)
		}
		if n := len(p.calls(users)); status != 403 && n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}

func tagged(key string, tags ...string) connectors.ContactChange {
	return connectors.ContactChange{Key: key, Fields: map[string]any{"firstname": "N", "tags": tags}}
}

func TestLabelsThatAPropertyDoesNotKnowAreAddedToIt(t *testing.T) {
	p, c := newPortalWithFields(t)
	p.on(tagsField, say(200, `{"name":"tags","type":"enumeration","fieldType":"checkbox","options":[{"value":"vip","label":"VIP","displayOrder":-1,"hidden":false,"description":"d","x":1},{"value":"other","label":"O","displayOrder":4,"hidden":true}]}`))
	p.on(editTags, say(200, m{}))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "vip", "gold"), tagged("2", "silver", "gold", "", "other"), tagged("3", "new"), tagged("4")}), "+9000", "+9001", "+9002", "+9003")
	got := strings.TrimSpace(p.calls(editTags)[0].body)
	if want := `{"options":[{"value":"vip","label":"VIP","displayOrder":-1,"hidden":false,"description":"d","x":1},{"value":"other","label":"O","displayOrder":4,"hidden":true},{"label":"gold","value":"gold","displayOrder":5,"hidden":false},{"label":"silver","value":"silver","displayOrder":6,"hidden":false}]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if order := p.order(); !slices.Equal(order[1:], []string{"tags", "tags", "upsert"}) {
		t.Errorf("order %v", order)
	}
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "gold", "other")}), "+9000")
	if n := len(p.calls(tagsField)); n != 1 {
		t.Errorf("looked at the property %d times", n)
	}
}

func TestLabelsThatCannotBeAddedHoldUpTheirContactsOnly(t *testing.T) {
	full := `{"name":"tags","type":"enumeration","fieldType":"checkbox","options":[`
	for i := range maxOptions {
		full += fmt.Sprintf(`{"label":"%d","value":"%d"},`, i, i)
	}
	full = strings.TrimSuffix(full, ",") + "]}"
	now := say(200, m{"name": "tags", "type": "enumeration", "fieldType": "checkbox"})
	for name, tt := range map[string]struct {
		read, edit reply
		class      connectors.Class
		code       string
	}{
		"no scope":      {now, say(403, m{"category": "MISSING_SCOPES"}), connectors.Rejected, "MISSING_SCOPES"},
		"refused":       {now, say(400, m{"category": "VALIDATION_ERROR", "message": "gold"}), connectors.Rejected, "VALIDATION_ERROR"},
		"a conflict":    {now, say(409, m{"category": "OBJECT_ALREADY_EXISTS"}), connectors.Rejected, "CONFLICT"},
		"outage":        {now, say(503, ""), connectors.Transient, ""},
		"throttled":     {now, say(429, m{"policyName": "TEN_SECONDLY_ROLLING"}), connectors.Throttled, "TEN_SECONDLY_ROLLING"},
		"property gone": {say(404, m{"category": "OBJECT_NOT_FOUND"}), nil, connectors.Rejected, "PROPERTY_DOESNT_EXIST"},
		"full":          {say(200, full), nil, connectors.Rejected, "TOO_MANY_OPTIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newPortalWithFields(t)
			p.on(tagsField, tt.read)
			if tt.edit != nil {
				p.on(editTags, tt.edit)
			}
			got := c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "vip"), tagged("2", "gold")})
			want(t, got, "+9000", string(tt.class))
			if e := got[1].Err; e.Code != tt.code || e.Field != "tags" || strings.Contains(e.Error(), "gold") {
				t.Errorf("got %v", e)
			}
		})
	}
	t.Run("no label at all", func(t *testing.T) {
		_, c := newPortalWithFields(t)
		want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "a;b"), tagged("2", strings.Repeat("x", 1501)), tagged("3", "vip")}), "rejected", "rejected", "+9000")
	})
}

func TestAnOptionThatIsNotThereAnyMoreIsAddedAtTheNextAttempt(t *testing.T) {
	p, c := newPortalWithFields(t)
	refused := m{"category": "VALIDATION_ERROR", "message": "Property values were not valid", "errors": []m{{"code": "INVALID_OPTION", "context": m{"propertyName": []string{"tags"}}}}}
	p.answers[upsert] = []reply{say(400, refused), accept}
	p.on(tagsField, say(200, m{"name": "tags", "type": "enumeration", "fieldType": "checkbox"}))
	p.on(editTags, say(200, m{}))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "vip")})
	want(t, got, "unknown")
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "vip")}), "+9000")
	if n := len(p.calls(editTags)); n != 1 {
		t.Errorf("%d edits", n)
	}
}

func TestLabelsOfAFieldThatSetupHasMade(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, list(defined("string", keyProperty, "hasUniqueValue", true)))
	p.on(messageFields, list(ready()...))
	p.on(newGroup, say(201, m{}))
	p.on(newField, say(201, m{}))
	if _, err := c.Setup(t.Context(), []connectors.Field{{Name: "tags", Type: connectors.TypeLabels, Options: []string{"vip"}}}, true); err != nil {
		t.Fatal(err)
	}
	p.on(find, nobody)
	p.on(upsert, accept)
	p.on(tagsField, say(200, m{"name": "tags", "type": "enumeration", "fieldType": "checkbox", "options": []m{{"value": "vip", "label": "vip"}}}))
	p.on(editTags, say(200, m{}))
	want(t, c.WriteContacts(t.Context(), []connectors.ContactChange{tagged("1", "vip"), tagged("2", "gold")}), "+9000", "+9001")
	if n := len(p.calls(editTags)); n != 1 {
		t.Errorf("%d edits", n)
	}
}
