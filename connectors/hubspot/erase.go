package hubspot

import (
	"context"
	"net/http"
	"slices"

	"crmsync/connectors"
)

// EraseContacts moves contacts to HubSpot's recycle bin. HubSpot says of any id
// that it is archived, also of one that has become a part of another contact, so
// they are read before (HubSpot: using object APIs).
func (c *Client) EraseContacts(ctx context.Context, ids []string) []connectors.Result {
	results := make([]connectors.Result, len(ids))
	var there []string
	for i, r := range c.ReadContacts(ctx, ids, nil) {
		switch {
		case r.Err != nil:
			results[i].Err = r.Err
		case r.Record.ID != "" && r.Record.ID != ids[i]:
			results[i].Err = &connectors.Error{
				Class: connectors.Conflict, Code: "MERGED", RecordID: r.Record.ID, Reason: "the record was merged into another in HubSpot",
			}
		case r.Record.ID != "":
			there = append(there, ids[i])
		}
	}
	c.archive(ctx, contacts, there, ids, results)
	return results
}

// EraseMessages moves messages to the recycle bin, for HubSpot keeps them when
// their contact goes. Files stay in its file manager.
func (c *Client) EraseMessages(ctx context.Context, ids []string) []connectors.Result {
	results := make([]connectors.Result, len(ids))
	known := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID.MatchString(id) })
	c.archive(ctx, communications, known, ids, results)
	return results
}

// archive archives objects and gives those of the ids that could not be the
// failure. HubSpot does not mind what is archived already or was never there.
func (c *Client) archive(ctx context.Context, typ string, list, ids []string, results []connectors.Result) {
	for part := range slices.Chunk(list, perBatch) {
		b := batch{Inputs: make([]input, len(part))}
		for i, id := range part {
			b.Inputs[i].ID = id
		}
		err := c.call(ctx, batched, http.MethodPost, c.paths.objects+typ+"/batch/archive", nil, b, nil)
		for i, id := range ids {
			if err != nil && slices.Contains(part, id) {
				results[i].Err = err
			}
		}
	}
}
