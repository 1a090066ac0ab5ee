package hubspot

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

const (
	users = "GET owners/2026-09"
	one   = "GET objects/2026-09/contacts/"
)

// schemaOf is an account with a property of every kind.
func schemaOf(more ...m) reply {
	return list(append(more,
		defined("string", "firstname", "label", "First Name"),
		defined("string", "phone", "fieldType", "phonenumber"),
		defined("phone_number", "fax", "fieldType", "phonenumber"),
		defined("number", "age", "fieldType", "number"),
		defined("bool", "vip", "fieldType", "booleancheckbox", "options", []m{{"value": "true"}, {"value": "false"}}),
		defined("enumeration", "asked", "fieldType", "booleancheckbox"),
		defined("datetime", "createdate", "fieldType", "date", "modificationMetadata", m{"readOnlyValue": true}),
		defined("date", "birthday", "fieldType", "date"),
		defined("enumeration", "stage", "fieldType", "radio", "options", []m{{"value": "a", "label": "A"}, {"value": "b"}}),
		defined("enumeration", "tags", "fieldType", "checkbox", "options", []m{{"value": "vip"}, {"value": "new", "hidden": true}}),
		defined("enumeration", ownerProperty, "fieldType", "select"),
		defined("enumeration", "buddy", "fieldType", "select", "referencedObjectType", "OWNER"),
		defined("number", "score", "fieldType", "calculation_equation", "calculated", true),
		defined("object_coordinates", "hs_odd"))...)
}

