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
	// ids (HubSpot: notes guide). Communications have it too, undocumented.
	filesProperty = "hs_attachment_ids"
	// filesFolder is where the file manager keeps them.
	filesFolder = "/crmsync"
	// uploadTimeout is how long a file may take.
	uploadTimeout = 30 * time.Second
	// fileCalls is how many requests one takes.
	fileCalls = 4
)

// AttachFile uploads a file, which only people with access to the account's
// files can see, and names it in the message. Its name there is unique to the
// message, so that an upload whose answer was lost is overwritten by the next.
// It needs the scope files.
func (c *Client) AttachFile(ctx context.Context, f connectors.FileChange) connectors.Result {
	if f.Message.RecordID == "" {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Conflict, Reason: "the message is not in HubSpot yet"}}
	}
	s, err := c.learned(ctx)
	switch {
	case err != nil:
		return connectors.Result{Err: err}
	case !s.files:
		return connectors.Result{Err: &connectors.Error{Class: connectors.Rejected, Code: "NO_FILES", Field: filesProperty, Reason: "messages take no files in this HubSpot account: they lack the property"}}
	}
	a := attaching{client: c, message: c.paths.objects + communications + "/" + url.PathEscape(f.Message.RecordID)}
	a.mark = "-" + connectors.Digest([]byte(journal.Key(&f.Message)))[:16]
	ids, err := a.attached(ctx)
	if err != nil {
		return connectors.Result{Err: err}
	}
	if there, err := a.ours(ctx, ids); err != nil || there != "" {
		return connectors.Result{RecordID: there, Err: err}
	}
	id, err := a.upload(ctx, f)
	if err != nil {
		return connectors.Result{Err: err}
	}
	// While the file was on its way somebody may have attached another.
	ids, err = a.attached(ctx)
	if err == nil {
		change := input{Properties: map[string]string{filesProperty: strings.Join(append(ids, id), ";")}}
		err = c.call(ctx, named, http.MethodPatch, a.message, nil, change, nil)
	}
	return connectors.Result{RecordID: id, Created: err == nil, Err: err}
}

// An attaching is one file on its way to a message.
type attaching struct {
	client  *Client
	message string // its address
	// mark ends the name of the file, without its extension.
	mark string
}

// attached are the ids of the files that the message has.
func (a *attaching) attached(ctx context.Context) (ids []string, err *connectors.Error) {
	var m object
	if err := a.client.call(ctx, named, http.MethodGet, a.message, url.Values{"properties": {filesProperty}}, nil, &m); err != nil {
		return nil, err
	}
	for id := range strings.SplitSeq(string(m.Properties[filesProperty]), ";") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ours is the one among files that was uploaded for this message, empty if none
// was. Who may not read files cannot upload any.
func (a *attaching) ours(ctx context.Context, ids []string) (string, *connectors.Error) {
	for _, id := range ids {
		var known file
		err := a.client.call(ctx, named, http.MethodGet, a.client.paths.files+"/"+url.PathEscape(id), nil, nil, &known)
		switch {
		case err == nil && strings.HasSuffix(string(known.Name), a.mark):
			return id, nil
		case err != nil && err.Class != connectors.Conflict: // deleted since
			return "", refusedFile(err)
		}
	}
	return "", nil
}

func (a *attaching) upload(ctx context.Context, f connectors.FileChange) (id string, err *connectors.Error) {
	extension := path.Ext(f.Name)
	upload := &rest.Upload{
		Part: "file", Name: strings.TrimSuffix(f.Name, extension) + a.mark + extension, MIMEType: f.MIMEType, Content: f.Content,
		Fields: map[string]string{"folderPath": filesFolder, "options": `{"access":"PRIVATE","overwrite":true}`},
	}
	var made file
	if err := a.client.call(ctx, creating, http.MethodPost, a.client.paths.files, nil, upload, &made); err != nil {
		return "", refusedFile(err)
	}
	if made.ID == "" {
		return "", &connectors.Error{Class: connectors.UnknownOutcome, Reason: "HubSpot's answer does not name the file"}
	}
	return string(made.ID), nil
}

// refusedFile makes a refusal of what would otherwise be the account's trouble:
// it is fit for everything else.
func refusedFile(err *connectors.Error) *connectors.Error {
	switch {
	case err.Code == "MISSING_SCOPES":
		return &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: err.Code, Reason: "the token lacks the scope files, which attaching files needs"}
	case err.Status == http.StatusRequestEntityTooLarge:
		return &connectors.Error{Class: connectors.Rejected, Status: err.Status, Code: "TOO_LARGE", Reason: "the file is larger than HubSpot takes"}
	}
	return err
}

// A file is one in the file manager; its name is without the extension.
type file struct {
	ID   value `json:"id"`
	Name value `json:"name"`
}
