package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
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

const graph = "https://graph.facebook.com"

// A Client calls the Graph API for one WhatsApp account. It is safe for
// concurrent use.
type Client struct {
	rest    rest.Client
	base    string
	version string
	token   string
	maxFile int64
}

// NewClient returns a client of the account. It makes no call.
func NewClient(o Options) *Client {
	c := &Client{base: strings.TrimRight(cmp.Or(o.BaseURL, graph), "/"), version: o.APIVersion, token: o.Token, maxFile: o.MaxFile}
	c.rest.Observe = o.Observe
	c.rest.Authorize = func(_ context.Context, h http.Header) error {
		h.Set("Authorization", "Bearer "+o.Token)
		return nil
	}
	return c
}

func (c *Client) address(node string) string { return c.base + "/" + c.version + "/" + node }

// Check asks whether the token is good for downloads (Graph API: debug_token).
// It returns what a person has to do, empty if nothing.
func (c *Client) Check(ctx context.Context) (problem string, failure *connectors.Error) {
	a, err := c.rest.Do(ctx, rest.Request{Method: http.MethodGet, Path: c.address("debug_token"), Query: url.Values{"input_token": {c.token}}})
	if err != nil {
		return "", rest.Failure(err, false)
	}
	if !a.OK() {
		return "", classify(a)
	}
	var about struct {
		Data struct {
			Valid  bool     `json:"is_valid"`
			Scopes []string `json:"scopes"`
		} `json:"data"`
	}
	if err := a.Decode(&about); err != nil {
		return "", rest.Failure(err, false)
	}
	switch {
	case !about.Data.Valid:
		return "the token is not valid any more: make a new one for a system user of the business", nil
	case !slices.Contains(about.Data.Scopes, "whatsapp_business_messaging"):
		return "the token lacks the permission whatsapp_business_messaging", nil
	}
	return "", nil
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
	case code == 190, code == 104, a.Status == http.StatusUnauthorized:
		e.Class, e.Reason = connectors.Unauthorized, "WhatsApp does not accept the token"
	case code == 10, code >= 200 && code <= 299, a.Status == http.StatusForbidden:
		e.Class, e.Reason = connectors.Unauthorized, "the token lacks the permission whatsapp_business_messaging"
	case a.Status >= 500, code == 1, code == 2, !speaks:
		e.Class, e.Reason = connectors.Transient, "WhatsApp has an outage"
	case code == 100 && body.Error.Subcode == 33:
		e.Class, e.Reason = connectors.Rejected, "WhatsApp does not have the file: it keeps them for seven days, and the token has to be one of this number's account"
	default:
		e.Class, e.Reason = connectors.Unknown, "WhatsApp refuses the call"
	}
	return e
}
