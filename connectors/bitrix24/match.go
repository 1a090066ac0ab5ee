package bitrix24

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

// A candidate is a person in Bitrix24 with a row's key or number.
type candidate struct {
	row    *row
	record contact
	rank   int
}

// The ranks of candidates, best first.
const (
	sameKey = iota
	sameNumber
	sameVariant
)

const (
	// keysPerList leaves room on a page for keys that two records have.
	keysPerList = 45
	// perSearch is how many values findbycomm takes, and the most ids that it
	// gives (Bitrix24: finding duplicates).
	perSearch = 20
)

// A matching looks for people who are in Bitrix24 already.
type matching struct {
	*writing
	rows  []*row
	taken map[string]bool
	names []string
	// records are those that were found, by id, asked those that have to be
	// read because a search has named them.
	records map[string]contact
	asked   map[string][]*row
	failed  map[*row]bool
	// queue are commands that follow from the answers to others.
	queue []command
}

func (w *writing) matching(rows, known []*row) *matching {
	m := &matching{
		writing: w, rows: rows, taken: map[string]bool{},
		names:   []string{keyField, "ORIGINATOR_ID", "ORIGIN_ID", "PHONE"},
		records: map[string]contact{}, asked: map[string][]*row{}, failed: map[*row]bool{},
	}
	for _, r := range known {
		m.taken[r.id] = true
	}
	for _, r := range rows {
		m.names = append(m.names, slices.Concat(r.fill...)...)
		for name := range r.wishes {
			m.names = append(m.names, name)
		}
	}
	return m
}

// look executes the commands before and then those that look for the rows.
func (m *matching) look(ctx context.Context, before []command) {
	m.client.certain(ctx, m.rows)
	m.queue = before
	for chunk := range slices.Chunk(m.rows, keysPerList) {
		keys := make([]string, len(chunk))
		for i, r := range chunk {
			keys[i] = r.key
		}
		m.list(chunk, keyField, keys, params{"@" + keyField: keys})
		m.list(chunk, "ORIGIN_ID", keys, params{"ORIGINATOR_ID": originator, "@ORIGIN_ID": keys})
	}
	m.search()
	m.drain(ctx)

	// What a search has found and the lists have not is read now.
	var ids []string
	for id := range m.asked {
		if m.records[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for chunk := range slices.Chunk(ids, perPage) {
		m.queue = append(m.queue, listing(params{"@ID": chunk}, m.names, func(found []contact, err *connectors.Error) {
			for _, id := range chunk {
				m.lost(m.asked[id], err)
			}
			m.see(found)
		}))
	}
	m.drain(ctx)
}

func (m *matching) drain(ctx context.Context) {
	for len(m.queue) > 0 {
		cmds := m.queue
		m.queue = nil
		m.client.run(ctx, cmds)
	}
}

func (m *matching) see(found []contact) {
	for _, c := range found {
		m.records[c.id()] = c
	}
}

// lost gives rows the error with which looking for them failed.
func (m *matching) lost(rows []*row, err *connectors.Error) {
	if err == nil {
		return
	}
	for _, r := range rows {
		m.fail(r, err)
		m.failed[r] = true
	}
}

// list looks for records with one of the keys in a field.
func (m *matching) list(rows []*row, name string, keys []string, filter params) {
	m.queue = append(m.queue, listing(filter, m.names, func(found []contact, err *connectors.Error) {
		m.lost(rows, err)
		for _, c := range found {
			// The database does not mind capitals.
			if !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, string(c.text(name))) }) {
				// A filter on a field that is not there lets everything pass.
				m.lost(rows, noKeyField())
				return
			}
		}
		m.see(found)
		if n := len(found); n >= perPage && number(found[n-1].id()) > 0 {
			more := params{">ID": found[n-1].id()}
			for k, v := range filter {
				more[k] = v
			}
			m.list(rows, name, keys, more)
		}
	}))
}

// search looks for records with one of the rows' phones, several rows at once.
func (m *matching) search() {
	var rows []*row
	var values []string
	flush := func() {
		if len(values) > 0 {
			m.find(rows, values)
		}
		rows, values = nil, nil
	}
	for _, r := range m.rows {
		mine := r.spellings(m.client.region)
		if len(values)+len(mine) > perSearch {
			flush()
		}
		if len(mine) == 0 {
			continue
		}
		for len(mine) > perSearch {
			m.find([]*row{r}, mine[:perSearch])
			mine = mine[perSearch:]
		}
		rows, values = append(rows, r), append(values, mine...)
	}
	flush()
}

