package bitrix24

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

// A row is one contact of a call: a change, or several with the same key or
// record.
type row struct {
	id, key string
	phones  []string
	// fields are ready to be sent, wishes are about multifields.
	fields params
	wishes map[string]*wish
	// fill are the fields to be written only where there are none of their
	// group, kept those that were not.
	fill [][]string
	kept []string
	// not are the records that are somebody else's.
	not []string
	// prompt says that somebody waits for it.
	prompt bool
	// record is what Bitrix24 has, where that was read.
	record contact
	// changes are the positions of the changes that it stands for.
	changes []int
}

// A writing is one call of WriteContacts.
type writing struct {
	client  *Client
	results []connectors.Result
	claim   *claim
}

func (w *writing) give(r *row, res connectors.Result) {
	if res.Err == nil {
		res.Kept = r.kept
	}
	for _, i := range r.changes {
		w.results[i] = res
	}
}

func (w *writing) fail(r *row, err *connectors.Error) { w.give(r, connectors.Result{Err: err}) }

// failAll gives up rows whose turn has not come before the caller left.
func (w *writing) failAll(known, open []*row) {
	for _, r := range append(known, open...) {
		w.fail(r, cancelled(false))
	}
}

// names are all that rows are known by.
func names(known, open []*row) []string {
	var all []string
	for _, r := range append(slices.Clone(known), open...) {
		if r.id != "" {
			all = append(all, "record "+r.id)
		}
		if r.key != "" {
			all = append(all, "key "+r.key)
		}
		for _, p := range r.phones {
			all = append(all, "phone "+p)
		}
	}
	return all
}

// rows translates the changes, one row for those with the same key or record.
// Of a field given twice the later counts.
func (w *writing) rows(ctx context.Context, changes []connectors.ContactChange) (known, open []*row) {
	t := translator{client: w.client}
	var err *connectors.Error
	if t.schema, err = w.client.learned(ctx); err == nil {
		// Without the field Bitrix24 would take no notice of it, in filters
		// as in records.
		_, err = t.field(ctx, keyField)
	}
	if err != nil && err.Class == connectors.Rejected {
		err = noKeyField()
	}
	var rows []*row
	byKey, byID := map[string]*row{}, map[string]*row{}
	for i, ch := range changes {
		if err != nil {
			w.results[i].Err = err
			continue
		}
		one, err := t.row(ctx, &ch)
		if err != nil {
			w.results[i].Err = err
			continue
		}
		r := byKey[ch.Key]
		if r == nil {
			r = byID[ch.RecordID]
		}
		if r == nil {
			r = &row{fields: params{}, wishes: map[string]*wish{}}
			rows = append(rows, r)
		}
		if ch.Key != "" {
			r.key, byKey[ch.Key] = ch.Key, r
		}
		if ch.RecordID != "" {
			r.id, byID[ch.RecordID] = ch.RecordID, r
		}
		r.add(one, i)
	}
	for _, r := range rows {
		if r.id != "" {
			known = append(known, r)
		} else {
			open = append(open, r)
		}
	}
	return known, open
}

func noKeyField() *connectors.Error {
	return &connectors.Error{Class: connectors.Transient, Code: "NO_SUCH_FIELD", Field: keyField, Reason: "the field is gone from Bitrix24: run the setup"}
}

// row translates one change.
func (t *translator) row(ctx context.Context, ch *connectors.ContactChange) (*row, *connectors.Error) {
	if ch.Key == "" && ch.RecordID == "" {
		return nil, &connectors.Error{Class: connectors.Rejected, Reason: "the contact has neither a key nor a record"}
	}
	if ch.RecordID != "" && !isID(ch.RecordID) {
		return nil, &connectors.Error{Class: connectors.Conflict, Code: codeGone, Reason: gone}
	}
	r := &row{phones: ch.Phones, fields: params{}, wishes: map[string]*wish{}, fill: ch.Fill, not: ch.Not, prompt: ch.Prompt}
	for _, name := range slices.Sorted(maps.Keys(ch.Fields)) {
		d, err := t.field(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case bool(d.ReadOnly):
			// Bitrix24 would take no notice.
			return nil, refuse(name, "READ_ONLY_FIELD", "the field is read-only in Bitrix24")
		case d.Type != multifield:
			v, err := t.value(ctx, name, &d, ch.Fields[name])
			if err != nil {
				return nil, err
			}
			r.fields[name] = v
			continue
		}
		text, err := plainText(name, d.Type, ch.Fields[name])
		if err != nil {
			return nil, err
		}
		wish := &wish{value: cut(strings.TrimSpace(text), lengths[name]), linked: ch.RecordID != ""}
		if wish.value == "" {
			wish.numbers = ch.Phones
		} else {
			wish.numbers = []string{wish.value}
			if slices.Contains(ch.Phones, wish.value) {
				wish.numbers = append(wish.numbers, ch.Phones...)
			}
		}
		r.wishes[name] = wish
	}
	return r, nil
}

// add takes in a change.
func (r *row) add(one *row, change int) {
	r.changes = append(r.changes, change)
	for _, p := range one.phones {
		if !slices.Contains(r.phones, p) {
			r.phones = append(r.phones, p)
		}
	}
	maps.Copy(r.fields, one.fields)
	maps.Copy(r.wishes, one.wishes)
	r.fill = append(r.fill, one.fill...)
	r.not = append(r.not, one.not...)
	r.prompt = r.prompt || one.prompt
}

