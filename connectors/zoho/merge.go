package zoho

import (
	"context"

	"crmsync/connectors"
)

// MergeContacts is not offered: Zoho merges records on its own pages only.
func (c *Client) MergeContacts(context.Context, string, string) connectors.Result {
	return connectors.Result{Err: &connectors.Error{
		Class: connectors.Rejected, Code: connectors.NotOffered,
		Reason: "Zoho CRM merges contacts on its own pages only: open one of them there and choose Find and Merge Duplicates",
	}}
}
