package connectortest

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
)

func describe(t *testing.T, v Vendor) {
	a := v.open(t)
	all, err := a.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]connectors.FieldInfo{}
	for _, f := range all {
		by[f.Name] = f
	}
	for _, want := range v.fields() {
		got, ok := by[want.Name]
		if !ok {
			t.Errorf("%s is not described", want.Name)
			continue
		}
		if got.Type != want.Type && (want.Type != connectors.TypePhone && want.Type != connectors.TypeLong || got.Type != connectors.TypeText) {
			t.Errorf("%s is of type %s, want %s", want.Name, got.Type, want.Type)
		}
		for _, o := range want.Options {
			if !slices.Contains(got.Options, o) && want.Type == connectors.TypeEnum {
				t.Errorf("%s has options %v, want %s among them", want.Name, got.Options, o)
			}
		}
		if got.ReadOnly {
			t.Errorf("%s is read-only", want.Name)
		}
	}
	if !slices.ContainsFunc(all, func(f connectors.FieldInfo) bool { return f.ReadOnly }) {
		t.Error("no field is read-only: the simulated account needs one, such as the time of creation")
	}
}

func readEqualsList(t *testing.T, v Vendor) {
	a := v.open(t)
	var changes []connectors.ContactChange
	for i := range atOnce {
		c := v.person(i)
		if i%2 == 0 {
			c.Fields[v.Names.Number], c.Fields[v.Names.Enum], c.Fields[v.Names.Time] = int64(i), "in", time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
		}
		changes = append(changes, c)
	}
	ids := a.write(t, changes...)
	fields := []string{v.Names.First, v.Names.Last, v.Names.Phone, v.Names.Number, v.Names.Enum, v.Names.Time}
	listed := map[string]connectors.Record{}
	for _, r := range a.list(t, connectors.Query{Fields: fields}, nil) {
		listed[r.ID] = r
	}
	missing := "9007199254740000"
	read := a.ReadContacts(t.Context(), append(slices.Clone(ids), missing), fields)
	for i, id := range ids {
		if read[i].Err != nil || !reflect.DeepEqual(read[i].Record, listed[id]) {
			t.Errorf("read %+v (failure %v), listed %+v", read[i].Record, read[i].Err, listed[id])
		}
	}
	if last := read[len(ids)]; last.Err != nil || last.Record.ID != "" {
		t.Errorf("a record that does not exist: %+v", last)
	}
	if len(listed) != len(ids) {
		t.Errorf("%d listed, want %d", len(listed), len(ids))
	}
}

func listWhileChanging(t *testing.T, v Vendor) {
	a := v.open(t)
	const there = 3000
	a.seed(t, there)
	before := map[string]int{}
	var ids []string
	for _, r := range a.list(t, connectors.Query{Fields: []string{v.Names.Phone}}, nil) {
		before[r.ID] = 0
		ids = append(ids, r.ID)
	}
	if len(before) != there {
		t.Fatalf("%d contacts, want %d", len(before), there)
	}
	labelled := map[string]bool{}
	var changes []connectors.ContactChange
	for i := 99; i < there; i += 50 {
		labelled[ids[i]] = true
		changes = append(changes, connectors.ContactChange{RecordID: ids[i], Fields: map[string]any{v.Names.Labels: []string{"vip"}}})
	}
	a.write(t, changes...)
	n := 0
	all := a.list(t, connectors.Query{Fields: []string{v.Names.First, v.Names.Phone, v.Names.Long, v.Names.Labels}}, func(page int) {
		if n++; n > 5 {
			return
		}
		a.write(t, v.person(5000+n)) // a new one
		a.write(t, connectors.ContactChange{RecordID: ids[n], Fields: map[string]any{v.Names.First: "Edited"}})
		if n == 1 {
			a.control(t, http.MethodDelete, "contacts?id="+url.QueryEscape(ids[0]), nil, nil)
			delete(before, ids[0])
		}
	})
	seen := map[string]int{}
	for _, r := range all {
		seen[r.ID]++
		if l, _ := r.Fields[v.Names.Labels].([]string); slices.Equal(l, []string{"vip"}) != labelled[r.ID] {
			t.Errorf("%s was listed with labels %v", r.ID, l)
		}
	}
	for id, times := range seen {
		if times > 1 {
			t.Errorf("%s came %d times", id, times)
		}
	}
	for id := range before {
		if seen[id] == 0 {
			t.Errorf("%s was lost", id)
		}
	}
	if n < 1 {
		t.Errorf("%d contacts came in one page, so nothing could change in between: let the connector ask for fewer", there)
	}
}

func changedSince(t *testing.T, v Vendor) {
	a := v.open(t)
	old := a.write(t, v.person(1), v.person(2), v.person(3))
	a.advance(t, time.Hour)
	since := time.Now().Add(time.Hour - time.Minute) // by the vendor's clock
	a.write(t, connectors.ContactChange{RecordID: old[1], Fields: map[string]any{v.Names.First: "Changed"}})
	fresh := a.write(t, v.person(4))[0]
	a.advance(t, time.Minute) // the index has caught up
	var got []string
	for _, r := range a.list(t, connectors.Query{Fields: []string{v.Names.First}, Since: since}, nil) {
		got = append(got, r.ID)
	}
	slices.Sort(got)
	want := []string{old[1], fresh}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("changed = %v, want %v", got, want)
	}
	later := a.list(t, connectors.Query{Fields: []string{v.Names.First}, Since: since.Add(time.Hour)}, nil)
	if len(later) != 0 {
		t.Errorf("%d changed in the future", len(later))
	}
}

func deletions(t *testing.T, v Vendor) {
	a := v.open(t)
	ids := a.write(t, v.person(1), v.person(2), v.person(3))
	a.advance(t, time.Hour)
	since := time.Now().Add(time.Hour - time.Minute)
	a.control(t, http.MethodDelete, "contacts?id="+url.QueryEscape(ids[1]), nil, nil)
	a.advance(t, time.Minute)
	page, err := a.ListDeleted(t.Context(), since, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Deletions) != 1 || page.Deletions[0].ID != ids[1] || page.Deletions[0].At.Before(since) || page.Next != "" {
		t.Errorf("deletions = %+v, want %s", page, ids[1])
	}
	if r := a.ReadContacts(t.Context(), ids, []string{v.Names.First}); r[1].Record.ID != "" || r[0].Record.ID == "" || r[1].Err != nil {
		t.Errorf("read %+v, want the second gone", fmt.Sprint(r))
	}
}
