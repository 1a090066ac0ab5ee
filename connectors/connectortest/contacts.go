package connectortest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
)

func setupTwice(t *testing.T, v Vendor) {
	a := v.Open(t)
	before, err := a.Setup(t.Context(), v.fields(), false)
	if err != nil || !slices.ContainsFunc(before, func(f connectors.Finding) bool { return f.Fixable }) {
		t.Fatalf("before: %v, error %v; want findings that can be fixed: an account that was just opened lacks the suite's own fields", before, err)
	}
	for _, f := range before {
		if f.Problem == "" || f.Field == "" && f.Object == "" {
			t.Errorf("%+v does not say what is wrong with what", f)
		}
	}
	if _, err := a.Setup(t.Context(), v.fields(), true); err != nil {
		t.Fatal(err)
	}
	after, err := a.Setup(t.Context(), v.fields(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range after {
		if f.Fatal || f.Fixable {
			t.Errorf("left over: %+v", f)
		}
	}
}

func sameContactTwice(t *testing.T, v Vendor) {
	a := v.open(t)
	first := a.write(t, v.person(1), v.person(2))
	again := v.person(1)
	again.Fields[v.Names.First] = "Changed"
	second := a.write(t, again, v.person(2))
	if !slices.Equal(first, second) || first[0] == first[1] {
		t.Errorf("records %v, then %v", first, second)
	}
	if got := a.read(t, first[0], v.Names.First).Fields[v.Names.First]; got != "Changed" {
		t.Errorf("first name = %v, want the newer one", got)
	}
	byID := v.person(2)
	byID.Key, byID.RecordID, byID.Phones = "", first[1], nil
	byID.Fields = map[string]any{v.Names.First: "By id"}
	if got := a.write(t, byID)[0]; got != first[1] {
		t.Errorf("updated %s, want %s", got, first[1])
	}
	r := a.read(t, first[1], v.Names.First, v.Names.Last)
	if r.Fields[v.Names.First] != "By id" || r.Fields[v.Names.Last] != v.person(2).Fields[v.Names.Last] {
		t.Errorf("fields = %v", r.Fields)
	}
	if s := a.stats(t); s.Contacts != 2 || s.DuplicateContacts != 0 {
		t.Errorf("%+v, want two contacts", s)
	}
}

// Only where several calls may be under way: elsewhere the engine sees to it.
func sameContactAtOnce(t *testing.T, v Vendor) {
	a := v.open(t)
	if a.Limits().Calls <= 1 {
		return
	}
	entered := a.enter(t, "+16315550009", map[string]string{v.Names.First: "Entered"})
	var calls sync.WaitGroup
	records := make([][]string, 4)
	for i := range records {
		calls.Go(func() {
			ninth := v.person(9)
			ninth.Key = fmt.Sprint("9", i%2) // two people with the number of one
			for _, r := range a.WriteContacts(t.Context(), []connectors.ContactChange{v.person(1), ninth}) {
				if r.Err != nil {
					t.Error(r.Err)
				}
				records[i] = append(records[i], r.RecordID)
			}
		})
	}
	calls.Wait()
	for i, r := range records {
		if r[0] != records[0][0] || r[1] != records[i%2][1] {
			t.Errorf("calls went to %v", records)
		}
	}
	if records[0][1] == records[1][1] || entered != records[0][1] && entered != records[1][1] {
		t.Errorf("two people were written to %v, one of them entered as %s", records, entered)
	}
	if got := a.contacts(t, v.person(1).Phones[0]); len(got) != 1 {
		t.Errorf("%d contacts have the number, want one", len(got))
	}
}

func foundByPhone(t *testing.T, v Vendor) {
	a := v.open(t)
	entered := a.enter(t, "+16315550007", map[string]string{v.Names.First: "Entered"})
	seven := v.person(7)
	if got := a.write(t, seven)[0]; got != entered {
		t.Errorf("written to %s, want the record that was entered, %s", got, entered)
	}
	if got := a.write(t, seven)[0]; got != entered {
		t.Errorf("the second time it went to %s", got)
	}
	if s := a.stats(t); s.Contacts != 1 || s.DuplicateContacts != 0 {
		t.Errorf("%+v, want one contact", s)
	}
	if got := a.contacts(t, "+16315550007"); len(got) != 1 {
		t.Errorf("%d contacts have the number, want one", len(got))
	}
}

func enteredStays(t *testing.T, v Vendor) {
	a := v.open(t)
	entered := a.enter(t, "+16315550007", map[string]string{v.Names.Last: "By hand"})
	seven := v.person(7)
	seven.Fields[v.Names.Text] = "filled"
	seven.Fill = [][]string{{v.Names.First, v.Names.Last}, {v.Names.Text}}
	r := a.WriteContacts(t.Context(), []connectors.ContactChange{seven})[0]
	if r.Err != nil || r.RecordID != entered {
		t.Fatalf("result = %+v, want record %s", r, entered)
	}
	slices.Sort(r.Kept)
	if want := []string{v.Names.First, v.Names.Last}; !slices.Equal(slices.Sorted(slices.Values(r.Kept)), slices.Sorted(slices.Values(want))) {
		t.Errorf("kept %v, want both parts of the name", r.Kept)
	}
	got := a.read(t, entered, v.Names.First, v.Names.Last, v.Names.Text).Fields
	if got[v.Names.Last] != "By hand" || got[v.Names.First] != nil || got[v.Names.Text] != "filled" {
		t.Errorf("fields = %v", got)
	}
}

func othersLeftAlone(t *testing.T, v Vendor) {
	a := v.open(t)
	entered := a.enter(t, "+16315550007", map[string]string{v.Names.Last: "Somebody else"})
	seven := v.person(7)
	seven.Not = []string{entered}
	if got := a.write(t, seven)[0]; got == entered {
		t.Error("it was written to the record of somebody else")
	}
	if got := a.read(t, entered, v.Names.Last).Fields[v.Names.Last]; got != "Somebody else" {
		t.Errorf("last name = %v", got)
	}
}

// atOnce is how many contacts the suite writes in one call, even of a connector
// with smaller limits: that one makes more requests.
const atOnce = 12

func badRows(t *testing.T, v Vendor) {
	a := v.open(t)
	limit := a.Limits().Contacts
	if limit < 1 {
		t.Fatalf("Limits().Contacts is %d: the engine would write nothing", limit)
	}
	n := max(min(100, limit), atOnce)
	if v.Names.Bad == "" {
		t.Fatal("Names.Bad is empty: name a field, and in BadValue what the vendor refuses for it")
	}
	bad := []int{3, n / 2, n - 1}
	changes := make([]connectors.ContactChange, n)
	for i := range changes {
		changes[i] = v.person(i)
		if slices.Contains(bad, i) {
			changes[i].Fields[v.Names.Bad] = v.Names.BadValue
		}
	}
	for i, r := range a.WriteContacts(t.Context(), changes) {
		isBad := slices.Contains(bad, i)
		switch {
		case !isBad && r.Err != nil:
			t.Errorf("contact %d: %v", i, r.Err)
		case isBad && (r.Err == nil || r.Err.Class != connectors.Rejected || r.Err.Field != v.Names.Bad):
			t.Errorf("contact %d: %v, want class %s with the Field %s, since its value is %v", i, r.Err, connectors.Rejected, v.Names.Bad, v.Names.BadValue)
		}
	}
	if s := a.stats(t); s.Contacts != n-3 {
		t.Errorf("%d contacts, want %d", s.Contacts, n-3)
	}
}

func sameContactInABatch(t *testing.T, v Vendor) {
	a := v.open(t)
	later := v.person(1)
	later.Fields[v.Names.First] = "Later"
	ids := a.write(t, v.person(1), v.person(2), later)
	if ids[0] != ids[2] || ids[0] == ids[1] {
		t.Errorf("records = %v", ids)
	}
	if s := a.stats(t); s.Contacts != 2 || s.DuplicateContacts != 0 {
		t.Errorf("%+v, want two contacts", s)
	}
	if got := a.read(t, ids[0], v.Names.First).Fields[v.Names.First]; got != "Later" {
		t.Errorf("first name = %v, want the later one", got)
	}
}

func roundTrip(t *testing.T, v Vendor) {
	a := v.open(t)
	at := time.Date(2026, 3, 29, 1, 30, 15, 0, time.FixedZone("", 2*3600))
	fields := map[string]any{
		v.Names.First: "Zoë", v.Names.Last: "Müller-شيماء 🌊", v.Names.Phone: "+16315550001",
		v.Names.Long: strings.Repeat("ü😀 long.", 125),
		v.Names.Text: "[b]5 < 6 & \"7\"[/b] 'x' \\ 100 % +1;2, a=b", v.Names.Number: int64(42), v.Names.Time: at, v.Names.Enum: "out",
	}
	one := v.person(1)
	one.Fields = fields
	id := a.write(t, one)[0]
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	r := a.read(t, id, names...)
	for name, want := range fields {
		got := r.Fields[name]
		if moment, ok := want.(time.Time); ok {
			read, ok := got.(time.Time)
			if !ok || !read.Equal(moment) {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
			continue
		}
		if f, ok := got.(float64); ok && name == v.Names.Number {
			got = int64(f)
		}
		if got != want {
			t.Errorf("%s = %.80q, want %.80q", name, fmt.Sprint(got), fmt.Sprint(want))
		}
	}
	if since := time.Since(r.CreatedAt); r.CreatedAt.IsZero() || since < -2*time.Minute || since > 2*time.Minute {
		t.Errorf("created at %v", r.CreatedAt)
	}
}

func absentAndEmpty(t *testing.T, v Vendor) {
	a := v.open(t)
	one := v.person(1)
	one.Fields[v.Names.Text], one.Fields[v.Names.Number] = "kept", int64(7)
	id := a.write(t, one)[0]
	a.write(t, connectors.ContactChange{RecordID: id, Fields: map[string]any{v.Names.Number: nil, v.Names.First: "New"}})
	got := a.read(t, id, v.Names.Text, v.Names.Number, v.Names.First).Fields
	if got[v.Names.Text] != "kept" || got[v.Names.Number] != nil || got[v.Names.First] != "New" {
		t.Errorf("fields = %v, want the text kept and the number cleared", got)
	}
}

// oddText is U+0000 and half a surrogate pair: it may be refused for its
// record, and does no harm to others.
func oddText(t *testing.T, v Vendor) {
	a := v.open(t)
	odd := v.person(1)
	odd.Fields[v.Names.Text] = "a\x00b\xed\xa0\x80c"
	results := a.WriteContacts(t.Context(), []connectors.ContactChange{odd, v.person(2)})
	if results[1].Err != nil {
		t.Errorf("the other record failed: %v", results[1].Err)
	}
	if err := results[0].Err; err != nil {
		if err.Class != connectors.Rejected {
			t.Errorf("failure = %v, want it refused or cleaned", err)
		}
		return
	}
	got, _ := a.read(t, results[0].RecordID, v.Names.Text).Fields[v.Names.Text].(string)
	if !strings.HasPrefix(got, "a") || strings.ContainsRune(got, 0) {
		t.Errorf("text = %q", got)
	}
}

func labels(t *testing.T, v Vendor) {
	a := v.open(t)
	set := func(id string, want ...string) string {
		change := connectors.ContactChange{RecordID: id, Fields: map[string]any{v.Names.Labels: want}}
		if id == "" {
			change = v.person(1)
			change.Fields[v.Names.Labels] = want
		}
		id = a.write(t, change)[0]
		got, _ := a.read(t, id, v.Names.Labels).Fields[v.Names.Labels].([]string)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("labels = %v, want %v", got, want)
		}
		return id
	}
	id := set("", "vip", "new")
	set(id, "new", "never seen before")
	set(id)
}

func owner(t *testing.T, v Vendor) {
	a := v.open(t)
	users, err := a.ListUsers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var active []connectors.User
	for _, u := range users {
		if u.ID == "" || u.Name == "" {
			t.Errorf("user without id or name: %+v", u)
		}
		if u.Active && u.Email != "" {
			active = append(active, u)
		}
	}
	if len(active) < 2 {
		t.Fatalf("the simulated account has %d active users with an e-mail, and the suite needs two", len(active))
	}
	for _, by := range []string{active[0].ID, active[1].Email} {
		one := v.person(1)
		one.Fields[v.Names.Owner] = by
		id := a.write(t, one)[0]
		want := active[0].ID
		if by == active[1].Email {
			want = active[1].ID
		}
		if got := a.read(t, id, v.Names.Owner).Fields[v.Names.Owner]; got != want {
			t.Errorf("owner = %v, want %s", got, want)
		}
	}
	nobody := v.person(2)
	nobody.Fields[v.Names.Owner] = "nobody@example.com"
	r := a.WriteContacts(t.Context(), []connectors.ContactChange{nobody, v.person(3)})
	if r[0].Err == nil || r[0].Err.Class != connectors.Rejected || r[1].Err != nil {
		t.Errorf("an owner who does not exist: %v and %v, want the first refused only", r[0].Err, r[1].Err)
	}
}
