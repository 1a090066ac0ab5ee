package whatsapp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

const (
	// downloadTimeout is how long one file may take.
	downloadTimeout = 20 * time.Second
	// downloadTries is how often a new address is asked for, when the one just
	// given turns out not to be valid any more.
	downloadTries = 2
)

// downloadHeader has an agent as browsers do, for the download host turns some
// others away (seen by makers of client libraries, such as whatsapp-api-js).
var downloadHeader = http.Header{"Accept": {"*/*"}, "User-Agent": {"Mozilla/5.0 (compatible; crmsync)"}}

// A medium is what the API says about a file. Its size is a number or, as the
// guide shows it, a string.
type medium struct {
	URL    string          `json:"url"`
	SHA256 string          `json:"sha256"`
	Size   json.RawMessage `json:"file_size"`
}

// Download returns a file that came to a business number. Files can be had for
// seven days; the address of one, which the API is asked for each time, is good
// for five minutes (Cloud API: media). What arrives is compared with the digest
// that came with the message.
//
// The failure is [connectors.Unwanted] for a file that is larger than wanted.
func (c *Client) Download(ctx context.Context, businessNumber string, m connectors.Media) ([]byte, *connectors.Error) {
	if !isMediaID.MatchString(m.ID) {
		return nil, &connectors.Error{Class: connectors.Rejected, Code: "NO_SUCH_FILE", Reason: "the id of the file is not one of WhatsApp's"}
	}
	for try := 1; ; try++ {
		about, err := c.describe(ctx, businessNumber, m.ID)
		if err != nil {
			return nil, err
		}
		if size, err := strconv.ParseInt(strings.Trim(string(about.Size), `"`), 10, 64); err == nil && size > c.maxFile {
			return nil, c.tooLarge()
		}
		content, err := c.get(ctx, about.URL)
		if err != nil && err.Status == http.StatusNotFound && try < downloadTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !matches(content, m.SHA256) || !matches(content, about.SHA256) {
			return nil, &connectors.Error{Class: connectors.Unknown, Code: "DAMAGED", Reason: "the file that arrived is not the one that was sent: its digest differs"}
		}
		return content, nil
	}
}

var isMediaID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (c *Client) describe(ctx context.Context, businessNumber, id string) (*medium, *connectors.Error) {
	a, err := c.rest.Do(ctx, rest.Request{Method: http.MethodGet, Path: c.address(id), Query: url.Values{"phone_number_id": {businessNumber}}})
	if err != nil {
		return nil, rest.Failure(err, false)
	}
	if !a.OK() {
		return nil, classify(a)
	}
	var m medium
	if err := a.Decode(&m); err != nil {
		return nil, rest.Failure(err, false)
	}
	return &m, nil
}

// get downloads from an address that the API has given. The token goes to
// WhatsApp's hosts only.
func (c *Client) get(ctx context.Context, address string) ([]byte, *connectors.Error) {
	if !c.trusted(address) {
		return nil, &connectors.Error{Class: connectors.Unknown, Code: "FOREIGN_ADDRESS", Reason: "the file is not on one of WhatsApp's hosts"}
	}
	a, err := c.rest.Do(ctx, rest.Request{
		Method: http.MethodGet, Path: address, Timeout: downloadTimeout, MaxBody: c.maxFile + 1, Header: downloadHeader,
	})
	if err != nil {
		return nil, rest.Failure(err, false)
	}
	switch {
	case a.OK() && int64(len(a.Body)) > c.maxFile:
		return nil, c.tooLarge()
	case a.OK():
		return a.Body, nil
	case a.Status == http.StatusNotFound:
		return nil, &connectors.Error{Class: connectors.Transient, Status: a.Status, Reason: "the address of the file is not valid any more"}
	}
	return nil, classify(a)
}

// trusted reports whether an address is on one of WhatsApp's hosts, or where
// the API itself is.
func (c *Client) trusted(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil {
		return false
	}
	if base, err := url.Parse(c.base); err == nil && u.Scheme == base.Scheme && u.Host == base.Host {
		return true
	}
	host := u.Host
	return u.Scheme == "https" && (host == "graph.facebook.com" || host == "lookaside.fbsbx.com")
}

func (c *Client) tooLarge() *connectors.Error {
	return &connectors.Error{Class: connectors.Rejected, Code: connectors.Unwanted, Reason: fmt.Sprintf("the file has more than %d bytes", c.maxFile)}
}

// matches compares a file with its digest, in hexadecimal or base64: both are
// seen. Without one there is nothing to compare.
func matches(content []byte, digest string) bool {
	if digest == "" {
		return true
	}
	sum := sha256.Sum256(content)
	return strings.EqualFold(digest, hex.EncodeToString(sum[:])) || strings.TrimRight(digest, "=") == base64.RawStdEncoding.EncodeToString(sum[:])
}
