package hubspot

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"

	"crmsync/connectors"
)

// A row is one contact of a call: a change, or several with the same key.
type row struct {
	id, key    string
	phones     []string
	properties map[string]string
	// fill are the properties to be written only where there are none of
	// their group, kept those that were not.
	fill [][]string
	kept []string
	// not are the records that are somebody else's.
	not []string
	// changes are the positions of the changes that it stands for.
	changes []int
}

// A writing is one call of WriteContacts.
type writing struct {
	client  *Client
	results []connectors.Result
}

func (w *writing) give(r *row, res connectors.Result) {
	if res.Err == nil {
		res.Kept = r.kept
	}
	for _, i := range r.changes {
		w.results[i] = res
	}
}

func (w *writing) fail(rows []*row, err *connectors.Error) {
	for _, r := range rows {
		w.give(r, connectors.Result{Err: err})
	}
}

// rows makes one row of the changes that have the same key: HubSpot refuses a
// batch that names a record twice. Of a field given twice the later counts.
func (w *writing) rows(changes []connectors.ContactChange, dates map[string]bool) []*row {
	var rows []*row
	byKey := map[string]*row{}
	for i, ch := range changes {
		if w.results[i].Err != nil {
			continue
		}
		if ch.Key == "" && ch.RecordID == "" {
			w.results[i].Err = &connectors.Error{Class: connectors.Rejected, Reason: "the contact has neither a key nor a record"}
			continue
		}
		properties := make(map[string]string, len(ch.Fields)+1)
		var err *connectors.Error
		for name, v := range ch.Fields {
			if properties[name], err = text(name, v, dates[name]); err != nil {
				break
			}
		}
		if err != nil {
			w.results[i].Err = err
			continue
		}
		if ch.Key != "" {
			properties[keyProperty] = ch.Key
		}
		r := byKey[ch.Key]
		if r == nil {
			r = &row{key: ch.Key, properties: map[string]string{}}
			rows = append(rows, r)
			if ch.Key != "" {
				byKey[ch.Key] = r
			}
		}
		r.id = cmp.Or(ch.RecordID, r.id)
		r.changes = append(r.changes, i)
		for _, p := range ch.Phones {
			if !slices.Contains(r.phones, p) {
				r.phones = append(r.phones, p)
			}
		}
		for name, v := range properties {
			r.properties[name] = v
		}
		r.fill = append(r.fill, ch.Fill...)
		r.not = append(r.not, ch.Not...)
	}
	return rows
}

// update writes rows by the id they have. An id that HubSpot does not have any
// more may have been merged into another, which batches do not follow but a
// single GET does (HubSpot: using object APIs): such rows are written again
// under the id of the survivor.
func (w *writing) update(ctx context.Context, rows []*row) {
	gone := w.updateByID(ctx, rows)
	var moved []*row
	survivor := map[string]string{}
	failure := map[string]*connectors.Error{}
	for _, r := range gone {
		old := r.id
		if _, asked := survivor[old]; !asked && failure[old] == nil {
			survivor[old], failure[old] = w.client.survivor(ctx, old)
		}
		if err := failure[old]; err != nil {
			w.give(r, connectors.Result{Err: err})
			continue
		}
		r.id = survivor[old]
		moved = append(moved, r)
	}
	w.updateByID(ctx, moved)
}

// updateByID gives every row its result and returns those that HubSpot did not
// find.
func (w *writing) updateByID(ctx context.Context, rows []*row) (gone []*row) {
	var inputs []input
	var standing [][]*row
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.id]
		if !ok {
			i = len(inputs)
			at[r.id] = i
			inputs = append(inputs, input{ID: r.id, Properties: map[string]string{}})
			standing = append(standing, nil)
		}
		standing[i] = append(standing[i], r)
		for name, v := range r.properties {
			inputs[i].Properties[name] = v
		}
	}
	for i, o := range w.client.write(ctx, batched, w.client.paths.objects+contacts+"/batch/update", inputs, byID) {
		for _, r := range standing[i] {
			if o.err == nil {
				w.give(r, connectors.Result{RecordID: r.id})
				continue
			}
			w.give(r, connectors.Result{Err: o.err})
			if o.err.Code == "OBJECT_NOT_FOUND" {
				gone = append(gone, r)
			}
		}
	}
	return gone
}

