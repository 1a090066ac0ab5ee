package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
	"crmsync/connectors/internal/rest"
)

const (
	// filesProperty names the files of an activity, semicolons between their
	// ids (HubSpot: notes guide; communications have it too, undocumented).
	filesProperty = "hs_attachment_ids"
	// filesFolder is where the file manager keeps them.
	filesFolder = "/crmsync"
	// uploadTimeout is how long a file may take.
	uploadTimeout = 30 * time.Second
)

// AttachFile uploads a file, which only people with access to the account's
// files can see, and names it in the message. Its name there is unique to the
// message, so that an upload whose answer was lost is overwritten by the next.
// It needs the scope files.
func (c *Client) AttachFile(ctx context.Context, f connectors.FileChange) connectors.Result {
	if f.Message.RecordID == "" {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "the message is not in HubSpot yet"}}
	}
	id, there, err := c.attachFile(ctx, f)
	if err != nil && err.Code == "MISSING_SCOPES" {
		// The account is fit for everything else.
		err = &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: err.Code, Reason: "the token lacks the scope files, which attaching files needs"}
	}
	return connectors.Result{RecordID: id, Created: err == nil && !there, Err: err}
}

func (c *Client) attachFile(ctx context.Context, f connectors.FileChange) (id string, there bool, err *connectors.Error) {
	message := c.paths.objects + communications + "/" + url.PathEscape(f.Message.RecordID)
	var m object
	if err := c.call(ctx, named, http.MethodGet, message, url.Values{"properties": {filesProperty}}, nil, &m); err != nil {
		return "", false, err
	}
	mark := "-" + connectors.Digest([]byte(journal.Key(&f.Message)))[:16]
	var ids []string
	for id := range strings.SplitSeq(string(m.Properties[filesProperty]), ";") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		ids = append(ids, id)
		var known file
		err := c.call(ctx, named, http.MethodGet, c.paths.files+"/"+url.PathEscape(id), nil, nil, &known)
		switch {
		case err == nil && strings.HasSuffix(string(known.Name), mark):
			return id, true, nil
		case err != nil && err.Class != connectors.Conflict: // deleted since
			return "", false, err
		}
	}
	extension := path.Ext(f.Name)
	upload := &rest.Upload{
		Part: "file", Name: strings.TrimSuffix(f.Name, extension) + mark + extension, MIMEType: f.MIMEType, Content: f.Content,
		Fields: map[string]string{"folderPath": filesFolder, "options": `{"access":"PRIVATE","overwrite":true}`},
	}
	var made file
	if err := c.call(ctx, plain, http.MethodPost, c.paths.files, nil, upload, &made); err != nil {
		return "", false, err
	}
	if made.ID == "" {
		return "", false, &connectors.Error{Class: connectors.Transient, Reason: "HubSpot's answer does not name the file"}
	}
	all := strings.Join(append(ids, string(made.ID)), ";")
	change := input{Properties: map[string]string{filesProperty: all}}
	if err := c.call(ctx, named, http.MethodPatch, message, nil, change, nil); err != nil {
		return "", false, err
	}
	return string(made.ID), false, nil
}

// A file is one in the file manager; its name is without the extension.
type file struct {
	ID   value `json:"id"`
	Name value `json:"name"`
}
