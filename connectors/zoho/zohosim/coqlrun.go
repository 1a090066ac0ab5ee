package zohosim

import (
	"cmp"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"crmsync/connectors/internal/faults"
)

// coql answers a query. It knows of every write at once.
func (s *Server) coql(c *call) (*reply, *refusal) {
	if c.Method != http.MethodPost {
		return nil, noMethod()
	}
	if c.wrong != nil {
		return nil, c.wrong
	}
	q := c.query
	m := s.modules[q.module]
	if m == nil || m.name == notesModule {
		return nil, bad("INVALID_QUERY", "the module name given seems to be invalid", obj{"module": q.module})
	}
	if refused := s.check(q, m); refused != nil {
		return nil, refused
	}
	rows, more := s.run(q, m)
	rows, more = s.spoilQuery(c, rows, more)
	if len(rows) == 0 {
		return nothing(), nil
	}
	return ok(obj{"data": rows, "info": obj{"count": len(rows), "more_records": more}}), nil
}

// spoilQuery is spoil for pages which the caller makes up by itself.
func (s *Server) spoilQuery(c *call, rows []obj, more bool) ([]obj, bool) {
	if _, hit := s.faults.Active(c.Request, faults.PageEmpty); hit {
		return nil, false
	}
	if _, hit := s.faults.Active(c.Request, faults.PageRepeat); hit && s.lastRows != nil {
		return s.lastRows, true
	}
	if _, hit := s.faults.Active(c.Request, faults.PageHalf); hit && len(rows) > 1 {
		return rows[:len(rows)/2], false
	}
	s.lastRows = rows
	return rows, more
}

func (s *Server) check(q *query, m *module) *refusal {
	if q.limit > s.knobs.COQLRows {
		return bad(limit, "limit exceeded", obj{"limit": s.knobs.COQLRows, "clause": "limit"})
	}
	if q.offset+q.limit > reachableRows {
		return bad(limit, "limit exceeded", obj{"limit": reachableRows, "clause": "offset"})
	}
	names := slices.Clone(q.fields)
	if q.order != "" {
		names = append(names, q.order)
	}
	for _, name := range append(names, q.where.names()...) {
		if !s.column(m, name) {
			return bad("INVALID_QUERY", "column given seems to be invalid", obj{"column_name": name})
		}
	}
	return nil
}

func (c *condition) names() []string {
	if c.join != "" {
		return append(c.left.names(), c.right.names()...)
	}
	return []string{c.field}
}

// column reports whether there is such a field, be it one of a related record.
func (s *Server) column(m *module, name string) bool {
	first, rest, related := strings.Cut(name, ".")
	f := m.byName[first]
	if f == nil || !related {
		return f != nil
	}
	if f.kind == "ownerlookup" {
		return slices.Contains([]string{"id", "first_name", "last_name", "email"}, rest)
	}
	target := s.modules[f.lookup]
	return target != nil && target.byName[rest] != nil
}

