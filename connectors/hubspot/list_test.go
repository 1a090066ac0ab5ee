package hubspot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

// An index answers searches as HubSpot does: one sort, no order within equals,
// 10,000 results at most.
type index struct {
	t        *testing.T
	at       map[int]int64
	searches int
	// between is called before every search.
	between func(n int)
}

func newIndex(t *testing.T, records int, at func(i int) int64) (*index, *Client) {
	x := &index{t: t, at: map[int]int64{}}
	for i := range records {
		x.at[1000+i] = at(i)
	}
	c := newDesk(t, Options{PaceSearch: nil}, x.serve)
	c.paceSearch = nil
	return x, c
}

func (x *index) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/crm/properties/"):
		_, _ = w.Write([]byte(`{"results":[{"name":"firstname","type":"string"}]}`))
	case strings.HasSuffix(r.URL.Path, "/search"):
		x.search(w, r)
	default:
		var in batch
		_ = json.NewDecoder(r.Body).Decode(&in)
		var results []m
		for _, i := range in.Inputs {
			id, _ := strconv.Atoi(i.ID)
			if _, ok := x.at[id]; ok {
				results = append(results, person(i.ID, "firstname", "N"+i.ID))
			}
		}
		_ = json.NewEncoder(w).Encode(m{"results": results})
	}
}

func (x *index) search(w http.ResponseWriter, r *http.Request) {
	x.searches++
	if x.between != nil {
		x.between(x.searches)
	}
	var q searchRequest
	_ = json.NewDecoder(r.Body).Decode(&q)
	if q.After != "" || q.Limit > 200 {
		x.t.Errorf("a search with after %q and limit %d", q.After, q.Limit)
	}
	var hits []int
	for id, at := range x.at {
		ok := true
		for _, f := range q.FilterGroups[0].Filters {
			limit, _ := strconv.ParseInt(f.Value, 10, 64)
			v := at
			if f.PropertyName == "hs_object_id" {
				v = int64(id)
			}
			ok = ok && (f.Operator != "GTE" || v >= limit) && (f.Operator != "LTE" || v <= limit) && (f.Operator != "GT" || v > limit)
		}
		if ok {
			hits = append(hits, id)
		}
	}
	slices.SortFunc(hits, func(a, b int) int {
		if q.Sorts[0].PropertyName == modified && x.at[a] != x.at[b] {
			return cmp.Compare(x.at[a], x.at[b])
		}
		if q.Sorts[0].PropertyName == modified && x.searches%2 == 0 {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	})
	answer := m{"total": len(hits)}
	if len(hits) > q.Limit {
		hits = hits[:q.Limit]
		answer["paging"] = m{"next": m{"after": "200"}}
	}
	var results []m
	for _, id := range hits {
		results = append(results, person(fmt.Sprint(id), modified, instant(time.UnixMilli(x.at[id]))))
	}
	answer["results"] = results
	_ = json.NewEncoder(w).Encode(answer)
}

// walk follows a listing to its end and counts how often each record came.
func (x *index) walk(c *Client, since int64) map[string]int {
	x.t.Helper()
	seen := map[string]int{}
	q := connectors.Query{Fields: []string{"firstname"}, Since: time.UnixMilli(since)}
	for pages := 0; ; pages++ {
		p, err := c.ListContacts(x.t.Context(), q)
		if err != nil || pages > 1000 {
			x.t.Fatalf("page %d: %v", pages, err)
		}
		for _, r := range p.Records {
			seen[r.ID]++
			if r.Fields["firstname"] != "N"+r.ID {
				x.t.Fatalf("got %+v", r)
			}
		}
		if p.Next == "" {
			return seen
		}
		if len(p.Next) > 8000 {
			x.t.Errorf("a cursor of %d characters", len(p.Next))
		}
		q.Cursor = p.Next
	}
}

func (x *index) once(seen map[string]int, since int64) {
	x.t.Helper()
	wrong := 0
	for id, at := range x.at {
		n := 0
		if at >= since {
			n = 1
		}
		if got := seen[fmt.Sprint(id)]; got != n {
			if wrong++; wrong < 5 {
				x.t.Errorf("record %d of time %d came %d times, want %d", id, at, got, n)
			}
		}
	}
}

func TestEveryChangeIsListedOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		records int
		at      func(i int) int64
		since   int64
	}{
		"nothing":                   {0, nil, 5000},
		"one page":                  {150, func(i int) int64 { return int64(5000 + i) }, 5000},
		"a page that is just full":  {200, func(i int) int64 { return int64(5000 + i) }, 5000},
		"older ones are left out":   {700, func(i int) int64 { return int64(5000 + i) }, 5150},
		"several with each time":    {1000, func(i int) int64 { return int64(5000 + i/7) }, 5000},
		"all with the same time":    {1000, func(int) int64 { return 5000 }, 5000},
		"an import in the middle":   {1500, func(i int) int64 { return int64(5000 + max(i, 900) - 900 + min(i, 150)) }, 5000},
		"beyond ten thousand":       {10_500, func(i int) int64 { return int64(5000 + i) }, 5000},
		"a page of one time, and 1": {201, func(i int) int64 { return int64(5000 + i/200) }, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			x, c := newIndex(t, tt.records, tt.at)
			x.once(x.walk(c, tt.since), tt.since)
			if most := tt.records/200*2 + 4; x.searches > most {
				t.Errorf("%d searches for %d records", x.searches, tt.records)
			}
		})
	}
}

