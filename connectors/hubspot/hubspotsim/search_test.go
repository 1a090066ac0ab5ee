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
		"less":                              {[]obj{group(where("numemployees", "LT", "10"))}, "[Ada]"},
		"less or equal":                     {[]obj{group(where("numemployees", "LTE", "10"))}, "[Ada Bob]"},
		"greater or equal":                  {[]obj{group(where("numemployees", "GTE", 10))}, "[Bob Cyd]"},
		"beyond a record id":                {[]obj{group(where("hs_object_id", "GT", "101"))}, "[Bob Cyd]"},
		"options, not in":                   {[]obj{group(where("hs_language", "NOT_IN", []string{"EN"}))}, "[Ada]"},
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
	page := a.search(obj{"filterGroups": tests["either group"].groups, "limit": 1}).want(t, 200)
	same(t, "total of a page", []any{page.at("total"), page.count("results"), page.at("paging", "next", "after")}, "[2 1 1]")
	last := a.search(obj{"filterGroups": tests["either group"].groups, "limit": 1, "after": 1}).want(t, 200)
	same(t, "last page", []any{last.at("total"), last.count("results"), last.at("paging")}, "[2 1 <nil>]")
	same(t, "beyond the last", a.search(obj{"after": 50}).want(t, 200).count("results"), 0)
}

func TestMessagesAreSearchedByTheirOwnProperties(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	ada := a.person(obj{"firstname": "Ada"})
	a.post(communications, obj{"properties": whatsApp("first"), "associations": toContact(ada, 81)}).want(t, 201)
	a.pass(time.Minute)
	a.post(communications, obj{"properties": whatsApp("second")}).want(t, 201)
	for what, test := range map[string]struct {
		filter obj
		want   string
	}{
		"changed since": {where("hs_lastmodifieddate", "GT", "2026-10-01T08:00:00Z"), "[second]"},
		"of a contact":  {where("associations.contact", "EQ", ada), "[first]"},
		"of another":    {where("associations.contact", "EQ", "999"), "[]"},
		"a channel":     {where("hs_communication_channel_type", "IN", []string{"WHATS_APP"}), "[first second]"},
		"on WhatsApp":   {where("hs_communication_channel_type", "IN", []string{"whats_app"}), "[]"},
	} {
		got := a.post(communications+"/search", obj{"filterGroups": []obj{group(test.filter)}, "properties": []string{"hs_communication_body"}}).want(t, 200)
		same(t, what, got.values("hs_communication_body"), test.want)
	}
	a.post(communications+"/search", obj{"filterGroups": []obj{group(where("lastmodifieddate", "GT", "0"))}}).says(t, 400, "There was a problem")
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
	for _, beyond := range []any{10000, "10000", 20000} {
		a.search(obj{"after": beyond}).exactly(t, 400, `{"status":"error",`+opaque+`,"correlationId":"…"}`)
	}
	same(t, "a page by default", a.search(obj{}).count("results"), 10)
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

func TestTheSearchIndexIsBehindByChance(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Lag: true, LagTime: 30 * time.Second})
	a.batch("create", many(100)).want(t, 201)
	same(t, "read at once", a.batch("read", []obj{{"id": "101"}, {"id": "200"}}).want(t, 200).count("results"), 2)
	same(t, "listed at once", a.get(contacts+"?limit=100").count("results"), 100)
	total := func() int { return int(a.search(obj{}).at("total").(float64)) }
	a.pass(30*time.Second - time.Millisecond)
	same(t, "before the lag", total(), 0)
	a.pass(7500 * time.Millisecond)
	if n := total(); n < 20 || n > 80 {
		t.Errorf("in the middle: got %d, want about half of 100", n)
	}
	a.pass(7501 * time.Millisecond)
	same(t, "after the lag", total(), 100)
}
