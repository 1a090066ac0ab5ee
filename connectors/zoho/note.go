package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"crmsync/connectors"
)

const (
	contentField = "Note_Content"
	// maxContent is how many characters a note holds (Zoho: create-notes).
	maxContent = 65535
)

// findNotes reads the notes of contacts and compares last lines. Notes cannot be
// looked for in any other way: they take no field of ours, and listing those of all
// contacts is for administrators (Zoho: get-notes).
func (l *logging) findNotes(ctx context.Context, list []*note) {
	byContact := map[string][]*note{}
	for _, n := range list {
		byContact[n.ContactRecordID] = append(byContact[n.ContactRecordID], n)
	}
	for id, list := range byContact {
		if !isID.MatchString(id) {
			l.failNotes(list, noContact())
			continue
		}
		if err := l.findNotesOf(ctx, id, list); err != nil {
			l.failNotes(list, err)
		}
	}
}

func (l *logging) failNotes(list []*note, err *connectors.Error) {
	for _, n := range list {
		l.give(n, connectors.Result{Err: err})
	}
}

func (l *logging) findNotesOf(ctx context.Context, contact string, list []*note) *connectors.Error {
	wanted := make(map[string]*note, len(list))
	for _, n := range list {
		wanted[n.WAMID] = n
	}
	return l.client.hanging(ctx, contact, notes, contentField, func(id, text string) bool {
		wamid := marked(text)
		if n := wanted[wamid]; n != nil {
			l.give(n, connectors.Result{RecordID: id})
			delete(wanted, wamid)
		}
		return len(wanted) > 0
	})
}

// hanging shows what of a module hangs on a contact, with one field of it, a page at
// a time until show reports that it is enough. Such lists are storage and not the
// search index, so they do not lag.
func (c *Client) hanging(ctx context.Context, contact, module, field string, show func(id, text string) (more bool)) *connectors.Error {
	q := url.Values{"fields": {field}, "per_page": {"200"}}
	for {
		a, err := c.do(ctx, call{method: http.MethodGet, path: contacts + "/" + contact + "/" + module, query: q})
		if err != nil {
			return err
		}
		if a.broken() {
			return garbled()
		}
		more := true
		for _, raw := range a.Data {
			record, text, ok := shown(raw, field)
			if !ok {
				return garbled()
			}
			more = show(record, text)
		}
		if !more || !a.Info.More {
			return nil
		}
		if a.Info.NextToken == "" || a.Info.NextToken == q.Get("page_token") {
			// More was promised than can be had.
			return garbled()
		}
		q.Set("page_token", a.Info.NextToken)
	}
}

// shown is a record's id and the text of one field.
func shown(raw json.RawMessage, field string) (record, text string, ok bool) {
	var fields map[string]json.RawMessage
	var number, content value
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(fields[idField], &number) != nil || id(number) == "" {
		return "", "", false
	}
	if there := fields[field]; there != nil && json.Unmarshal(there, &content) != nil {
		return "", "", false
	}
	return string(number), string(content), true
}

// createNotes writes messages as notes on their contacts.
func (l *logging) createNotes(ctx context.Context, list []*note) {
	b := batch{method: http.MethodPost, path: notes, creating: true, noTrigger: true}
	for _, n := range list {
		b.records = append(b.records, map[string]any{
			parentField: map[string]any{
				"module": map[string]string{"api_name": contacts},
				idField:  n.ContactRecordID,
			},
			contentField: content(&n.MessageChange),
		})
	}
	for i, o := range l.client.write(ctx, b) {
		if o.err != nil {
			l.give(list[i], connectors.Result{Err: o.err})
			continue
		}
		l.give(list[i], connectors.Result{RecordID: o.id, Created: true})
	}
}

const (
	markerStart = "\n\n— WhatsApp "
	markerDot   = " · "
)

// content is a message as a note: the text and, as a last paragraph, what else
// there is to know: "— WhatsApp in · delivered · wamid.X".
func content(ch *connectors.MessageChange) string {
	parts := []string{ch.Word(string(ch.Direction)), ch.WAMID}
	if ch.Status != "" {
		parts = slices.Insert(parts, 1, ch.Word(ch.Status))
	}
	marker := markerStart + strings.Join(parts, markerDot)
	return connectors.Cut(ch.Text, maxContent-connectors.Length(marker)) + marker
}

// marked is the wamid in a note's last paragraph, or empty. Other text may quote
// such a line; ours is the last. An editor may have wrapped it in tags.
func marked(content string) string {
	i := strings.LastIndex(content, strings.TrimLeft(markerStart, "\n"))
	if i < 0 {
		return ""
	}
	line := content[i:]
	j := strings.LastIndex(line, markerDot)
	if j < 0 {
		return ""
	}
	wamid, _, _ := strings.Cut(line[j+len(markerDot):], "<")
	return strings.TrimSpace(wamid)
}
