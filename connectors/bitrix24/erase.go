package bitrix24

import (
	"context"

	"crmsync/connectors"
)

// EraseContacts deletes contacts, up to 50 in a request. Bitrix24 deletes their
// timeline with them, and keeps no trace of what it has merged into others.
func (c *Client) EraseContacts(ctx context.Context, ids []string) []connectors.Result {
	results := make([]connectors.Result, len(ids))
	var cmds []command
	for i, id := range ids {
		if !isID(id) {
			continue // nobody's
		}
		cmds = append(cmds, command{method: contactDelete, params: params{"id": id}, rank: patient, done: func(o outcome) {
			if o.err != nil && o.err.Code != codeGone {
				results[i].Err = o.err
			}
		}})
	}
	c.run(ctx, cmds)
	return results
}

// EraseMessages has nothing to do: comments and activities go with their contact.
func (c *Client) EraseMessages(_ context.Context, ids []string) []connectors.Result {
	return make([]connectors.Result, len(ids))
}
