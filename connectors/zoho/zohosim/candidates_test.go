package zohosim

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
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
		return b.one("+1 212 555 0101", "12125550102", "(212) 555-0103", "0101", "212", fmt.Sprintf("+1212555%04d", b.r.IntN(200)))
	case "Email":
		return b.one("ς@example.com", "ada@example.com", "ADA@example.com", "bob@example.com", fmt.Sprintf("bob.%d@example.com", b.r.IntN(50)))
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

func TestSearchesFindWithAnIndexWhatTheyFindWithout(t *testing.T) {
	t.Parallel()
	b, found := newBusy(t, true), 0
	for range 1500 {
		b.step()
		if len(b.m.records) == 0 {
			continue
		}
		comparison := func() string {
			name := b.one("Phone", "Mobile", "First_Name", "Email", "Modified_Time")
			value := strings.NewReplacer("(", `\(`, ")", `\)`).Replace(b.value(name))
			operator := b.one("equals", "equals", "in", "starts_with", "not_equal")
			return "(" + name + ":" + operator + ":" + value + b.one("", "", ","+strings.ToUpper(b.one("Ada", "Bob"))) + ")"
		}
		ask := url.Values{}
		switch b.r.IntN(3) {
		case 0:
			ask.Set("phone", b.one("212 555 0101", "2125550103", "0101", "101", "333", "---"))
		case 1:
			ask.Set("email", b.one(b.value("Email"), "da@example.com", "σ@example.com"))
		default:
			ask.Set("criteria", "("+comparison()+b.one("and", "or")+comparison()+")")
		}
		f, refused := b.matcher(&call{q: ask}, b.m)
		if refused != nil {
			t.Fatalf("%v is refused: %v", ask, refused)
		}
		hits := func(among []*record) (ids []string) {
			for _, r := range among {
				if r.seen != nil && r.seen.deleted.IsZero() && f.is(r, r.seen) {
					ids = append(ids, r.name())
				}
			}
			return ids
		}
		got, want := hits(f.among(b.m)), hits(b.m.records)
		if !slices.Equal(got, want) {
			t.Fatalf("%v: got %v, want %v", ask, got, want)
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
