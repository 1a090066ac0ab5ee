package hubspot

import (
	"context"
	"net/http"

	"crmsync/connectors"
)

// MergeContacts makes one record of two, which since 2025 is a third one: both
// ids lead to it from then on (HubSpot: using object APIs).
func (c *Client) MergeContacts(ctx context.Context, keep, other string) connectors.Result {
	result := c.merge(ctx, keep, other)
	if result.Err == nil || result.Err.Code != "OBJECT_NOT_FOUND" {
		return result
	}
	// A merge before this one has replaced them, perhaps the same one.
	kept, err := c.survivor(ctx, keep)
	if err != nil {
		return connectors.Result{Err: err}
	}
	left, err := c.survivor(ctx, other)
	switch {
	case err != nil:
		return connectors.Result{Err: err}
	case kept == left:
		return connectors.Result{RecordID: kept}
	case kept == keep && left == other:
		return result
	}
	return c.merge(ctx, kept, left)
}

func (c *Client) merge(ctx context.Context, keep, other string) connectors.Result {
	if !isID.MatchString(keep) || !isID.MatchString(other) {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: "OBJECT_NOT_FOUND", Reason: "the record does not exist in HubSpot"}}
	}
	in := map[string]string{"primaryObjectId": keep, "objectIdToMerge": other}
	var o object
	if err := c.call(ctx, named, http.MethodPost, c.paths.objects+contacts+"/merge", nil, in, &o); err != nil {
		return connectors.Result{Err: err}
	}
	if !isID.MatchString(string(o.ID)) {
		return connectors.Result{Err: silent()}
	}
	return connectors.Result{RecordID: string(o.ID)}
}
