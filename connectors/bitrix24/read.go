package bitrix24

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"crmsync/connectors"
)

// The first request of a listing asks for one page, for many have no second,
// the next for somePages, and those that follow for as many as a batch takes
// beside the command that finds the end.
const (
	somePages = 20
	mostPages = perBatch - 1
)

// Describe lists the fields of the portal's contacts.
func (c *Client) Describe(ctx context.Context) ([]connectors.FieldInfo, error) {
	s, err := c.relearned(ctx, 0)
	if err != nil {
		return nil, err
	}
	var all []connectors.FieldInfo
	for _, name := range s.names() {
		d := s.fields[name]
		info := connectors.FieldInfo{
			Field:    connectors.Field{Name: name, Label: d.label(name), Type: d.fieldType(name)},
			ReadOnly: bool(d.ReadOnly), Required: bool(d.Required), MaxLength: lengths[name],
		}
		for _, it := range d.Items {
			info.Options = append(info.Options, string(it.Value))
		}
		all = append(all, info)
	}
	return all, nil
}

// label is what people call the field. The title of a user field is its name.
func (d *descriptor) label(name string) string {
	for _, l := range []value{d.FormLabel, d.ListLabel, d.Title} {
		if l != "" && string(l) != name {
			return string(l)
		}
	}
	return name
}

func (d *descriptor) fieldType(name string) connectors.FieldType {
	switch d.Type {
	case multifield:
		if name == "PHONE" {
			return connectors.TypePhone
		}
	case "integer", "double":
		return connectors.TypeNumber
	case "boolean", "char":
		return connectors.TypeBool
	case "date", "datetime":
		return connectors.TypeTime
	case "user", "employee":
		return connectors.TypeOwner
	case "enumeration":
		if d.Multiple {
			return connectors.TypeLabels
		}
		return connectors.TypeEnum
	case "string":
		if d.Multiple {
			return connectors.TypeLabels
		}
	}
	return connectors.TypeText
}

// ReadContacts reads records by id, 50 to a command, in the room that messages
// leave: most of what is read are echoes of what was written.
func (c *Client) ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading {
	readings := make([]connectors.Reading, len(ids))
	s, err := c.learned(ctx)
	if err != nil {
		for i := range readings {
			readings[i].Err = err
		}
		return readings
	}
	real := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID(id) })
	records, failed := c.read(ctx, real, selection(fields), patient)
	for i, id := range ids {
		if readings[i].Err = failed[id]; readings[i].Err == nil && records[id] != nil {
			readings[i].Record = s.record(records[id], fields, c.region)
		}
	}
	return readings
}

// selection are the fields to ask for: those of a page's own use, and others
// by name, for no mask covers phones and addresses.
func selection(fields []string) []string {
	return append([]string{"DATE_CREATE", "DATE_MODIFY", keyField}, fields...)
}

// record is a contact as the contract has it.
func (s *schema) record(c contact, fields []string, region string) connectors.Record {
	r := connectors.Record{
		ID: c.id(), Fields: make(map[string]any, len(fields)),
		CreatedAt: parseTime(string(c.text("DATE_CREATE"))), UpdatedAt: parseTime(string(c.text("DATE_MODIFY"))),
	}
	for _, name := range fields {
		d, ok := s.fields[name]
		switch {
		case !ok:
			r.Fields[name] = nil
		case d.Type == multifield:
			r.Fields[name] = shown(name, region, c)
		default:
			r.Fields[name] = d.read(name, c)
		}
	}
	return r
}

// ListContacts lists contacts in the order of their ids, each page beginning
// behind the last id of the one before, so that nothing moves between pages.
// The cursor is that id, behind the number of pages to ask for.
func (c *Client) ListContacts(ctx context.Context, q connectors.Query) (connectors.Page, error) {
	s, err := c.learned(ctx)
	if err != nil {
		return connectors.Page{}, err
	}
	pages, after := 1, "0"
	if q.Cursor != "" {
		n, id, _ := strings.Cut(q.Cursor, ":")
		if pages, _ = strconv.Atoi(n); pages < 1 || pages > mostPages || !isID(id) {
			return connectors.Page{}, &connectors.Error{Class: connectors.Rejected, Code: "INVALID_CURSOR", Reason: "the cursor is not one of ours"}
		}
		after = id
	}
	l := sweep{filter: params{}, names: selection(q.Fields), after: after, pages: c.stride.pages(pages)}
	if !q.Since.IsZero() && s.dates.works() {
		l.filter[">=DATE_MODIFY"] = s.dates.text(q.Since)
	}
	began := time.Now()
	found, next, err := l.read(ctx, c)
	c.stride.learn(l.pages, err, time.Since(began) < c.batchTimeout/2)
	if err != nil {
		return connectors.Page{}, err
	}
	var page connectors.Page
	if next != "" {
		page.Next = fmt.Sprintf("%d:%s", min(pages*somePages, mostPages), next)
	}
	for _, rec := range found {
		r := s.record(rec, q.Fields, c.region)
		// Times have seconds only. A record without one is not left out.
		if !r.UpdatedAt.IsZero() && r.UpdatedAt.Before(q.Since.Truncate(time.Second)) {
			continue
		}
		page.Records = append(page.Records, r)
	}
	return page, nil
}

