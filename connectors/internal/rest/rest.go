// Package rest speaks JSON over HTTP for connectors: one call, one answer, and
// a failure that says whether the vendor can have acted on the request.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"crmsync/connectors"
)

const (
	// DefaultTimeout is how long one call may take, answer included.
	DefaultTimeout = 3500 * time.Millisecond

	// MaxBody is how much of an answer is read after decompression, so that
	// neither a broken vendor nor a gzip bomb fills the memory.
	MaxBody = 10 << 20
)

// A Client makes calls to one account of one vendor. Its fields are set before
// the first call and not changed afterwards; it is safe for concurrent use.
type Client struct {
	// Base is the address that the paths of requests are appended to.
	Base string

	// HTTP makes the calls.
	//
	// Defaults to one that reuses connections. In either case redirects are
	// not followed: they would carry the credentials elsewhere.
	HTTP *http.Client

	// Timeout is how long a call may take that does not say so itself,
	// counted from the moment Pace let it go.
	//
	// Defaults to [DefaultTimeout].
	Timeout time.Duration

	// Pace blocks until the account's quota allows one more request. Its
	// error ends the call before it begins.
	Pace func(ctx context.Context) error

	// Fence says why nothing may be sent any more, nil if it may. It is asked
	// whenever a part of a request's body is about to leave: what Pace has let
	// go may be long ago by then, for a program that was stopped in between. Its
	// error ends the call, and nothing can have been carried out.
	Fence func() error

	// Authorize adds the credentials to every request. Its error ends the
	// call before it begins.
	Authorize func(ctx context.Context, h http.Header) error

	// Observe is told of every request made, with the HTTP status or 0 when
	// there was no complete answer.
	Observe func(status int, took time.Duration)

	once atomic.Pointer[http.Client]
}

// A Request is one call.
type Request struct {
	Method string
	// Path is appended to the client's base as it is.
	Path  string
	Query url.Values
	// Header is added to the headers of the call; a name that is given here
	// replaces what the client would say.
	Header http.Header
	// Body is sent as JSON, Form as a form, Upload as a form with a file; at
	// most one of them is set.
	Body   any
	Form   url.Values
	Upload *Upload
	// Timeout replaces the client's; 0 keeps it.
	Timeout time.Duration
	// MaxBody is how much of the answer is read; 0 is [MaxBody].
	MaxBody int64
	// Pace replaces the client's, for a call with a quota of its own; nil
	// keeps it.
	Pace func(ctx context.Context) error
}

// An Upload is a file, sent as multipart/form-data with fields around it.
type Upload struct {
	// Part is the form's name of the file, Name the file's own.
	Part, Name string
	MIMEType   string
	Content    []byte
	Fields     map[string]string
}

// An Answer is what came back completely, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK reports whether the status is 2xx.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Decode reads the body as JSON into v. The failure is an [*Error] of kind
// [Garbled]: something that is not the vendor's API has answered.
func (a *Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return &Error{Kind: Garbled, Status: a.Status, Reason: "the answer is not the JSON that was expected"}
	}
	return nil
}

