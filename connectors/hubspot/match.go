package hubspot

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

// A candidate is a person in HubSpot with a row's number.
type candidate struct {
	row    *row
	object *object
	rank   int
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
	for _, chunk := range searches(rows, w.client.region) {
		objects, err := w.client.search(ctx, chunk)
		if err != nil {
			w.fail(chunk.rows, err)
			for _, r := range chunk.rows {
				failed[r] = true
			}
			continue
		}
		for _, r := range chunk.rows {
			for i := range objects {
				if rank, ok := r.rank(&objects[i], w.client.region); ok && !slices.Contains(r.not, string(objects[i].ID)) {
					candidates = append(candidates, candidate{r, &objects[i], rank})
				}
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			// Ids are numbers that grow: the shorter is the older.
			cmp.Compare(len(a.object.ID), len(b.object.ID)),
			cmp.Compare(a.object.ID, b.object.ID),
		)
	})
	for _, c := range candidates {
		if id := string(c.object.ID); c.row.id == "" && !taken[id] {
			c.row.id, taken[id] = id, true
			c.row.keep(c.object)
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
func (r *row) rank(o *object, region string) (int, bool) {
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
		i := phone.Index(string(o.Properties[name]), region, r.phones)
		if i == 0 {
			return sameNumber, true
		}
		best = max(best, i)
	}
	return sameVariant, best > 0
}

// keep leaves alone what a record that somebody else made says already.
func (r *row) keep(o *object) {
	for _, group := range r.fill {
		if !slices.ContainsFunc(group, func(name string) bool { return o.Properties[name] != "" }) {
			continue
		}
		for _, name := range group {
			delete(r.properties, name)
			r.kept = append(r.kept, name)
		}
	}
}

// A search is what fits into one request of at most 3,000 characters.
type search struct {
	rows   []*row
	values []string
	fill   []string
}

func searches(rows []*row, region string) []search {
	const room = 2500
	var all []search
	size := room
	for _, r := range rows {
		values := r.searchable(region)
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
		for _, name := range slices.Concat(r.fill...) {
			if !slices.Contains(s.fill, name) {
				s.fill = append(s.fill, name)
			}
		}
		size += need
	}
	return all
}

// searchable are the forms in which HubSpot's calculated properties may hold
// the row's numbers: without the country where HubSpot could parse them, else
// all the digits (HubSpot: search guide), which people of a known region may
// have written as they dial. Fewer forms make fewer searches.
func (r *row) searchable(region string) []string {
	var values []string
	add := func(v string) {
		if v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	for _, p := range r.phones {
		for _, n := range phone.National(p) {
			add(n)
			if region != "" && phone.Country(p) == region {
				add("0" + n)
			}
		}
	}
	for _, p := range r.phones {
		add(strings.TrimPrefix(p, "+"))
		if region != "" {
			add("00" + strings.TrimPrefix(p, "+"))
		}
	}
	return values
}

// search finds the contacts with one of the numbers. The index lags behind by
// seconds, so an empty answer proves nothing: the key does.
func (c *Client) search(ctx context.Context, s search) ([]object, *connectors.Error) {
	// More people than this with the same number are not people.
	const pages, size = 5, 200
	in := func(name string) filterGroup {
		return filterGroup{Filters: []filter{{PropertyName: name, Operator: "IN", Values: s.values}}}
	}
	r := searchRequest{
		FilterGroups: []filterGroup{in("hs_searchable_calculated_phone_number"), in("hs_searchable_calculated_mobile_number")},
		Properties:   append([]string{"phone", "mobilephone", keyProperty}, s.fill...),
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
