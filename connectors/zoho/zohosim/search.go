package zohosim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	searchParams = []string{"criteria", "email", "phone", "word"}
	phoneQuery   = regexp.MustCompile(`^[+]?[0-9\s\-().]+$`)
)

const (
	searchReach = 2000
	maxCriteria = 10
	maxSearched = 100
)

// search answers from the index, which lags. Zoho: search records.
func (s *Server) search(c *call, m *module) (*reply, *refusal) {
	if m.name == notesModule {
		return nil, bad("NOT_SUPPORTED", "search is not supported for this module", obj{"module": m.name})
	}
	if !slices.ContainsFunc(searchParams, func(p string) bool { return c.q.Get(p) != "" }) {
		return nil, bad("EXPECTED_PARAM_MISSING", "one of the expected parameters is missing", obj{"param_names": searchParams})
	}
	matches, refused := s.matcher(c, m)
	if refused != nil {
		return nil, refused
	}
	names, refused := fieldList(c, false)
	if refused != nil {
		return nil, refused
	}
	if len(names) == 0 {
		for _, f := range m.fields {
			names = append(names, f.name)
		}
	}
	page, perPage, refused := s.paging(c)
	if refused != nil {
		return nil, refused
	}
	if page*perPage > searchReach {
		return nil, bad("LIMIT_REACHED", "maximum response iteration limit reached", obj{"limit": fmt.Sprint(searchReach)})
	}
	skip, more := (page-1)*perPage, false
	var rows []obj
	among := matches.among(m)
	each(0, len(among), c.q.Get("sort_order") == "asc", func(n int) bool {
		r := among[n]
		if r.seen == nil || !r.seen.deleted.IsZero() || !matches.is(r, r.seen) {
			return true
		}
		if skip > 0 {
			skip--
			return true
		}
		if len(rows) == perPage {
			more = true
			return false
		}
		rows = append(rows, s.pick(r, r.seen, names, true))
		return true
	})
	info := obj{"per_page": perPage, "count": len(rows), "page": page, "more_records": more}
	if rows = s.spoil(c, rows, info); rows == nil {
		return nothing(), nil
	}
	delete(info, "next_page_token")
	delete(info, "page_token_expiry")
	return ok(obj{"data": rows, "info": info}), nil
}

// matcher is the first of criteria, email, phone and word that is given.
func (s *Server) matcher(c *call, m *module) (match, *refusal) {
	if text := c.q.Get("criteria"); text != "" {
		p := &criteria{s: s, m: m, rest: text}
		found, refused := p.group()
		if refused == nil && p.rest != "" {
			refused = p.wrong("the criteria cannot be understood", nil)
		}
		if refused == nil && p.count > maxCriteria {
			refused = bad("CRITERIA_LIMIT_EXCEEDED", "the criteria limit is exceeded", obj{"limit": maxCriteria})
		}
		return found, refused
	}
	if text := c.q.Get("email"); text != "" {
		found := m.any("email", func(v string) bool { return len(v) == len(text) && strings.EqualFold(v, text) })
		if ascii(text) {
			found.likely, found.known = m.within("email", aspect{}, strings.ToLower(text))
		}
		return found, nil
	}
	if text := c.q.Get("phone"); text != "" {
		if len(text) < 3 || len(text) > 50 || !phoneQuery.MatchString(text) {
			return match{}, badParam("phone", "phone")
		}
		want := digits(text)
		found := m.any("phone", func(v string) bool { return hasDigits(v, want) })
		found.likely, found.known = m.within("phone", aspect{digits: true}, want)
		return found, nil
	}
	word := strings.ToLower(c.q.Get("word"))
	return m.any("", func(v string) bool { return strings.Contains(strings.ToLower(v), word) }), nil
}

// any matches if one field of this kind, or of any, does.
func (m *module) any(kind string, is func(string) bool) match {
	names := m.textual(kind)
	return match{is: func(_ *record, v *state) bool {
		for _, name := range names {
			if text, plain := v.values[name].(string); plain && is(text) {
				return true
			}
		}
		return false
	}}
}

// textual are the fields of a kind, or of any, whose values are text.
func (m *module) textual(kind string) []string {
	var names []string
	for _, f := range m.fields {
		if (kind == "" || f.kind == kind) && jsonTypes[f.kind] == "" && !f.readOnly {
			names = append(names, f.name)
		}
	}
	return names
}

// within are the records in which a field of this kind contains a text.
func (m *module) within(kind string, as aspect, part string) (list []*record, known bool) {
	for _, name := range m.textual(kind) {
		as.name = name
		found, few := m.containing(as, part)
		if !few {
			return nil, false
		}
		list = append(list, found...)
	}
	return list, true
}

// ascii reports whether a text has only letters of which all that fold to them
// and are as long are the same in lower case.
func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// hasDigits reports whether a number holds these digits, however it is
// written. It is asked of every contact.
func hasDigits(number, want string) bool {
	var buffer [64]byte
	plain := buffer[:0]
	for n := range len(number) {
		if number[n] >= '0' && number[n] <= '9' {
			plain = append(plain, number[n])
		}
	}
	return strings.Contains(string(plain), want)
}

