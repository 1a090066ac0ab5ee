package hubspotsim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// index finds records of a type by what searches know of them. What it answers
// has to be checked: it may be of a state before the one that is known.
type index struct {
	// values find records by a property's value, in the order of ids. A property
	// has them from when it is first asked for.
	values map[string]*values
	// changes are by milliseconds.
	changes simcrm.Changes[*record]
}

func newIndex() index {
	return index{values: map[string]*values{}, changes: simcrm.Changes[*record]{Fresh: func(r *record, at int64) bool {
		return r.seen.visible() && r.seen.updated.UnixMilli() == at
	}}}
}

type values struct {
	// of is the definition by which values were told apart.
	of    *property
	byKey map[string][]*record
}

// visible reports whether searches find a record in this state.
func (v *state) visible() bool { return v != nil && v.archived.IsZero() }

// show lets searches find a record in a state unless they know a newer one.
func (r *record) show(v *state, number int64) {
	if number <= r.seenSeq {
		return
	}
	before := r.seen
	r.seen, r.seenSeq = v, number
	if before == v {
		return
	}
	for _, values := range r.kind.index.values {
		values.replace(r, before, v)
	}
	if v.visible() {
		r.kind.index.changes.Note(v.updated.UnixMilli(), r)
	}
}

// valued are the records by the keys of a property's values.
func (st *store) valued(p *property) map[string][]*record {
	x := st.index.values[p.Name]
	if x == nil || x.of != p {
		x = &values{p, map[string][]*record{}}
		for _, r := range st.records {
			x.replace(r, nil, r.seen)
		}
		st.index.values[p.Name] = x
	}
	return x.byKey
}

// replace moves a record from its keys in one state to those in another.
func (x *values) replace(r *record, before, v *state) {
	old, keys := x.keys(r, before), x.keys(r, v)
	if slices.Equal(old, keys) {
		return
	}
	place := func(list []*record) (int, bool) {
		return slices.BinarySearchFunc(list, r.id, func(o *record, id int64) int { return cmp.Compare(o.id, id) })
	}
	for _, key := range old {
		list := x.byKey[key]
		if at, is := place(list); is {
			x.byKey[key] = slices.Delete(list, at, at+1)
		}
		if len(x.byKey[key]) == 0 {
			delete(x.byKey, key)
		}
	}
	for _, key := range keys {
		if at, is := place(x.byKey[key]); !is {
			x.byKey[key] = slices.Insert(x.byKey[key], at, r)
		}
	}
}

func (x *values) keys(r *record, v *state) []string {
	if !v.visible() {
		return nil
	}
	value, _ := r.kind.value(r, v, x.of.Name)
	return x.of.keys(value)
}

// keys are what a value is found by. Two values that a filter takes for equal
// share one.
func (p *property) keys(value string) []string {
	if value == "" {
		return nil
	}
	if p.Type != "enumeration" {
		value = strings.ToLower(value)
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil && p.Type == "number" {
		// The sum makes one zero of both.
		return []string{strconv.FormatFloat(n+0, 'g', -1, 64)}
	}
	return strings.Split(value, separator(p))
}

// publish hands a record's new state to the search index, which knows it at
// once or some time later.
func (s *Server) publish(r *record, v *state) {
	if !s.opts.Lag {
		s.index.Now(r, v)
		return
	}
	lag := s.opts.LagTime + time.Duration(s.rand.Int64N(int64(s.opts.LagTime)/2+1))
	s.index.Later(s.Now().Add(lag), r, v)
}
