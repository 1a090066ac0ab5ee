package whatsappsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// Cloud API guide: up to 1000 updates and up to 3 MB in one post.
	maxUpdates = 1000
	maxBody    = 3 << 20

	// Cloud API guide: redelivery with decreasing frequency for up to 7 days.
	// The steps are not published.
	firstPause = time.Second
	maxPause   = 6 * time.Hour
	giveUp     = 7 * 24 * time.Hour
)

// delivery is one webhook on its way: the same bytes until all targets have
// answered 200 to the same attempt.
type delivery struct {
	body    []byte
	targets []target
	sign    func(secret string, body []byte) string // nil: Sign
	method  string                                  // empty: POST
	rec     *Webhook                                // guarded by Server.mu

	first  chan struct{} // closed after the first attempt
	status int           // of the first attempt, 0 without an answer
	err    error         // why there was no answer
}

// newClient returns a client that keeps one connection per post in flight and
// lets go of idle ones before common servers do, so that a reused connection
// is not closed under a post.
func newClient(width int) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			MaxIdleConns:        width,
			MaxIdleConnsPerHost: width,
			IdleConnTimeout:     5 * time.Second,
			DisableCompression:  true,
		},
		// A redirect is not 200, so it is a failure.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newDelivery(targets []target, sign func(string, []byte) string) *delivery {
	return &delivery{targets: targets, sign: sign, first: make(chan struct{})}
}

// wait returns the answer to the first attempt.
func (d *delivery) wait(ctx context.Context) (int, error) {
	select {
	case <-d.first:
		return d.status, d.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// emit sends a webhook body, retries it until it is answered or seven days
// have passed, and returns at once.
func (s *Server) emit(d *delivery, body []byte) {
	d.body = body
	s.mu.Lock()
	d.rec = s.hooks.add(body, s.now())
	if len(d.targets) == 0 {
		d.rec.Dropped = true
		s.stats.Webhooks.Dropped++
		s.mu.Unlock()
		d.err = errors.New("nobody is subscribed")
		close(d.first)
		return
	}
	s.stats.Webhooks.Pending++
	s.mu.Unlock()

	var pause time.Duration
	if s.chance(s.opt.Shuffle) {
		pause = 30 * time.Millisecond
	}
	s.after(pause, func() { s.attempt(d, 1, 0) })
	if s.chance(s.opt.Duplicate) {
		s.after(pause+2*time.Millisecond, func() { s.postAll(d) })
	}
}

// attempt posts to every target: a retry goes to all apps, also to those that
// have answered 200 before.
func (s *Server) attempt(d *delivery, n int, waited time.Duration) {
	status, err := s.postAll(d)
	if n == 1 {
		d.status, d.err = status, err
		close(d.first)
	}
	pause := retryPause(n)
	s.mu.Lock()
	ok := err == nil && status == http.StatusOK
	lost := !ok && waited+pause > giveUp
	switch {
	case ok:
		d.rec.Answered = true
		s.stats.Webhooks.Answered++
		s.stats.Webhooks.Pending--
	case lost:
		d.rec.GaveUp = true
		s.stats.Webhooks.GaveUp++
		s.stats.Webhooks.Pending--
	default:
		s.stats.Webhooks.Retried++
		d.rec.Retries++
	}
	s.mu.Unlock()
	if ok || lost {
		return
	}
	s.after(time.Duration(float64(pause)/s.opt.Compress), func() { s.attempt(d, n+1, waited+pause) })
}

// retryPause is the pause after the n-th attempt before compression.
func retryPause(n int) time.Duration {
	if n > 16 {
		return maxPause
	}
	return min(firstPause<<(n-1), maxPause)
}

// postAll returns the first answer that is not 200, or 200.
func (s *Server) postAll(d *delivery) (status int, err error) {
	status = http.StatusOK
	for _, t := range d.targets {
		code, e := s.post(d, t)
		if status == http.StatusOK && err == nil {
			status, err = code, e
		}
	}
	return status, err
}

func (s *Server) post(d *delivery, t target) (int, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.opt.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, orElse(d.method, http.MethodPost), t.url, bytes.NewReader(d.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	sign := d.sign
	if sign == nil {
		sign = Sign
	}
	if sig := sign(t.secret, d.body); sig != "" {
		req.Header.Set("X-Hub-Signature-256", sig)
	}

	started, at := time.Now(), s.now()
	status := 0
	res, err := s.opt.Client.Do(req)
	if err == nil {
		status = res.StatusCode
		// Reading the answer to its end frees the connection for the next post.
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
		res.Body.Close()
	} else {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if ctx.Err() == context.DeadlineExceeded {
			err = errors.New("timeout")
		}
	}
	a := Attempt{At: stamp(at), URL: t.url, Status: status, Milliseconds: float64(time.Since(started).Microseconds()) / 1000}
	if err != nil {
		a.Error = err.Error()
	}
	s.mu.Lock()
	s.stats.Webhooks.Sent++
	d.rec.record(a)
	s.mu.Unlock()
	return status, err
}
