package hubspotsim

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxMerges is how many merges one contact may go through. HubSpot: the error
// handling guide on 414.
const maxMerges = 250

// mergeCall answers …/merge. HubSpot: the guide on using object APIs.
func (s *Server) mergeCall(c *call, st *store) (*reply, *refusal) {
	var in struct {
		Primary text `json:"primaryObjectId"`
		Other   text `json:"objectIdToMerge"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if in.Primary == "" || in.Other == "" {
		return nil, malformed(1, "Cannot build PublicMergeInput, some of required attributes are not set [primaryObjectId, objectIdToMerge]")
	}
	primary, other := st.get(string(in.Primary)), st.get(string(in.Other))
	if primary == nil || other == nil {
		return nil, noRecord()
	}
	r, refused := s.merge(st, primary, other, s.app())
	if refused != nil {
		return nil, refused
	}
	return &reply{status: http.StatusOK, body: s.echo(st, r, false), wrote: true}, nil
}

// Merge makes one contact of two as a person would, and returns it.
func (s *Server) Merge(primary, other string) (Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	st := s.stores[contactType]
	a, b := st.get(primary), st.get(other)
	if a == nil || b == nil {
		return Contact{}, errors.New("name two contacts that there are: primary " + strconv.Quote(primary) + ", other " + strconv.Quote(other))
	}
	r, refused := s.merge(st, a, b, person)
	if refused != nil {
		return Contact{}, errors.New(refused.Message)
	}
	return s.contact(r), nil
}

// merge makes one contact of two. Since 2025 it is a new one, whose id is new.
func (s *Server) merge(st *store, primary, other *record, by author) (*record, *refusal) {
	before := primary.now
	merges := primary.merges + other.merges + 1
	switch {
	case primary == other:
		return nil, refuse(http.StatusBadRequest, validation, "A record cannot be merged with itself")
	case merges > maxMerges:
		return nil, refuse(http.StatusRequestURITooLong, validation, "Cannot have more than %d identities on a profile", maxMerges)
	}
	props, moved := united(before.props, other.now.props)
	now := s.Now()
	e := event{PrimaryObjectID: primary.id, MergedObjectIDs: []int64{other.id}, PropertiesMoved: &moved}
	r, losers := primary, []*record{other}
	if !s.knobs.MergeKeepsPrimary {
		r = &record{id: st.nextID, created: primary.created, by: primary.by}
		st.nextID++
		losers = []*record{primary, other}
		e.NewObjectID = r.id
	}
	r.merges = merges
	var ids []string
	for _, loser := range losers {
		ids = append(ids, strconv.FormatInt(loser.id, 10))
	}
	ids = append(ids, append(former(before), former(other.now)...)...)
	props["hs_merged_object_ids"] = strings.Join(ids, ";")
	next := before.change(props, now)
	if s.knobs.MergeKeepsModified {
		next.updated = before.updated
	}
	var links []link
	for _, loser := range losers {
		links = append(links, loser.links...)
		s.erase(st, loser)
		loser.into = r
	}
	s.put(st, r, next)
	for _, l := range links {
		s.join(st, r, l)
	}
	s.note(st, "merge", e, now, by)
	return r, nil
}

// united are the values of two contacts: the first one's, and what it lacks
// from the other. No address is lost. It says how many were moved.
func united(first, second map[string]string) (map[string]string, int) {
	props, moved := maps.Clone(first), 0
	for name, value := range second {
		if props[name] == "" {
			props[name] = value
			moved++
		}
	}
	var more []string
	for _, e := range append(emails(first), emails(second)...) {
		if e != props["email"] && !slices.Contains(more, e) {
			more = append(more, e)
		}
	}
	if more != nil {
		props["hs_additional_emails"] = strings.Join(more, ";")
	}
	return props, moved
}

// former are the ids which a contact had, or the contacts that it was made of.
func former(v *state) []string {
	return strings.FieldsFunc(v.props["hs_merged_object_ids"], func(r rune) bool { return r == ';' })
}

// resolve returns the record with this id, or what merges have made of it.
func (st *store) resolve(id int64) *record {
	r := st.byID[id]
	for r != nil && r.into != nil {
		r = r.into
	}
	return r
}
