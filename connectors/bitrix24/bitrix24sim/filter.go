package bitrix24sim

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// filter is a tree of conditions.
type filter struct {
	// any joins the parts with OR.
	any   bool
	parts []filter
	cond  *cond
}

// cond compares one field with one value or several.
type cond struct {
	f      *field
	op     string
	values []string
	// times are in Unix seconds.
	times []int64
	like  *regexp.Regexp
}

var operators = []string{"!=%", "!%=", ">=", "<=", "!@", "!=", "!%", "=%", "%=", "=", ">", "<", "@", "%", "!"}

func splitOperator(key string) (op, name string) {
	for _, o := range operators {
		if strings.HasPrefix(key, o) {
			return o, key[len(o):]
		}
	}
	return "=", key
}

// compile reads a filter. The classic family passes over what it does not
// know, the item family refuses it. Bitrix24: crm.item.list.
func (s *Server) compile(given *dict, item, original bool) (filter, *refusal) {
	out := filter{}
	for _, key := range given.names() {
		v := given.vals[key]
		if item && strings.EqualFold(key, "logic") {
			out.any = strings.EqualFold(str(v), "OR")
			continue
		}
		if group, nested := v.(*dict); item && nested && simcrm.Digits(key) == key {
			part, refused := s.compile(group, item, original)
			if refused != nil {
				return out, refused
			}
			out.parts = append(out.parts, part)
			continue
		}
		op, name := splitOperator(key)
		f := s.field(name)
		if item {
			f = s.itemField(name, original)
		}
		if f == nil {
			if item {
				return out, badArg("Invalid filter: field '%s' is not allowed in filter", name)
			}
			continue
		}
		c, valid := s.condition(f, op, v)
		if !valid && item {
			return out, badArg("Invalid filter: field '%s' has invalid value", name)
		}
		out.parts = append(out.parts, filter{cond: c})
	}
	return out, nil
}

func (s *Server) condition(f *field, op string, v any) (*cond, bool) {
	c := &cond{f: f, op: op}
	valid := true
	add := func(v any) {
		text := str(v)
		c.values = append(c.values, text)
		if text == "" {
			return
		}
		if f.kind == "datetime" || f.kind == "date" {
			at, is := s.parse(text, !s.knobs.IgnoreOffset)
			c.times = append(c.times, at.Unix())
			valid = valid && is
		}
		if f.kind == "integer" || f.kind == "user" {
			_, err := strconv.ParseFloat(text, 64)
			valid = valid && err == nil
		}
	}
	if list, is := v.(*dict); is {
		for _, k := range list.keys {
			add(list.vals[k])
		}
	} else {
		add(v)
	}
	if strings.Contains(op, "%") && len(c.values) > 0 {
		pattern := regexp.QuoteMeta(strings.ToValidUTF8(c.values[0], ""))
		if strings.Contains(op, "=") {
			pattern = "^" + strings.ReplaceAll(pattern, "%", ".*") + "$"
		}
		c.like = regexp.MustCompile("(?is)" + pattern)
	}
	return c, valid
}

func (f *filter) match(s *Server, p *contact) bool {
	if f.cond != nil {
		return f.cond.match(s, p)
	}
	for n := range f.parts {
		if f.parts[n].match(s, p) == f.any {
			return f.any
		}
	}
	return !f.any || len(f.parts) == 0
}

func (c *cond) match(s *Server, p *contact) bool {
	not := strings.HasPrefix(c.op, "!")
	switch {
	case c.like != nil:
		return not != slices.ContainsFunc(c.stored(s, p), c.like.MatchString)
	case c.f.kind == "datetime" || c.f.kind == "date":
		return c.matchTime(s, p)
	}
	switch c.op {
	case ">", ">=", "<", "<=":
		return len(c.values) == 1 && slices.ContainsFunc(c.stored(s, p), func(v string) bool { return ordered(c.op, c.compare(v, c.values[0])) })
	}
	return not != c.equals(c.stored(s, p))
}

func (c *cond) equals(stored []string) bool {
	if len(stored) == 0 {
		return slices.Contains(c.values, "") || c.f.kind == "boolean" && slices.Contains(c.values, "0")
	}
	for _, v := range stored {
		for _, w := range c.values {
			if v == w || numeric[c.f.kind] && w != "" && c.compare(v, w) == 0 {
				return true
			}
		}
	}
	return false
}

func (c *cond) compare(a, b string) int {
	if numeric[c.f.kind] {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	}
	return strings.Compare(a, b)
}

func ordered(op string, n int) bool {
	switch op {
	case ">":
		return n > 0
	case ">=":
		return n >= 0
	case "<":
		return n < 0
	}
	return n <= 0
}

// stored are the values of the field in text; none if it is empty.
func (c *cond) stored(s *Server, p *contact) []string {
	switch c.f.name {
	case "ID", "HAS_PHONE", "HAS_EMAIL", "HAS_IMOL", "CREATED_BY_ID", "MODIFY_BY_ID", "LAST_ACTIVITY_BY":
		return []string{str(s.classic(p, c.f))}
	}
	return p.plain(c.f.name)
}

// matchTime compares instants, to the second. Bitrix24: crm.contact.list.
func (c *cond) matchTime(s *Server, p *contact) bool {
	at, is := s.instant(p, c.f)
	if len(c.times) == 0 {
		return (c.op == "!" || c.op == "!=") == is
	}
	if !is {
		return c.op[0] == '!'
	}
	n := cmp.Compare(at, c.times[0])
	switch c.op {
	case ">", ">=", "<", "<=":
		return ordered(c.op, n)
	}
	return strings.HasPrefix(c.op, "!") != slices.Contains(c.times, at)
}

// instant is the time which a field holds, in Unix seconds.
func (s *Server) instant(p *contact, f *field) (int64, bool) {
	switch f.name {
	case "DATE_CREATE":
		return p.created.Unix(), true
	case "DATE_MODIFY":
		return p.modified.Unix(), true
	case "LAST_ACTIVITY_TIME":
		return p.active.Unix(), true
	}
	at, is := s.parse(p.fields[f.name], true)
	return at.Unix(), is
}