// JSON reports whether the body is a JSON object or array.
func (a *Answer) JSON() bool {
	b := bytes.TrimLeft(a.Body, " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b)
}

// Do makes one call and reads the whole answer. It repeats nothing. The error
// is an [*Error], or what Pace, Authorize or Fence returned, the last a
// [*connectors.Error].
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	body, kind, err := encode(r)
	if err != nil {
		return nil, &Error{Kind: Unsent, Reason: "the request cannot be written as JSON"}
	}
	target := c.Base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}

	pace := c.Pace
	if r.Pace != nil {
		pace = r.Pace
	}
	if pace != nil {
		if err := pace(ctx); err != nil {
			return nil, unless(ctx, err)
		}
	}

	ctx, cancel := context.WithTimeout(ctx, c.timeout(r))
	defer cancel()

	var sent atomic.Bool
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// A request whose headers were not all handed over cannot have been
		// carried out; anything later may have been.
		WroteHeaders: func() { sent.Store(true) },
	}), r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Kind: Unsent, Reason: "the address of the call is not valid"}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "crmsync")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	} else {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if c.Authorize != nil {
		if err := c.Authorize(ctx, req.Header); err != nil {
			return nil, unless(ctx, err)
		}
	}

	c.fence(req, body)
	start := time.Now()
	a, err := exchange(c.client(), req, cmp.Or(r.MaxBody, MaxBody))
	took := time.Since(start)
	if c.Observe != nil {
		status := 0
		if err == nil {
			status = a.Status
		}
		c.Observe(status, took)
	}
	if e, refused := errors.AsType[*connectors.Error](err); refused {
		return nil, e
	}
	if err != nil {
		return nil, lost(err, sent.Load())
	}
	return a, nil
}

// fence lets Fence be asked for each part of a body.
func (c *Client) fence(req *http.Request, body []byte) {
	if c.Fence == nil || req.Body == nil {
		return
	}
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(fenced{bytes.NewReader(body), c.Fence}), nil
	}
	req.Body, _ = req.GetBody()
}

// fenced is a body that stops when the fence says so, before its last byte:
// whoever is sent a part of it carries nothing out.
type fenced struct {
	body  *bytes.Reader
	fence func() error
}

func (f fenced) Read(p []byte) (int, error) {
	if f.body.Len() == 0 {
		return 0, io.EOF
	}
	if err := f.fence(); err != nil {
		return 0, err
	}
	return f.body.Read(p)
}

func (c *Client) timeout(r Request) time.Duration {
	switch {
	case r.Timeout > 0:
		return r.Timeout
	case c.Timeout > 0:
		return c.Timeout
	}
	return DefaultTimeout
}

// client is the http.Client that follows no redirects, made on first use.
func (c *Client) client() *http.Client {
	if h := c.once.Load(); h != nil {
		return h
	}
	var h http.Client
	if c.HTTP != nil {
		h = *c.HTTP
	} else {
		h.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    3 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           32,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.once.CompareAndSwap(nil, &h)
	return c.once.Load()
}

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() { c.client().CloseIdleConnections() }

var errTooLong = errors.New("answer too long")

func exchange(h *http.Client, req *http.Request, most int64) (*Answer, error) {
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()

	// Reading to the end is what makes the connection usable again; an answer
	// that is too long is cut off together with its connection.
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= most {
		b.Grow(int(n) + bytes.MinRead) // a file is in memory once
	}
	if _, err := b.ReadFrom(io.LimitReader(resp.Body, most+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > most {
		return nil, errTooLong
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: b.Bytes()}, nil
}

func encode(r Request) (body []byte, contentType string, err error) {
	switch {
	case r.Form != nil:
		return []byte(r.Form.Encode()), "application/x-www-form-urlencoded", nil
	case r.Body != nil:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(r.Body); err != nil {
			return nil, "", err
		}
		return b.Bytes(), "application/json", nil
	case r.Upload != nil:
		return r.Upload.encode()
	}
	return nil, "", nil
}

func (u *Upload) encode() (body []byte, contentType string, err error) {
	var b bytes.Buffer
	b.Grow(len(u.Content) + 4096)
	form := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(u.Fields)) {
		if err := form.WriteField(name, u.Fields[name]); err != nil {
			return nil, "", err
		}
	}
	head := textproto.MIMEHeader{}
	head.Set("Content-Disposition", multipart.FileContentDisposition(u.Part, u.Name))
	kind := u.MIMEType
	if _, _, err := mime.ParseMediaType(kind); err != nil {
		kind = "application/octet-stream"
	}
	head.Set("Content-Type", kind)
	part, err := form.CreatePart(head)
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(u.Content); err != nil {
		return nil, "", err
	}
	if err := form.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), form.FormDataContentType(), nil
}