func TestWhatIsChangedWhileChangesAreListed(t *testing.T) {
	x, c := newIndex(t, 1000, func(i int) int64 { return int64(5000 + i) })
	now := int64(1_000_000)
	x.between = func(n int) {
		// Listed already, and not listed yet.
		for _, id := range []int{1000 + n, 1999 - n, 1200 * n} {
			if _, ok := x.at[id]; ok && n < 5 {
				now++
				x.at[id] = now
			}
		}
	}
	x.once(x.walk(c, 5000), 5000)
}

func TestAPageThatIsAskedForAgainListsTheSame(t *testing.T) {
	x, c := newIndex(t, 500, func(i int) int64 { return int64(5000 + i/3) })
	q := connectors.Query{Since: time.UnixMilli(5000)}
	first, err := c.ListContacts(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.Cursor = first.Next
	var again [2]connectors.Page
	for i := range again {
		again[i], err = c.ListContacts(t.Context(), q)
		if err != nil || len(again[i].Records) == 0 {
			t.Fatalf("got %+v, %v", again[i], err)
		}
	}
	if len(again[0].Records) != len(again[1].Records) {
		t.Errorf("got %d and %d records", len(again[0].Records), len(again[1].Records))
	}

	// After a restart too.
	c.walks = walks{}
	seen := map[string]int{}
	for _, r := range first.Records {
		seen[r.ID]++
	}
	for q.Cursor != "" {
		p, err := c.ListContacts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			seen[r.ID]++
		}
		q.Cursor = p.Next
	}
	x.once(seen, 5000)
}

func TestTheMemoryOfListingsIsBounded(t *testing.T) {
	var w walks
	for i := range 10 {
		w.fresh(position{Walk: fmt.Sprint(i)}, []string{"1"})
	}
	if len(w.list) != maxWalks {
		t.Errorf("%d walks", len(w.list))
	}
	for range 2 {
		if got := w.fresh(position{Walk: "9", Page: 1}, []string{"1", "2"}); !slices.Equal(got, []string{"2"}) {
			t.Errorf("got %v", got)
		}
	}
	// What the first attempt listed and the second did not is still to come.
	w.fresh(position{Walk: "9", Page: 1}, []string{"3"})
	if got := w.fresh(position{Walk: "9", Page: 2}, []string{"1", "2", "3"}); !slices.Equal(got, []string{"2"}) {
		t.Errorf("got %v", got)
	}
}

func TestACursorThatIsNotOurs(t *testing.T) {
	_, c := newIndex(t, 0, nil)
	for _, cursor := range []string{"52", "!", "bnVsbA==="} {
		_, err := c.ListContacts(t.Context(), connectors.Query{Since: time.UnixMilli(1), Cursor: cursor})
		if e := connectors.AsError(err); e == nil || e.Class != connectors.Rejected {
			t.Errorf("%s: got %v", cursor, err)
		}
	}
}