// readKnown reads those records of which rows of multifields are to be changed.
// It returns the rows that can go on.
func (w *writing) readKnown(ctx context.Context, rows []*row) []*row {
	var ids, names []string
	for _, r := range rows {
		if len(r.wishes) > 0 {
			ids = append(ids, r.id)
			names = append(names, slices.Collect(maps.Keys(r.wishes))...)
		}
	}
	if len(ids) == 0 {
		return rows
	}
	records, failed := w.client.read(ctx, ids, append(names, keyField), leading)
	return slices.DeleteFunc(rows, func(r *row) bool {
		if len(r.wishes) == 0 {
			return false
		}
		r.record = records[r.id]
		switch {
		case failed[r.id] != nil:
			w.fail(r, failed[r.id])
		case r.record == nil:
			w.fail(r, &connectors.Error{Class: connectors.Conflict, Code: codeGone, Status: http.StatusOK, Reason: gone})
		default:
			return false
		}
		return true
	})
}

// read reads records by id, 50 to a command.
func (c *Client) read(ctx context.Context, ids, names []string, order rank) (map[string]contact, map[string]*connectors.Error) {
	records, failed := map[string]contact{}, map[string]*connectors.Error{}
	var cmds []command
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for chunk := range slices.Chunk(ids, perPage) {
		cmd := listing(params{"@ID": chunk}, names, func(found []contact, err *connectors.Error) {
			for _, id := range chunk {
				failed[id] = err
			}
			for _, rec := range found {
				records[rec.id()] = rec
			}
		})
		cmd.rank = order
		cmds = append(cmds, cmd)
	}
	c.run(ctx, cmds)
	return records, failed
}

// listing is a command that lists contacts in the order of their ids, without
// having them counted (Bitrix24: working with large amounts of data).
func listing(filter any, names []string, done func([]contact, *connectors.Error)) command {
	names = slices.Compact(slices.Sorted(slices.Values(append([]string{"ID"}, names...))))
	return command{
		method: contactList,
		params: params{"select": names, "filter": filter, "order": params{"ID": "ASC"}, "start": -1},
		done: func(o outcome) {
			var found list[contact]
			err := o.decode(&found)
			done(found, err)
		},
	}
}

// updates are the commands that write rows by the id they have, the prompt ones
// first. A row with nothing to write has its result at once. Messages wait for new
// people, but not for changes of those who were known.
func (w *writing) updates(rows []*row, order rank) []command {
	var cmds []command
	for _, r := range rows {
		fields := maps.Clone(r.fields)
		if r.key != "" && string(r.record.text(keyField)) != r.key {
			fields[keyField] = r.key
		}
		for name, wish := range r.wishes {
			wish.key = string(r.record.text(keyField))
			if r.key != "" && r.key != wish.key {
				wish.linked = wish.linked && name != "PHONE"
				wish.former = phone.Of(wish.key)
			}
			if ops := wish.operations(name, w.client.region, r.record.rows(name)); len(ops) > 0 {
				fields[name] = ops
			}
		}
		if len(fields) == 0 {
			w.give(r, connectors.Result{RecordID: r.id})
			continue
		}
		first := order
		if r.prompt {
			first = min(order, messages)
		}
		cmds = append(cmds, command{
			method: contactUpdate,
			params: params{"id": r.id, "fields": fields},
			rank:   first,
			done: func(o outcome) {
				if o.err != nil {
					w.fail(r, o.err)
					return
				}
				w.give(r, connectors.Result{RecordID: r.id})
			},
		})
	}
	slices.SortStableFunc(cmds, func(a, b command) int { return cmp.Compare(a.rank, b.rank) })
	return cmds
}

// adds are the commands that create records of rows that nobody has.
func (w *writing) adds(rows []*row) []command {
	var cmds []command
	for _, r := range rows {
		fields := params{"ORIGINATOR_ID": originator, "ORIGIN_ID": r.key}
		maps.Copy(fields, r.fields)
		fields[keyField] = r.key
		for name, wish := range r.wishes {
			if wish.value != "" {
				fields[name] = []params{appended(name, wish.value)}
			}
		}
		if empty(fields["NAME"]) && empty(fields["LAST_NAME"]) && empty(fields["SECOND_NAME"]) {
			// People find a nameless contact nowhere, and portals that ask
			// for a name refuse it.
			fields["NAME"] = cut(cmp.Or(append(slices.Clone(r.phones), r.key)...), lengths["NAME"])
		}
		cmds = append(cmds, command{
			method:  contactAdd,
			params:  params{"fields": fields},
			creates: true,
			done: func(o outcome) {
				var id value
				err := o.err
				if err == nil && (json.Unmarshal(o.result, &id) != nil || !isID(string(id))) {
					err = silent(&command{creates: true})
				}
				if err != nil {
					w.client.doubt(r.key, err)
					w.fail(r, err)
					return
				}
				w.give(r, connectors.Result{RecordID: string(id), Created: true})
			},
		})
	}
	return cmds
}

func empty(v any) bool { return v == nil || v == "" }

// doubt remembers an add that may be going on although its answer was lost:
// Bitrix24 has as much as a minute for a request.
func (c *Client) doubt(key string, err *connectors.Error) {
	late := err.Code == codeNoAnswer || err.Status == http.StatusBadGateway || err.Status == http.StatusGatewayTimeout
	if err.Class != connectors.UnknownOutcome || !late {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, at := range c.doubts {
		if time.Since(at) > lookAfter {
			delete(c.doubts, k)
		}
	}
	c.doubts[key] = time.Now()
}

// certain waits until the adds of the rows' keys have had their time.
func (c *Client) certain(ctx context.Context, rows []*row) {
	var wait time.Duration
	c.mu.Lock()
	for _, r := range rows {
		if at, ok := c.doubts[r.key]; ok {
			wait = max(wait, lookAfter-time.Since(at))
		}
	}
	c.mu.Unlock()
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