func TestDescribe(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	got, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range got {
		line := fmt.Sprintf("%s %s", f.Name, f.Type)
		if len(f.Options) > 0 {
			line += " " + strings.Join(f.Options, "|")
		}
		if f.ReadOnly {
			line += " read-only"
		}
		if f.MaxLength > 0 {
			line += fmt.Sprintf(" %d", f.MaxLength)
		}
		lines = append(lines, line)
	}
	want := `age number
asked bool
birthday time
buddy owner
createdate time read-only
fax phone
firstname text 65536
hs_odd text 65536
hubspot_owner_id owner
phone phone
score number read-only
stage enum a|b
tags labels vip|new
vip bool`
	if s := strings.Join(lines, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if got[6].Label != "First Name" || got[0].Label != "age" {
		t.Errorf("labels %q, %q", got[6].Label, got[0].Label)
	}
}

func TestValuesHaveTheirTypes(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(readOut, people(m{"id": "5", "createdAt": "2026-01-02T03:04:05.006Z", "updatedAt": "2026-02-03T04:05:06Z", "properties": m{
		"firstname": "007", "phone": "+39", "age": "42", "vip": "true", "asked": "false", "createdate": "2026-01-02T03:04:05.006Z",
		"birthday": "1970-05-06", "stage": "a", "tags": ";vip;new", ownerProperty: "77", "score": "1.5", "fax": nil, "buddy": "",
	}}))
	fields := []string{"firstname", "phone", "age", "vip", "asked", "createdate", "birthday", "stage", "tags", ownerProperty, "score", "fax", "buddy", "nonsense"}
	got := c.ReadContacts(t.Context(), []string{"5"}, fields)
	want := []connectors.Reading{{Record: connectors.Record{
		ID:        "5",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), UpdatedAt: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
		Fields: map[string]any{
			"firstname": "007", "phone": "+39", "age": int64(42), "vip": true, "asked": false,
			"createdate": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "birthday": time.Date(1970, 5, 6, 0, 0, 0, 0, time.UTC),
			"stage": "a", "tags": []string{"vip", "new"}, ownerProperty: "77", "score": 1.5, "fax": nil, "buddy": nil, "nonsense": nil,
		},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if names := p.calls(readOut)[0].in.Properties; len(names) != 13 {
		t.Errorf("asked for %q", names)
	}
	// A value that does not fit is shown as it is.
	for typ, v := range map[string]value{"number": "NaN", "bool": "maybe", "datetime": "soon"} {
		if got := (&property{Type: typ}).typed(v); got != string(v) {
			t.Errorf("%s: got %v", typ, got)
		}
	}
	if got := (&property{Type: "datetime"}).typed("1763717400005"); got != time.UnixMilli(1763717400005).UTC() {
		t.Errorf("got %v", got)
	}
}

func readings(got []connectors.Reading) (s []string) {
	for _, r := range got {
		switch {
		case r.Err != nil:
			s = append(s, string(r.Err.Class))
		case r.Record.ID == "":
			s = append(s, "gone")
		default:
			s = append(s, r.Record.ID)
		}
	}
	return s
}

func TestMergedRecordsAreFollowedWhenReadAndGoneOnesAreNoFailure(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(readOut, func(in batch) (int, any) {
		if len(in.Inputs) != 6 {
			t.Errorf("the batch names %d records", len(in.Inputs))
		}
		return 207, m{
			"results": []m{person("3"), {"id": "9", "archived": true}},
			"errors":  []m{{"category": "OBJECT_NOT_FOUND", "context": m{"ids": []string{"1", "2", "4", "5"}}}},
		}
	}, people(person("100", "firstname", "A")))
	p.on(one+"1", say(200, person("100")))
	p.on(one+"2", say(404, m{"message": "resource not found"}))
	p.on(one+"4", say(200, person("100")))
	p.on(one+"5", say(200, m{"id": "5", "archived": true}))
	p.on(one+"9", say(404, m{"message": "resource not found"}))
	got := c.ReadContacts(t.Context(), []string{"1", "2", "3", "3", "4", "5", "x1", "9"}, []string{"firstname"})
	if s := strings.Join(readings(got), " "); s != "100 gone 3 3 100 gone gone gone" {
		t.Errorf("got %s", s)
	}
	if got[0].Record.Fields["firstname"] != "A" {
		t.Errorf("got %+v", got[0])
	}
}

func TestReadingInBatchesOfAHundred(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(readOut, func(in batch) (int, any) {
		if in.Inputs[0].ID == "101" {
			return 500, m{}
		}
		return accept(in)
	})
	var ids []string
	for i := range 250 {
		ids = append(ids, fmt.Sprint(i+1))
	}
	got := readings(c.ReadContacts(t.Context(), ids, nil))
	if got[0] != "1" || got[99] != "100" || got[100] != "transient" || got[249] != "transient" {
		t.Errorf("got %v", got)
	}
	// An account in trouble is not asked on and on.
	if a := p.calls(readOut); len(a) != 2 || a[0].in.Properties[0] != "hs_object_id" {
		t.Errorf("%d calls, the first for %q", len(a), a[0].in.Properties)
	}
}

func TestTroubleWhileFollowingMergesIsNotGone(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(readOut, people(person("3")))
	p.on(one+"1", say(429, m{"policyName": "TEN_SECONDLY_ROLLING"}))
	got := readings(c.ReadContacts(t.Context(), []string{"1", "2", "3"}, nil))
	if s := strings.Join(got, " "); s != "throttled throttled 3" {
		t.Errorf("got %s", s)
	}

	p, c = newPortal(t)
	p.on(contactFields, say(503, ""))
	if s := readings(c.ReadContacts(t.Context(), []string{"1"}, []string{"firstname"})); s[0] != "transient" {
		t.Errorf("got %s", s)
	}
}

func TestUsersAreOwners(t *testing.T) {
	p, c := newPortal(t)
	p.on(users,
		say(200, m{"results": []m{
			{"id": "71", "userId": 1, "email": "Ada@x.it", "firstName": "Ada", "lastName": "Byron", "type": "PERSON"},
			{"id": "72", "email": "q@x.it", "type": "QUEUE"},
		}, "paging": m{"next": m{"after": "a1"}}}),
		say(200, m{"results": []m{{"id": 73, "email": "bob@x.it", "firstName": "Bob"}}}),
		say(200, m{"results": []m{{"id": "74", "userId": nil, "email": "old@x.it", "archived": true}}}))
	got, err := c.ListUsers(t.Context())
	want := []connectors.User{{ID: "71", Name: "Ada Byron", Email: "Ada@x.it", Active: true}, {ID: "73", Name: "Bob", Email: "bob@x.it", Active: true}, {ID: "74", Email: "old@x.it"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	a := p.calls(users)
	if a[0].query.Encode() != "limit=100" || a[1].query.Get("after") != "a1" || a[2].query.Encode() != "archived=true&limit=100" {
		t.Errorf("asked %v %v %v", a[0].query, a[1].query, a[2].query)
	}
}

func TestSubscriptionsBelongToTheApp(t *testing.T) {
	_, c := newPortal(t)
	_, err := c.Subscribe(t.Context(), connectors.Subscription{Address: "https://x"})
	if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Code != connectors.NotOffered || e.Class != connectors.Rejected || !strings.Contains(e.Reason, "app's page") {
		t.Errorf("got %v", err)
	}
}
