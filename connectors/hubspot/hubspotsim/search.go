package hubspotsim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxGroups     = 5
	maxFilters    = 6
	maxAllFilters = 18
	maxQuery      = 3000
	maxSearchPage = 200
	maxSearchHits = 10000
)

type query struct {
	Groups []struct {
		Filters []filter `json:"filters"`
	} `json:"filterGroups"`
	Sorts      []json.RawMessage `json:"sorts"`
	Query      string            `json:"query"`
	Properties []string          `json:"properties"`
	Limit      *int              `json:"limit"`
	After      text              `json:"after"`
}

type filter struct {
	Name     string `json:"propertyName"`
	Operator string `json:"operator"`
	Value    text   `json:"value"`
	High     text   `json:"highValue"`
	Values   []text `json:"values"`

	// rank is set where the value is compared as a whole number, which has to
	// be one from low to high.
	rank      rank
	low, high int64
}

// found is a page of hits; the total is never cut.
type found struct {
	Total int `json:"total"`
	page
}

// search answers from the index, which may be behind. HubSpot: the search
// guide.
func (s *Server) search(c *call, st *store) (*reply, *refusal) {
	var q query
	if refused := c.decode(&q); refused != nil {
		return nil, refused
	}
	limit := 10
	if q.Limit != nil {
		limit = *q.Limit
	}
	after, err := strconv.Atoi(orElse(string(q.After), "0"))
	switch {
	case err != nil || after < 0:
		return nil, malformed(1, wrongType("int", "string"))
	case after >= maxSearchHits, len(c.body) > maxQuery, limit < 0 || limit > maxSearchPage, len(q.Sorts) > 1:
		return nil, opaque()
	}
	if refused := q.check(st); refused != nil {
		return nil, refused
	}
	hits, refused := s.hits(st, &q)
	if refused != nil {
		return nil, refused
	}
	out := found{Total: len(hits), page: page{Results: []any{}}}
	for _, h := range hits[min(after, len(hits)):min(after+limit, len(hits))] {
		out.Results = append(out.Results, s.shown(st, h.r, h.v, st.asked(q.Properties)))
	}
	if after+limit < len(hits) {
		out.Paging = next(strconv.Itoa(after+limit), "")
	}
	s.spoil(c, &out.page, string(q.After))
	return ok(out), nil
}

type hit struct {
	r *record
	v *state
}

// hits are in the order of the ids, or in the one asked for.
func (s *Server) hits(st *store, q *query) ([]hit, *refusal) {
	var hits []hit
	for _, r := range s.candidates(st, q) {
		if v := r.seen; v.visible() && q.matches(st, r, v) {
			hits = append(hits, hit{r, v})
		}
	}
	if len(q.Sorts) == 0 {
		return hits, nil
	}
	name, down := sorting(q.Sorts[0])
	if st.property(name) == nil {
		return nil, opaque()
	}
	number := st.rank(name)
	order := func(a, b hit) int {
		if down {
			a, b = b, a
		}
		if number != nil {
			return cmp.Compare(number(a.r, a.v), number(b.r, b.v))
		}
		x, _ := st.value(a.r, a.v, name)
		y, _ := st.value(b.r, b.v, name)
		return compare(st.props[name], x, y)
	}
	// Pages of all that there is come in the order asked for already.
	if !slices.IsSortedFunc(hits, order) {
		slices.SortStableFunc(hits, order)
	}
	return hits, nil
}

var operators = []string{
	"LT", "LTE", "GT", "GTE", "EQ", "NEQ", "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY",
	"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN",
}

func (q *query) check(st *store) *refusal {
	if len(q.Groups) > maxGroups {
		return refuse(http.StatusBadRequest, validation, "too many filter groups (count: %d, max allowed: %d)", len(q.Groups), maxGroups)
	}
	total := 0
	for _, g := range q.Groups {
		total += len(g.Filters)
		if len(g.Filters) > maxFilters {
			return refuse(http.StatusBadRequest, validation, "too many filters per filter group (count: %d, max allowed: %d)",
				len(g.Filters), maxFilters)
		}
		for n := range g.Filters {
			f := &g.Filters[n]
			cannot := "Cannot construct instance of `com.hubspot.inbounddb.publicobject.core.v2.search.Filter`, problem: "
			switch {
			case !slices.Contains(operators, f.Operator):
				return malformed(1, cannot+"unknown operator "+f.Operator)
			case (f.Operator == "IN" || f.Operator == "NOT_IN") && len(f.Values) == 0:
				return malformed(1, cannot+"operator "+f.Operator+" requires values")
			case st.property(f.Name) == nil && !strings.HasPrefix(f.Name, "associations."):
				return opaque()
			}
			f.bound(st)
		}
	}
	if total > maxAllFilters {
		return refuse(http.StatusBadRequest, validation, "too many filters (count: %d, max allowed: %d)", total, maxAllFilters)
	}
	return nil
}

