package hubspot

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"crmsync/connectors"
)

// A candidate is a person in HubSpot with a row's number.
type candidate struct {
	row  *row
	id   string
	rank int
}

// The ranks of candidates, best first.
const (
	sameKey = iota
	sameNumber
	sameVariant
)

// match looks for people who are in HubSpot already and gives the rows that it
// finds their ids. Records in known are taken.
func (w *writing) match(ctx context.Context, rows, known []*row) (found, rest []*row) {
	taken := map[string]bool{}
	for _, r := range known {
		taken[r.id] = true
	}
	var candidates []candidate
	failed := map[*row]bool{}
	for _, chunk := range searches(rows) {
		objects, err := w.client.search(ctx, chunk.values)
		if err != nil {
			w.fail(chunk.rows, err)
			for _, r := range chunk.rows {
				failed[r] = true
			}
			continue
		}
		for _, r := range chunk.rows {
			for i := range objects {
				if rank, ok := r.rank(&objects[i]); ok {
					candidates = append(candidates, candidate{r, string(objects[i].ID), rank})
				}
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			// Ids are numbers that grow: the shorter is the older.
			cmp.Compare(len(a.id), len(b.id)),
			cmp.Compare(a.id, b.id),
		)
	})
	for _, c := range candidates {
		if c.row.id == "" && !taken[c.id] {
			c.row.id, taken[c.id] = c.id, true
		}
	}
	for _, r := range rows {
		switch {
		case failed[r]:
		case r.id != "":
			found = append(found, r)
		default:
			rest = append(rest, r)
		}
	}
	return found, rest
}

// rank says how well a record fits. What HubSpot searches in is ambiguous, it
// leaves out the country, so the numbers are compared here; and a record with
// another key is another contact.
func (r *row) rank(o *object) (int, bool) {
	switch key := string(o.Properties[keyProperty]); {
	case o.Archived:
		return 0, false
	case key == r.key:
		return sameKey, true
	case key != "":
		return 0, false
	}
	best := -1
	for _, name := range []string{"phone", "mobilephone"} {
		i := slices.Index(r.phones, strings.TrimPrefix(digits(string(o.Properties[name])), "00"))
		if i == 0 {
			return sameNumber, true
		}
		best = max(best, i)
	}
	return sameVariant, best > 0
}

// A search is what fits into one request of at most 3,000 characters.
type search struct {
	rows   []*row
	values []string
}

func searches(rows []*row) []search {
	const room = 2500
	var all []search
	size := room
	for _, r := range rows {
		values := r.searchable()
		if len(values) == 0 {
			continue
		}
		need := 0
		for _, v := range values {
			need += 2 * (len(v) + len(`"",`))
		}
		if size+need > room {
			all = append(all, search{})
			size = 0
		}
		s := &all[len(all)-1]
		s.rows = append(s.rows, r)
		s.values = append(s.values, values...)
		size += need
	}
	return all
}

// searchable are the forms in which HubSpot's calculated properties may hold
// the row's numbers: without the country where HubSpot could parse them, else
// all the digits (HubSpot: search guide).
func (r *row) searchable() []string {
	var values []string
	add := func(v string) {
		if v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	for _, p := range r.phones {
		if n, err := phonenumbers.Parse("+"+p, phonenumbers.UNKNOWN_REGION); err == nil {
			add(phonenumbers.GetNationalSignificantNumber(n))
		}
	}
	for _, p := range r.phones {
		add(p)
	}
	return values
}

// search finds the contacts with one of the numbers. The index lags behind by
// seconds, so an empty answer proves nothing: the key does.
func (c *Client) search(ctx context.Context, numbers []string) ([]object, *connectors.Error) {
	// More people than this with the same number are not people.
	const pages, size = 5, 200
	in := func(name string) filterGroup {
		return filterGroup{Filters: []filter{{PropertyName: name, Operator: "IN", Values: numbers}}}
	}
	r := searchRequest{
		FilterGroups: []filterGroup{in("hs_searchable_calculated_phone_number"), in("hs_searchable_calculated_mobile_number")},
		Properties:   []string{"phone", "mobilephone", keyProperty},
		Limit:        size,
	}
	var all []object
	for range pages {
		var p page
		if err := c.call(ctx, searching, http.MethodPost, c.paths.objects+contacts+"/search", nil, r, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Results...)
		if r.After = string(p.Paging.Next.After); r.After == "" {
			break
		}
	}
	return all, nil
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
