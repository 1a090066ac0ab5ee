package zoho

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

// A candidate is a person in Zoho with a row's key or number.
type candidate struct {
	row    *row
	person *person
	rank   int
}

// A person is what a query tells of a contact.
type person struct {
	id     string
	fields map[string]any
}

// The ranks of candidates, best first.
const (
	sameKey = iota
	sameNumber
	sameVariant
)

// match looks for people who are in Zoho already and gives the rows that it
// finds their ids. Records in known are taken.
func (w *writing) match(ctx context.Context, rows, known []*row) (found, rest []*row) {
	taken := map[string]bool{}
	for _, r := range known {
		taken[r.id] = true
	}
	var candidates []candidate
	failed := map[*row]bool{}
	for _, s := range w.searches(rows) {
		people, err := w.client.people(ctx, w.schema, s)
		if err != nil {
			w.fail(s.rows, err)
			for _, r := range s.rows {
				failed[r] = true
			}
			continue
		}
		for _, r := range s.rows {
			for i := range people {
				if rank, ok := r.rank(w.schema, &people[i], w.client.region); ok && !slices.Contains(r.not, people[i].id) {
					candidates = append(candidates, candidate{r, &people[i], rank})
				}
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		// Ids are numbers that grow: the smaller is the older.
		return cmp.Or(cmp.Compare(a.rank, b.rank), compareIDs(a.person.id, b.person.id))
	})
	for _, c := range candidates {
		if c.row.id == "" && !taken[c.person.id] {
			c.row.id, taken[c.person.id] = c.person.id, true
			c.row.keep(c.person)
		}
	}
	for _, r := range rows {
		switch {
		case failed[r]:
		case r.id != "":
			found = append(found, r)
		default:
			rest = append(rest, r)
		}
	}
	return found, rest
}

func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// fold is a key as Zoho's unique fields compare it.
func fold(key string) string { return strings.ToLower(key) }

// rank says how well a record fits. What Zoho was asked for is spellings, and
// it does not tell capitals from small letters, so all is compared here; and a
// record with another key is another contact.
func (r *row) rank(s *schema, p *person, region string) (int, bool) {
	switch key, _ := p.fields[s.key].(string); {
	case key != "" && fold(key) == fold(r.key):
		return sameKey, true
	case key != "":
		return 0, false
	}
	best := -1
	for _, name := range s.phones() {
		text, _ := p.fields[name].(string)
		i := phone.Index(text, region, r.phones)
		if i == 0 {
			return sameNumber, true
		}
		best = max(best, i)
	}
	return sameVariant, best > 0
}

// keep leaves alone what a record that somebody else made says already.
func (r *row) keep(p *person) {
	for _, group := range r.fill {
		if !slices.ContainsFunc(group, func(name string) bool { return p.fields[name] != nil }) {
			continue
		}
		for _, name := range group {
			if v, ok := r.values[name]; ok {
				if r.held == nil {
					r.held = map[string]any{}
				}
				r.held[name] = v
				delete(r.values, name)
			}
			if name == tagField && r.tagged {
				r.tagged = false
			}
			r.kept = append(r.kept, name)
		}
	}
}

// release unties a row from the record it was taken for.
func (r *row) release() {
	for name, v := range r.held {
		r.values[name] = v
	}
	r.id, r.kept, r.held = "", nil, nil
}

// A search is what fits into one query.
type search struct {
	rows []*row
	keys []string
	// numbers are the spellings, as many lists as it takes.
	numbers [][]string
	fill    []string
}

// What fits into a query: conditions, values of a list, and characters (Zoho:
// COQL-Limitations; for the length nothing is said).
const (
	maxConditions = 25
	maxValues     = 50
	maxQuery      = 9000
	maxColumns    = 50
)

// searches spreads rows over queries. A query costs one credit however much it
// asks for (Zoho: api-limits), so they are filled.
func (w *writing) searches(rows []*row) []search {
	columns := len(w.schema.phones())
	var all []search
	size, count := maxQuery, 0
	for _, r := range rows {
		var values []string
		for _, p := range r.phones {
			for _, v := range phone.Spellings(p, w.client.region) {
				if !slices.Contains(values, v) {
					values = append(values, v)
				}
			}
		}
		need := len(r.key) + 4
		for _, v := range values {
			need += columns * (len(v) + len(`'',`))
		}
		lists := (count + len(values) + maxValues - 1) / maxValues
		full := size+need > maxQuery || 1+columns*lists > maxConditions
		if len(all) == 0 || full || len(all[len(all)-1].keys) == maxValues {
			all = append(all, search{})
			size, count = 0, 0
		}
		s := &all[len(all)-1]
		s.add(r, values)
		size += need
		count += len(values)
	}
	return all
}

func (s *search) add(r *row, values []string) {
	s.rows = append(s.rows, r)
	if r.key != "" {
		s.keys = append(s.keys, r.key)
	}
	for _, v := range values {
		if n := len(s.numbers); n == 0 || len(s.numbers[n-1]) == maxValues {
			s.numbers = append(s.numbers, nil)
		}
		last := &s.numbers[len(s.numbers)-1]
		*last = append(*last, v)
	}
	for _, name := range slices.Concat(r.fill...) {
		if !slices.Contains(s.fill, name) {
			s.fill = append(s.fill, name)
		}
	}
}

// people finds the contacts with one of the keys or numbers. Queries read the
// storage and see what was just written; Zoho's search reads an index and does
// not (Zoho: Get-Records-through-COQL-Query, search-records).
func (c *Client) people(ctx context.Context, s *schema, q search) ([]person, *connectors.Error) {
	// More people than this with the same number are not people.
	const pages, size = 5, 200
	columns := append([]string{s.key}, s.phones()...)
	for _, name := range q.fill {
		if _, ok := s.contacts[name]; ok && !slices.Contains(columns, name) && len(columns) < maxColumns {
			columns = append(columns, name)
		}
	}
	conditions := []string{oneOf(s.key, q.keys)}
	for _, numbers := range q.numbers {
		for _, column := range s.phones() {
			conditions = append(conditions, oneOf(column, numbers))
		}
	}
	text := "select " + strings.Join(columns, ", ") + " from " + contacts + " where " + join("or", conditions)
	var all []person
	for page := range pages {
		limit := fmt.Sprintf(" order by id asc limit %d", size)
		if page > 0 {
			limit += fmt.Sprintf(" offset %d", page*size)
		}
		a, err := c.query(ctx, text+limit)
		if err != nil {
			return nil, err
		}
		for _, raw := range a.Data {
			var fields map[string]json.RawMessage
			if json.Unmarshal(raw, &fields) != nil {
				return nil, garbled()
			}
			p := person{fields: map[string]any{}}
			p.id, _ = decode(definition{}, fields[idField]).(string)
			if !isID.MatchString(p.id) {
				return nil, garbled()
			}
			for _, name := range columns {
				p.fields[name] = decode(definition{}, fields[name])
			}
			all = append(all, p)
		}
		if !a.Info.More {
			break
		}
	}
	return all, nil
}

// query asks in COQL. No rows come as 204, that is as an empty envelope.
func (c *Client) query(ctx context.Context, text string) (*envelope, *connectors.Error) {
	a, err := c.do(ctx, call{method: http.MethodPost, path: "coql", in: coqlRequest{text}, batched: true, heavy: true})
	if err != nil {
		return nil, err
	}
	if a.broken() {
		return nil, garbled()
	}
	return a, nil
}

// oneOf is the condition that a column has one of at most 50 values.
func oneOf(column string, values []string) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = quote(v)
	}
	return column + " in (" + strings.Join(list, ",") + ")"
}

var escape = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quote makes a text of a query. Nothing else may put values into one.
func quote(v string) string { return "'" + escape.Replace(v) + "'" }

// join nests conditions in pairs: COQL does not take three side by side.
func join(operator string, conditions []string) string {
	all := conditions[0]
	for _, c := range conditions[1:] {
		all = "(" + all + " " + operator + " " + c + ")"
	}
	if len(conditions) == 1 {
		return "(" + all + ")"
	}
	return all
}
