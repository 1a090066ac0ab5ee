package zoho

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestHowValuesAreWrittenAndRead(t *testing.T) {
	at := time.Date(2026, 1, 31, 15, 30, 0, 123e6, time.FixedZone("", 19800))
	tests := map[string]struct {
		dataType string
		in       any
		wire     string
		out      any
	}{
		"text":                {"text", " a ", `" a "`, " a "},
		"no text":             {"text", "", `null`, nil},
		"nothing":             {"email", nil, `null`, nil},
		"blanks":              {"email", "  ", `null`, nil},
		"e-mail":              {"email", " A@b.it ", `"A@b.it"`, "A@b.it"},
		"a number as text":    {"text", int64(7), `"7"`, "7"},
		"a truth as text":     {"picklist", true, `"true"`, "true"},
		"truth":               {"boolean", true, `true`, true},
		"truth as text":       {"boolean", "false", `false`, false},
		"integer":             {"integer", int64(7), `7`, int64(7)},
		"int":                 {"integer", 7, `7`, int64(7)},
		"integer as text":     {"integer", "7", `7`, int64(7)},
		"big":                 {"bigint", int64(1<<62 + 1), `"4611686018427387905"`, int64(1<<62 + 1)},
		"double":              {"double", 1.25, `1.25`, 1.25},
		"million":             {"double", 1e6, `1000000`, 1e6},
		"money as text":       {"currency", "2.5", `2.5`, 2.5},
		"instant":             {"datetime", at, `"2026-01-31T10:00:00+00:00"`, time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)},
		"instant as text":     {"datetime", "2026-01-31T10:00:00.5Z", `"2026-01-31T10:00:00+00:00"`, time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)},
		"no instant":          {"datetime", time.Time{}, `null`, nil},
		"instant in a text":   {"text", at, `"2026-01-31T10:00:00+00:00"`, "2026-01-31T10:00:00+00:00"},
		"date":                {"date", at, `"2026-01-31"`, time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)},
		"values":              {"multiselectpicklist", []string{"a", "", "b"}, `["a","b"]`, []string{"a", "b"}},
		"no values":           {"multiselectpicklist", []string{}, `null`, nil},
		"one value":           {"multiselectpicklist", "a", `["a"]`, []string{"a"}},
		"lookup":              {"lookup", "123456789012345678", `{"id":"123456789012345678"}`, "123456789012345678"},
		"owner":               {"ownerlookup", "123456789012345678", `{"id":"123456789012345678"}`, "123456789012345678"},
		"owner by e-mail":     {"ownerlookup", "Anna@B.it", `{"id":"9"}`, "9"},
		"a type not known":    {"website", "https://x.it", `"https://x.it"`, "https://x.it"},
		"list in a text":      {"text", []string{"a"}, ``, nil},
		"text for a truth":    {"boolean", "perhaps", ``, nil},
		"text for a number":   {"integer", "seven", ``, nil},
		"name for a lookup":   {"lookup", "ACME", ``, nil},
		"unknown owner":       {"ownerlookup", "x@y.it", ``, nil},
		"inactive owner":      {"ownerlookup", "gone@b.it", ``, nil},
		"owner by name":       {"ownerlookup", "Anna", ``, nil},
		"something of no use": {"text", struct{}{}, ``, nil},
	}
	o, c := newOrg(t)
	o.on(users, say(200, m{"users": []m{
		{"id": "8", "email": "gone@b.it", "status": "disabled"},
		{"id": "9", "email": "anna@b.it", "status": "active"},
	}}))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := definition{APIName: "F", DataType: test.dataType}
			got, err := c.encode(t.Context(), d, test.in)
			if test.wire == "" {
				if err == nil || err.Class != connectors.Rejected || err.Field != "F" || strings.Contains(err.Error(), "@") {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			wire, _ := json.Marshal(got)
			if err != nil || string(wire) != test.wire {
				t.Fatalf("got %s, %v, want %s", wire, err, test.wire)
			}
			if out := decode(d, wire); !reflect.DeepEqual(out, test.out) {
				t.Errorf("read %#v, want %#v", out, test.out)
			}
		})
	}
	if n := len(o.calls(users)); n != 1 {
		t.Errorf("users asked for %d times", n)
	}
}

