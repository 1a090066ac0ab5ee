package hubspotsim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// Type ids of the objects served.
const (
	contactType       = "0-1"
	communicationType = "0-18"
	taskType          = "0-27"
)

// store keeps the records of one type.
type store struct {
	id, singular, plural string
	props                map[string]*property
	groups               []group
	// records are in the order of their ids, archived ones included.
	records []*record
	byID    map[int64]*record
	nextID  int64
	// unique finds live records by a unique property and its value; emails
	// are in lower case, additional ones included.
	unique map[string]map[string]*record
	// phones finds live contacts by the digits of any of their numbers.
	phones map[string][]*record
	// wamids counts live communications by the message they log.
	wamids map[string][]*record
	index  index
	// doubles are live records beyond the first under one number or message.
	doubles int
	live    int
}

// record is one contact, communication or task.
type record struct {
	id      int64
	kind    *store
	created time.Time
	by      author
	now     *state
	// seen is what the search index knows; nil before it knows anything.
	seen    *state
	seenSeq int64
	links   []link
	// into is what a merge made of the record, merges how many made it.
	into   *record
	merges int
}

// state is a record's values at one time. It never changes once stored.
type state struct {
	props    map[string]string
	updated  time.Time
	archived time.Time
	// gone is an archived record that is in no recycle bin.
	gone bool
}

// link is an association to another record, from this one's side.
type link struct {
	to   *record
	kind *store
	id   int
}

func newStore(id, singular, plural string, first int64, props []*property) *store {
	st := &store{
		id: id, singular: singular, plural: plural, props: map[string]*property{}, byID: map[int64]*record{}, nextID: first,
		unique: map[string]map[string]*record{}, phones: map[string][]*record{}, wamids: map[string][]*record{},
		index: newIndex(),
	}
	main := singular + "information"
	if id == communicationType || id == taskType {
		main = singular
	}
	st.groups = []group{{Name: main, Label: "Information"}}
	for _, p := range props {
		p.GroupName = main
		st.props[p.Name] = p
	}
	if id == contactType {
		st.props["email"].HasUniqueValue = true
		st.unique["email"] = map[string]*record{}
	}
	return st
}

// store finds the records of a type by id or name.
func (s *Server) store(name string) (*store, *refusal) {
	for _, st := range s.stores {
		if name == st.id || strings.EqualFold(name, st.singular) || strings.EqualFold(name, st.plural) {
			return st, nil
		}
	}
	return nil, refuse(http.StatusBadRequest, "", "Unable to infer object type from: %s", name)
}

// word is what error texts call the type.
func (st *store) word() string { return strings.ToUpper(st.singular) }

func (st *store) property(name string) *property {
	if p := st.props[name]; p != nil && !p.Archived {
		return p
	}
	return nil
}

func (st *store) definitions(archived bool) []any {
	var ps []*property
	for _, p := range st.props {
		if p.Archived == archived {
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(a, b *property) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]any, len(ps))
	for n, p := range ps {
		out[n] = p
	}
	return out
}

// counts returns how many custom properties there are, and how many of them unique.
func (st *store) counts() (custom, unique int) {
	for _, p := range st.props {
		if p.HubSpotDefined || p.Archived {
			continue
		}
		custom++
		if p.HasUniqueValue {
			unique++
		}
	}
	return custom, unique
}

// reindex prepares a new unique property; an archived one that comes back
// brings the values which the records kept.
func (st *store) reindex(p *property) {
	if !p.HasUniqueValue {
		return
	}
	values := map[string]*record{}
	for _, r := range st.records {
		if v := r.now.props[p.Name]; v != "" && r.now.archived.IsZero() {
			values[v] = r
		}
	}
	st.unique[p.Name] = values
}

// find returns the record that holds a unique value, or nil.
func (st *store) find(name, value string) *record {
	if name == "email" && st.id == contactType {
		value = strings.ToLower(value)
	}
	return st.unique[name][value]
}

