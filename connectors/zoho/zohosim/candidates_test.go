package zohosim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// busy is an organisation in which contacts come, change and go by chance.
type busy struct {
	*Server
	m     *module
	r     *rand.Rand
	clock time.Time
}

func newBusy(t *testing.T, lag bool) *busy {
	t.Helper()
	b := &busy{r: rand.New(rand.NewPCG(4, 1)), clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	b.Server = New(Options{Lag: lag, Clock: func() time.Time { return b.clock }})
	b.m = b.modules["Contacts"]
	t.Cleanup(b.Close)
	return b
}

func (b *busy) one(of ...string) string { return of[b.r.IntN(len(of))] }

func (b *busy) any() *record { return b.m.records[b.r.IntN(len(b.m.records))] }

// value is one that a field may have, or that a query may ask for.
func (b *busy) value(name string) string {
	switch name {
	case "id":
		return b.any().name()
	case "Modified_Time":
		return b.any().now.modified.Format(b.one(time.RFC3339, time.RFC3339Nano))
	case "Phone", "Mobile":
		return b.one("+1 212 555 0101", "12125550102", "(212) 555-0103", "0101", "212")
	case "Email":
		return b.one("ada@example.com", "ADA@example.com", "bob@example.com")
	}
	return b.one("Ada", "ada", "Bobadilla", "Bob", "Straße", "x")
}

func (b *busy) step() {
	fields := map[string]any{}
	for _, name := range []string{"First_Name", "Phone", "Mobile", "Email"} {
		if b.r.IntN(2) == 0 {
			fields[name] = b.value(name)
		}
	}
	edit := Edit{Fields: fields, New: true}
	if len(b.m.records) > 0 && b.r.IntN(2) == 0 {
		edit.ID, edit.New = b.any().name(), false
	}
	if b.r.IntN(10) == 0 {
		b.Delete(edit.ID)
	}
	_, _ = b.Edit(edit)
	if b.r.IntN(4) == 0 {
		b.clock = b.clock.Add(time.Duration(b.r.IntN(3000)) * time.Millisecond)
	}
	b.index.Advance(b.clock)
}

// condition is one by chance.
func (b *busy) condition(depth int) *condition {
	if depth < 2 && b.r.IntN(2) == 0 {
		return &condition{join: b.one("and", "and", "or"), left: b.condition(depth + 1), right: b.condition(depth + 1)}
	}
	c := &condition{field: b.one("Modified_Time", "Modified_Time", "id", "Phone", "First_Name", "Email")}
	c.operator = b.one("=", "in", ">", ">=", "<", "<=", "between", "not between", "!=", "is not null")
	c.values = []string{b.value(c.field), b.value(c.field)}
	if c.operator != "in" && c.operator != "between" && c.operator != "not between" {
		c.values = c.values[:1]
	}
	return c
}

func TestQueriesFindWithAnIndexWhatTheyFindWithout(t *testing.T) {
	t.Parallel()
	b, found := newBusy(t, false), 0
	for n := range 1500 {
		b.step()
		if n == 1000 {
			b.clock = b.clock.Add(-5 * time.Minute)
		}
		if len(b.m.records) == 0 {
			continue
		}
		q := &query{
			fields: []string{"id"}, where: b.condition(0), limit: 1 + b.r.IntN(40), offset: b.r.IntN(2) * b.r.IntN(30),
			order: b.one("", "id", "Modified_Time", "Modified_Time", "First_Name"), desc: b.r.IntN(2) == 0,
		}
		q.desc = q.desc && q.order != ""
		rows, more := b.run(q, b.m)
		var want []*record
		for _, r := range b.m.records {
			if r.now.deleted.IsZero() && r.meets(q.where) {
				want = append(want, r)
			}
		}
		slices.SortStableFunc(want, func(x, y *record) int {
			order := compare(x.path(orElse(q.order, "id")), y.path(orElse(q.order, "id")))
			if q.desc {
				return -order
			}
			return order
		})
		want = want[min(q.offset, len(want)):]
		cut := want[:min(q.limit, len(want))]
		var got, ids []string
		for _, row := range rows {
			got = append(got, fmt.Sprint(row["id"]))
		}
		for _, r := range cut {
			ids = append(ids, r.name())
		}
		if !slices.Equal(got, ids) || more != (len(want) > q.limit) {
			t.Fatalf("%s order by %s, %t: got %v %t, want %v", q.where, q.order, q.desc, got, more, ids)
		}
		found += len(got)
	}
	if found < 5000 {
		t.Errorf("found %d contacts in all, too few to tell", found)
	}
}

func (c *condition) String() string {
	if c.join != "" {
		return fmt.Sprintf("(%s %s %s)", c.left, c.join, c.right)
	}
	return fmt.Sprintf("%s %s %q", c.field, c.operator, c.values)
}
