package zohosim

import (
	"strconv"
	"strings"
)

// query is a parsed COQL query. Zoho: get records through COQL, COQL limitations.
type query struct {
	fields []string
	module string
	where  *condition
	order  string
	desc   bool
	limit  int
	offset int
}

// condition is a comparison, or two conditions joined.
type condition struct {
	// join is "and", "or" or empty.
	join        string
	left, right *condition

	field, operator string
	values          []string
}

const (
	maxConditions = 25
	maxIn         = 50
	defaultRows   = 200
	reachableRows = 100000
)

// lexeme is a word, a quoted text or a sign of a query.
type lexeme struct {
	text   string
	quoted bool
	at     int
}

func (l lexeme) word(w string) bool { return !l.quoted && strings.EqualFold(l.text, w) }

type parser struct {
	source string
	rest   []lexeme
	count  int
}

// syntax is an error at the next word. Everything is on one line, as JSON has it.
func (p *parser) syntax() *refusal {
	details := obj{"line": 1, "column": len(p.source) + 1, "near": ""}
	if len(p.rest) > 0 {
		details["column"], details["near"] = p.rest[0].at+1, p.rest[0].text
	}
	return bad("SYNTAX_ERROR", "error occurred while parsing the query", details)
}

func noClause(name string) *refusal {
	return bad("SYNTAX_ERROR", "missing clause", obj{"clause": name})
}

func lex(source string) ([]lexeme, *refusal) {
	var list []lexeme
	for n := 0; n < len(source); {
		switch c := source[n]; {
		case strings.ContainsRune(" \t\r\n", rune(c)):
			n++
		case c == '\'' || c == '"':
			var text strings.Builder
			end := n + 1
			for end < len(source) && source[end] != c {
				if source[end] == '\\' && end+1 < len(source) {
					end++
				}
				text.WriteByte(source[end])
				end++
			}
			if end >= len(source) {
				return nil, (&parser{source: source, rest: []lexeme{{text: source[n:], at: n}}}).syntax()
			}
			list = append(list, lexeme{text.String(), true, n})
			n = end + 1
		case strings.ContainsRune("(),", rune(c)):
			list = append(list, lexeme{string(c), false, n})
			n++
		case strings.ContainsRune("=!<>", rune(c)):
			end := n + 1
			for end < len(source) && strings.ContainsRune("=>", rune(source[end])) {
				end++
			}
			list = append(list, lexeme{source[n:end], false, n})
			n = end
		default:
			end := n + 1
			for end < len(source) && !strings.ContainsRune(" \t\r\n'\"(),=!<>", rune(source[end])) {
				end++
			}
			list = append(list, lexeme{source[n:end], false, n})
			n = end
		}
	}
	return list, nil
}

func parseCOQL(source string) (*query, *refusal) {
	if strings.TrimSpace(source) == "" {
		return nil, bad(mandatory, "required field not found", obj{"api_name": "select_query", "json_path": "$.select_query"})
	}
	list, refused := lex(source)
	if refused != nil {
		return nil, refused
	}
	p := &parser{source: source, rest: list}
	q := &query{limit: defaultRows}
	if !p.accept("select") {
		return nil, noClause("select")
	}
	for {
		name, ok := p.name()
		if !ok {
			return nil, p.syntax()
		}
		q.fields = append(q.fields, name)
		if !p.accept(",") {
			break
		}
	}
	if len(q.fields) > maxFields {
		return nil, bad(limit, "select fields limit exceeded", obj{"limit": maxFields, "clause": "select"})
	}
	if !p.accept("from") {
		return nil, noClause("from")
	}
	name, ok := p.name()
	if !ok {
		return nil, p.syntax()
	}
	q.module = name
	if !p.accept("where") {
		if len(p.rest) > 0 && !p.peek("order") && !p.peek("limit") {
			return nil, p.syntax()
		}
		return nil, noClause("where")
	}
	if q.where, refused = p.conditions(); refused != nil {
		return nil, refused
	}
	if p.count > maxConditions {
		return nil, bad(limit, "where conditions limit exceeded", obj{"limit": maxConditions, "clause": "where"})
	}
	return q, p.tail(q)
}