// survivor is the id under which a record lives on.
func (c *Client) survivor(ctx context.Context, id string) (string, *connectors.Error) {
	var o object
	q := url.Values{"properties": {"hs_object_id"}}
	err := c.call(ctx, named, http.MethodGet, c.paths.objects+contacts+"/"+url.PathEscape(id), q, nil, &o)
	switch {
	case err != nil:
		return "", err
	case o.Archived || !isID.MatchString(string(o.ID)):
		return "", &connectors.Error{Class: connectors.Conflict, Code: "OBJECT_NOT_FOUND", Reason: "the record was deleted in HubSpot"}
	}
	return string(o.ID), nil
}

// updateMatched updates rows that were found by phone. It returns those that
// have to be looked for by key after all, because another record holds their
// key or because the search index did not know yet of a deletion.
func (w *writing) updateMatched(ctx context.Context, rows []*row) (again []*row) {
	w.update(ctx, rows)
	for _, r := range rows {
		e := w.results[r.changes[0]].Err
		if e != nil && (e.Code == "OBJECT_NOT_FOUND" || e.Code == "VALUE_TAKEN" && e.Field == keyProperty) {
			r.id = ""
			again = append(again, r)
		}
	}
	return again
}

// name makes sure that a create carries a name, as HubSpot asks (HubSpot:
// contacts guide). Rows that have none may be updates in truth, on which an
// invented name has no business, so they are looked for by key first.
func (w *writing) name(ctx context.Context, rows []*row) (found, rest []*row) {
	var keys []string
	nameless := map[string]*row{}
	for _, r := range rows {
		if r.properties["firstname"] == "" && r.properties["lastname"] == "" && r.properties["email"] == "" {
			keys = append(keys, r.key)
			nameless[r.key] = r
			continue
		}
		rest = append(rest, r)
	}
	if len(keys) == 0 {
		return nil, rest
	}
	objects, _, err := w.client.read(ctx, contacts, keyProperty, keys, []string{keyProperty})
	for _, k := range keys {
		r := nameless[k]
		if err != nil {
			w.give(r, connectors.Result{Err: err})
			continue
		}
		i := slices.IndexFunc(objects, func(o object) bool { return string(o.Properties[keyProperty]) == k })
		if i >= 0 {
			r.id = string(objects[i].ID)
			found = append(found, r)
			continue
		}
		r.properties["firstname"] = k
		if len(r.phones) > 0 {
			r.properties["firstname"] = r.phones[0]
		}
		rest = append(rest, r)
	}
	return found, rest
}

// upsert writes rows by their key, which creates those that nobody has.
func (w *writing) upsert(ctx context.Context, rows []*row) {
	inputs := make([]input, len(rows))
	for i, r := range rows {
		inputs[i] = input{ID: r.key, IDProperty: keyProperty, Properties: r.properties}
	}
	// The echo of an upsert may show other properties than those sent, and
	// not the key. What could not be matched is kept to be asked after.
	others := map[string]object{}
	match := func(in *input, o *object) bool {
		if byProperty(keyProperty)(in, o) {
			return true
		}
		if o.Properties[keyProperty] == "" {
			others[string(o.ID)] = *o
		}
		return false
	}
	var unseen []*row
	for i, o := range w.client.write(ctx, batched, w.client.paths.objects+contacts+"/batch/upsert", inputs, match) {
		if o.err != nil {
			w.give(rows[i], connectors.Result{Err: o.err})
			if o.err.Class == connectors.UnknownOutcome {
				unseen = append(unseen, rows[i])
			}
			continue
		}
		w.give(rows[i], connectors.Result{RecordID: string(o.object.ID), Created: o.object.New})
	}
	if len(unseen) == 0 || len(others) == 0 {
		return
	}
	keys := make([]string, len(unseen))
	for i, r := range unseen {
		keys[i] = r.key
	}
	objects, _, err := w.client.read(ctx, contacts, keyProperty, keys, []string{keyProperty})
	if err != nil {
		return
	}
	for _, r := range unseen {
		for _, o := range objects {
			if was, ok := others[string(o.ID)]; ok && string(o.Properties[keyProperty]) == r.key {
				w.give(r, connectors.Result{RecordID: string(o.ID), Created: was.New})
			}
		}
	}
}
