package zohosim

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

// Seed adds people who were there all along: search knows them at once and
// nobody is told.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count < 1 || s.seeded+count > maxSeed {
		return fmt.Errorf("count %d is not between 1 and %d", count, maxSeed-s.seeded)
	}
	m, by, now := s.modules["Contacts"], s.users[1], s.now()
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
		r := &record{id: s.newID(), module: m, created: now, createdBy: by}
		v := &state{owner: by, by: by, modified: now, values: map[string]any{
			"First_Name": first, "Last_Name": last, "Phone": fmt.Sprintf("+1%s555%04d", areaCodes[n%len(areaCodes)], n/len(areaCodes)),
			"Email":        fmt.Sprintf("%s.%d@example.com", strings.ToLower(first), n+1),
			"Mailing_City": place.city, "Mailing_Country": place.country, "Lead_Source": "Advertisement",
		}}
		s.put(r, v)
		s.index.seq++
		r.seen, r.seenSeq = v, s.index.seq
	}
	return nil
}
