package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

// maxBody is how many characters a large text area holds (Zoho:
// insert-records, field types).
const maxBody = 32000

type note = journal.Note

// A logging is one call about messages.
type logging struct {
	client  *Client
	module  map[string]string
	results []connectors.Result
}

// eachMessage does one of the three things to messages.
func (c *Client) eachMessage(ctx context.Context, changes []connectors.MessageChange, do func(*logging, context.Context, []*note)) []connectors.Result {
	l := logging{client: c, results: make([]connectors.Result, len(changes))}
	s, err := c.learned(ctx)
	if err != nil {
		for i := range l.results {
			l.results[i].Err = err
		}
		return l.results
	}
	l.module = s.module
	do(&l, ctx, journal.Of(changes, l.results))
	return l.results
}

func (l *logging) give(n *note, res connectors.Result) {
	n.Give(l.results, res)
}

// keyOf tells a message apart from all others. Zoho's unique fields do not tell
// capitals from small letters, wamids do; so it is a digest (Zoho:
// create-custom-field, unique).
func keyOf(ch *connectors.MessageChange) string {
	return connectors.Digest([]byte(journal.Key(ch)))
}

// find looks messages up.
func (l *logging) find(ctx context.Context, list []*note) {
	if l.module == nil {
		l.findNotes(ctx, list)
		return
	}
	for part := range slices.Chunk(list, maxValues) {
		l.findByKey(ctx, part)
	}
}

// findByKey asks for at most 50 messages by the unique field.
func (l *logging) findByKey(ctx context.Context, list []*note) {
	column := l.module[messageKeyField]
	keys := make([]string, len(list))
	for i, n := range list {
		keys[i] = keyOf(&n.MessageChange)
	}
	a, err := l.client.query(ctx, "select "+column+" from "+messageModule+" where ("+oneOf(column, keys)+") limit 200")
	found := map[string]string{}
	if err == nil {
		for _, raw := range a.Data {
			var fields map[string]json.RawMessage
			if json.Unmarshal(raw, &fields) != nil {
				err = garbled()
				break
			}
			key, _ := decode(definition{}, fields[column]).(string)
			record, _ := decode(definition{}, fields[idField]).(string)
			found[fold(key)] = record
		}
	}
	for i, n := range list {
		switch record, ok := found[keys[i]]; {
		case err != nil:
			l.give(n, connectors.Result{Err: err})
		case ok && !isID.MatchString(record):
			l.give(n, connectors.Result{Err: garbled()})
		default:
			l.give(n, connectors.Result{RecordID: record})
		}
	}
}

func noContact() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the message's contact is not in Zoho yet"}
}

// create logs messages. In their module one that is there already, by its key,
// is as good as created.
func (l *logging) create(ctx context.Context, list []*note) {
	list = slices.DeleteFunc(slices.Clone(list), func(n *note) bool {
		bad := !isID.MatchString(n.ContactRecordID)
		if bad {
			l.give(n, connectors.Result{Err: noContact()})
		}
		return bad
	})
	if l.module == nil {
		l.createNotes(ctx, list)
		return
	}
	key := l.module[messageKeyField]
	records := make([]map[string]any, len(list))
	for i, n := range list {
		r := l.values(n)
		r[key] = keyOf(&n.MessageChange)
		r[l.module[contactField]] = reference{n.ContactRecordID}
		r[displayField] = title(n)
		l.set(r, wamidField, n.WAMID)
		l.set(r, directionField, string(n.Direction))
		records[i] = r
	}
	b := batch{method: http.MethodPost, path: messageModule + "/upsert", check: key, key: key, records: records, creating: true}
	for i, o := range l.client.write(ctx, b) {
		switch {
		case o.err != nil:
			l.give(list[i], connectors.Result{Err: l.aboutContact(o.err)})
		default:
			l.give(list[i], connectors.Result{RecordID: o.id, Created: o.new})
		}
	}
}

// aboutContact makes a conflict of a refused contact: it is not there any more.
func (l *logging) aboutContact(e *connectors.Error) *connectors.Error {
	if e.Class == connectors.Rejected && e.Code == "INVALID_DATA" && e.Field == l.module[contactField] {
		return &connectors.Error{Class: connectors.Conflict, Status: e.Status, Code: "NO_CONTACT", Field: e.Field, Reason: "the message's contact does not exist in Zoho"}
	}
	return e
}

// update writes text and status of messages by their ids.
func (l *logging) update(ctx context.Context, list []*note) {
	b := batch{method: http.MethodPut, path: messageModule, key: l.module[messageKeyField]}
	if l.module == nil {
		b = batch{method: http.MethodPut, path: notes, noTrigger: true}
	}
	var sent []*note
	seen := map[string]bool{}
	for _, n := range list {
		switch {
		case !isID.MatchString(n.RecordID):
			l.give(n, connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "the message is not in Zoho yet"}})
			continue
		case seen[n.RecordID]:
			l.give(n, connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "two messages have one record"}})
			continue
		}
		seen[n.RecordID] = true
		r := map[string]any{}
		if l.module == nil {
			r[contentField] = content(&n.MessageChange)
		} else {
			r = l.values(n)
		}
		r[idField] = n.RecordID
		b.records = append(b.records, r)
		sent = append(sent, n)
	}
	for i, o := range l.client.write(ctx, b) {
		if o.err != nil {
			l.give(sent[i], connectors.Result{Err: o.err})
			continue
		}
		l.give(sent[i], connectors.Result{RecordID: sent[i].RecordID})
	}
}

// values are the fields that change during a message's life.
func (l *logging) values(n *note) map[string]any {
	r := map[string]any{}
	l.set(r, bodyField, connectors.Cut(n.Text, maxBody))
	l.set(r, statusField, n.Status)
	if !n.At.IsZero() {
		l.set(r, sentField, instant(n.At))
	}
	return r
}

// set writes a value into one of our fields, if the module has it.
func (l *logging) set(r map[string]any, field, v string) {
	if name := l.module[field]; name != "" && v != "" {
		r[name] = v
	}
}

// title is what a message is called in lists.
func title(n *note) string {
	at := n.At
	if at.IsZero() {
		at = time.Now()
	}
	return strings.TrimSpace(n.Word(string(n.Direction)) + " " + at.UTC().Format("2006-01-02 15:04"))
}