// find asks for records with one of the values. Which it was it does not tell.
func (m *matching) find(rows []*row, values []string) {
	m.queue = append(m.queue, command{
		method: findByComm,
		params: params{"type": "PHONE", "entity_type": "CONTACT", "values": values},
		done: func(o outcome) {
			var hits section[list[value]]
			if err := o.decode(&hits); err != nil {
				m.lost(rows, err)
				return
			}
			if len(hits["CONTACT"]) >= perSearch && len(rows) > 1 {
				// There may be more than it tells: ask for each.
				for _, r := range rows {
					for mine := range slices.Chunk(r.spellings(m.client.region), perSearch) {
						m.find([]*row{r}, mine)
					}
				}
				return
			}
			for _, id := range hits["CONTACT"] {
				m.asked[string(id)] = append(m.asked[string(id)], rows...)
			}
		},
	})
}

// spellings are the forms in which Bitrix24 may have the row's numbers. How
// its index normalises is not documented, only that it compares whole numbers.
func (r *row) spellings(region string) []string {
	var values []string
	add := func(v string) {
		if v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	for _, p := range r.phones {
		add(p)
		add(strings.TrimPrefix(p, "+"))
		home := region != "" && strings.EqualFold(phone.Country(p), region)
		for _, n := range phone.National(p) {
			add(n)
			if home {
				add("0" + n)
			}
		}
		if home {
			add("00" + strings.TrimPrefix(p, "+"))
		}
	}
	return values
}

// settle gives the rows that were found the record that fits best.
func (m *matching) settle() (found, rest []*row) {
	var candidates []candidate
	for _, r := range m.rows {
		for id, c := range m.records {
			if rank, ok := r.rank(c, m.client.region); ok && !m.failed[r] && !slices.Contains(r.not, id) {
				candidates = append(candidates, candidate{r, c, rank})
			}
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			// Ids grow: the smaller is the older.
			cmp.Compare(number(a.record.id()), number(b.record.id())),
			cmp.Compare(a.row.changes[0], b.row.changes[0]),
		)
	})
	for _, c := range candidates {
		id := c.record.id()
		if c.row.id != "" || m.taken[id] || m.failed[c.row] {
			continue
		}
		if m.claim.add("record " + id) {
			c.row.id, c.row.record, m.taken[id] = id, c.record, true
			c.row.keep()
		} else {
			m.fail(c.row, &connectors.Error{Class: connectors.Transient, Code: "RECORD_BUSY", Reason: "another change of the record is under way"})
			m.failed[c.row] = true
		}
	}
	for _, r := range m.rows {
		switch {
		case m.failed[r]:
		case r.id != "":
			found = append(found, r)
		default:
			rest = append(rest, r)
		}
	}
	return found, rest
}

// rank says how well a record fits. A record with another key is another
// contact; what the search found is compared again, for it overlooks
// extensions and countries.
func (r *row) rank(c contact, region string) (int, bool) {
	switch k := string(c.text(keyField)); {
	case k == r.key:
		return sameKey, true
	case k != "":
		return 0, false
	}
	if c.text("ORIGINATOR_ID") == originator && c.text("ORIGIN_ID") != "" {
		return sameKey, string(c.text("ORIGIN_ID")) == r.key
	}
	best := -1
	for _, e := range c.rows("PHONE") {
		i := phone.Index(string(e.Value), region, r.phones)
		if i == 0 {
			return sameNumber, true
		}
		best = max(best, i)
	}
	return sameVariant, best > 0
}

// keep leaves alone what a record that somebody else made says already.
func (r *row) keep() {
	if r.record.text("ORIGINATOR_ID") == originator && string(r.record.text("ORIGIN_ID")) == r.key {
		return
	}
	says := func(name string) bool {
		return r.record.text(name) != "" && r.record.text(name) != "[]" && r.record.text(name) != "false"
	}
	for _, group := range r.fill {
		if !slices.ContainsFunc(group, says) {
			continue
		}
		for _, name := range group {
			delete(r.fields, name)
			delete(r.wishes, name)
			r.kept = append(r.kept, name)
		}
	}
}