// run finds, sorts and cuts. Only records that an index proposes are looked
// at, and where the order is that of the ids or of changes, no more than
// needed.
func (s *Server) run(q *query, m *module) (rows []obj, more bool) {
	byID := q.order == "" || q.order == "id"
	candidates, found := s.candidates(m, q.where)
	if found {
		slices.SortFunc(candidates, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
		candidates = slices.Compact(candidates)
	} else {
		candidates = m.records
		if low, high := q.where.idRange(); byID {
			from := sort.Search(len(candidates), func(n int) bool { return candidates[n].id >= low })
			to := sort.Search(len(candidates), func(n int) bool { return candidates[n].id > high })
			candidates = candidates[from:max(from, to)]
		}
	}
	need := q.offset + q.limit + 1
	var hits []*record
	byTime := !found && q.order == "Modified_Time" && !m.bent
	look := func(r *record) bool {
		if r.now.deleted.IsZero() && r.meets(q.where) {
			hits = append(hits, r)
		}
		return !byID && !byTime || len(hits) < need
	}
	if byTime {
		m.inTime(q.where.timeRange(), q.desc, look)
	} else {
		each(0, len(candidates), !byID || !q.desc, func(n int) bool { return look(candidates[n]) })
	}
	if !byID && !byTime {
		slices.SortStableFunc(hits, func(a, b *record) int {
			order := compare(a.path(q.order), b.path(q.order))
			if q.desc {
				return -order
			}
			return order
		})
	}
	hits = hits[min(q.offset, len(hits)):]
	if more = len(hits) > q.limit; more {
		hits = hits[:q.limit]
	}
	for _, r := range hits {
		row := obj{"id": r.name()}
		for _, name := range q.fields {
			row[name] = s.queried(r.path(name))
		}
		rows = append(rows, row)
	}
	return rows, more
}

// queried is a value as COQL shows it: of others only the id.
func (s *Server) queried(v any) any {
	switch v := v.(type) {
	case *record:
		return obj{"id": v.name()}
	case *user:
		return obj{"id": v.id}
	}
	return s.shown(v)
}

// path is a field of the record or of one it points at.
func (r *record) path(name string) any {
	first, rest, related := strings.Cut(name, ".")
	v := r.value(r.now, first)
	if !related {
		return v
	}
	switch v := v.(type) {
	case *record:
		return v.path(rest)
	case *user:
		return map[string]any{"id": v.id, "first_name": v.first, "last_name": v.last, "email": v.email}[rest]
	}
	return nil
}

// candidates are the records among which all those are that meet the
// condition; false if no index helps.
func (s *Server) candidates(m *module, c *condition) ([]*record, bool) {
	switch c.join {
	case "and":
		left, found := s.candidates(m, c.left)
		right, also := s.candidates(m, c.right)
		if found && (!also || len(left) <= len(right)) {
			return left, true
		}
		return right, also
	case "or":
		left, found := s.candidates(m, c.left)
		right, also := s.candidates(m, c.right)
		return append(slices.Clone(left), right...), found && also
	}
	if c.field == "Modified_Time" {
		return m.changed(c.timeRange())
	}
	if c.operator != "=" && c.operator != "in" {
		return nil, false
	}
	name, rest, related := strings.Cut(c.field, ".")
	if related && rest != "id" {
		return s.throughLookup(m, name, &condition{field: rest, operator: c.operator, values: c.values})
	}
	list := []*record{}
	if name == "id" {
		for _, v := range c.values {
			if r := m.get(v); r != nil {
				list = append(list, r)
			}
		}
		return list, true
	}
	f := m.byName[name]
	if f == nil || !f.keyed() || f.readOnly {
		return nil, false
	}
	for _, v := range c.values {
		list = append(list, m.indexed(name)[fold(v)]...)
	}
	return list, true
}

// throughLookup are the records that point at one which meets a condition.
func (s *Server) throughLookup(m *module, name string, c *condition) ([]*record, bool) {
	f := m.byName[name]
	if f == nil || s.modules[f.lookup] == nil {
		return nil, false
	}
	others, found := s.candidates(s.modules[f.lookup], c)
	list := []*record{}
	for _, other := range others {
		list = append(list, m.indexed(name)[fold(other)]...)
	}
	return list, found
}

// idRange bounds the ids that can meet the condition.
func (c *condition) idRange() (low, high int64) {
	low, high = 0, 1<<63-1
	if c.join == "and" {
		l1, h1 := c.left.idRange()
		l2, h2 := c.right.idRange()
		return max(l1, l2), min(h1, h2)
	}
	if c.join != "" || c.field != "id" || len(c.values) == 0 {
		return low, high
	}
	n, err := strconv.ParseInt(c.values[0], 10, 64)
	if err != nil {
		return low, high
	}
	switch c.operator {
	case ">", ">=":
		low = n
	case "<", "<=":
		high = n
	}
	return low, high
}

// meets reports whether the condition holds. Text is compared without regard
// to case; nothing compares with null.
func (r *record) meets(c *condition) bool {
	switch c.join {
	case "and":
		return r.meets(c.left) && r.meets(c.right)
	case "or":
		return r.meets(c.left) || r.meets(c.right)
	}
	v := r.path(c.field)
	switch c.operator {
	case "is null":
		return v == nil
	case "is not null":
		return v != nil
	}
	if v == nil {
		return false
	}
	operator, negated := strings.CutPrefix(c.operator, "not ")
	return holds(v, operator, c.values) != negated
}
