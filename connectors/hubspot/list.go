package hubspot

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

const (
	perList   = 100
	perSearch = 200
	// maxNames is how long the names of the properties in an address may be;
	// beyond, HubSpot's edge refuses it with 414.
	maxNames = 4000
	modified = "lastmodifieddate"
)

// ListContacts lists all contacts in the order of their ids, so that new ones
// come last; or those changed since a time in the order in which they were
// changed, from HubSpot's search index.
//
// The index lags behind by seconds, in bad times by minutes: a change that it
// learns of late is not in a listing that has passed its time. Let Since
// overlap with the listing before.
func (c *Client) ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error) {
	a, err := c.asking(ctx, q.Fields)
	if err != nil {
		return connectors.Page{}, err
	}
	var page connectors.Page
	if q.Since.IsZero() {
		page, err = a.list(ctx, q.Cursor)
	} else {
		page, err = a.changed(ctx, q.Since, q.Cursor)
	}
	if err != nil {
		return connectors.Page{}, err
	}
	return page, nil
}

// list returns a page of all contacts.
func (a *asking) list(ctx context.Context, after string) (result connectors.Page, _ *connectors.Error) {
	names := strings.Join(a.names, ",")
	direct := len(names) <= maxNames
	if !direct {
		names = "hs_object_id"
	}
	objects, next, err := a.client.page(ctx, after, url.Values{"properties": {names}})
	if err != nil {
		return result, err
	}
	result.Next = next
	if !direct {
		result.Records, err = a.readAll(ctx, ids(objects))
		return result, err
	}
	for i := range objects {
		result.Records = append(result.Records, a.record(&objects[i]))
	}
	return result, nil
}

// page is one page of HubSpot's list. The link to the next that it gives leads
// to another path; only its cursor is any good.
func (c *Client) page(ctx context.Context, after string, q url.Values) ([]object, string, *connectors.Error) {
	q.Set("limit", strconv.Itoa(perList))
	if after != "" {
		q.Set("after", after)
	}
	var p page
	if err := c.call(ctx, batched, http.MethodGet, c.paths.objects+contacts, q, nil, &p); err != nil {
		return nil, "", err
	}
	next := string(p.Paging.Next.After)
	if next != "" && next == after {
		return nil, "", &connectors.Error{Class: connectors.Transient, Reason: "HubSpot's list does not come to an end"}
	}
	return p.Results, next, nil
}

// readAll reads those records that have these very ids. A failure is that of
// the whole page.
func (a *asking) readAll(ctx context.Context, ids []string) (records []connectors.Record, _ *connectors.Error) {
	readings := a.stored(ctx, ids)
	for _, id := range ids {
		switch r := readings[id]; {
		case r.Err != nil:
			return nil, r.Err
		case r.Record.ID != "":
			records = append(records, r.Record)
		}
	}
	return records, nil
}

func ids(objects []object) []string {
	list := make([]string, len(objects))
	for i := range objects {
		list[i] = string(objects[i].ID)
	}
	return list
}

// A position is how far a listing of changes has come. There are no offsets in
// it: a record that is changed moves to the end, and everything behind it one
// place forward.
type position struct {
	// Walk and Page identify the listing and its page.
	Walk string `json:"w"`
	Page int    `json:"p"`
	// At is the time from which on, in milliseconds, and Seen are the
	// records with that very time which were listed before.
	At   int64    `json:"t"`
	Seen []string `json:"s,omitempty"`
	// After is the last record of those with that very time, which are more
	// than a page: they are listed by their ids. Empty else.
	After string `json:"a,omitempty"`
}

func (p position) String() string {
	b, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(b)
}

func positionOf(cursor string) (p position, _ *connectors.Error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(b, &p) != nil {
		return p, &connectors.Error{Class: connectors.Rejected, Code: "INVALID_CURSOR", Reason: "the cursor is not one of a listing of changes"}
	}
	return p, nil
}

