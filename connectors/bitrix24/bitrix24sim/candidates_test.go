package bitrix24sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// busy is a portal in which contacts come, change and go by chance.
type busy struct {
	*Server
	t     *testing.T
	r     *rand.Rand
	clock time.Time
}

func (b *busy) call(method string, in obj) {
	b.t.Helper()
	raw, _ := json.Marshal(in)
	r := httptest.NewRequest(http.MethodPost, "/rest/7/s/"+method, strings.NewReader(string(raw)))
	r.Header.Set("Content-Type", "application/json")
	b.ServeHTTP(httptest.NewRecorder(), r)
}

func (b *busy) one(of ...string) string { return of[b.r.IntN(len(of))] }

// value is one that a field may have, or that a filter may ask for.
func (b *busy) value(name string) string {
	switch name {
	case "ID":
		return b.one(fmt.Sprint(b.r.IntN(250)), "5.5", " 9", "", "x", "9223372036854775807", "007")
	case "DATE_MODIFY":
		if all := b.people.all; len(all) > 0 {
			return all[b.r.IntN(len(all))].modified.Format(time.RFC3339)
		}
	case "ASSIGNED_BY_ID":
		return b.one("7", "8")
	case "PHONE", "EMAIL":
		// An empty one is found nowhere, whatever else is asked for.
		return b.one("+1555", "a@example.com", "b@example.com")
	}
	return b.one("Ada", "Bob", "+1555", "a@example.com", "", "b@example.com")
}

func (b *busy) step() {
	id := 1 + b.r.IntN(40)
	fields := obj{}
	for _, name := range []string{"NAME", "ORIGIN_ID", "UF_CRM_KEY", "ASSIGNED_BY_ID"} {
		if b.r.IntN(2) == 0 {
			fields[name] = b.value(name)
		}
	}
	if b.r.IntN(2) == 0 {
		fields["EMAIL"], fields["PHONE"] = []obj{{"VALUE": b.value("EMAIL")}}, []obj{{"VALUE": b.value("PHONE")}}
	}
	switch b.r.IntN(8) {
	case 0, 1:
		b.call("crm.contact.add", obj{"fields": fields})
	case 2, 3:
		b.call("crm.contact.update", obj{"id": id, "fields": fields})
	case 4:
		if b.r.IntN(3) == 0 {
			b.call("crm.contact.delete", obj{"id": id})
		}
	case 5:
		b.call("crm.timeline.comment.add", obj{"fields": obj{"ENTITY_ID": id, "ENTITY_TYPE": "contact", "COMMENT": "x"}})
	case 6:
		b.clock = b.clock.Add(time.Duration(b.r.IntN(4000)) * time.Millisecond)
	case 7:
		b.call("crm.activity.add", obj{"fields": obj{
			"OWNER_TYPE_ID": 3, "OWNER_ID": id, "TYPE_ID": 4, "SUBJECT": "x", "RESPONSIBLE_ID": 1, "COMMUNICATIONS": []obj{{"VALUE": "1"}},
			"ORIGIN_ID": b.value("ORIGIN_ID"),
		}})
	}
}

// wanted is a filter by chance.
func (b *busy) wanted(depth int) filter {
	f := filter{any: b.r.IntN(3) == 0}
	for range b.r.IntN(4) {
		if depth < 2 && b.r.IntN(4) == 0 {
			f.parts = append(f.parts, b.wanted(depth+1))
			continue
		}
		name := b.one("ID", "ID", "DATE_MODIFY", "NAME", "ORIGIN_ID", "UF_CRM_KEY", "PHONE", "EMAIL", "ASSIGNED_BY_ID")
		list := newDict()
		for range b.r.IntN(3) {
			list.push(b.value(name))
		}
		v := any(list)
		if b.r.IntN(2) == 0 {
			v = b.value(name)
		}
		c, _ := b.condition(b.field(name), b.one(">", ">=", "<", "<=", "=", "@", "=", "@", "!=", "!@"), v)
		f.parts = append(f.parts, filter{cond: c})
	}
	return f
}

func TestListsFindWithAnIndexWhatTheyFindWithout(t *testing.T) {
	t.Parallel()
	b := &busy{t: t, r: rand.New(rand.NewPCG(2, 9)), clock: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	b.Server = New(Options{Secret: "s", Quota: "off", Clock: func() time.Time { return b.clock }})
	defer b.Close()
	b.call("crm.contact.userfield.add", obj{"fields": obj{"FIELD_NAME": "KEY", "USER_TYPE_ID": "string"}})
	found := 0
	for range 3000 {
		b.step()
		f, p := b.wanted(0), newDict()
		start := b.one("0", "0", "50", "-1")
		p.set("start", start)
		var by []order
		for range b.r.IntN(3) {
			by = append(by, order{b.field(b.one("ID", "DATE_MODIFY", "NAME")), b.r.IntN(2) == 0})
		}
		hits, out := b.find(&call{p: p}, f, by)

		want := slices.Clone(b.people.all)
		want = slices.DeleteFunc(want, func(c *contact) bool { return !f.match(b.Server, c) })
		slices.SortStableFunc(want, func(x, y *contact) int { return b.compare(x, y, by) })
		total := len(want)
		if start == "50" {
			want = want[min(50, total):]
		}
		want = want[:min(pageSize, len(want))]
		if start == "-1" {
			total = 0
		}
		if !slices.Equal(hits, want) || *out.total != total {
			t.Fatalf("%s by %v from %s: got %d %s, want %d %s", said(f), by, start, *out.total, names(hits), total, names(want))
		}
		found += len(hits)

		origins := newDict()
		for range b.r.IntN(3) {
			origins.push(b.value("ORIGIN_ID"))
		}
		filter := newDict()
		filter.set("@ORIGIN_ID", origins)
		among := func(list []*activity) []int64 {
			var ids []int64
			for _, a := range list {
				if activityMatches(b.activityShown(a), filter) {
					ids = append(ids, a.id)
				}
			}
			slices.Sort(ids)
			return slices.Compact(ids)
		}
		if got, want := among(b.activities.candidates(filter)), among(slices.Collect(maps.Values(b.activities.byID))); !slices.Equal(got, want) {
			t.Fatalf("activities of %v: got %v, want %v", origins.vals, got, want)
		}
	}
	if found < 10000 {
		t.Errorf("found %d contacts in all, too few to tell", found)
	}
}

func said(f filter) string {
	if f.cond != nil {
		return fmt.Sprintf("%s%s %q", f.cond.op, f.cond.f.name, f.cond.values)
	}
	var parts []string
	for _, p := range f.parts {
		parts = append(parts, said(p))
	}
	return "(" + strings.Join(parts, map[bool]string{true: " or ", false: " and "}[f.any]) + ")"
}

func names(list []*contact) string {
	var ids []string
	for _, c := range list {
		ids = append(ids, fmt.Sprint(c.id))
	}
	return strings.Join(ids, " ")
}
