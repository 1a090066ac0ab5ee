package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

const (
	attachments   = "Attachments"
	fileNameField = "File_Name"
	// uploadTimeout is how long a file may take.
	uploadTimeout = 30 * time.Second
)

// AttachFile adds a file to the record of a message, which may be a note. Zoho
// takes up to 20 MB, and no .exe (Zoho: upload-attachment). Nothing tells a
// file that was sent twice from two, so after a lost answer it is looked for by
// its name.
func (c *Client) AttachFile(ctx context.Context, f connectors.FileChange) connectors.Result {
	if !isID.MatchString(f.Message.RecordID) {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "the message is not in Zoho yet"}}
	}
	id, there, err := c.attachFile(ctx, f)
	return connectors.Result{RecordID: id, Created: err == nil && !there, Err: err}
}

// refusedFile makes a refusal of what would otherwise be the account's trouble:
// it is fit for everything else.
func refusedFile(err *connectors.Error) *connectors.Error {
	switch {
	case err.Code == scopeMismatch:
		return &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: err.Code, Reason: "the token lacks the scope ZohoCRM.modules.attachments.ALL, which attaching files needs"}
	case err.Status == http.StatusForbidden && err.Class == connectors.Unauthorized:
		return &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: err.Code, Reason: "the profile of the token's user does not allow attachments"}
	}
	return err
}

func (c *Client) attachFile(ctx context.Context, f connectors.FileChange) (id string, there bool, err *connectors.Error) {
	s, err := c.learned(ctx)
	if err != nil {
		return "", false, err
	}
	module := messageModule
	if s.module == nil {
		module = notes
	}
	path := module + "/" + f.Message.RecordID + "/" + attachments
	if f.InDoubt {
		if id, err := c.findFile(ctx, path, f.Name); id != "" || err != nil {
			return id, true, err
		}
	}
	a, err := c.do(ctx, call{method: http.MethodPost, path: path, creating: true, upload: &rest.Upload{
		Part: "file", Name: f.Name, MIMEType: f.MIMEType, Content: f.Content,
	}})
	if err != nil {
		return "", false, refusedFile(err)
	}
	var row answerRow
	switch {
	case len(a.Data) != 1 || json.Unmarshal(a.Data[0], &row) != nil:
	case row.isFault():
		return "", false, row.explain(a.status, "")
	default:
		id = string(row.Details.ID)
	}
	if id == "" {
		return "", false, &connectors.Error{Class: connectors.UnknownOutcome, Status: a.status, Reason: "Zoho's answer does not mention the file"}
	}
	return id, false, nil
}

// findFile looks for a file of a record by its name.
func (c *Client) findFile(ctx context.Context, path, name string) (id string, err *connectors.Error) {
	q := url.Values{"fields": {fileNameField}, "per_page": {"200"}}
	a, err := c.do(ctx, call{method: http.MethodGet, path: path, query: q})
	if err != nil {
		return "", refusedFile(err)
	}
	if a.broken() {
		return "", garbled()
	}
	for _, raw := range a.Data {
		var found struct {
			ID   value `json:"id"`
			Name value `json:"File_Name"`
		}
		if json.Unmarshal(raw, &found) != nil || found.ID == "" {
			return "", garbled()
		}
		if string(found.Name) == name {
			return string(found.ID), nil
		}
	}
	return "", nil
}