// changed returns a page of the contacts that were changed. The index says
// which, and storage what they are now: what the index shows of a record may
// be older than what we wrote last.
func (a *asking) changed(ctx context.Context, since time.Time, cursor string) (result connectors.Page, _ *connectors.Error) {
	at := position{Walk: strconv.FormatInt(time.Now().UnixNano(), 36), At: since.UnixMilli()}
	if cursor != "" {
		var err *connectors.Error
		if at, err = positionOf(cursor); err != nil {
			return result, err
		}
	}
	found, next, err := a.client.step(ctx, at)
	if err != nil {
		return result, err
	}
	fresh := a.client.walks.fresh(at, found)
	if result.Records, err = a.readAll(ctx, fresh); err != nil {
		return result, err
	}
	if next != nil {
		next.Walk, next.Page = at.Walk, at.Page+1
		result.Next = next.String()
	}
	return result, nil
}

// step asks the index for what comes at a position, and returns the position
// behind, nil for the end. HubSpot refuses whatever lies behind the ten
// thousandth result of a search (HubSpot: search guide), so each page is a
// search of its own.
func (c *Client) step(ctx context.Context, at position) (found []string, next *position, _ *connectors.Error) {
	if at.After == "" {
		objects, more, err := c.searchChanges(ctx, at)
		if err != nil {
			return nil, nil, err
		}
		found = without(ids(objects), at.Seen)
		if !more || len(objects) == 0 {
			return found, nil, nil
		}
		p := position{At: at.At}
		for i := range objects {
			p.At = max(p.At, changedAt(&objects[i]))
		}
		if p.At > at.At {
			for i := range objects {
				if changedAt(&objects[i]) == p.At {
					p.Seen = append(p.Seen, string(objects[i].ID))
				}
			}
			return found, &p, nil
		}
		// An import has given all of them the same time.
		at.After = "0"
	}
	objects, more, err := c.searchChanges(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	found = without(ids(objects), at.Seen)
	if more && len(objects) > 0 {
		return found, &position{At: at.At, Seen: at.Seen, After: string(objects[len(objects)-1].ID)}, nil
	}
	return found, &position{At: at.At + 1}, nil
}

// searchChanges makes the search for a position.
func (c *Client) searchChanges(ctx context.Context, at position) (objects []object, more bool, _ *connectors.Error) {
	ms := strconv.FormatInt(at.At, 10)
	filters := []filter{{PropertyName: modified, Operator: "GTE", Value: ms}}
	sort := sorting{PropertyName: modified, Direction: "ASCENDING"}
	if at.After != "" {
		filters = append(filters, filter{PropertyName: modified, Operator: "LTE", Value: ms}, filter{PropertyName: "hs_object_id", Operator: "GT", Value: at.After})
		sort.PropertyName = "hs_object_id"
	}
	r := searchRequest{
		FilterGroups: []filterGroup{{Filters: filters}},
		Sorts:        []sorting{sort},
		Properties:   []string{modified},
		Limit:        perSearch,
	}
	var p page
	if err := c.call(ctx, searching, http.MethodPost, c.paths.objects+contacts+"/search", nil, r, &p); err != nil {
		return nil, false, err
	}
	return p.Results, p.Paging.Next.After != "", nil
}

func changedAt(o *object) int64 {
	t := moment(o.Properties[modified])
	if t.IsZero() {
		t = moment(o.UpdatedAt)
	}
	return t.UnixMilli()
}

func without(ids, seen []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(seen, id) })
}

// ListDeleted lists the recycle bin, where HubSpot keeps contacts for 90 days
// (HubSpot: using object APIs), in the order of their ids: a page may hold
// nothing new and not be the last. What was deleted for privacy's sake is not
// there; webhooks tell.
func (c *Client) ListDeleted(ctx context.Context, since time.Time, cursor string) (connectors.DeletedPage, error) {
	objects, next, err := c.page(ctx, cursor, url.Values{"archived": {"true"}, "properties": {"hs_object_id"}})
	if err != nil {
		return connectors.DeletedPage{}, err
	}
	result := connectors.DeletedPage{Next: next}
	for i := range objects {
		at := moment(objects[i].ArchivedAt)
		if at.IsZero() {
			at = moment(objects[i].UpdatedAt)
		}
		if !at.Before(since) {
			result.Deletions = append(result.Deletions, connectors.Deletion{ID: string(objects[i].ID), At: at})
		}
	}
	return result, nil
}