// A stride is how many pages a request may ask for. Bitrix24 reads them one
// after the other, so where the portal is slow, or texts are long, it has no
// answer in time to as many as a batch takes.
type stride struct{ fewer atomic.Int32 }

func (s *stride) pages(wanted int) int { return min(wanted, mostPages-int(s.fewer.Load())) }

// learn is told what became of a request for so many pages: for half of them
// the next one asks when there was no answer, and for a quarter more when it
// was quick.
func (s *stride) learn(pages int, err *connectors.Error, quick bool) {
	most := s.pages(mostPages)
	switch {
	case err != nil && err.Class == connectors.Transient && pages > 1:
		most = pages / 2
	case err == nil && quick && pages == most:
		most = min(most+most/4+1, mostPages)
	}
	s.fewer.Store(int32(mostPages - most))
}

// A sweep is one request of a listing.
type sweep struct {
	filter params
	names  []string
	after  string
	pages  int
}

// read asks for several pages in one batch, each behind the last id of the one
// before, and for the last id of all. A page with less than 50 rows leaves
// the next one without such an id, and Bitrix24 without a filter: so nothing
// is believed but ids that grow, and the end only when it is the end.
func (l *sweep) read(ctx context.Context, c *Client) (found []contact, next string, err *connectors.Error) {
	last, open := l.after, true
	var cmds []command
	for n := range l.pages {
		filter := params{">ID": l.after}
		if n > 0 {
			filter[">ID"] = reference(fmt.Sprintf("$result[%s][%d][ID]", key(n-1), perPage-1))
		}
		for k, v := range l.filter {
			filter[k] = v
		}
		cmds = append(cmds, listing(filter, l.names, func(rows []contact, e *connectors.Error) {
			if !open {
				return
			}
			if e != nil {
				// What came before it is good.
				if open = false; len(found) == 0 {
					err = e
				}
				return
			}
			for _, rec := range rows {
				if number(rec.id()) <= number(last) {
					open = false
					return
				}
				found, last = append(found, rec), rec.id()
			}
			open = len(rows) >= perPage
		}))
	}
	end := listing(l.filter, nil, nil)
	end.params["order"] = params{"ID": "DESC"}
	highest := ""
	end.done = func(o outcome) {
		var rows list[contact]
		if e := o.decode(&rows); e != nil {
			if err == nil {
				err = e
			}
			return
		}
		for _, rec := range rows {
			if number(rec.id()) > number(highest) {
				highest = rec.id()
			}
		}
	}
	c.runAlone(ctx, append(cmds, end))
	switch {
	case err != nil:
		return nil, "", err
	case number(highest) <= number(last):
		return found, "", nil
	case len(found) == 0:
		return nil, "", &connectors.Error{Class: connectors.Transient, Status: 200, Reason: "Bitrix24 has left out a page of a list"}
	}
	return found, last, nil
}

// ListDeleted is not offered: Bitrix24 tells of deletions by event only.
func (c *Client) ListDeleted(context.Context, time.Time, string) (connectors.DeletedPage, error) {
	return connectors.DeletedPage{}, notOffered("Bitrix24 keeps no list of deleted contacts")
}

func notOffered(reason string) *connectors.Error {
	return &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered, Reason: reason}
}

// ListUsers lists the portal's users. Bots and users of other systems are left
// out by Bitrix24 itself.
func (c *Client) ListUsers(ctx context.Context) ([]connectors.User, error) {
	s, err := c.people(ctx, 0)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.users), nil
}

// readUsers reads all users: a page that says how many there are, and the
// others in batches.
func (c *Client) readUsers(ctx context.Context) ([]connectors.User, *connectors.Error) {
	var users []connectors.User
	seen := map[string]bool{}
	read := func(result json.RawMessage) {
		var page list[struct {
			ID       value `json:"ID"`
			Active   flag  `json:"ACTIVE"`
			Name     value `json:"NAME"`
			LastName value `json:"LAST_NAME"`
			Email    value `json:"EMAIL"`
		}]
		_ = json.Unmarshal(result, &page)
		for _, u := range page {
			if id := string(u.ID); isID(id) && !seen[id] {
				seen[id] = true
				users = append(users, connectors.User{
					ID: id, Name: strings.TrimSpace(string(u.Name + " " + u.LastName)), Email: string(u.Email), Active: bool(u.Active),
				})
			}
		}
	}
	page := func(start int) params {
		return params{"sort": "ID", "order": "ASC", "start": start}
	}
	env, err := c.call(ctx, batched, userGet, page(0))
	if err != nil {
		return nil, err
	}
	read(env.Result)
	total, _ := strconv.Atoi(string(env.Total))
	if env.Next == "" {
		total = 0
	}
	var cmds []command
	for start := perPage; start < total; start += perPage {
		cmds = append(cmds, command{method: userGet, params: page(start), done: func(o outcome) {
			if o.err != nil {
				err = o.err
				return
			}
			read(o.result)
		}})
	}
	c.run(ctx, cmds)
	return users, err
}
