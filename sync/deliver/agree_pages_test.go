package deliver_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// pages is a CRM in memory in which people work, too.
type pages struct {
	*vendor // for messages
	w       *agreeing
	account string
	lines   []mapping.Line
	records map[string]*sheet
	news    []connectors.RecordNews
	down    bool
	made    int
	writes  int
}

// A sheet is a record.
type sheet struct {
	id, key string
	fields  map[string]any
	updated time.Time
	person  *human
	old     bool // it was there when all agreed
	// unread are edits that crmsync has not published yet, by field.
	unread map[string]*entry
}

func newPages(w *agreeing, account string) *pages {
	return &pages{vendor: newVendor(), w: w, account: account, lines: w.mapping.Lines(account), records: map[string]*sheet{}}
}

// of is a person's record, nil if there is none.
func (p *pages) of(h *human) *sheet {
	for _, id := range keysOf(p.records) {
		if p.records[id].person == h {
			return p.records[id]
		}
	}
	return nil
}

func (s *sheet) String() string { return fmt.Sprint(s.id, " ", s.fields) }

// name is the account's name of a field.
func (p *pages) name(field string) string {
	i := slices.IndexFunc(p.lines, func(l mapping.Line) bool { return l.From == field })
	return p.lines[i].To
}

func (p *pages) tell(s *sheet, change connectors.RecordChange) {
	p.news = append(p.news, connectors.RecordNews{ID: s.id, Change: change})
}

// touch notes that a record has changed.
func (s *sheet) touch() {
	s.updated = time.Now().UTC()
	for _, e := range s.unread {
		e.until = s.updated
	}
}

// fail is why a call fails, nil if it does not, and whether it is carried out.
func (p *pages) fail() (err *connectors.Error, commit bool) {
	switch {
	case p.down:
		return &connectors.Error{Class: connectors.Transient, Reason: "down"}, false
	case p.w.chance(15):
		p.w.failed++
		return &connectors.Error{Class: connectors.UnknownOutcome, Reason: "lost"}, p.w.chance(2)
	}
	return nil, true
}

func (p *pages) WriteContacts(_ context.Context, changes []connectors.ContactChange) []connectors.Result {
	p.w.meanwhile()
	failure, commit := p.fail()
	results := make([]connectors.Result, len(changes))
	for i, c := range changes {
		h := p.w.whose(c.Phones)
		for name, value := range c.Fields {
			h.sent[p.account+name+directory.TextOf(value)] = true
		}
		if commit {
			results[i] = p.put(c)
		}
		if failure != nil {
			results[i] = connectors.Result{Err: failure}
		}
	}
	p.w.meanwhile()
	if p.w.chance(20) {
		p.w.die(p.account)
	}
	return results
}

func (p *pages) put(c connectors.ContactChange) connectors.Result {
	s := p.records[c.RecordID]
	created := false
	switch {
	case s == nil && c.RecordID != "":
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: "NOT_FOUND"}}
	case s == nil:
		if s = p.find(c); s == nil {
			created = true
			p.made++
			s = &sheet{id: fmt.Sprint(p.account, p.made), fields: map[string]any{}, person: p.w.whose(c.Phones)}
			p.records[s.id] = s
		}
	}
	var kept []string
	for _, group := range c.Fill {
		if !created && slices.ContainsFunc(group, func(name string) bool { return directory.TextOf(s.fields[name]) != "" }) {
			kept = append(kept, group...)
		}
	}
	if c.Key != "" {
		s.key = c.Key
	}
	for name, value := range c.Fields {
		if slices.Contains(kept, name) {
			continue
		}
		if e := s.unread[name]; e != nil && e.text != directory.TextOf(value) {
			if e.at.Before(p.w.began) && !e.doubtful {
				p.w.t.Errorf("%s: an edit of %s was overwritten unseen: %v", p.account, name, p.w.describe(s.person, p.account))
			}
			e.doubtful = true
			delete(s.unread, name)
		}
		s.person.note("%s: %s is written: %q", p.account, name, directory.TextOf(value))
		s.person.sent[p.account+name+directory.TextOf(s.fields[name])] = true
		s.fields[name] = value
	}
	p.writes++
	s.touch()
	change := connectors.RecordUpdated
	if created {
		change = connectors.RecordCreated
	}
	p.tell(s, change)
	return connectors.Result{RecordID: s.id, Created: created, Kept: kept}
}

// CreateMessages refuses those of contacts that are not there.
func (p *pages) CreateMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result {
	results := make([]connectors.Result, len(changes))
	for i := range changes {
		if p.records[changes[i].ContactRecordID] == nil {
			results[i].Err = &connectors.Error{Class: connectors.Conflict, Code: "NOT_FOUND"}
			continue
		}
		results[i] = p.vendor.CreateMessages(ctx, changes[i:i+1])[0]
	}
	return results
}

func (p *pages) find(c connectors.ContactChange) *sheet {
	for _, id := range keysOf(p.records) {
		s := p.records[id]
		if !slices.Contains(c.Not, id) && (s.key != "" && s.key == c.Key || slices.Contains(c.Phones, directory.TextOf(s.fields[p.name("phone")]))) {
			return s
		}
	}
	return nil
}

func (p *pages) show(s *sheet) connectors.Record {
	fields := maps.Clone(s.fields)
	for name, v := range fields {
		if v == "" {
			fields[name] = nil
		}
	}
	return connectors.Record{ID: s.id, Fields: fields, UpdatedAt: s.updated}
}

func (p *pages) ReadContacts(_ context.Context, ids, _ []string) []connectors.Reading {
	p.w.meanwhile()
	failure, _ := p.fail()
	readings := make([]connectors.Reading, len(ids))
	for i, id := range ids {
		if s := p.records[id]; s != nil {
			readings[i].Record = p.show(s)
		}
		if failure != nil {
			readings[i] = connectors.Reading{Err: &connectors.Error{Class: connectors.Transient, Reason: failure.Reason}}
		}
	}
	p.w.meanwhile()
	return readings
}

func (p *pages) ListContacts(_ context.Context, q connectors.Query) (connectors.Page, error) {
	const size = 5
	p.w.meanwhile()
	ids := slices.DeleteFunc(keysOf(p.records), func(id string) bool { return id <= q.Cursor })
	page := connectors.Page{}
	for _, id := range ids[:min(size, len(ids))] {
		page.Records = append(page.Records, p.show(p.records[id]))
	}
	if len(ids) > size {
		page.Next = ids[size-1]
	}
	p.w.meanwhile()
	return page, nil
}

// published notes which edits are known by now.
func (p *pages) published(o *connectors.Observed, at time.Time) {
	s := p.records[o.ID]
	if s == nil {
		return
	}
	for name, e := range s.unread {
		if strings.EqualFold(o.Fields[name], e.text) {
			if e.doubtful = e.doubtful || o.Was == nil; e.doubtful {
				continue // it may have to be read once more, when it is known whose it is
			}
			e.until = at
			delete(s.unread, name)
		}
	}
}
