package zoho

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"crmsync/connectors"
)

// A row is one contact of a call: a change, or several with the same key.
type row struct {
	id, key string
	phones  []string
	values  map[string]any
	// tags are the labels to have, when tagged.
	tags   []string
	tagged bool
	// fill are the fields to be written only where there are none of their
	// group, kept those that were not, held what they would have said.
	fill [][]string
	kept []string
	held map[string]any
	// not are the records that are somebody else's.
	not []string
	// changes are the positions of the changes that it stands for.
	changes []int
}

// A writing is one call of WriteContacts.
type writing struct {
	client  *Client
	schema  *schema
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

func (w *writing) result(r *row) connectors.Result { return w.results[r.changes[0]] }

// rows makes one row of the changes that have the same key: what Zoho makes of
// a key that a call names twice is not documented. Of a field given twice the
// later counts.
func (w *writing) rows(ctx context.Context, changes []connectors.ContactChange) []*row {
	var names []string
	for _, ch := range changes {
		names = slices.AppendSeq(names, maps.Keys(ch.Fields))
	}
	failAll := func(err *connectors.Error) []*row {
		for i := range w.results {
			w.results[i].Err = err
		}
		return nil
	}
	var err *connectors.Error
	if w.schema, err = w.client.learned(ctx, names...); err != nil {
		return failAll(err)
	}
	if w.schema.key == "" {
		// Trouble with the account, which no record should have to pay for.
		return failAll(&connectors.Error{
			Class: connectors.Transient, Code: "NO_KEY", Field: keyField, Reason: "the unique field is missing in Zoho: run the setup",
		})
	}
	var rows []*row
	byKey := map[string]*row{}
	for i, ch := range changes {
		if ch.Key == "" && ch.RecordID == "" {
			w.results[i].Err = &connectors.Error{Class: connectors.Rejected, Reason: "the contact has neither a key nor a record"}
			continue
		}
		values, err := w.values(ctx, ch)
		if err != nil {
			w.results[i].Err = err
			continue
		}
		// Zoho's unique fields do not tell capitals from small letters.
		r := byKey[fold(ch.Key)]
		if r == nil {
			r = &row{key: ch.Key, values: map[string]any{}}
			rows = append(rows, r)
			if ch.Key != "" {
				byKey[fold(ch.Key)] = r
			}
		}
		r.id = cmp.Or(ch.RecordID, r.id)
		r.changes = append(r.changes, i)
		for _, p := range ch.Phones {
			if !slices.Contains(r.phones, p) {
				r.phones = append(r.phones, p)
			}
		}
		maps.Copy(r.values, values)
		if v, ok := ch.Fields[tagField]; ok {
			r.tags, r.tagged = tagsOf(v), true
		}
		r.fill = append(r.fill, ch.Fill...)
		r.not = append(r.not, ch.Not...)
	}
	return rows
}

// values are a change's fields as Zoho takes them. A field that Zoho does not
// have it would ignore without a word, so it is refused here.
func (w *writing) values(ctx context.Context, ch connectors.ContactChange) (map[string]any, *connectors.Error) {
	values := make(map[string]any, len(ch.Fields)+1)
	for name, v := range ch.Fields {
		d, ok := w.schema.contacts[name]
		switch {
		case !ok:
			return nil, &connectors.Error{Class: connectors.Rejected, Code: "NO_SUCH_FIELD", Field: nameOf(name), Reason: "the field does not exist in Zoho"}
		case name == tagField:
			if err := refuseTags(v); err != nil {
				return nil, err
			}
			continue
		case d.readOnly():
			return nil, &connectors.Error{Class: connectors.Rejected, Code: "READ_ONLY_FIELD", Field: name, Reason: "the field is read-only in Zoho"}
		}
		x, err := w.client.encode(ctx, d, v)
		if err != nil {
			return nil, err
		}
		if x == nil && (name == lastNameField || d.DataType == "ownerlookup") {
			// A contact always has them; what is there stays.
			continue
		}
		values[name] = x
	}
	if ch.Key != "" {
		values[w.schema.key] = ch.Key
	}
	return values, nil
}

// update writes rows by the id they have. A record that Zoho does not have any
// more was deleted, or merged into one that does not say so.
func (w *writing) update(ctx context.Context, rows []*row) {
	var records []map[string]any
	var standing [][]*row
	at := map[string]int{}
	for _, r := range rows {
		if len(r.values) == 0 {
			// Labels alone go another way.
			w.give(r, connectors.Result{RecordID: r.id})
			continue
		}
		if !isID.MatchString(r.id) {
			w.give(r, connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: recordGone, Reason: "the record's id is not one of Zoho's"}})
			continue
		}
		i, ok := at[r.id]
		if !ok {
			i = len(records)
			at[r.id] = i
			records = append(records, map[string]any{idField: r.id})
			standing = append(standing, nil)
		}
		standing[i] = append(standing[i], r)
		maps.Copy(records[i], r.values)
	}
	for i, o := range w.client.write(ctx, batch{method: http.MethodPut, path: contacts, key: w.schema.key, records: records}) {
		for _, r := range standing[i] {
			if o.err != nil {
				w.give(r, connectors.Result{Err: o.err})
				continue
			}
			w.give(r, connectors.Result{RecordID: r.id})
		}
	}
}

