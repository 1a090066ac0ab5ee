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

// EraseContacts moves contacts to Zoho's recycle bin.
func (c *Client) EraseContacts(ctx context.Context, ids []string) []connectors.Result {
	return c.erase(ctx, contacts, ids)
}

// EraseMessages moves messages to the recycle bin: those in their own module stay
// when their contact goes.
func (c *Client) EraseMessages(ctx context.Context, ids []string) []connectors.Result {
	s, err := c.learned(ctx)
	if err != nil {
		results := make([]connectors.Result, len(ids))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	if s.module == nil {
		return c.erase(ctx, notes, ids)
	}
	return c.erase(ctx, messageModule, ids)
}

// erase deletes records of a module, 100 at a time, without setting off the
// organisation's workflows.
func (c *Client) erase(ctx context.Context, module string, ids []string) []connectors.Result {
	results := make([]connectors.Result, len(ids))
	// What is no id Zoho does not have; it would refuse the whole call.
	known := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID.MatchString(id) })
	slices.Sort(known)
	for part := range slices.Chunk(slices.Compact(known), perBatch) {
		failed := c.eraseOnce(ctx, module, part)
		for i, id := range ids {
			if slices.Contains(part, id) {
				results[i].Err = failed[id]
			}
		}
	}
	return results
}

// eraseOnce makes one call and returns the failures, by id.
func (c *Client) eraseOnce(ctx context.Context, module string, ids []string) map[string]*connectors.Error {
	failed := map[string]*connectors.Error{}
	fail := func(err *connectors.Error, ids []string) map[string]*connectors.Error {
		for _, id := range ids {
			failed[id] = err
		}
		return failed
	}
	a, err := c.do(ctx, call{
		method: http.MethodDelete, path: module, query: url.Values{"ids": {strings.Join(ids, ",")}, "wf_trigger": {"false"}}, batched: true,
	})
	if err != nil {
		return fail(err, ids)
	}
	if len(a.Data) != len(ids) {
		return fail(garbled(), ids)
	}
	var refused []string
	for i, raw := range a.Data {
		var r answerRow
		switch {
		case json.Unmarshal(raw, &r) != nil:
			failed[ids[i]] = garbled()
		case r.Code != "SUCCESS" || r.Status == "error":
			failed[ids[i]] = r.explain(a.status, "")
			refused = append(refused, ids[i])
		}
	}
	// Of what is not there Zoho says the same as of what it does not delete.
	for part := range slices.Chunk(refused, perRead) {
		q := url.Values{"ids": {strings.Join(part, ",")}, "fields": {modifiedField}}
		a, err := c.do(ctx, call{method: http.MethodGet, path: module, query: q})
		if err != nil {
			continue // as the row had it
		}
		left := map[string]bool{}
		for _, raw := range a.Data {
			var r reference
			if json.Unmarshal(raw, &r) == nil {
				left[r.ID] = true
			}
		}
		for _, id := range part {
			if !a.broken() && !left[id] {
				delete(failed, id)
			}
		}
	}
	return failed
}
