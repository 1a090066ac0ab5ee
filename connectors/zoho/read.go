package zoho

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

const (
	// perRead is how many records are read by id in one call: the list of ids
	// has 1,024 characters (Zoho: get-records).
	perRead = 50
	// perPage is how many records a page has, deepPage how many a query gives
	// for three times the credits (Zoho: COQL-Limitations, api-limits).
	perPage  = 200
	deepPage = 2000
)

// ReadContacts reads records by id, from storage.
func (c *Client) ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading {
	readings := make([]connectors.Reading, len(ids))
	s, err := c.learned(ctx, fields...)
	if err != nil {
		for i := range readings {
			readings[i].Err = err
		}
		return readings
	}
	// What is no id Zoho does not have; it would refuse the whole call.
	var ask []string
	for _, id := range ids {
		if isID.MatchString(id) && !slices.Contains(ask, id) {
			ask = append(ask, id)
		}
	}
	for part := range slices.Chunk(ask, perRead) {
		found, err := c.byID(ctx, s, part, known(s, fields))
		for i, id := range ids {
			switch {
			case !slices.Contains(part, id):
			case err != nil:
				readings[i].Err = err
			default:
				readings[i].Record = complete(found[id], fields)
			}
		}
	}
	return readings
}

// complete gives a record that was found a nil for every field that Zoho does
// not have.
func complete(r connectors.Record, fields []string) connectors.Record {
	if r.ID == "" {
		return r
	}
	all := make(map[string]any, len(fields))
	for _, f := range fields {
		all[f] = r.Fields[f]
	}
	r.Fields = all
	return r
}

