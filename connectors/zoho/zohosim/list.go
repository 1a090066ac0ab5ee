package zohosim

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/faults"
)

// Zoho: get records.
const (
	pageSize      = 200
	maxFields     = 50
	pagedRecords  = 2000
	tokenRecords  = 100000
	maxIDsLetters = 1024
)

// listing is what a list call asks for.
type listing struct {
	module  *module
	fields  []string
	perPage int
	page    int
	sortBy  string
	order   string
	since   time.Time
	// after is the cursor to go on from and skip how many to leave out; done
	// counts the records before this page.
	after    int64
	skip     int
	done     int
	only     []*record
	bound    uint64
	hasSince bool
}

// list answers a page of a module's records.
func (s *Server) list(c *call, m *module) (*reply, *refusal) {
	if m.name == notesModule && c.token.grant.Standard {
		return nil, forbidden("NOT_SUPPORTED", "Crm_Implied_View_Notes")
	}
	l, refused := s.listing(c, m)
	if refused != nil {
		return nil, refused
	}
	var rows []obj
	more, last := false, int64(0)
	l.walk(func(r *record, at int64) bool {
		if l.skip > 0 {
			l.skip--
			return true
		}
		if len(rows) == l.perPage {
			more = true
			return false
		}
		rows = append(rows, s.pick(r, r.now, l.fields, true))
		last = at
		return true
	})
	info := obj{
		"per_page": l.perPage, "count": len(rows), "page": l.page, "more_records": more, "sort_by": l.sortBy, "sort_order": l.order,
		"next_page_token": nil, "previous_page_token": nil, "page_token_expiry": nil, "call": false, "email": false,
	}
	if more {
		t := pageToken{Module: m.name, Bound: l.bound, User: c.token.grant.id(), Made: s.Now().UnixMilli(), After: last, Done: l.done + len(rows)}
		s.setToken(info, t)
	}
	rows = s.spoil(c, rows, info)
	if rows == nil {
		if l.hasSince {
			return unchanged(), nil
		}
		return nothing(), nil
	}
	return ok(obj{"data": rows, "info": info}), nil
}

// spoil does to a page what a fault asks for: nothing in it, the same page
// for ever, or half of it and no more pages.
func (s *Server) spoil(c *call, rows []obj, info obj) []obj {
	end := func() { info["more_records"], info["next_page_token"], info["page_token_expiry"] = false, nil, nil }
	if _, hit := s.faults.Active(c.Request, faults.PageEmpty); hit {
		return nil
	}
	if _, hit := s.faults.Active(c.Request, faults.PageRepeat); hit {
		info["more_records"] = true
		if token := c.q.Get("page_token"); token != "" {
			info["next_page_token"] = token
		}
	}
	if _, hit := s.faults.Active(c.Request, faults.PageHalf); hit && len(rows) > 1 {
		rows = rows[:len(rows)/2]
		info["count"] = len(rows)
		end()
	}
	return rows
}

func (s *Server) listing(c *call, m *module) (*listing, *refusal) {
	l := &listing{module: m}
	var refused *refusal
	if l.fields, refused = fieldList(c, true); refused != nil {
		return nil, refused
	}
	if l.page, l.perPage, refused = s.paging(c); refused != nil {
		return nil, refused
	}
	l.sortBy, l.order = orElse(c.q.Get("sort_by"), "id"), orElse(c.q.Get("sort_order"), "desc")
	token := c.q.Get("page_token")
	switch {
	case !slices.Contains([]string{"id", "Created_Time", "Modified_Time"}, l.sortBy):
		return nil, badParam("sort_by", "id, Created_Time or Modified_Time")
	case l.order != "asc" && l.order != "desc":
		return nil, badParam("sort_order", "asc or desc")
	case c.q.Has("page") && token != "":
		return nil, bad(ambiguity, "ambiguity while processing the request", obj{"ambiguity_due_to": []obj{{"param_name": "page"}, {"param_name": "page_token"}}})
	case c.q.Has("cvid") && c.q.Has("sort_by"):
		return nil, bad(ambiguity, "ambiguity while processing the request", obj{"ambiguity_due_to": []obj{{"param_name": "cvid"}, {"param_name": "sort_by"}}})
	case l.page*l.perPage > pagedRecords:
		return nil, bad("DISCRETE_PAGINATION_LIMIT_EXCEEDED", "as the number of records is beyond the limit, use page_token", obj{"limit": pagedRecords, "param_name": "page"})
	}
	if given := c.Header.Get("If-Modified-Since"); given != "" {
		t, err := time.Parse(time.RFC3339, given)
		if err != nil {
			return nil, bad(invalidData, "invalid data", obj{"header": "If-Modified-Since", "expected_data_type": "datetime"})
		}
		l.since, l.hasSince = t, true
	}
	if c.q.Has("ids") {
		if l.only, refused = s.named(c, m); refused != nil {
			return nil, refused
		}
	}
	l.bound = bound(c)
	l.skip = (l.page - 1) * l.perPage
	l.done = l.skip
	if token != "" {
		t, refused := s.openToken(c, m, l.bound, token)
		if refused != nil {
			return nil, refused
		}
		l.after, l.done, l.skip = t.After, t.Done, 0
		l.page = t.Done/l.perPage + 1
	}
	return l, nil
}