// put stores a record's new state and keeps every index in step.
func (s *Server) put(st *store, r *record, next *state) {
	if r.now == nil {
		r.kind = st
		st.byID[r.id] = r
		st.records = append(st.records, r)
	} else if r.now.archived.IsZero() {
		st.unlist(r, r.now)
	}
	r.now = next
	if next.archived.IsZero() {
		st.list(r, next)
	}
	s.tally(r)
	s.publish(r, next)
}

func (st *store) list(r *record, v *state) {
	st.live++
	for _, k := range st.keys(v) {
		st.unique[k.name][k.value] = r
	}
	switch st.id {
	case contactType:
		for _, digits := range numbers(v.props) {
			st.phones[digits] = append(st.phones[digits], r)
			if len(st.phones[digits]) > 1 {
				st.doubles++
			}
		}
	case communicationType:
		if m := message(v.props); m.wamid != "" {
			st.wamids[m.wamid] = append(st.wamids[m.wamid], r)
			if len(st.wamids[m.wamid]) > 1 {
				st.doubles++
			}
		}
	}
}

func (st *store) unlist(r *record, v *state) {
	st.live--
	for _, k := range st.keys(v) {
		if st.unique[k.name][k.value] == r {
			delete(st.unique[k.name], k.value)
		}
	}
	drop := func(from map[string][]*record, key string) {
		if len(from[key]) > 1 {
			st.doubles--
		}
		from[key] = slices.DeleteFunc(slices.Clone(from[key]), func(o *record) bool { return o == r })
		if len(from[key]) == 0 {
			delete(from, key)
		}
	}
	switch st.id {
	case contactType:
		for _, digits := range numbers(v.props) {
			drop(st.phones, digits)
		}
	case communicationType:
		if m := message(v.props); m.wamid != "" {
			drop(st.wamids, m.wamid)
		}
	}
}

type key struct{ name, value string }

// keys are the unique values of a state.
func (st *store) keys(v *state) []key {
	var keys []key
	for name := range st.unique {
		if name == "email" && st.id == contactType {
			for _, e := range emails(v.props) {
				keys = append(keys, key{name, e})
			}
		} else if value := v.props[name]; value != "" {
			keys = append(keys, key{name, value})
		}
	}
	return keys
}

// emails are the primary and the additional addresses, in lower case.
func emails(props map[string]string) []string {
	var list []string
	for _, e := range append([]string{props["email"]}, strings.Split(props["hs_additional_emails"], ";")...) {
		if e = strings.ToLower(strings.TrimSpace(e)); e != "" && !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// numbers are the distinct digits of every property that holds a number of a
// person: phone, mobilephone and any WhatsApp id.
func numbers(props map[string]string) []string {
	var list []string
	add := func(v string) {
		if d := simcrm.Digits(v); d != "" && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	add(props["phone"])
	add(props["mobilephone"])
	for name, v := range props {
		if strings.HasSuffix(name, "_wa_id") {
			add(v)
		}
	}
	return list
}

// change returns the state after some values are set; an empty one clears.
// The time of change always advances, were it by a millisecond.
func (v *state) change(values map[string]string, now time.Time) *state {
	next := &state{props: maps.Clone(v.props), updated: now, archived: v.archived}
	if next.props == nil {
		next.props = map[string]string{}
	}
	if !now.After(v.updated) {
		next.updated = v.updated.Add(time.Millisecond)
	}
	for name, value := range values {
		if value == "" {
			delete(next.props, name)
		} else {
			next.props[name] = value
		}
	}
	return next
}

func (s *Server) archive(st *store, r *record, by author) {
	next := *r.now
	next.archived = s.Now()
	s.put(st, r, &next)
	s.deleted(st, r, by)
}

// erase leaves nothing of a record.
func (s *Server) erase(st *store, r *record) {
	for _, l := range r.links {
		l.to.links = slices.DeleteFunc(l.to.links, func(back link) bool { return back.to == r })
		s.tally(l.to)
	}
	r.links = nil
	now := s.Now()
	s.put(st, r, &state{updated: now, archived: now, gone: true})
}

// get returns the record with this id unless it is archived.
func (st *store) get(id string) *record {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil
	}
	if r := st.byID[n]; r != nil && r.now.archived.IsZero() {
		return r
	}
	return nil
}
