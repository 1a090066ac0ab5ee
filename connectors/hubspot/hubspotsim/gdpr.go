package hubspotsim

import (
	"net/http"
	"strconv"
)

// gdprDelete answers …/gdpr-delete. HubSpot: the contacts guide; an address
// that nobody has is blocked all the same. What an unknown id gets is not
// documented; here it is what a read of it gets.
func (s *Server) gdprDelete(c *call, st *store) (*reply, *refusal) {
	var in struct {
		ID         text   `json:"objectId"`
		IDProperty string `json:"idProperty"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	r := st.byID[number(in.ID)]
	if in.IDProperty != "" && in.IDProperty != "hs_object_id" {
		if st.unique[in.IDProperty] == nil {
			return nil, s.notUnique("delete", st, in.IDProperty)
		}
		r = st.find(in.IDProperty, string(in.ID))
	}
	switch {
	case r != nil && !r.now.gone:
		s.forget(st, r, s.app())
	case in.IDProperty == "email":
		s.block(map[string]string{"email": string(in.ID)})
	default:
		return nil, noRecord()
	}
	return &reply{status: http.StatusNoContent, wrote: true}, nil
}

// Forget deletes a contact for good, from the recycle bin too, as a person who
// is asked to would, and reports whether there was one.
func (s *Server) Forget(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	st := s.stores[contactType]
	n, _ := strconv.ParseInt(id, 10, 64)
	r := st.byID[n]
	if r == nil || r.now.gone {
		return false
	}
	s.forget(st, r, person)
	return true
}

// forget leaves nothing of a contact but that its addresses are blocked. Both
// webhooks come in any order, together or not.
func (s *Server) forget(st *store, r *record, by author) {
	s.block(r.now.props)
	s.erase(st, r)
	private := event{ObjectID: r.id}
	private.apart = s.rand.IntN(2) == 0
	if s.rand.IntN(2) == 0 {
		s.deleted(st, r, by)
		s.note(st, "privacyDeletion", private, r.now.archived, by)
		return
	}
	s.note(st, "privacyDeletion", private, r.now.archived, by)
	s.deleted(st, r, by)
}

func (s *Server) block(props map[string]string) {
	for _, e := range emails(props) {
		s.blocked[e] = true
	}
}

// checkBlocked refuses an address that was deleted for good. How HubSpot words
// that is not documented.
func (s *Server) checkBlocked(st *store, after *state) *refusal {
	if st.id != contactType {
		return nil
	}
	for _, e := range emails(after.props) {
		if s.blocked[e] {
			return refuse(http.StatusBadRequest, validation, "Contact with email %s was permanently deleted and cannot be created again", e)
		}
	}
	return nil
}
