package hubspotsim

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// few is the share of the records up to which it is cheaper to look at those
// that an index proposes than at all in their order.
const few = 4

// candidates are records among which all are that a query finds, in the order
// of their ids. They are to be checked: an index knows them by one filter of
// each group, and may be behind.
func (s *Server) candidates(st *store, q *query) []*record {
	if len(q.Groups) == 0 {
		return st.records
	}
	var all []*record
	for _, g := range q.Groups {
		list, known := s.ofGroup(st, g.Filters)
		if !known || len(all)+len(list) > len(st.records)/few {
			// Of one group the span of ids is known, and in order.
			if from, to := st.span(g.Filters); len(q.Groups) == 1 {
				return st.records[from:to]
			}
			return st.records
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(all)
}

// ofGroup is the shortest list that one of the filters has; false if none has.
func (s *Server) ofGroup(st *store, filters []filter) (best []*record, known bool) {
	for n := range filters {
		if list, is := s.ofFilter(st, &filters[n]); is && (!known || len(list) < len(best)) {
			best, known = list, true
		}
	}
	return best, known
}

func (s *Server) ofFilter(st *store, f *filter) ([]*record, bool) {
	asked := f.Values
	if f.Operator == "EQ" {
		asked = []text{f.Value}
	}
	p := st.props[f.Name]
	of, linked := strings.CutPrefix(f.Name, "associations.")
	switch {
	case linked:
		return s.linkedTo(st, of, append(slices.Clone(f.Values), f.Value)), true
	case f.rank != nil && f.Name == "hs_object_id":
		from, to := st.span([]filter{*f})
		return st.records[from:to], true
	case f.rank != nil:
		return st.index.changes.Between(f.low, f.high, len(st.records)/few)
	case f.Operator != "EQ" && f.Operator != "IN", p.Type == "date", p.Type == "datetime":
		return nil, false
	case f.Name == "hs_object_id":
		return st.numbered(asked), f.Operator == "IN"
	}
	var keys []string
	for _, value := range asked {
		keys = append(keys, p.keys(string(value))...)
	}
	byKey := st.valued(p)
	if len(keys) == 1 {
		return byKey[keys[0]], true
	}
	var list []*record
	for _, key := range keys {
		list = append(list, byKey[key]...)
	}
	return list, true
}

// numbered are the records with these ids.
func (st *store) numbered(ids []text) []*record {
	var list []*record
	for _, id := range ids {
		if r := st.byID[number(id)]; r != nil {
			list = append(list, r)
		}
	}
	return list
}

// linkedTo are the records associated with those of another type that have
// these ids.
func (s *Server) linkedTo(st *store, singular string, ids []text) []*record {
	var list []*record
	for _, other := range s.stores {
		if other.singular != singular {
			continue
		}
		for _, r := range other.numbered(ids) {
			for _, l := range r.links {
				if l.kind == st {
					list = append(list, l.to)
				}
			}
		}
	}
	return list
}

// span is the part of the records whose ids the filters allow.
func (st *store) span(filters []filter) (from, to int) {
	to = len(st.records)
	place := func(id int64) int {
		n, _ := slices.BinarySearchFunc(st.records, id, func(r *record, id int64) int { return cmp.Compare(r.id, id) })
		return n
	}
	for n := range filters {
		if f := &filters[n]; f.rank != nil && f.Name == "hs_object_id" {
			from = max(from, place(f.low))
			if f.high < math.MaxInt64 {
				to = min(to, place(f.high+1))
			}
		}
	}
	return from, max(from, to)
}

// rank is a property which is kept as a whole number: the id, or the time of
// change in milliseconds.
type rank func(r *record, v *state) int64

// rank is nil for other properties.
func (st *store) rank(name string) rank {
	p := st.props[name]
	switch {
	case p == nil:
	case name == "hs_object_id" && p.Type == "number":
		return func(r *record, _ *state) int64 { return r.id }
	case name == st.usual()[2] && p.Type == "datetime":
		return func(_ *record, v *state) int64 { return v.updated.UnixMilli() }
	}
	return nil
}

// exact is up to where a float64, as which numbers are compared, is exact.
const exact = 1 << 53

// bound finds out what a filter allows of a property with a rank.
func (f *filter) bound(st *store) {
	of := st.rank(f.Name)
	if of == nil {
		return
	}
	read := func(value text) (int64, bool) {
		n, err := strconv.ParseInt(string(value), 10, 64)
		is := err == nil
		if f.Name != "hs_object_id" {
			n, is = moment(string(value))
		}
		return n, is && n > -exact && n < exact
	}
	n, is := read(f.Value)
	f.low, f.high = math.MinInt64, math.MaxInt64
	switch f.Operator {
	case "EQ":
		f.low, f.high = n, n
	case "GT":
		f.low = n + 1
	case "GTE":
		f.low = n
	case "LT":
		f.high = n - 1
	case "LTE":
		f.high = n
	case "BETWEEN":
		high, also := read(f.High)
		f.low, f.high, is = n, high, is && also
	default:
		return
	}
	if is {
		f.rank = of
	}
}