// known are the fields that Zoho has.
func known(s *schema, fields []string) []string {
	var list []string
	for _, f := range fields {
		if _, ok := s.contacts[f]; ok && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// byID reads at most 50 records. Beyond 50 fields, which Zoho does not give in
// one call, it takes several.
func (c *Client) byID(ctx context.Context, s *schema, ids, fields []string) (map[string]connectors.Record, *connectors.Error) {
	found := map[string]connectors.Record{}
	for first := true; first || len(fields) > 0; first = false {
		n := min(len(fields), maxColumns-2)
		q := url.Values{
			"ids":    {strings.Join(ids, ",")},
			"fields": {strings.Join(append([]string{createdField, modifiedField}, fields[:n]...), ",")},
		}
		a, err := c.do(ctx, call{method: http.MethodGet, path: contacts, query: q, batched: true})
		if err != nil {
			return nil, err
		}
		if a.broken() || a.Info.More {
			return nil, garbled()
		}
		for _, raw := range a.Data {
			r, ok := s.record(raw, fields[:n])
			if !ok || !slices.Contains(ids, r.ID) {
				return nil, garbled()
			}
			if old, ok := found[r.ID]; ok {
				maps.Copy(r.Fields, old.Fields)
			}
			found[r.ID] = r
		}
		fields = fields[n:]
	}
	return found, nil
}

// record reads a contact.
func (s *schema) record(raw json.RawMessage, fields []string) (connectors.Record, bool) {
	var in map[string]json.RawMessage
	if json.Unmarshal(raw, &in) != nil {
		return connectors.Record{}, false
	}
	r := connectors.Record{Fields: make(map[string]any, len(fields))}
	r.ID, _ = decode(definition{}, in[idField]).(string)
	r.CreatedAt, _ = decode(definition{DataType: "datetime"}, in[createdField]).(time.Time)
	r.UpdatedAt, _ = decode(definition{DataType: "datetime"}, in[modifiedField]).(time.Time)
	for _, f := range fields {
		r.Fields[f] = decode(s.contacts[f], in[f])
	}
	return r, isID.MatchString(r.ID)
}

// ListContacts returns one page of the contacts, by query and in the order of
// ids: each page begins after the last id of the one before. So nothing that
// changes or goes meanwhile moves a record to another page, the listing has no
// end at 100,000 records, and its cursor never expires; all of which page
// tokens do. It is also cheaper: a page of a list costs one credit for 200
// records, a query three for 2,000 (Zoho: api-limits).
//
// What queries do not give, tags above all, is on the pages of a list, which are
// followed beside, for one more credit per 200 records.
func (c *Client) ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error) {
	last, beside := "0", &trail{}
	if q.Cursor != "" {
		rest, ok := strings.CutPrefix(q.Cursor, "after:")
		id, token, on := strings.Cut(rest, ":")
		if !ok || !isID.MatchString(id) {
			return connectors.Page{}, &connectors.Error{Class: connectors.Rejected, Code: "INVALID_CURSOR", Reason: "the cursor is not one of this listing"}
		}
		last, beside = id, &trail{lost: !on, token: token}
	}
	before := last
	s, err := c.learned(ctx, q.Fields...)
	if err != nil {
		return connectors.Page{}, err
	}
	a, columns, err := c.listing(ctx, s, q, last)
	if err != nil {
		return connectors.Page{}, err
	}
	var page connectors.Page
	for _, raw := range a.Data {
		r, ok := s.record(raw, columns)
		if !ok {
			return connectors.Page{}, garbled()
		}
		if compareIDs(r.ID, last) > 0 {
			page.Records = append(page.Records, r)
			last = r.ID
		}
	}
	if a.Info.More && len(page.Records) == 0 {
		// The page before once more, or none: it would go on for ever.
		return connectors.Page{}, garbled()
	}
	found := map[string]connectors.Record{}
	rest := slices.DeleteFunc(known(s, q.Fields), func(f string) bool { return slices.Contains(columns, f) })
	switch {
	case len(rest) == 0, len(rest) > maxColumns:
		beside.lost = true
	case len(page.Records) > perRead:
		if found, err = beside.follow(ctx, c, s, q.Since, before, last, rest); err != nil {
			return connectors.Page{}, err
		}
	}
	if a.Info.More {
		page.Next = "after:" + last + beside.String()
	}
	if page.Records, err = c.fill(ctx, s, page.Records, rest, found); err != nil {
		return connectors.Page{}, err
	}
	for i, r := range page.Records {
		page.Records[i] = complete(r, q.Fields)
	}
	return page, nil
}

// listing makes the query for a page and says which fields it gave. The first
// page is small, since many listings have no second.
func (c *Client) listing(ctx context.Context, s *schema, q connectors.Query, last string) (*envelope, []string, *connectors.Error) {
	limit := perPage
	if q.Cursor != "" {
		limit = deepPage
	}
	for {
		columns := c.queryable(s, q.Fields)
		long := func(f string) bool { return s.contacts[f].DataType == "textarea" }
		switch {
		case len(columns) < len(known(s, q.Fields)):
			// The texts come along with what has to be read anyway.
			columns = slices.DeleteFunc(columns, long)
		case slices.ContainsFunc(columns, long):
			// They would make the answer too long.
			limit = perPage
		}
		if c.shallow.Load() {
			limit = perPage
		}
		where := "(id > " + last + ")"
		if !q.Since.IsZero() {
			// Times in Zoho have whole seconds.
			where = "(" + modifiedField + " >= " + quote(instant(q.Since.Truncate(time.Second))) + " and id > " + last + ")"
		}
		a, err := c.query(ctx, fmt.Sprintf("select %s from %s where %s order by id asc limit %d",
			strings.Join(append([]string{createdField, modifiedField}, columns...), ", "), contacts, where, limit))
		switch {
		case err == nil:
			return a, columns, nil
		case err.Code == "LIMIT_EXCEEDED" && limit > perPage:
			// Zoho's pages contradict each other on how much a query gives.
			c.shallow.Store(true)
		case err.Code == "INVALID_QUERY" && slices.Contains(columns, err.Field):
			c.unqueryable.Store(err.Field, true)
		default:
			return nil, nil, err
		}
	}
}

// queryable are the fields that a query can be asked for.
func (c *Client) queryable(s *schema, fields []string) []string {
	list := slices.DeleteFunc(known(s, fields), func(f string) bool {
		_, refused := c.unqueryable.Load(f)
		return refused || f == tagField
	})
	return list[:min(len(list), maxColumns-2)]
}

// fill adds what a query did not give, and reads it of those of whom it is not
// found yet. Records that have gone meanwhile are left out.
func (c *Client) fill(ctx context.Context, s *schema, records []connectors.Record, fields []string, found map[string]connectors.Record) ([]connectors.Record, *connectors.Error) {
	if len(fields) == 0 {
		return records, nil
	}
	var missing []string
	for _, r := range records {
		if _, ok := found[r.ID]; !ok {
			missing = append(missing, r.ID)
		}
	}
	for ids := range slices.Chunk(missing, perRead) {
		more, err := c.byID(ctx, s, ids, fields)
		if err != nil {
			return nil, err
		}
		maps.Copy(found, more)
	}
	there := records[:0]
	for _, r := range records {
		if more, ok := found[r.ID]; ok {
			maps.Copy(r.Fields, more.Fields)
			there = append(there, r)
		}
	}
	return there, nil
}

// ListDeleted returns one page of the deletions. Zoho tells of them for 60 days
// (Zoho: get-deleted-records). The losers of a merge are among them.
func (c *Client) ListDeleted(ctx context.Context, since time.Time, cursor string) (connectors.DeletedPage, error) {
	page := 1
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil || n < 2 {
			return connectors.DeletedPage{}, &connectors.Error{Class: connectors.Rejected, Code: "INVALID_CURSOR", Reason: "the cursor is not one of this listing"}
		}
		page = n
	}
	since = since.Truncate(time.Second)
	q := call{
		method: http.MethodGet, path: contacts + "/deleted", batched: true,
		query: url.Values{"type": {"all"}, "per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(page)}},
	}
	if !since.IsZero() {
		q.header = http.Header{"If-Modified-Since": {instant(since)}}
	}
	a, err := c.do(ctx, q)
	if err != nil {
		return connectors.DeletedPage{}, err
	}
	if a.broken() {
		return connectors.DeletedPage{}, garbled()
	}
	var out connectors.DeletedPage
	for _, raw := range a.Data {
		var d struct {
			ID value           `json:"id"`
			At json.RawMessage `json:"deleted_time"`
		}
		if json.Unmarshal(raw, &d) != nil || id(d.ID) == "" {
			return connectors.DeletedPage{}, garbled()
		}
		at, _ := decode(definition{DataType: "datetime"}, d.At).(time.Time)
		if at.IsZero() || !at.Before(since) {
			out.Deletions = append(out.Deletions, connectors.Deletion{ID: string(d.ID), At: at})
		}
	}
	if a.Info.More {
		out.Next = strconv.Itoa(page + 1)
	}
	return out, nil
}

// ListUsers lists the active users.
func (c *Client) ListUsers(ctx context.Context) ([]connectors.User, error) {
	users, _, err := c.activeUsers(ctx)
	if err != nil {
		return nil, err
	}
	return users, nil
}

// Describe lists the fields of contacts, by name.
func (c *Client) Describe(ctx context.Context) ([]connectors.FieldInfo, error) {
	have, err := c.definitions(ctx, contacts)
	if err != nil {
		return nil, err
	}
	list := make([]connectors.FieldInfo, 0, len(have))
	for _, d := range have {
		list = append(list, connectors.FieldInfo{
			Field:    connectors.Field{Name: d.APIName, Label: d.Label, Type: typeOf(d), Options: d.options()},
			ReadOnly: d.readOnly() && d.APIName != tagField, Required: d.Mandatory, MaxLength: d.Length,
		})
	}
	slices.SortFunc(list, func(a, b connectors.FieldInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// typeOf is what sort of value a field holds. Whatever else Zoho has is text.
func typeOf(d definition) connectors.FieldType {
	if d.APIName == tagField {
		return connectors.TypeLabels
	}
	switch d.DataType {
	case "phone":
		return connectors.TypePhone
	case "integer", "bigint", "double", "currency", "percent", "decimal":
		return connectors.TypeNumber
	case "boolean":
		return connectors.TypeBool
	case "date", "datetime":
		return connectors.TypeTime
	case "picklist":
		return connectors.TypeEnum
	case "multiselectpicklist":
		return connectors.TypeLabels
	case "ownerlookup", "userlookup":
		return connectors.TypeOwner
	}
	return connectors.TypeText
}
