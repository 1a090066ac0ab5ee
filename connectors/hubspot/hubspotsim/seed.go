package hubspotsim

import "crmsync/connectors/internal/simcrm"

// Seed adds people who were there all along: search knows them at once.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	people, err := simcrm.People(s.seeded, count)
	if err != nil {
		return err
	}
	s.seeded += count
	st := s.stores[contactType]
	now := s.now()
	for _, p := range people {
		r := &record{id: st.nextID, created: now, source: "IMPORT", sourceID: "1"}
		st.nextID++
		s.put(st, r, &state{updated: now, props: map[string]string{
			"firstname": p.First, "lastname": p.Last, "phone": p.Phone, "email": p.Email, "lifecyclestage": "lead",
			"city": p.City, "country": p.Country, "hs_language": p.Language,
		}})
		s.index.Now(r, r.now)
	}
	return nil
}
