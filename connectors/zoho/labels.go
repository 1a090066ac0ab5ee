package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"crmsync/connectors"
)

// maxTag is how many characters a tag has (Zoho: create-tag).
const maxTag = 25

// tagsOf are the labels that a value names, in order.
func tagsOf(v any) []string {
	var list []string
	switch v := v.(type) {
	case string:
		list = []string{v}
	case []string:
		list = slices.Clone(v)
	}
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}

// refuseTags says why labels cannot be tags; nil if they can.
func refuseTags(v any) *connectors.Error {
	e := &connectors.Error{Class: connectors.Rejected, Code: "INVALID_VALUE", Field: tagField}
	switch v.(type) {
	case nil, string, []string:
	default:
		e.Reason = "the value is not a list of labels"
		return e
	}
	for _, name := range tagsOf(v) {
		switch {
		case utf8.RuneCountInString(name) > maxTag:
			e.Reason = "a label is longer than the 25 characters of Zoho's tags"
			return e
		case strings.ContainsAny(name, "<>,"):
			e.Reason = "a label has a character that Zoho's tags do not take"
			return e
		}
	}
	return nil
}

// tag gives the rows that were written the labels that they are to have, and
// no others. Labels are not part of a record's values, hence the further calls.
func (w *writing) tag(ctx context.Context, rows []*row) {
	add := map[string][]*row{}
	var clear []*row
	for _, r := range rows {
		res := w.result(r)
		switch {
		case !r.tagged || res.Err != nil:
		case len(r.tags) > 0:
			set := strings.Join(r.tags, ",") // which no tag contains
			add[set] = append(add[set], r)
		case !res.Created:
			clear = append(clear, r)
		}
	}
	for set, rows := range add {
		w.applyTags(ctx, "add_tags", strings.Split(set, ","), rows)
	}
	if len(clear) > 0 {
		w.untag(ctx, clear)
	}
}

// untag removes all labels.
func (w *writing) untag(ctx context.Context, rows []*row) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = w.result(r).RecordID
	}
	remove := map[string][]*row{}
	for i, reading := range w.client.ReadContacts(ctx, ids, []string{tagField}) {
		if reading.Err != nil {
			w.give(rows[i], connectors.Result{Err: reading.Err})
			continue
		}
		if set := strings.Join(tagsOf(reading.Record.Fields[tagField]), ","); set != "" {
			remove[set] = append(remove[set], rows[i])
		}
	}
	for set, rows := range remove {
		w.applyTags(ctx, "remove_tags", strings.Split(set, ","), rows)
	}
}

// applyTags makes one call for rows that get, or lose, the same labels. A row
// keeps its result unless the call fails for it.
func (w *writing) applyTags(ctx context.Context, action string, tags []string, rows []*row) {
	body := tagging{}
	for _, name := range tags {
		body.Tags = append(body.Tags, named{name})
	}
	if action == "add_tags" {
		overWrite := true
		body.OverWrite = &overWrite
	}
	at := map[string][]*row{}
	for _, r := range rows {
		id := w.result(r).RecordID
		if at[id] == nil {
			body.IDs = append(body.IDs, id)
		}
		at[id] = append(at[id], r)
	}
	give := func(id string, err *connectors.Error) {
		for _, r := range at[id] {
			w.give(r, connectors.Result{Err: err})
		}
	}
	a, err := w.client.do(ctx, call{method: http.MethodPost, path: contacts + "/actions/" + action, in: body, batched: true})
	if err == nil && len(a.Data) != len(body.IDs) {
		err = unaccounted(a.status)
	}
	for i, id := range body.IDs {
		if err != nil {
			give(id, err)
			continue
		}
		var r answerRow
		if json.Unmarshal(a.Data[i], &r) != nil {
			give(id, unaccounted(a.status))
		} else if r.Code != "SUCCESS" {
			e := r.explain(a.status, w.schema.key)
			if e.Field == "" {
				e.Field = tagField
			}
			give(id, e)
		}
	}
}
