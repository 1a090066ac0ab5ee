package hubspotsim

import "crmsync/connectors/internal/simcrm"

// Seed adds people who were there all along: search knows them at once and
// nobody is told.
func (s *Server) Seed(count int) error {
	return s.bring(count, func(_ *store, r *record) { s.index.Now(r, r.now) })
}

// Import adds people now, as a person who imports a file does.
func (s *Server) Import(count int) error { return s.bring(count, s.created) }

func (s *Server) bring(count int, then func(*store, *record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	people, err := simcrm.People(s.seeded, count)
	if err != nil {
		return err
	}
	s.seeded += count
	st := s.stores[contactType]
	now := s.Now()
	for _, p := range people {
		r := &record{id: st.nextID, created: now, by: author{"IMPORT", "1"}}
		st.nextID++
		s.put(st, r, &state{updated: now, props: map[string]string{
			"firstname": p.First, "lastname": p.Last, "phone": p.Phone, "email": p.Email, "lifecyclestage": "lead",
			"city": p.City, "country": p.Country, "hs_language": p.Language,
		}})
		then(st, r)
	}
	return nil
}
