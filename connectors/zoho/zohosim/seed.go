package zohosim

import "crmsync/connectors/internal/simcrm"

// Seed adds people who were there all along: search knows them at once and
// nobody is told.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	people, err := simcrm.People(s.seeded, count)
	if err != nil {
		return err
	}
	s.seeded += count
	m, by, now := s.modules["Contacts"], s.users[1], s.Now()
	for _, p := range people {
		r := &record{id: s.newID(), module: m, created: now, createdBy: by}
		s.put(r, &state{owner: by, by: by, modified: now, values: map[string]any{
			"First_Name": p.First, "Last_Name": p.Last, "Phone": p.Phone, "Email": p.Email,
			"Mailing_City": p.City, "Mailing_Country": p.Country, "Lead_Source": "Advertisement",
		}})
		s.index.Now(r, r.now)
	}
	return nil
}
