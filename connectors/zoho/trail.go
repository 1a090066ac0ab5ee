package zoho

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// A trail is how far Zoho's own list of contacts has been followed beside a
// listing by query, for what queries do not give: one of its pages has as many
// records as four calls by id. It is a short cut and no more, since Zoho does
// not say what its page tokens make of records that come and go, and they end
// after a day and at 100,000 records (Zoho: get-records). Whoever is not on it
// is read by id.
type trail struct {
	// lost says that it is not followed any more.
	lost bool
	// token is that of the next page, empty for the first.
	token string
}

// String is the trail in a cursor, behind the last id.
func (t *trail) String() string {
	if t.lost {
		return ""
	}
	return ":" + t.token
}

// follow reads pages until they have passed the last of the records that lie
// behind an id, and returns what is on them.
func (t *trail) follow(ctx context.Context, c *Client, s *schema, since time.Time, behind, last string, fields []string) (map[string]connectors.Record, *connectors.Error) {
	found := map[string]connectors.Record{}
	for !t.lost {
		q := call{
			method: http.MethodGet, path: contacts, batched: true, heavy: true,
			query: url.Values{"fields": {strings.Join(fields, ",")}, "sort_by": {"id"}, "sort_order": {"asc"}, "per_page": {strconv.Itoa(perPage)}},
		}
		if t.token != "" {
			q.query.Set("page_token", t.token)
		}
		if !since.IsZero() {
			q.header = http.Header{"If-Modified-Since": {instant(since.Truncate(time.Second))}}
		}
		a, err := c.do(ctx, q)
		if err != nil && err.Class.AccountTrouble() {
			return nil, err
		}
		if err != nil || a.broken() || len(a.Data) == 0 {
			t.lost = true
			break
		}
		page := make([]connectors.Record, len(a.Data))
		for i, raw := range a.Data {
			r, ok := s.record(raw, fields)
			if !ok {
				return nil, garbled()
			}
			page[i], found[r.ID] = r, r
		}
		first, end := page[0].ID, page[len(page)-1].ID
		switch {
		case compareIDs(end, behind) <= 0, compareIDs(first, last) > 0:
			// It leads elsewhere.
			t.lost = true
		case compareIDs(end, last) > 0:
			// The rest of the page is for the next records.
			return found, nil
		default:
			t.token, t.lost = a.Info.NextToken, a.Info.NextToken == ""
			if end == last {
				return found, nil
			}
			behind = end
		}
	}
	return found, nil
}