const (
	allContacts = "GET objects/2026-09/contacts"
)

func TestAllContactsAreListedByHubSpotsCursor(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(allContacts,
		say(200, m{"results": []m{person("1", "firstname", "A", "tags", "vip")}, "paging": m{"next": m{"after": "52", "link": "https://elsewhere"}}}),
		say(200, m{"results": []m{person("52")}}))
	q := connectors.Query{Fields: []string{"tags", "firstname", "unheard_of"}}
	page, err := c.ListContacts(t.Context(), q)
	if err != nil || page.Next != "52" || len(page.Records) != 1 || page.Records[0].Fields["firstname"] != "A" || len(page.Records[0].Fields) != 3 {
		t.Fatalf("got %+v, %v", page, err)
	}
	q.Cursor = page.Next
	if page, err = c.ListContacts(t.Context(), q); err != nil || page.Next != "" || page.Records[0].ID != "52" {
		t.Errorf("got %+v, %v", page, err)
	}
	a := p.calls(allContacts)
	if a[0].query.Encode() != "limit=100&properties=firstname%2Ctags" || a[1].query.Get("after") != "52" {
		t.Errorf("asked %v, %v", a[0].query, a[1].query)
	}
}

func TestMoreFieldsThanAnAddressHoldsAreReadApart(t *testing.T) {
	p, c := newPortal(t)
	var many []m
	var names []string
	for i := range 120 {
		names = append(names, fmt.Sprintf("a_property_with_quite_a_long_name_%03d", i))
		many = append(many, defined("string", names[i]))
	}
	p.on(contactFields, schemaOf(many...))
	p.on(allContacts, say(200, m{"results": []m{person("1"), person("2")}, "paging": m{"next": m{"after": "3"}}}))
	p.on(readOut, people(person("2", names[7], "x")))
	page, err := c.ListContacts(t.Context(), connectors.Query{Fields: names})
	if err != nil || page.Next != "3" || len(page.Records) != 1 || page.Records[0].Fields[names[7]] != "x" {
		t.Errorf("got %d records, %v", len(page.Records), err)
	}
}

func TestAListWithoutAnEndIsTrouble(t *testing.T) {
	p, c := newPortal(t)
	p.on(contactFields, schemaOf())
	p.on(allContacts, say(200, m{"paging": m{"next": m{"after": "52"}}}))
	_, err := c.ListContacts(t.Context(), connectors.Query{Cursor: "52"})
	if e := connectors.AsError(err); e == nil || e.Class != connectors.Transient {
		t.Errorf("got %v", err)
	}
	p.on("GET objects/2026-09/contacts", say(400, m{"message": "Invalid input JSON on line 1, column 3: Cannot deserialize"}))
	_, err = c.ListDeleted(t.Context(), time.Time{}, "x")
	if e := connectors.AsError(err); e != nil && e.Class != connectors.Rejected {
		t.Errorf("got %v", err)
	}
}

func TestTheDeletedAreThoseInTheRecycleBin(t *testing.T) {
	p, c := newPortal(t)
	gone := func(id, at string) m { return m{"id": id, "archived": true, "archivedAt": at} }
	p.on(allContacts, say(200, m{
		"results": []m{gone("1", "2026-11-20T08:00:00Z"), gone("2", "2026-11-21T08:00:00.000Z"), gone("3", "2026-11-22T08:00:00Z"), {"id": "4", "updatedAt": "2026-11-23T08:00:00Z"}},
		"paging":  m{"next": m{"after": "5"}},
	}))
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	got, err := c.ListDeleted(t.Context(), at, "")
	if err != nil || got.Next != "5" || len(got.Deletions) != 3 || got.Deletions[0] != (connectors.Deletion{ID: "2", At: at}) || got.Deletions[2].ID != "4" {
		t.Errorf("got %+v, %v", got, err)
	}
	if q := p.calls(allContacts)[0].query.Encode(); q != "archived=true&limit=100&properties=hs_object_id" {
		t.Errorf("asked %s", q)
	}
}
