package hubspotsim

import (
	"fmt"
	"strings"
)

var (
	firstNames = strings.Fields("Ada Bruno Carla Dario Elena Farid Giulia Hana Ivan Jasmin Kofi Lucia Marco Nadia Omar Petra " +
		"Quentin Rosa Samir Teresa Ugo Vera Walter Ximena Yara Zeno Amina Boris Chiara Diego Emilia Felix")
	lastNames = strings.Fields("Abbate Berg Costa Dahl Esposito Ferrari Greco Haddad Ionescu Jansen Keller Lopez Moretti Novak " +
		"Okafor Pereira Quiroga Ricci Santos Tanaka Urban Vitale Weber Xu Yilmaz Zanetti Bianchi Colombo Duarte Eriksen Fontana Gallo")
	cities = []struct{ city, country, language string }{
		{"Torino", "Italy", "it"},
		{"Valencia", "Spain", "es"},
		{"Lyon", "France", "fr"},
		{"Leeds", "United Kingdom", "en-gb"},
		{"Porto", "Portugal", "pt"},
		{"Leipzig", "Germany", "de"},
		{"Denver", "United States", "en-us"},
	}
	areas = strings.Fields("201 202 206 212 213 214 215 303 305 310 312 313 314 404 410 412 415 503 504 512 602 612 615 617 702")
)

// maxSeed is how many distinct fictitious numbers there are.
var maxSeed = len(areas) * 10000

// Seed adds people who were there all along: search knows them at once.
func (s *Server) Seed(count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count < 1 || s.seeded+count > maxSeed {
		return fmt.Errorf("count %d is not between 1 and %d", count, maxSeed-s.seeded)
	}
	st := s.stores[contactType]
	now := s.now()
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
		place := cities[n%len(cities)]
		r := &record{id: st.nextID, created: now, source: "IMPORT", sourceID: "1"}
		st.nextID++
		s.put(st, r, &state{updated: now, props: map[string]string{
			"firstname": first, "lastname": last, "phone": fmt.Sprintf("+1%s555%04d", areas[n%len(areas)], n/len(areas)),
			"email": fmt.Sprintf("%s.%d@example.com", strings.ToLower(first), n+1), "lifecyclestage": "lead",
			"city": place.city, "country": place.country, "hs_language": place.language,
		}})
		s.index.seq++
		r.seen, r.seenSeq = r.now, s.index.seq
	}
	return nil
}
