package zoho

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func contact(id int, more ...m) m {
	r := m{"id": fmt.Sprint(id), "Created_Time": "2026-01-01T05:30:00+05:30", "Modified_Time": "2026-01-31T15:30:00+05:30", "Last_Name": fmt.Sprint("N", id)}
	for _, x := range more {
		for k, v := range x {
			r[k] = v
		}
	}
	return r
}

func page(more bool, list ...m) reply {
	return say(200, m{"data": list, "info": m{"count": len(list), "more_records": more}})
}

func TestReadingById(t *testing.T) {
	o, c := newOrg(t)
	o.on(readOut, func(a ask) (int, any) {
		q, _ := url.ParseQuery(a.query)
		var list []m
		for id := range strings.SplitSeq(q.Get("ids"), ",") {
			if id == "1" || id == "60" {
				list = append(list, m{"id": id, "Modified_Time": "2026-01-31T15:30:00+05:30", "Score": 7, "Tag": []m{{"name": "vip"}}})
			}
		}
		if list == nil {
			return 204, nil
		}
		slices.Reverse(list)
		return 200, m{"data": list, "info": m{"count": len(list), "more_records": false}}
	})
	ids := []string{"x", "1", "2", "1", "", "99999999999999999999999"}
	for i := range 60 {
		ids = append(ids, fmt.Sprint(i+1))
	}
	got := c.ReadContacts(t.Context(), ids, []string{"Score", "Tag", "Nope"})
	want := connectors.Record{
		ID: "1", UpdatedAt: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
		Fields: m{"Score": int64(7), "Tag": []string{"vip"}, "Nope": nil},
	}
	for i, r := range got {
		if r.Err != nil || (r.Record.ID != "") != (ids[i] == "1" || ids[i] == "60") || ids[i] == "1" && !reflect.DeepEqual(r.Record, want) {
			t.Errorf("%d (%s): %+v", i, ids[i], r)
		}
	}
	if n := len(o.calls(readOut)); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestReadingMoreFieldsThanZohoGivesAtOnce(t *testing.T) {
	o, c := newOrg(t)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprint("F", i))
		o.fields[contacts] = append(o.fields[contacts], field(names[i], "text"))
	}
	o.on(readOut, func(a ask) (int, any) {
		q, _ := url.ParseQuery(a.query)
		r, n := m{"id": "1"}, 0
		for f := range strings.SplitSeq(q.Get("fields"), ",") {
			r[f] = f
			n++
		}
		if n > maxColumns {
			t.Errorf("%d fields", n)
		}
		return 200, m{"data": []m{r}}
	})
	got := c.ReadContacts(t.Context(), []string{"1"}, names)
	for _, n := range names {
		if got[0].Record.Fields[n] != n {
			t.Errorf("%s is %v", n, got[0].Record.Fields[n])
		}
	}
}