// criteria is a text such as ((Last_Name:equals:Burns)and(Mobile:starts_with:\+49)).
type criteria struct {
	s     *Server
	m     *module
	rest  string
	count int
}

func (p *criteria) wrong(reason string, more obj) *refusal {
	details := obj{"reason": reason}
	for k, v := range more {
		details[k] = v
	}
	return bad("INVALID_QUERY", "Invalid query formed", details)
}

// group reads parenthesised parts joined by and, or.
func (p *criteria) group() (match, *refusal) {
	left, refused := p.part()
	for refused == nil {
		p.rest = strings.TrimSpace(p.rest)
		join := ""
		for _, word := range []string{"and", "or"} {
			if len(p.rest) > len(word) && strings.EqualFold(p.rest[:len(word)], word) {
				join, p.rest = word, strings.TrimSpace(p.rest[len(word):])
				break
			}
		}
		if join == "" {
			return left, nil
		}
		var right match
		if right, refused = p.part(); refused != nil {
			break
		}
		if join == "and" {
			left = left.and(right)
		} else {
			left = left.or(right)
		}
	}
	return match{}, refused
}

func (p *criteria) part() (match, *refusal) {
	rest, is := strings.CutPrefix(strings.TrimSpace(p.rest), "(")
	if !is {
		return match{}, p.wrong("the criteria cannot be understood", nil)
	}
	p.rest = rest
	var found match
	var refused *refusal
	if strings.HasPrefix(strings.TrimSpace(rest), "(") {
		found, refused = p.group()
	} else {
		found, refused = p.comparison()
	}
	if refused != nil {
		return match{}, refused
	}
	if p.rest, is = strings.CutPrefix(p.rest, ")"); !is {
		return match{}, p.wrong("the criteria cannot be understood", nil)
	}
	return found, nil
}

// comparison reads field:operator:value up to a bracket that is not escaped.
func (p *criteria) comparison() (match, *refusal) {
	p.count++
	values := []string{""}
	n := 0
	for ; n < len(p.rest) && p.rest[n] != ')'; n++ {
		switch {
		case p.rest[n] == '\\' && n+1 < len(p.rest):
			n++
			values[len(values)-1] += p.rest[n : n+1]
		case p.rest[n] == ',':
			values = append(values, "")
		default:
			values[len(values)-1] += p.rest[n : n+1]
		}
	}
	head := strings.SplitN(values[0], ":", 3)
	if n == len(p.rest) || len(head) != 3 {
		return match{}, p.wrong("the criteria cannot be understood", nil)
	}
	p.rest = p.rest[n:]
	name, operator := head[0], head[1]
	values[0] = head[2]
	if p.m.byName[name] == nil {
		return match{}, p.wrong("the field is not available for search", obj{"api_name": name})
	}
	if !slices.Contains([]string{
		"equals", "not_equal", "starts_with", "in", "between", "greater_than", "greater_equal", "less_than", "less_equal",
	}, operator) {
		return match{}, p.wrong("the operator is not supported", obj{"api_name": name, "operator": operator})
	}
	if len(values) > maxSearched || operator == "between" && len(values) != 2 {
		return match{}, p.wrong("the value is not supported", obj{"api_name": name, "operator": operator, "value": head[2]})
	}
	out := match{is: func(r *record, v *state) bool { return found(r.value(v, name), operator, values) }}
	if !slices.Contains(p.m.textual(""), name) || p.m.byName[name].kind == "datetime" {
		return out, nil
	}
	parts := values
	switch operator {
	case "equals", "starts_with":
		parts = []string{strings.Join(values, ",")}
	case "in":
	default:
		return out, nil
	}
	out.known = true
	for _, part := range parts {
		likely, known := p.m.containing(aspect{name: name}, strings.ToLower(part))
		out.likely, out.known = append(out.likely, likely...), out.known && known
	}
	return out, nil
}

// found compares as search does: of text, equals means contains.
func found(v any, operator string, values []string) bool {
	if v == nil {
		return operator == "not_equal"
	}
	text, isText := v.(string)
	contains := func(w string) bool {
		if isText {
			return strings.Contains(strings.ToLower(text), strings.ToLower(w))
		}
		return compare(v, w) == 0
	}
	switch operator {
	case "equals":
		return contains(strings.Join(values, ","))
	case "not_equal":
		return !contains(strings.Join(values, ","))
	case "starts_with":
		return strings.HasPrefix(strings.ToLower(text), strings.ToLower(strings.Join(values, ",")))
	}
	signs := map[string]string{
		"in": "in", "between": "between", "greater_than": ">", "greater_equal": ">=", "less_than": "<", "less_equal": "<=",
	}
	return holds(v, signs[operator], values)
}
