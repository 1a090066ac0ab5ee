package bitrix24sim

import (
	"cmp"
	"slices"
	"strings"

	"crmsync/connectors/internal/faults"
)

const pageSize = 50

// order is what a list is sorted by.
type order struct {
	f    *field
	desc bool
}

// orders reads the argument. The classic family passes over what it does not
// know, the item family refuses it.
func (s *Server) orders(given *dict, item, original bool) ([]order, *refusal) {
	var out []order
	for _, name := range given.names() {
		f := s.field(name)
		if item {
			f = s.itemField(name, original)
		}
		if f == nil || f.kind == "crm_multifield" {
			if item {
				return nil, badArg("Invalid order: field '%s' is not allowed in order", name)
			}
			continue
		}
		way := str(given.vals[name])
		desc := strings.EqualFold(way, "DESC")
		if item && !desc && !strings.EqualFold(way, "ASC") {
			return nil, badArg("Invalid order: allowed sort directions are `ASC, DESC`. But got '%s' for field '%s'", way, name)
		}
		out = append(out, order{f, desc})
	}
	return out, nil
}

// find returns a page of contacts. A start of -1 looks no further than that
// page and counts nothing. Bitrix24: huge data.
func (s *Server) find(c *call, f filter, by []order) ([]*contact, *reply) {
	start, counted := c.start()
	low, high, f := f.span()
	list := within(s.candidates(&f), low, high)
	byID := len(by) == 0 || by[0].f.name == "ID"
	place := func(n int) int {
		if byID && len(by) > 0 && by[0].desc {
			return len(list) - 1 - n
		}
		return n
	}
	var hits []*contact
	total := 0
	if byID && len(f.parts) == 0 && counted {
		total = len(list)
		for n := min(start, total); n < min(start+pageSize, total); n++ {
			hits = append(hits, list[place(n)])
		}
		return hits, s.counted(total, start)
	}
	for n := range list {
		p := list[place(n)]
		if !f.match(s, p) {
			continue
		}
		if !byID || total >= start && total < start+pageSize {
			hits = append(hits, p)
		}
		total++
		if byID && !counted && total == pageSize {
			break
		}
	}
	if !byID {
		slices.SortStableFunc(hits, func(a, b *contact) int { return s.compare(a, b, by) })
		hits = hits[min(start, total):min(start+pageSize, total)]
	}
	if !counted {
		zero := 0
		return hits, &reply{total: &zero}
	}
	return hits, s.counted(total, start)
}

func (s *Server) compare(a, b *contact, by []order) int {
	for _, o := range by {
		n := 0
		switch {
		case o.f.name == "ID":
			n = cmp.Compare(a.id, b.id)
		case o.f.kind == "datetime":
			x, _ := s.instant(a, o.f)
			y, _ := s.instant(b, o.f)
			n = cmp.Compare(x, y)
		default:
			one := cond{f: o.f}
			n = one.compare(str(s.classic(a, o.f)), str(s.classic(b, o.f)))
		}
		if o.desc {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Compare(a.id, b.id)
}

// start is where the page begins, and whether the total is asked for.
func (c *call) start() (int, bool) {
	v, _ := c.p.either("start")
	n, _ := number(v)
	return max(0, int(n)), n >= 0
}

// counted is the frame of a page: next is absent on the last one.
func (s *Server) counted(total, start int) *reply {
	out := &reply{total: &total}
	if next := start + pageSize; next < total {
		out.next = &next
	}
	return out
}

// page answers a page of rows that are all at hand.
func (s *Server) page(c *call, rows []any) (*reply, *refusal) {
	start, counted := c.start()
	out := s.counted(len(rows), start)
	if !counted {
		zero := 0
		out = &reply{total: &zero}
	}
	out.result = s.spoil(c, rows[min(start, len(rows)):min(start+pageSize, len(rows))], out)
	return out, nil
}

// spoil makes a page what a fault makes of it: an empty one, the one before
// once more, or half of it.
func (s *Server) spoil(c *call, rows []any, out *reply) []any {
	if rows == nil {
		rows = []any{}
	}
	if _, hit := s.faults.Active(c.r, faults.PageEmpty); hit {
		return []any{}
	}
	if _, hit := s.faults.Active(c.r, faults.PageRepeat); hit && s.lastPage != nil {
		return s.lastPage
	}
	s.lastPage = rows
	if _, hit := s.faults.Active(c.r, faults.PageHalf); hit && len(rows) > 1 {
		out.next = nil
		return rows[:len(rows)/2]
	}
	return rows
}

// classicList leaves multifields out unless they are named. Bitrix24: crm.contact.list.
func (s *Server) classicList(c *call) (*reply, *refusal) {
	args := map[string]*dict{}
	for _, name := range []string{"select", "filter", "order"} {
		var refused *refusal
		if args[name], refused = c.array(name); refused != nil {
			return nil, refused
		}
	}
	f, refused := s.compile(args["filter"], false, false)
	if refused != nil {
		return nil, refused
	}
	by, refused := s.orders(args["order"], false, false)
	if refused != nil {
		return nil, refused
	}
	chosen := s.selected(args["select"])
	found, out := s.find(c, f, by)
	var rows []any
	for _, p := range found {
		rows = append(rows, s.classicRow(p, chosen))
	}
	out.result = s.spoil(c, rows, out)
	return out, nil
}

func (s *Server) selected(given *dict) []*field {
	var out []*field
	wanted := func(f *field) bool {
		if given.len() == 0 {
			return f.kind != "crm_multifield"
		}
		for _, k := range given.keys {
			name := str(given.vals[k])
			if name == f.name || name == "*" && f.kind != "crm_multifield" && f.user == nil || name == "UF_*" && f.user != nil {
				return true
			}
		}
		return false
	}
	for _, f := range s.allFields() {
		if wanted(f) {
			out = append(out, f)
		}
	}
	return out
}

// classicGet shows everything. Bitrix24: crm.contact.get.
func (s *Server) classicGet(c *call) (*reply, *refusal) {
	id, refused := c.id()
	if refused != nil {
		return nil, refused
	}
	p := s.people.byID[id]
	if p == nil {
		return nil, bad("Not found")
	}
	return ok(s.classicRow(p, s.allFields()))
}

func (s *Server) classicFieldList(*call) (*reply, *refusal) {
	out := obj{}
	for _, f := range s.allFields() {
		out[f.name] = f.descriptor(s)
	}
	return ok(out)
}
