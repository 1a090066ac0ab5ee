package bitrix24sim

import (
	"fmt"
	"strings"
)

var (
	firstNames = strings.Fields("Ada Bruno Carla Dario Elena Farid Giulia Hana Ivan Jasmin Kofi Lucia Marco Nadia Omar Petra " +
		"Quentin Rosa Samir Teresa Ugo Vera Walter Ximena Yara Zeno Amina Boris Chiara Diego Emilia Felix")
	lastNames = strings.Fields("Abbate Berg Costa Dahl Esposito Ferrari Greco Haddad Ionescu Jansen Keller Lopez Moretti Novak " +
		"Okafor Pereira Quiroga Ricci Santos Tanaka Urban Vitale Weber Xu Yilmaz Zanetti Bianchi Colombo Duarte Eriksen Fontana Gallo")
	places = []struct{ city, country string }{
		{"Torino", "Italy"},
		{"Valencia", "Spain"},
		{"Lyon", "France"},
		{"Leeds", "United Kingdom"},
		{"Porto", "Portugal"},
		{"Leipzig", "Germany"},
		{"Denver", "United States"},
	}
	areaCodes = strings.Fields("201 202 206 212 213 214 215 303 305 310 312 313 314 404 410 412 415 503 504 512 602 612 615 617 702")
)

// maxSeed is how many distinct fictitious numbers there are.
var maxSeed = len(areaCodes) * 10000

// Seed adds people who were there all along: nobody is told.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count < 1 || s.seeded+count > maxSeed {
		return fmt.Errorf("count %d is not between 1 and %d", count, maxSeed-s.seeded)
	}
	for range count {
		n := s.seeded
		s.seeded++
		first, last := firstNames[n%len(firstNames)], lastNames[n/len(firstNames)%len(lastNames)]
		if round := n / (len(firstNames) * len(lastNames)); round > 0 {
			last = fmt.Sprintf("%s %s", last, lastNames[round%len(lastNames)])
			if more := round / len(lastNames); more > 0 {
				last = fmt.Sprintf("%s %d", last, more+1)
			}
		}
		place := places[n%len(places)]
		p := s.blank("1")
		p.fields["NAME"], p.fields["LAST_NAME"], p.fields["ADDRESS_CITY"] = first, last, place.city
		p.fields["ADDRESS_COUNTRY"], p.fields["SOURCE_ID"], p.fields["COMPANY_ID"] = place.country, "ADVERTISING", "0"
		s.people.rowID += 2
		p.rows = []row{
			{s.people.rowID - 1, "PHONE", "MOBILE", fmt.Sprintf("+1%s555%04d", areaCodes[n%len(areaCodes)], n/len(areaCodes))},
			{s.people.rowID, "EMAIL", "WORK", fmt.Sprintf("%s.%d@example.com", strings.ToLower(first), n+1)},
		}
		s.people.put(p)
	}
	return nil
}