// matches is true if any group holds, and a group if all its filters do.
func (q *query) matches(st *store, r *record, v *state) bool {
	if q.Query != "" && !mentions(st, r, v, strings.ToLower(q.Query)) {
		return false
	}
	if len(q.Groups) == 0 {
		return true
	}
	for _, g := range q.Groups {
		all := true
		for n := range g.Filters {
			all = all && g.Filters[n].holds(st, r, v)
		}
		if all {
			return true
		}
	}
	return false
}

// searched are the properties which a query looks for words in. HubSpot: the
// search guide's default searchable properties.
var searched = []string{
	"email", "firstname", "lastname", "phone", "company", "hs_full_name_or_email", "hs_communication_body", "hs_task_subject", "hs_task_body",
}

func mentions(st *store, r *record, v *state, words string) bool {
	for _, name := range searched {
		if value, has := st.value(r, v, name); has && strings.Contains(strings.ToLower(value), words) {
			return true
		}
	}
	return false
}

func (f *filter) holds(st *store, r *record, v *state) bool {
	if f.rank != nil {
		n := f.rank(r, v)
		return n >= f.low && n <= f.high
	}
	if of, is := strings.CutPrefix(f.Name, "associations."); is {
		return slices.ContainsFunc(r.links, func(l link) bool {
			id := text(strconv.FormatInt(l.to.id, 10))
			return l.kind.singular == of && l.to.now.archived.IsZero() && (id == f.Value || slices.Contains(f.Values, id))
		})
	}
	p := st.props[f.Name]
	value, has := st.value(r, v, f.Name)
	has = has && value != ""
	switch f.Operator {
	case "HAS_PROPERTY":
		return has
	case "NOT_HAS_PROPERTY":
		return !has
	case "NEQ":
		return has && !same(p, value, string(f.Value))
	case "NOT_IN":
		return has && !f.in(p, value)
	case "NOT_CONTAINS_TOKEN":
		return has && !containsToken(value, string(f.Value))
	}
	if !has {
		return false
	}
	switch f.Operator {
	case "EQ":
		return same(p, value, string(f.Value))
	case "IN":
		return f.in(p, value)
	case "CONTAINS_TOKEN":
		return containsToken(value, string(f.Value))
	case "LT":
		return compare(p, value, string(f.Value)) < 0
	case "LTE":
		return compare(p, value, string(f.Value)) <= 0
	case "GT":
		return compare(p, value, string(f.Value)) > 0
	case "GTE":
		return compare(p, value, string(f.Value)) >= 0
	default: // BETWEEN
		return compare(p, value, string(f.Value)) >= 0 && compare(p, value, string(f.High)) <= 0
	}
}

// in looks a string up in lower case; the caller has to send it so. Options
// are compared as they are.
func (f *filter) in(p *property, value string) bool {
	if p.Type != "enumeration" {
		value = strings.ToLower(value)
	}
	for _, one := range strings.Split(value, separator(p)) {
		if slices.Contains(f.Values, text(one)) {
			return true
		}
	}
	return false
}

func separator(p *property) string {
	if p.FieldType == "checkbox" {
		return ";"
	}
	return "\x00"
}

func same(p *property, a, b string) bool {
	if p.Type == "enumeration" {
		return slices.Contains(strings.Split(a, separator(p)), b)
	}
	return compare(p, a, b) == 0
}

// compare orders values by the property's type: times and numbers as such,
// strings without regard to case.
func compare(p *property, a, b string) int {
	switch p.Type {
	case "datetime", "date":
		x, okX := moment(a)
		y, okY := moment(b)
		if okX && okY {
			return cmp.Compare(x, y)
		}
	case "number":
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}

func moment(v string) (int64, bool) {
	if len(v) == len("2006-01-02") && v[4] == '-' {
		v += "T00:00:00Z"
	}
	t, ok := milliseconds(v)
	return t.UnixMilli(), ok
}

// containsToken looks for a whole word, or for a part where there is a star.
func containsToken(value, token string) bool {
	value, token = strings.ToLower(value), strings.ToLower(token)
	if strings.Contains(token, "*") {
		return strings.Contains(value, strings.Trim(token, "*"))
	}
	apart := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return value == token || slices.Contains(strings.FieldsFunc(value, apart), token)
}

// sorting reads a rule: an object, or a bare name, descending with a minus.
func sorting(raw json.RawMessage) (name string, down bool) {
	var rule struct{ PropertyName, Direction string }
	if json.Unmarshal(raw, &rule) == nil {
		return rule.PropertyName, rule.Direction == "DESCENDING"
	}
	_ = json.Unmarshal(raw, &name)
	if bare, is := strings.CutPrefix(name, "-"); is {
		return bare, true
	}
	return name, false
}