// fieldList reads the parameter fields.
func fieldList(c *call, must bool) ([]string, *refusal) {
	var names []string
	for _, name := range strings.Split(c.q.Get("fields"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 && must {
		return nil, missingParam("fields")
	}
	if len(names) > maxFields {
		return nil, bad(limit, "fields limit exceeded", obj{"limit": maxFields, "param_name": "fields"})
	}
	return names, nil
}

func (s *Server) paging(c *call) (page, perPage int, refused *refusal) {
	page, perPage = 1, pageSize
	for _, p := range []struct {
		name string
		into *int
	}{{"page", &page}, {"per_page", &perPage}} {
		given := c.q.Get(p.name)
		if given == "" {
			continue
		}
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			return 0, 0, badParam(p.name, "integer")
		}
		*p.into = n
	}
	if perPage > pageSize {
		if !s.knobs.CapPerPage {
			return 0, 0, bad(invalidData, "invalid data", obj{"param_name": "per_page", "maximum_length": pageSize})
		}
		perPage = pageSize
	}
	return page, perPage, nil
}

// named are the live records that ids names, external values included.
func (s *Server) named(c *call, m *module) ([]*record, *refusal) {
	given := c.q.Get("ids")
	if len(given) > maxIDsLetters {
		return nil, bad(invalidData, "invalid data", obj{"param_name": "ids", "maximum_length": maxIDsLetters})
	}
	ext, refused := externalHeader(c, m)
	if refused != nil {
		return nil, refused
	}
	list := []*record{}
	for _, id := range strings.Split(given, ",") {
		id = strings.TrimSpace(id)
		var r *record
		switch {
		case ext.own != "":
			r = m.first(ext.own, id)
		case !numeric.MatchString(id):
			return nil, bad(invalidData, "the id given seems to be invalid", obj{"param_name": "ids"})
		default:
			r = m.get(id)
		}
		if r != nil && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list, nil
}

// walk visits records in the order asked for, with the cursor that leads on
// from each.
func (l *listing) walk(visit func(r *record, at int64) bool) {
	m, asc := l.module, l.order == "asc"
	fits := func(r *record) bool {
		return r.now.deleted.IsZero() && (!l.hasSince || !whole(r.now.modified).Before(l.since))
	}
	if l.only == nil && l.sortBy == "Modified_Time" {
		begin := 0
		if l.hasSince {
			begin = m.since(l.since)
		}
		seqs := m.log[begin:]
		from, to := l.span(len(seqs), func(n int) int64 { return seqs[n].seq })
		each(from, to, asc, func(n int) bool {
			e := seqs[n]
			return !e.fresh() || !fits(e.record) || visit(e.record, e.seq)
		})
		return
	}
	records := m.records
	if l.only != nil {
		records = l.only
	} else if changed := len(m.log) - m.since(l.since); l.hasSince && changed < len(records)/4 {
		records = nil
		for _, e := range m.log[len(m.log)-changed:] {
			if e.fresh() {
				records = append(records, e.record)
			}
		}
	}
	if l.only != nil || len(records) != len(m.records) {
		slices.SortFunc(records, func(a, b *record) int { return int(a.id - b.id) })
	}
	from, to := l.span(len(records), func(n int) int64 { return records[n].id })
	each(from, to, asc, func(n int) bool { return !fits(records[n]) || visit(records[n], records[n].id) })
}

// span is the part of a sorted list that lies behind the cursor.
func (l *listing) span(length int, key func(int) int64) (from, to int) {
	if l.after == 0 {
		return 0, length
	}
	if l.order == "asc" {
		return sort.Search(length, func(n int) bool { return key(n) > l.after }), length
	}
	return 0, sort.Search(length, func(n int) bool { return key(n) >= l.after })
}

func each(from, to int, asc bool, visit func(int) bool) {
	for n := range to - from {
		at := from + n
		if !asc {
			at = to - 1 - n
		}
		if !visit(at) {
			return
		}
	}
}

// pick shows the fields asked for; the id always goes with them, and what
// does not exist is left out.
func (s *Server) pick(r *record, v *state, names []string, list bool) obj {
	row := obj{"id": r.name()}
	for _, name := range names {
		f := r.module.byName[name]
		if f == nil {
			continue
		}
		value := s.shown(r.value(v, name))
		if text, is := value.(string); is && list && f.area == "rich_text" && len([]rune(text)) > 500 {
			value = string([]rune(text)[:500])
		}
		row[name] = value
	}
	return row
}

// get answers one record, whole unless fields are named.
func (s *Server) get(c *call, m *module, id string) (*reply, *refusal) {
	r := m.get(id)
	if r == nil {
		return nothing(), nil
	}
	if given, err := time.Parse(time.RFC3339, c.Header.Get("If-Modified-Since")); err == nil && whole(r.now.modified).Before(given) {
		return unchanged(), nil
	}
	names, refused := fieldList(c, false)
	if refused != nil {
		return nil, refused
	}
	everything := len(names) == 0
	if everything {
		for _, f := range m.fields {
			names = append(names, f.name)
		}
	}
	row := s.pick(r, r.now, names, false)
	if everything {
		for name, v := range map[string]any{
			"$currency_symbol": "$", "$editable": true, "$approval_state": "approved", "$field_states": nil, "$sharing_permission": "full_access",
			"$process_flow": false, "$locked_for_me": false, "$in_merge": false, "$review": nil, "$review_process": nil, "$orchestration": false,
			"$pathfinder": nil, "$zia_visions": nil, "$approval": obj{"delegate": false, "takeover": false, "approve": false, "reject": false, "resubmit": false},
		} {
			row[name] = v
		}
	}
	return &reply{status: http.StatusOK, body: obj{"data": []obj{row}}}, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (g *grant) id() string { return fmt.Sprintf("%p", g) }
