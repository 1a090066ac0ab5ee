package bitrix24sim

import "crmsync/connectors/internal/simcrm"

// Seed adds people who were there all along: nobody is told.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	people, err := simcrm.People(s.seeded, count)
	if err != nil {
		return err
	}
	s.seeded += count
	for _, one := range people {
		p := s.blank("1")
		p.fields["NAME"], p.fields["LAST_NAME"], p.fields["ADDRESS_CITY"] = one.First, one.Last, one.City
		p.fields["ADDRESS_COUNTRY"], p.fields["SOURCE_ID"], p.fields["COMPANY_ID"] = one.Country, "ADVERTISING", "0"
		s.people.rowID += 2
		p.rows = []row{{s.people.rowID - 1, "PHONE", "MOBILE", one.Phone}, {s.people.rowID, "EMAIL", "WORK", one.Email}}
		s.people.put(p)
	}
	return nil
}
