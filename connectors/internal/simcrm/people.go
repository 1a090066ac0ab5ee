package simcrm

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
	areaCodes = strings.Fields("201 202 206 212 213 214 215 303 305 310 312 313 314 404 410 412 415 503 504 512 602 612 615 617 702")
)

// A Person is somebody fictitious, with a number kept for such.
type Person struct{ First, Last, Phone, Email, City, Country, Language string }

// People returns count people who follow on those that there are already. The
// fictitious numbers are not endless.
func People(there, count int) ([]Person, error) {
	most := len(areaCodes) * 10000
	if count < 1 || there+count > most {
		return nil, fmt.Errorf("count %d is not between 1 and %d", count, most-there)
	}
	people := make([]Person, count)
	for i := range people {
		people[i] = person(there + i)
	}
	return people, nil
}

func person(n int) Person {
	first, last := firstNames[n%len(firstNames)], lastNames[n/len(firstNames)%len(lastNames)]
	if round := n / (len(firstNames) * len(lastNames)); round > 0 {
		last = fmt.Sprintf("%s %s", last, lastNames[round%len(lastNames)])
		if more := round / len(lastNames); more > 0 {
			last = fmt.Sprintf("%s %d", last, more+1)
		}
	}
	place := cities[n%len(cities)]
	return Person{
		First: first, Last: last, Phone: fmt.Sprintf("+1%s555%04d", areaCodes[n%len(areaCodes)], n/len(areaCodes)),
		Email: fmt.Sprintf("%s.%d@example.com", strings.ToLower(first), n+1),
		City:  place.city, Country: place.country, Language: place.language,
	}
}

// Digits are the digits of a text, by which numbers are compared however they
// are written.
func Digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}
