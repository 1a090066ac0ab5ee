package hubspotsim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func group(filters ...obj) obj { return obj{"filters": filters} }

func where(name, operator string, more ...any) obj {
	f := obj{"propertyName": name, "operator": operator}
	switch len(more) {
	case 1:
		if list, is := more[0].([]string); is {
			f["values"] = list
		} else {
			f["value"] = more[0]
		}
	case 2:
		f["value"], f["highValue"] = more[0], more[1]
	}
	return f
}

func TestSearchFindsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.person(obj{"firstname": "Ada", "city": "London", "numemployees": "9", "phone": "+1 212 555 0101", "hs_language": "en"})
	a.pass(time.Minute)
	a.person(obj{"firstname": "Bob", "city": "Paris", "numemployees": "10", "email": "bob@example.com"})
	a.pass(time.Minute)
	a.person(obj{"firstname": "Cyd", "numemployees": "11", "phone": "+1 555-1234"})
	tests := map[string]struct {
		groups []obj
		want   string
	}{
		"everybody":                         {nil, "[Ada Bob Cyd]"},
		"equal in another case":             {[]obj{group(where("city", "EQ", "LONDON"))}, "[Ada]"},
		"not equal and set":                 {[]obj{group(where("city", "NEQ", "London"))}, "[Bob]"},
		"either group":                      {[]obj{group(where("city", "EQ", "Paris")), group(where("firstname", "EQ", "Cyd"))}, "[Bob Cyd]"},
		"all filters":                       {[]obj{group(where("city", "EQ", "Paris"), where("firstname", "EQ", "Ada"))}, "[]"},
		"numbers as numbers":                {[]obj{group(where("numemployees", "GT", "9"))}, "[Bob Cyd]"},
		"between":                           {[]obj{group(where("numemployees", "BETWEEN", "9", "10"))}, "[Ada Bob]"},
		"in, in lower case":                 {[]obj{group(where("city", "IN", []string{"london", "paris"}))}, "[Ada Bob]"},
		"in, with capitals":                 {[]obj{group(where("city", "IN", []string{"London"}))}, "[]"},
		"not in":                            {[]obj{group(where("city", "NOT_IN", []string{"london"}))}, "[Bob]"},
		"set":                               {[]obj{group(where("email", "HAS_PROPERTY"))}, "[Bob]"},
		"not set":                           {[]obj{group(where("city", "NOT_HAS_PROPERTY"))}, "[Cyd]"},
		"a word":                            {[]obj{group(where("email", "CONTAINS_TOKEN", "example"))}, "[Bob]"},
		"a part":                            {[]obj{group(where("phone", "CONTAINS_TOKEN", "*0101"))}, "[Ada]"},
		"not a word":                        {[]obj{group(where("city", "NOT_CONTAINS_TOKEN", "paris"))}, "[Ada]"},
		"an option in another case":         {[]obj{group(where("hs_language", "EQ", "EN"))}, "[]"},
		"a number without its country":      {[]obj{group(where("hs_searchable_calculated_phone_number", "EQ", "2125550101"))}, "[Ada]"},
		"a number that cannot be read":      {[]obj{group(where("hs_searchable_calculated_phone_number", "EQ", "15551234"))}, "[Cyd]"},
		"changed since, in milliseconds":    {[]obj{group(where("lastmodifieddate", "GTE", "1790841660000"))}, "[Bob Cyd]"},
		"changed since, as ISO":             {[]obj{group(where("lastmodifieddate", "GT", "2026-10-01T08:01:00Z"))}, "[Cyd]"},
		"changed since, by the wrong field": {[]obj{group(where("hs_lastmodifieddate", "GTE", "0"))}, "[]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := a.search(obj{"filterGroups": test.groups}).want(t, 200)
			same(t, "found", got.values("firstname"), test.want)
		})
	}
	got := a.search(obj{"sorts": []obj{{"propertyName": "numemployees", "direction": "DESCENDING"}}, "limit": 2})
	same(t, "first", got.str("results", 0, "properties", "firstname"), "Cyd")
	same(t, "total", got.at("total"), 3)
	rest := a.search(obj{"sorts": []string{"-numemployees"}, "limit": 2, "after": got.str("paging", "next", "after")})
	same(t, "last", rest.values("firstname"), "[Ada]")
	same(t, "by words", a.search(obj{"query": "bob"}).values("firstname"), "[Bob]")
}

func TestSearchHasItsLimits(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	if err := a.Seed(10100); err != nil {
		t.Fatal(err)
	}
	filters := func(n int) []obj {
		var list []obj
		for range n {
			list = append(list, where("city", "HAS_PROPERTY"))
		}
		return list
	}
	groups := func(sizes ...int) []obj {
		var list []obj
		for _, n := range sizes {
			list = append(list, group(filters(n)...))
		}
		return list
	}
	opaque := `"message":"There was a problem with the request."`
	a.search(obj{"filterGroups": groups(1, 1, 1, 1, 1)}).says(t, 200, `"total":10100`)
	a.search(obj{"filterGroups": groups(1, 1, 1, 1, 1, 1)}).says(t, 400, "too many filter groups")
	a.search(obj{"filterGroups": groups(7)}).says(t, 400, "too many filters per filter group (count: 7, max allowed: 6)", "VALIDATION_ERROR")
	a.search(obj{"filterGroups": groups(6, 6, 6)}).says(t, 200)
	a.search(obj{"filterGroups": groups(6, 6, 6, 1)}).says(t, 400, "too many filters (count: 19, max allowed: 18)")
	a.search(obj{"filterGroups": []obj{group(where("city", "IN"))}}).says(t, 400, "operator IN requires values")
	a.search(obj{"filterGroups": []obj{group(where("shoe", "EQ", "39"))}}).says(t, 400, opaque)
	same(t, "a page of 200", a.search(obj{"limit": 200}).count("results"), 200)
	a.search(obj{"limit": 201}).says(t, 400, opaque)
	same(t, "the last reachable page", a.search(obj{"after": 9999, "limit": 100}).count("results"), 100)
	beyond := a.search(obj{"after": "10000"})
	beyond.says(t, 400, opaque)
	if strings.Contains(beyond.body, "category") {
		t.Error("the refusal beyond 10,000 has a category")
	}
	a.search(obj{"query": strings.Repeat("x", 3000)}).says(t, 400, opaque)
}

func TestTheSearchIndexIsBehind(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true})
	found := func() []string { return a.search(obj{}).want(t, 200).values("firstname") }
	id := a.person(obj{"firstname": "Ada"})
	a.pass(4999 * time.Millisecond)
	same(t, "before the lag", found(), "[]")
	a.get(contacts+"/"+id).says(t, 200)
	a.pass(2501 * time.Millisecond)
	same(t, "after the lag", found(), "[Ada]")
	for n := range 20 {
		a.patch(contacts+"/"+id, obj{"properties": obj{"firstname": fmt.Sprintf("Ada %d", n)}}).want(t, 200)
	}
	a.pass(time.Second)
	same(t, "a second after the change", found(), "[Ada]")
	a.pass(7 * time.Second)
	same(t, "the newest wins, though updates overtake each other", found(), "[Ada 19]")
	a.remove(contacts+"/"+id).want(t, 204)
	same(t, "just deleted", found(), "[Ada 19]")
	a.pass(8 * time.Second)
	same(t, "deleted", found(), "[]")
	if err := a.Seed(3); err != nil {
		t.Fatal(err)
	}
	same(t, "people who were there all along", len(found()), 3)
}
