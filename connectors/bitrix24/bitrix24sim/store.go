package bitrix24sim

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// contact is one record. What it holds by name is by the classic family's names.
type contact struct {
	id     int64
	fields map[string]string
	// lists are the values of multiple fields.
	lists map[string][]string
	rows  []row

	created, modified, active   time.Time
	createdBy, modifiedBy, last string
}

// row is one phone number, address or the like.
type row struct {
	id               int64
	kind, sort, text string
}

func (c *contact) clone() *contact {
	next := *c
	next.fields, next.lists, next.rows = maps.Clone(c.fields), maps.Clone(c.lists), slices.Clone(c.rows)
	return &next
}

func (c *contact) first(kind string, sorts ...string) string {
	for _, r := range c.rows {
		if r.kind == kind && (len(sorts) == 0 || slices.Contains(sorts, r.sort)) {
			return r.text
		}
	}
	return ""
}

func (c *contact) has(kind string) string {
	if c.first(kind) != "" {
		return "Y"
	}
	return "N"
}

// store holds all contacts, the oldest first.
type store struct {
	all    []*contact
	byID   map[int64]*contact
	nextID int64
	rowID  int64
	// phones and mails are the duplicate index; numbers are the digits of
	// everything that identifies a person, for the control plane.
	phones, mails, numbers map[string][]*contact
	// values are the indexes of fields that were filtered by.
	values map[string]map[string][]*contact
	// changes are by Unix seconds and ids.
	changes simcrm.Changes[int64]
	doubles int
}

func newStore() store {
	byID := map[int64]*contact{}
	return store{
		byID: byID, phones: map[string][]*contact{}, mails: map[string][]*contact{}, numbers: map[string][]*contact{},
		values: map[string]map[string][]*contact{}, nextID: 1, rowID: 3001,
		changes: simcrm.Changes[int64]{Fresh: func(id, at int64) bool { return byID[id] != nil && byID[id].modified.Unix() == at }},
	}
}

// put stores a new contact, or the next state of one.
func (st *store) put(c *contact) {
	if c.id == 0 {
		c.id = st.nextID
		st.nextID++
		st.all = append(st.all, c)
	} else {
		old := st.byID[c.id]
		st.unlist(old)
		st.all[st.place(c.id)] = c
	}
	st.byID[c.id] = c
	st.enlist(c)
	st.changes.Note(c.modified.Unix(), c.id)
}

func (st *store) remove(c *contact) {
	st.unlist(c)
	at := st.place(c.id)
	st.all = slices.Delete(st.all, at, at+1)
	delete(st.byID, c.id)
}

// place returns where the contact with this id is, or the next one.
func (st *store) place(id int64) int {
	return sort.Search(len(st.all), func(n int) bool { return st.all[n].id >= id })
}

func (st *store) enlist(c *contact) {
	for kind, index := range map[string]map[string][]*contact{"PHONE": st.phones, "EMAIL": st.mails} {
		for _, key := range c.keys(kind) {
			index[key] = with(index[key], c)
		}
	}
	for name, index := range st.values {
		for _, v := range c.plain(name) {
			index[v] = with(index[v], c)
		}
	}
	for _, d := range c.numbers() {
		st.numbers[d] = with(st.numbers[d], c)
		if len(st.numbers[d]) > 1 {
			st.doubles++
		}
	}
}

func (st *store) unlist(c *contact) {
	for kind, index := range map[string]map[string][]*contact{"PHONE": st.phones, "EMAIL": st.mails} {
		for _, key := range c.keys(kind) {
			without(index, key, c)
		}
	}
	for name, index := range st.values {
		for _, v := range c.plain(name) {
			without(index, v, c)
		}
	}
	for _, d := range c.numbers() {
		if len(st.numbers[d]) > 1 {
			st.doubles--
		}
		without(st.numbers, d, c)
	}
}

// indexed returns the contacts with a value in a field, the oldest first. It
// reports false for fields of which no index is worth keeping.
func (st *store) indexed(name, value string) ([]*contact, bool) {
	if !strings.HasPrefix(name, "UF_") && name != "ORIGIN_ID" && name != "PHONE" && name != "EMAIL" {
		return nil, false
	}
	index := st.values[name]
	if index == nil {
		index = map[string][]*contact{}
		for _, c := range st.all {
			for _, v := range c.plain(name) {
				index[v] = with(index[v], c)
			}
		}
		st.values[name] = index
	}
	return index[value], true
}

// with keeps a list in the order of ids.
func with(list []*contact, c *contact) []*contact {
	if n := len(list); n == 0 || list[n-1].id < c.id {
		return append(list, c)
	}
	at := sort.Search(len(list), func(n int) bool { return list[n].id >= c.id })
	if list[at].id == c.id {
		return list
	}
	return slices.Insert(list, at, c)
}

func without(index map[string][]*contact, key string, c *contact) {
	list := index[key]
	at := sort.Search(len(list), func(n int) bool { return list[n].id >= c.id })
	if at >= len(list) || list[at].id != c.id {
		return
	}
	if len(list) == 1 {
		delete(index, key)
		return
	}
	index[key] = slices.Delete(list, at, at+1)
}

// plain are the values of a field as a filter compares them.
func (c *contact) plain(name string) []string {
	if isMultifield(name) {
		var out []string
		for _, r := range c.rows {
			if r.kind == name {
				out = append(out, r.text)
			}
		}
		return out
	}
	if list, multiple := c.lists[name]; multiple {
		return list
	}
	if v := c.fields[name]; v != "" {
		return []string{v}
	}
	return nil
}

// keys are what the duplicate index knows a contact by.
func (c *contact) keys(kind string) []string {
	var out []string
	for _, r := range c.rows {
		if r.kind == kind {
			out = append(out, duplicateKey(kind, r.text))
		}
	}
	return out
}

// duplicateKey compares whole numbers; an extension is left out. Bitrix24:
// crm.duplicate.findbycomm.
func duplicateKey(kind, text string) string {
	if kind == "EMAIL" {
		return strings.ToLower(strings.TrimSpace(text))
	}
	number, _, _ := strings.Cut(text, "#")
	return simcrm.Digits(number)
}

// numbers are the distinct digits of a contact's phones and WhatsApp ids.
func (c *contact) numbers() []string {
	var out []string
	add := func(text string) {
		if d := simcrm.Digits(text); d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, r := range c.rows {
		if r.kind == "PHONE" {
			add(r.text)
		}
	}
	for name, v := range c.fields {
		if strings.HasPrefix(name, "UF_") && strings.HasSuffix(name, "WA_ID") {
			add(v)
		}
	}
	return out
}

func whole(t time.Time) time.Time { return t.Truncate(time.Second) }

func number(v any) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(str(v)), 10, 64)
	return n, err == nil
}