func TestAReadingThatProvesNothing(t *testing.T) {
	for name, r := range map[string]reply{
		"an outage":     say(502, "<html>"),
		"an empty list": page(false),
		"half a list":   say(200, m{"data": []m{{"id": "1"}}, "info": m{"count": 2}}),
		"the next page": page(true, m{"id": "1"}),
		"another one":   page(false, m{"id": "3"}),
		"no id":         page(false, m{"Score": 3}),
	} {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.on(readOut, r)
			for _, got := range c.ReadContacts(t.Context(), []string{"1", "2"}, []string{"Score"}) {
				if got.Err == nil || got.Err.Class != connectors.Transient {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

func TestListingEverybody(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, page(true, contact(9), contact(10)), page(false, contact(10), contact(111, m{"Score": nil})))
	var got []string
	q := connectors.Query{Fields: []string{"Last_Name", "Score"}}
	for {
		p, err := c.ListContacts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			got = append(got, r.ID)
			if r.Fields["Last_Name"] != "N"+r.ID || r.Fields["Score"] != nil || !r.CreatedAt.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("record %+v", r)
			}
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, []string{"9", "10", "111"}) {
		t.Errorf("got %v", got)
	}
	calls := o.calls(query)
	for i, want := range []string{
		"select Created_Time, Modified_Time, Last_Name, Score from Contacts where (id > 0) order by id asc limit 200",
		"select Created_Time, Modified_Time, Last_Name, Score from Contacts where (id > 10) order by id asc limit 2000",
	} {
		if calls[i].in.Query != want {
			t.Errorf("query %s", calls[i].in.Query)
		}
	}
}

func TestListingWhatChanged(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, nobody)
	since := time.Date(2026, 1, 31, 15, 30, 0, 9e8, time.FixedZone("", 19800))
	p, err := c.ListContacts(t.Context(), connectors.Query{Since: since, Fields: []string{"Score"}})
	if err != nil || len(p.Records) != 0 || p.Next != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if q := o.calls(query)[0].in.Query; !strings.Contains(q, "where (Modified_Time >= '2026-01-31T10:00:00+00:00' and id > 0) order by id asc limit 200") {
		t.Errorf("query %s", q)
	}
}

func TestWhatQueriesDoNotGiveIsReadByID(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, say(400, fails("INVALID_QUERY", m{"column_name": "Kinds"})), page(false, contact(1), contact(2)))
	o.on(readOut, page(false, m{"id": "1", "Tag": []m{{"name": "vip"}}, "Kinds": []string{"a"}}))
	p, err := c.ListContacts(t.Context(), connectors.Query{Fields: []string{"Tag", "Kinds", "Last_Name"}})
	if err != nil || len(p.Records) != 1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	if want := (m{"Tag": []string{"vip"}, "Kinds": []string{"a"}, "Last_Name": "N1"}); !reflect.DeepEqual(p.Records[0].Fields, want) {
		t.Errorf("got %v", p.Records[0].Fields)
	}
	// The first query asked in vain, the next do not.
	if _, err := c.ListContacts(t.Context(), connectors.Query{Fields: []string{"Kinds"}}); err != nil {
		t.Fatal(err)
	}
	if n := len(o.calls(query)); n != 3 {
		t.Errorf("%d queries", n)
	}
}

