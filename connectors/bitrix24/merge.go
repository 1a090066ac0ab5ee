package bitrix24

import (
	"context"
	"encoding/json"
	"strconv"

	"crmsync/connectors"
)

// contactType is a contact's number among the kinds of records.
const contactType = 3

// MergeContacts leaves the first record and deletes the other (Bitrix24:
// crm.entity.mergeBatch).
func (c *Client) MergeContacts(ctx context.Context, keep, other string) connectors.Result {
	ids := make([]int64, 2)
	for i, id := range []string{keep, other} {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || !isID(id) {
			return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: codeGone, Reason: gone}}
		}
		ids[i] = n
	}
	env, e := c.call(ctx, batched, "crm.entity.mergeBatch", params{"params": map[string]any{"entityTypeId": contactType, "entityIds": ids}})
	if e != nil && e.Code == codeGone {
		return c.merged(ctx, keep, other, e)
	}
	if e != nil {
		return connectors.Result{Err: e}
	}
	var answer struct {
		Status string `json:"STATUS"`
	}
	if err := json.Unmarshal(env.Result, &answer); err == nil && answer.Status == "SUCCESS" {
		return connectors.Result{RecordID: keep}
	}
	return connectors.Result{Err: &connectors.Error{
		Class: connectors.Rejected, Code: "MERGE_" + connectors.TypeWord(answer.Status),
		Reason: "Bitrix24 does not merge these contacts by itself: merge them on its duplicates page",
	}}
}

// merged tells a merge whose answer was lost from a record that never was.
func (c *Client) merged(ctx context.Context, keep, other string, e *connectors.Error) connectors.Result {
	readings := c.ReadContacts(ctx, []string{keep, other}, nil)
	for _, r := range readings {
		if r.Err != nil {
			return connectors.Result{Err: r.Err}
		}
	}
	if readings[0].Record.ID == "" || readings[1].Record.ID != "" {
		return connectors.Result{Err: e}
	}
	return connectors.Result{RecordID: keep}
}
