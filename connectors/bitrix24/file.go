package bitrix24

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"crmsync/connectors"
)

// fileMarker begins the last line of a comment that holds a file: "— WhatsApp
// file · wamid.X".
const fileMarker = markerStart + "file" + markerDot

// AttachFile adds a file as a comment of its own on the contact's timeline, for
// one in the comment of the message would be gone with the next status: an
// update without files takes all away (Bitrix24: modules/crm/lib/controller/
// timeline/comment.php), and activities have none. After a lost answer the
// comment is looked for by its last line.
func (c *Client) AttachFile(ctx context.Context, f connectors.FileChange) connectors.Result {
	m := &f.Message
	if !isID(m.ContactRecordID) {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the message's contact is not in Bitrix24 yet"}}
	}
	mark := fileMarker + m.WAMID
	if f.InDoubt {
		if id, err := c.findFile(ctx, m, mark); id != "" || err != nil {
			return connectors.Result{RecordID: id, Err: err}
		}
	}
	if c.budget.short(commentAdd) {
		// What is left of it is for messages.
		err := blocked()
		err.RetryAfter = time.Minute
		return connectors.Result{Err: err}
	}
	env, err := c.call(ctx, uploading, commentAdd, params{"fields": params{
		"ENTITY_TYPE": contactTypeName, "ENTITY_ID": m.ContactRecordID, "COMMENT": harmless(f.Name) + "\n\n" + mark,
		"FILES": [][]any{{f.Name, f.Content}}, // as base64, like all bytes in JSON
	}})
	switch {
	case err != nil && err.Status == http.StatusRequestEntityTooLarge:
		return connectors.Result{Err: &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: "TOO_LARGE", Reason: "the file is larger than Bitrix24 takes"}}
	case err != nil:
		return connectors.Result{Err: err}
	}
	var id value
	if json.Unmarshal(env.Result, &id) != nil || !isID(string(id)) {
		return connectors.Result{Err: silent(&command{creates: true})}
	}
	return connectors.Result{RecordID: string(id), Created: true}
}

// findFile reads a contact's timeline, newest first, until a comment is older
// than the message.
func (c *Client) findFile(ctx context.Context, m *connectors.MessageChange, mark string) (id string, err *connectors.Error) {
	until := reachBack(m.At)
	for start := "0"; start != ""; {
		env, err := c.call(ctx, plain, commentList, commentsOf(m.ContactRecordID, start))
		if err != nil {
			return "", err
		}
		var found list[comment]
		if json.Unmarshal(env.Result, &found) != nil {
			return "", silent(&command{})
		}
		for _, one := range found {
			lines := strings.Split(strings.TrimSpace(newlines(string(one.Comment))), "\n")
			if strings.TrimSpace(lines[len(lines)-1]) == mark {
				return string(one.ID), nil
			}
			if at := parseTime(string(one.Created)); !at.IsZero() && at.Before(until) {
				return "", nil
			}
		}
		start = string(env.Next)
	}
	return "", nil
}