// updateMatched updates rows that were found. It returns those that have to be
// looked for again, because another record holds their key or because theirs
// was deleted meanwhile.
func (w *writing) updateMatched(ctx context.Context, rows []*row) (again []*row) {
	w.update(ctx, rows)
	for _, r := range rows {
		e := w.result(r).Err
		if e != nil && (e.Code == recordGone || e.Code == "DUPLICATE_DATA" && e.Class == connectors.Conflict) {
			r.release()
			again = append(again, r)
		}
	}
	return again
}

// upsert writes rows by their key, which creates those that nobody has, at most
// once whatever happens to the answer.
func (w *writing) upsert(ctx context.Context, rows []*row) {
	records := make([]map[string]any, len(rows))
	late := map[*row]map[string]any{}
	for i, r := range rows {
		records[i] = map[string]any{}
		for name, v := range r.values {
			d := w.schema.contacts[name]
			switch {
			// Zoho compares the other unique fields too, whatever it was told
			// to compare, and would take another contact's record for this
			// one (Zoho: upsert-records). They are written once the record is
			// there, which says so when a value is taken.
			case v == nil:
			case name != w.schema.key && d.unique():
				if late[r] == nil {
					late[r] = map[string]any{}
				}
				late[r][name] = v
			default:
				records[i][name] = v
			}
		}
		nameless(records[i], r)
	}
	var more []*row
	b := batch{method: http.MethodPost, path: contacts + "/upsert", check: w.schema.key, key: w.schema.key, records: records}
	for i, o := range w.client.write(ctx, b) {
		r := rows[i]
		if o.err != nil {
			w.give(r, connectors.Result{Err: o.err})
			continue
		}
		r.id = o.id
		w.give(r, connectors.Result{RecordID: o.id, Created: o.new})
		if late[r] != nil {
			more = append(more, r)
		}
	}
	w.complete(ctx, more, late)
}

// complete writes what an upsert had to leave out.
func (w *writing) complete(ctx context.Context, rows []*row, late map[*row]map[string]any) {
	records := make([]map[string]any, len(rows))
	for i, r := range rows {
		records[i] = map[string]any{idField: r.id}
		maps.Copy(records[i], late[r])
	}
	for i, o := range w.client.write(ctx, batch{method: http.MethodPut, path: contacts, key: w.schema.key, records: records}) {
		if o.err != nil {
			w.give(rows[i], connectors.Result{Err: o.err})
		}
	}
}

// nameless gives a record that is going to be created the last name that Zoho
// asks for (Zoho: insert-records, mandatory fields).
func nameless(record map[string]any, r *row) {
	if record[lastNameField] != nil {
		return
	}
	name := r.key
	if len(r.phones) > 0 {
		name = r.phones[0]
	}
	if first, ok := record["First_Name"].(string); ok && first != "" {
		name = first
	}
	record[lastNameField] = name
}