// tail reads order by and limit.
func (p *parser) tail(q *query) *refusal {
	if p.accept("order") {
		if !p.accept("by") {
			return p.syntax()
		}
		name, ok := p.name()
		if !ok {
			return p.syntax()
		}
		q.order = name
		q.desc = p.accept("desc")
		if !q.desc {
			p.accept("asc")
		}
	}
	if p.accept("limit") {
		n, ok := p.integer()
		if !ok {
			return p.syntax()
		}
		q.limit = n
		if p.accept(",") {
			more, ok := p.integer()
			if !ok {
				return p.syntax()
			}
			q.offset, q.limit = n, more
		}
	}
	if p.accept("offset") {
		n, ok := p.integer()
		if !ok {
			return p.syntax()
		}
		q.offset = n
	}
	if len(p.rest) > 0 {
		return p.syntax()
	}
	return nil
}

func (p *parser) peek(word string) bool { return len(p.rest) > 0 && p.rest[0].word(word) }

func (p *parser) accept(word string) bool {
	is := p.peek(word)
	if is {
		p.rest = p.rest[1:]
	}
	return is
}

func (p *parser) name() (string, bool) {
	if len(p.rest) == 0 || p.rest[0].quoted || strings.ContainsAny(p.rest[0].text, "(),=<>!") {
		return "", false
	}
	name := p.rest[0].text
	p.rest = p.rest[1:]
	return name, true
}

func (p *parser) integer() (int, bool) {
	if len(p.rest) == 0 || p.rest[0].quoted {
		return 0, false
	}
	n, err := strconv.Atoi(p.rest[0].text)
	if err != nil || n < 0 {
		return 0, false
	}
	p.rest = p.rest[1:]
	return n, true
}

// conditions reads one condition or two joined ones: more than two need
// parentheses, two by two.
func (p *parser) conditions() (*condition, *refusal) {
	left, refused := p.condition()
	if refused != nil {
		return nil, refused
	}
	for _, join := range []string{"and", "or"} {
		if p.accept(join) {
			right, refused := p.condition()
			if refused != nil {
				return nil, refused
			}
			if p.peek("and") || p.peek("or") {
				return nil, p.syntax()
			}
			return &condition{join: join, left: left, right: right}, nil
		}
	}
	return left, nil
}

func (p *parser) condition() (*condition, *refusal) {
	if p.accept("(") {
		inner, refused := p.conditions()
		if refused != nil {
			return nil, refused
		}
		if !p.accept(")") {
			return nil, p.syntax()
		}
		return inner, nil
	}
	p.count++
	name, ok := p.name()
	if !ok {
		return nil, p.syntax()
	}
	c := &condition{field: name}
	negated := p.accept("not")
	switch {
	case p.accept("in"):
		c.operator = "in"
		if !p.accept("(") {
			return nil, p.syntax()
		}
		for {
			v, ok := p.value()
			if !ok {
				return nil, p.syntax()
			}
			c.values = append(c.values, v)
			if !p.accept(",") {
				break
			}
		}
		if !p.accept(")") {
			return nil, p.syntax()
		}
		if len(c.values) > maxIn {
			return nil, bad(limit, "values limit exceeded", obj{"limit": maxIn, "operator": "in"})
		}
	case p.accept("like"):
		c.operator = "like"
	case p.accept("between"):
		c.operator = "between"
	case !negated && p.accept("is"):
		c.operator = "is null"
		if p.accept("not") {
			c.operator = "is not null"
		}
		if !p.accept("null") {
			return nil, p.syntax()
		}
		return c, nil
	case !negated && len(p.rest) > 0 && !p.rest[0].quoted && strings.ContainsAny(p.rest[0].text, "=<>!"):
		c.operator = p.rest[0].text
		if !strings.Contains(" = != < <= > >= ", " "+c.operator+" ") {
			return nil, bad("SYNTAX_ERROR", "invalid operator found", obj{"operator": c.operator})
		}
		p.rest = p.rest[1:]
	default:
		return nil, p.syntax()
	}
	if negated {
		c.operator = "not " + c.operator
	}
	return c, p.operands(c)
}

// operands reads what follows an operator other than in.
func (p *parser) operands(c *condition) *refusal {
	if strings.HasSuffix(c.operator, "in") {
		return nil
	}
	count := 1
	if strings.HasSuffix(c.operator, "between") {
		count = 2
	}
	for n := range count {
		if n == 1 && !p.accept("and") {
			return p.syntax()
		}
		v, ok := p.value()
		if !ok {
			return p.syntax()
		}
		c.values = append(c.values, v)
	}
	return nil
}

func (p *parser) value() (string, bool) {
	if len(p.rest) == 0 || !p.rest[0].quoted && strings.ContainsAny(p.rest[0].text, "(),=<>!") {
		return "", false
	}
	v := p.rest[0]
	p.rest = p.rest[1:]
	return v.text, true
}