func TestAnOrganisationWithSmallQueries(t *testing.T) {
	o, c := newOrg(t)
	o.on(query, func(a ask) (int, any) {
		if strings.HasSuffix(a.in.Query, "limit 2000") {
			return 400, fails("LIMIT_EXCEEDED", m{"limit": 200})
		}
		return 200, m{"data": []m{contact(12)}, "info": m{"count": 1}}
	})
	for range 2 {
		if p, err := c.ListContacts(t.Context(), connectors.Query{Cursor: "after:11"}); err != nil || len(p.Records) != 1 {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	if n := len(o.calls(query)); n != 3 {
		t.Errorf("%d queries", n)
	}
}

func TestAPageThatIsNone(t *testing.T) {
	for name, r := range map[string]reply{
		"empty, with more":     page(true),
		"empty":                page(false),
		"the page before":      page(true, contact(3), contact(5)),
		"half of what it says": say(200, m{"data": []m{contact(6)}, "info": m{"count": 2}}),
		"without an id":        page(false, m{"Last_Name": "x"}),
		"an error as 200":      say(200, fails("INTERNAL_ERROR", m{})),
	} {
		t.Run(name, func(t *testing.T) {
			o, c := newOrg(t)
			o.on(query, r)
			p, err := c.ListContacts(t.Context(), connectors.Query{Cursor: "after:5"})
			if err == nil {
				t.Errorf("got %+v", p)
			}
		})
	}
	_, c := newOrg(t)
	for _, cursor := range []string{"x", "after:", "after:1 or 1=1", "5"} {
		if _, err := c.ListContacts(t.Context(), connectors.Query{Cursor: cursor}); connectors.AsError(err).Class != connectors.Rejected {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func TestDeletions(t *testing.T) {
	const deleted = "GET Contacts/deleted"
	o, c := newOrg(t)
	o.on(deleted,
		say(200, m{"data": []m{
			{"id": "1", "deleted_time": "2026-01-31T15:30:00+05:30", "type": "recycle", "deleted_by": nil, "display_name": nil},
			{"id": "2", "deleted_time": "2026-01-31T09:59:59+00:00"},
		}, "info": m{"count": 2, "more_records": true}}),
		say(304, nil), say(204, nil))
	since := time.Date(2026, 1, 31, 10, 0, 0, 5e8, time.UTC)
	p, err := c.ListDeleted(t.Context(), since, "")
	want := []connectors.Deletion{{ID: "1", At: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)}}
	if err != nil || !reflect.DeepEqual(p.Deletions, want) || p.Next != "2" {
		t.Fatalf("got %+v, %v", p, err)
	}
	for range 2 {
		if p, err = c.ListDeleted(t.Context(), since, p.Next); err != nil || len(p.Deletions) != 0 || p.Next != "" {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	first := o.calls(deleted)[0]
	if first.header.Get("If-Modified-Since") != "2026-01-31T10:00:00+00:00" || first.query != "page=1&per_page=200&type=all" {
		t.Errorf("asked %s %v", first.query, first.header)
	}
	if _, err := c.ListDeleted(t.Context(), since, "1; drop"); connectors.AsError(err).Class != connectors.Rejected {
		t.Errorf("got %v", err)
	}
}

func TestTheUsersOfSeveralPages(t *testing.T) {
	o, c := newOrg(t)
	user := func(id string) m {
		return m{"id": id, "full_name": "U" + id, "email": id + "@b.it", "status": "active"}
	}
	o.on(users,
		say(200, m{"users": []m{user("1")}, "info": m{"count": 1, "more_records": true}}),
		say(200, m{"users": []m{user("2")}, "info": m{"count": 1, "more_records": false}}))
	got, err := c.ListUsers(t.Context())
	if err != nil || len(got) != 2 || got[1] != (connectors.User{ID: "2", Name: "U2", Email: "2@b.it", Active: true}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestUsersThatGoOnForEver(t *testing.T) {
	o, c := newOrg(t)
	o.on(users, say(200, m{"users": []m{{"id": "1", "status": "active"}}, "info": m{"more_records": true}}))
	if _, err := c.ListUsers(t.Context()); connectors.AsError(err).Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
}

func TestTheFieldsOfContacts(t *testing.T) {
	o, c := newOrg(t)
	// One odd field does not make the others vanish.
	o.fields[contacts] = append(o.fields[contacts], m{"api_name": "Odd", "data_type": 7, "length": "many"}, m{"field_label": "nameless"})
	got, err := c.Describe(t.Context())
	if err != nil || len(got) != len(contactFields())+1 || !slices.IsSortedFunc(got, func(a, b connectors.FieldInfo) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("got %+v, %v", got, err)
	}
	by := map[string]connectors.FieldInfo{}
	for _, f := range got {
		by[f.Name] = f
	}
	if f := by["Last_Name"]; !f.Required || f.ReadOnly || f.MaxLength != 80 || f.Label != "Last Name" {
		t.Errorf("got %+v", f)
	}
	if f := by["Stage"]; f.Type != connectors.TypeEnum || !slices.Equal(f.Options, []string{"new"}) {
		t.Errorf("got %+v", f)
	}
	for name, want := range map[string]connectors.FieldType{
		"Tag": connectors.TypeLabels, "Kinds": connectors.TypeLabels, "Owner": connectors.TypeOwner, "Seen": connectors.TypeTime,
		"Big": connectors.TypeNumber, "Opt_In": connectors.TypeBool, "Phone": connectors.TypePhone, "Email": connectors.TypeText,
	} {
		if by[name].Type != want {
			t.Errorf("%s is %s", name, by[name].Type)
		}
	}
	if !by["Full_Name"].ReadOnly {
		t.Error("Full_Name can be written")
	}
}
