package whatsapp

import (
	"cmp"
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

// Options say how to call the Graph API for one WhatsApp account.
type Options struct {
	// BaseURL is where the API is.
	//
	// Defaults to https://graph.facebook.com.
	BaseURL string
	// APIVersion is the version of the Graph API, such as v24.0.
	APIVersion string
	// Token is an access token with the permission whatsapp_business_messaging.
	Token string
	// MaxFile is how many bytes a file may have that is downloaded.
	MaxFile int64
	// Observe is told of every HTTP request, with status 0 when there was no
	// complete answer.
	Observe func(status int, took time.Duration)
}

const (
	graph = "https://graph.facebook.com"
	// downloadTimeout is how long one file may take.
	downloadTimeout = 20 * time.Second
	// downloadTries is how often a new address is asked for, when the one just
	// given turns out not to be valid any more.
	downloadTries = 2
)

// A Client calls the Graph API for one WhatsApp account. It is safe for
// concurrent use.
type Client struct {
	rest    rest.Client
	base    string
	version string
	maxFile int64
}

// NewClient returns a client of the account. It makes no call.
func NewClient(o Options) *Client {
	c := &Client{base: strings.TrimRight(cmp.Or(o.BaseURL, graph), "/"), version: o.APIVersion, maxFile: o.MaxFile}
	c.rest.Observe = o.Observe
	c.rest.Authorize = func(_ context.Context, h http.Header) error {
		h.Set("Authorization", "Bearer "+o.Token)
		return nil
	}
	return c
}

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
	path := c.base + "/" + id
	if c.version != "" {
		path = c.base + "/" + c.version + "/" + id
	}
	a, err := c.rest.Do(ctx, rest.Request{Method: http.MethodGet, Path: path, Query: url.Values{"phone_number_id": {businessNumber}}})
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
		Method: http.MethodGet, Path: address, Timeout: downloadTimeout, MaxBody: c.maxFile + 1,
		Header: http.Header{"Accept": {"*/*"}},
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

// classify says what a refusal means. Messages of the Graph API may quote what
// was sent, so only codes are passed on (Cloud API: error codes).
func classify(a *rest.Answer) *connectors.Error {
	var body struct {
		Error *struct {
			Code    int `json:"code"`
			Subcode int `json:"error_subcode"`
		} `json:"error"`
	}
	speaks := a.JSON() && json.Unmarshal(a.Body, &body) == nil && body.Error != nil
	e := &connectors.Error{Status: a.Status, RetryAfter: rest.RetryAfter(a.Header, time.Now())}
	code := 0
	if speaks {
		code = body.Error.Code
		e.Code = strconv.Itoa(code)
	}
	switch {
	case code == 4, code == 80007, code == 130429, a.Status == http.StatusTooManyRequests:
		e.Class, e.Reason = connectors.Throttled, "WhatsApp says slow down"
	case a.Status >= 500, code == 1, code == 2, !speaks:
		e.Class, e.Reason = connectors.Transient, "WhatsApp has an outage"
	case code == 190, code == 104, a.Status == http.StatusUnauthorized:
		e.Class, e.Reason = connectors.Unauthorized, "WhatsApp does not accept the token"
	case code == 10, code >= 200 && code <= 299, a.Status == http.StatusForbidden:
		e.Class, e.Reason = connectors.Unauthorized, "the token lacks the permission whatsapp_business_messaging"
	case code == 100 && body.Error.Subcode == 33:
		e.Class, e.Reason = connectors.Rejected, "WhatsApp does not have the file: it keeps them for seven days, and the token has to be one of this number's account"
	default:
		e.Class, e.Reason = connectors.Unknown, "WhatsApp refuses the call"
	}
	return e
}
