package zohosim

import (
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// module keeps the records of one module.
type module struct {
	id                     int64
	name, singular, plural string
	custom                 bool
	// display is the field by which records are called, system the one by
	// which Zoho itself looks for duplicates.
	display, system string
	fields          []*field
	byName          map[string]*field

	// records are all there ever were, in the order of their ids; byID too.
	records []*record
	byID    map[int64]*record
	// log is the order of changes. An entry is stale once its record has
	// changed again or is deleted.
	log   []entry
	stale int
	// bent says that the clock has gone back, so that not every entry has the
	// time of its change.
	bent bool
	// indexes find live records by a field's folded value. There is one for
	// every key, and for any field from when it is first asked for.
	indexes map[string]map[string][]*record
	// texts are what searches look for parts in.
	texts map[aspect]*texts
	// bin are the deleted ones, in the order of their deletion.
	bin  []*record
	live int
	dead int

	// phones finds live contacts by the digits of any of their numbers;
	// doubles are those beyond the first under one number.
	phones  map[string][]*record
	doubles int

	tags   map[string]*tag
	tagged []*tag
}

type entry struct {
	record *record
	seq    int64
	at     time.Time
}

type record struct {
	id        int64
	module    *module
	created   time.Time
	createdBy *user
	now       *state
	// seq is that of the record's entry in the module's log.
	seq int64
	// seen is what the search index knows; nil before it knows anything.
	seen    *state
	seenSeq int64
}

// state is a record's values at one time. It never changes once stored.
//
// A value is a string, bool, float64, time.Time, []string, *record or *user.
type state struct {
	values   map[string]any
	owner    *user
	by       *user
	modified time.Time
	tags     []*tag

	deleted   time.Time
	deletedBy *user
	purged    time.Time
}

func (v *state) clone() *state {
	next := *v
	next.values = maps.Clone(v.values)
	if next.values == nil {
		next.values = map[string]any{}
	}
	return &next
}

// get returns the record with this id unless it is deleted.
func (m *module) get(id string) *record {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil
	}
	if r := m.byID[n]; r != nil && r.now.deleted.IsZero() {
		return r
	}
	return nil
}

// put stores a record's new state and keeps every index in step.
func (s *Server) put(r *record, next *state) {
	m := r.module
	if r.now == nil {
		m.byID[r.id] = r
		m.records = append(m.records, r)
	} else if r.now.deleted.IsZero() {
		s.unlist(r)
		m.stale++
	}
	r.now = next
	if next.deleted.IsZero() {
		s.enlist(r)
		r.seq = s.index.Next()
		at := m.latest(next.modified)
		m.bent = m.bent || !at.Equal(next.modified)
		m.log = append(m.log, entry{r, r.seq, at})
	} else {
		m.dead++
	}
	m.tidy()
	s.publish(r, next)
}

// tidy drops what is stale once it is most of what there is.
func (m *module) tidy() {
	if m.stale > 1000 && m.stale > len(m.log)/2 {
		m.log = slices.DeleteFunc(m.log, func(e entry) bool { return !e.fresh() })
		m.stale = 0
	}
	if m.dead > 1000 && m.dead > len(m.records)/2 {
		m.records = slices.DeleteFunc(m.records, func(r *record) bool { return !r.now.deleted.IsZero() })
		m.dead = 0
		clear(m.texts)
	}
}

func (e entry) fresh() bool { return e.record.seq == e.seq && e.record.now.deleted.IsZero() }

func (s *Server) enlist(r *record) {
	m := r.module
	m.live++
	for name, values := range m.indexes {
		if key := fold(r.now.values[name]); key != "" {
			values[key] = append(values[key], r)
		}
	}
	if m.name == "Contacts" {
		for _, d := range numbers(r.now.values) {
			m.phones[d] = append(m.phones[d], r)
			if len(m.phones[d]) > 1 {
				m.doubles++
			}
		}
	}
	if m.name == tasksModule {
		s.tallyTask(r)
	}
	if l := message(r); l.is {
		s.logged++
		if l.wamid != "" {
			s.wamids[l.wamid] = append(s.wamids[l.wamid], r)
			if len(s.wamids[l.wamid]) > 1 {
				s.doubles++
			}
		}
	}
}

func (s *Server) unlist(r *record) {
	m := r.module
	m.live--
	for name, values := range m.indexes {
		if key := fold(r.now.values[name]); key != "" {
			without(values, key, r)
		}
	}
	if m.name == "Contacts" {
		for _, d := range numbers(r.now.values) {
			m.doubles -= without(m.phones, d, r)
		}
	}
	if m.name == tasksModule {
		s.tasks.Drop(r)
	}
	if l := message(r); l.is {
		s.logged--
		if l.wamid != "" {
			s.doubles -= without(s.wamids, l.wamid, r)
		}
	}
}

// without takes a record out and reports 1 if others are left.
func without(from map[string][]*record, key string, r *record) int {
	if len(from[key]) < 2 {
		delete(from, key)
		return 0
	}
	from[key] = slices.DeleteFunc(slices.Clone(from[key]), func(o *record) bool { return o == r })
	return 1
}

// indexed returns the index over a field, which is made when first asked for.
func (m *module) indexed(name string) map[string][]*record {
	if values := m.indexes[name]; values != nil {
		return values
	}
	values := map[string][]*record{}
	for _, r := range m.records {
		if key := fold(r.now.values[name]); key != "" && r.now.deleted.IsZero() {
			values[key] = append(values[key], r)
		}
	}
	m.indexes[name] = values
	return values
}

// first returns the record with the lowest id that has this value.
func (m *module) first(name string, value any) *record {
	key := fold(value)
	if key == "" {
		return nil
	}
	var oldest *record
	for _, r := range m.indexed(name)[key] {
		if oldest == nil || r.id < oldest.id {
			oldest = r
		}
	}
	return oldest
}

// fold is what two values have in common that Zoho takes for equal.
func fold(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ToLower(strings.TrimSpace(v))
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case *record:
		return strconv.FormatInt(v.id, 10)
	}
	return ""
}

// since returns where the log begins that has everything changed at or after.
func (m *module) since(t time.Time) int {
	return sort.Search(len(m.log), func(n int) bool { return !m.log[n].at.Before(t) })
}

// latest keeps the log in order should the clock go back.
func (m *module) latest(t time.Time) time.Time {
	if n := len(m.log); n > 0 && m.log[n-1].at.After(t) {
		return m.log[n-1].at
	}
	return t
}

// whole is a time as Zoho keeps it.
func whole(t time.Time) time.Time { return t.Truncate(time.Second) }

// numbers are the distinct digits of a person's numbers: Phone, Mobile and
// any WhatsApp id.
func numbers(values map[string]any) []string {
	var list []string
	add := func(v any) {
		if d := digits(v); d != "" && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	add(values["Phone"])
	add(values["Mobile"])
	for name, v := range values {
		if len(name) >= 5 && strings.EqualFold(name[len(name)-5:], "WA_ID") {
			add(v)
		}
	}
	return list
}

func digits(v any) string {
	text, _ := v.(string)
	return simcrm.Digits(text)
}

// stamp is a time as the API shows it: in the user's zone, without fraction.
func (s *Server) stamp(t time.Time) string {
	return whole(t).In(s.opts.TimeZone).Format("2006-01-02T15:04:05-07:00")
}