func TestOwnersAreReadWithoutTheirNames(t *testing.T) {
	if got := decode(definition{DataType: "ownerlookup"}, json.RawMessage(`{"name":"Anna","id":"5","email":"a@b.it"}`)); got != "5" {
		t.Errorf("got %v", got)
	}
	if got := decode(definition{}, json.RawMessage(`[{"name":"vip","id":"5","color_code":null}]`)); !reflect.DeepEqual(got, []string{"vip"}) {
		t.Errorf("got %v", got)
	}
}

const (
	addTags    = "POST Contacts/actions/add_tags"
	removeTags = "POST Contacts/actions/remove_tags"
	readOut    = "GET Contacts"
)

func tagged(a ask) (int, any) {
	var list []m
	for _, id := range a.in.IDs {
		list = append(list, m{"code": "SUCCESS", "details": m{"id": id, "tags": []m{}}, "message": "tags updated successfully", "status": "success"})
	}
	return 200, m{"data": list, "success_count": "1", "locked_count": "0"}
}

func TestLabelsAreASet(t *testing.T) {
	o, c := newOrg(t)
	o.on(addTags, tagged)
	o.on(update, accept)
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{RecordID: "1", Fields: m{"Tag": []string{"vip", "new"}, "Score": 1}},
		{RecordID: "2", Fields: m{"Tag": []string{"new", "vip"}}},
		{RecordID: "3", Fields: m{"Tag": []string{"cold"}}},
		{RecordID: "4", Fields: m{"Tag": []string{strings.Repeat("x", 26)}}},
		{RecordID: "5", Fields: m{"Tag": "a,b"}},
		{RecordID: "6", Fields: m{"Tag": 7}},
	})
	for i, r := range got {
		if bad := i >= 3; bad != (r.Err != nil) || bad && (r.Err.Class != connectors.Rejected || r.Err.Field != "Tag") {
			t.Errorf("%d: %+v", i, r)
		}
	}
	calls := o.calls(addTags)
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	for _, a := range calls {
		if a.in.Over == nil || !*a.in.Over || len(a.in.IDs) == 2 && !slices.Equal(a.in.IDs, []string{"1", "2"}) {
			t.Errorf("call %s", a.body)
		}
	}
	if d := o.calls(update)[0].in.Data; len(d) != 1 || d[0]["Tag"] != nil {
		t.Errorf("written %v", d)
	}
}

func TestClearingLabelsRemovesThoseThatAreThere(t *testing.T) {
	o, c := newOrg(t)
	o.on(readOut, say(200, m{"data": []m{
		{"id": "1", "Tag": []m{{"name": "vip"}, {"name": "people's"}}},
		{"id": "2", "Tag": []m{{"name": "people's"}}},
	}}))
	o.on(removeTags, tagged)
	if _, err := c.Setup(t.Context(), []connectors.Field{{Name: "Tag", Type: connectors.TypeLabels, Options: []string{"vip", "cold"}}}, false); err != nil {
		t.Fatal(err)
	}
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{RecordID: "1", Fields: m{"Tag": nil}}, {RecordID: "2", Fields: m{"Tag": []string{}}},
	})
	if got[0].Err != nil || got[1].Err != nil {
		t.Errorf("got %+v", got)
	}
	removed := map[string]int{}
	for _, call := range o.calls(removeTags) {
		removed[call.in.IDs[0]] = len(call.in.Tags)
	}
	if removed["1"] != 2 || removed["2"] != 1 {
		t.Errorf("removed %v labels by record", removed)
	}
}

func TestATagThatIsRefusedFailsItsRecordOnly(t *testing.T) {
	o, c := newOrg(t)
	o.on(addTags, say(207, m{"data": []m{
		fails("LIMIT_EXCEEDED", m{"limit": 10}),
		{"code": "SUCCESS", "details": m{"id": "2"}, "status": "success"},
	}}))
	got := c.WriteContacts(t.Context(), []connectors.ContactChange{
		{RecordID: "1", Fields: m{"Tag": "vip"}}, {RecordID: "2", Fields: m{"Tag": "vip"}},
	})
	if e := got[0].Err; e == nil || e.Class != connectors.Rejected || e.Field != "Tag" || got[1].Err != nil {
		t.Errorf("got %+v", got)
	}
}
