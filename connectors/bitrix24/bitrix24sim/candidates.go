package bitrix24sim

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"
)

// span takes the bounds of ids out of a filter.
func (f *filter) span() (low, high int64, rest filter) {
	low, high = 0, math.MaxInt64
	if f.any {
		return low, high, *f
	}
	for _, part := range f.parts {
		n, bounds := part.cond.bound()
		switch {
		case !bounds:
			rest.parts = append(rest.parts, part)
		case part.cond.op == ">":
			low = max(low, n+1)
		case part.cond.op == ">=":
			low = max(low, n)
		case part.cond.op == "<":
			high = min(high, n-1)
		default:
			high = min(high, n)
		}
	}
	return low, high, rest
}

// bound is the id that a condition sets as a bound. Beyond what a float64
// holds exactly ids are compared in another way.
func (c *cond) bound() (int64, bool) {
	if c == nil || c.f.name != "ID" || len(c.values) != 1 || !slices.Contains([]string{">", ">=", "<", "<="}, c.op) {
		return 0, false
	}
	n, err := strconv.ParseInt(c.values[0], 10, 64)
	return n, err == nil && n > -1<<53 && n < 1<<53
}

// within cuts a list down to a span of ids.
func within(list []*contact, low, high int64) []*contact {
	from := sort.Search(len(list), func(n int) bool { return list[n].id >= low })
	to := sort.Search(len(list), func(n int) bool { return list[n].id > high })
	return list[from:max(from, to)]
}

// candidates are the contacts worth looking at, the oldest first.
func (s *Server) candidates(f *filter) []*contact {
	if found, known := s.proposed(f); known {
		return found
	}
	return s.people.all
}

// proposed are contacts among which all are that a filter matches, the oldest
// first. It reports false if no index helps.
func (s *Server) proposed(f *filter) ([]*contact, bool) {
	if f.cond != nil {
		return s.proposedBy(f.cond)
	}
	var best []*contact
	known := f.any && len(f.parts) > 0
	for n := range f.parts {
		found, is := s.proposed(&f.parts[n])
		switch {
		case f.any && !is:
			return nil, false
		case f.any:
			best = append(best, found...)
		case is && (!known || len(found) < len(best)):
			best, known = found, true
		}
	}
	if f.any {
		best = inOrder(best)
	}
	return best, known
}

func (s *Server) proposedBy(c *cond) ([]*contact, bool) {
	exact := c.op == "=" || c.op == "@"
	switch {
	case c.f.name == "DATE_MODIFY" && len(c.times) == 1 && len(c.values) == 1:
		return s.changedAt(c.op, c.times[0])
	case !exact || len(c.values) == 0 || slices.Contains(c.values, "") && c.f.kind != "crm_multifield":
		return nil, false
	case c.f.name != "ID" && c.f.kind != "string" && c.f.kind != "crm_multifield":
		return nil, false
	}
	var found []*contact
	for _, v := range c.values {
		if c.f.name == "ID" {
			id, _ := number(v)
			if p := s.people.byID[id]; p != nil {
				found = append(found, p)
			}
			continue
		}
		list, known := s.people.indexed(c.f.name, v)
		if !known {
			return nil, false
		}
		if len(c.values) == 1 {
			return list, true
		}
		found = append(found, list...)
	}
	return inOrder(found), true
}

// few is the share of all contacts from which on it costs less to look at all.
const few = 4

// changedAt are the contacts that changed before or after a time in Unix
// seconds, if they are few.
func (s *Server) changedAt(op string, at int64) ([]*contact, bool) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	switch op {
	case ">", ">=":
		low = at
	case "<", "<=":
		high = at
	case "=", "@":
		low, high = at, at
	default:
		return nil, false
	}
	ids, known := s.people.changes.Between(low, high, len(s.people.all)/few)
	var found []*contact
	for _, id := range ids {
		if p := s.people.byID[id]; p != nil {
			found = append(found, p)
		}
	}
	return inOrder(found), known
}

// inOrder sorts contacts by their ids, each once.
func inOrder(list []*contact) []*contact {
	slices.SortFunc(list, func(a, b *contact) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(list)
}
