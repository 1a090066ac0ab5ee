package rest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"crmsync/connectors"
)

// Kind says how far a failed call came.
type Kind int

const (
	// Unsent: the vendor cannot have acted on the request.
	Unsent Kind = iota + 1
	// Lost: the request went out and no complete answer came back.
	Lost
	// Garbled: an answer came back that is not the vendor's API speaking.
	Garbled
)

// Error is a call without a usable answer. It holds no address, token or
// content, and wraps nothing that does.
type Error struct {
	Kind   Kind
	Reason string
	// Status is the HTTP status of a garbled answer, else 0.
	Status int
	// Cancelled says that the caller's context ended the call.
	Cancelled bool
	// Late says that nothing ended the call but its time: of one that is Lost
	// the vendor may still be at work on the request.
	Late bool
}

func (e *Error) Error() string { return e.Reason }

// Is makes a cancelled call recognisable as such.
func (e *Error) Is(target error) bool { return e.Cancelled && target == context.Canceled }

// Failure classifies an error of [Client.Do] or [Answer.Decode]: transient, or
// for a write that went out of unknown outcome. What Pace and Authorize have
// classified themselves keeps its class.
func Failure(err error, write bool) *connectors.Error {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return &connectors.Error{Class: connectors.Transient, Reason: "the call was not made"}
	}
	class := connectors.Transient
	if write && e.Kind != Unsent {
		class = connectors.UnknownOutcome
	}
	return &connectors.Error{Class: class, Reason: e.Reason, Status: e.Status}
}

// unless returns err, or that the caller cancelled when that is why.
func unless(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return &Error{Kind: Unsent, Reason: "cancelled before the call", Cancelled: true}
	}
	return err
}

// lost describes err, an error of net/http, in words that name neither the
// address nor the content.
func lost(err error, sent bool) *Error {
	e := &Error{Kind: Unsent, Reason: "the connection failed"}
	if sent {
		e.Kind = Lost
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		e.Cancelled = true
		e.Reason = "cancelled during the call"
	case errors.Is(err, errTooLong):
		e.Reason = "the answer is longer than expected"
	case errors.As(err, &dns):
		e.Reason = "the host name cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		e.Late = true
		e.Reason = "no answer in time"
		if !sent {
			e.Reason = "no connection in time"
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Reason = "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Reason = "the answer broke off"
	}
	return e
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// MaxRetryAfter is the longest wait that is taken from a vendor's word.
const MaxRetryAfter = 15 * time.Minute

// RetryAfter is how long the Retry-After header asks to wait, in seconds or
// until a date; 0 when it is missing, past or unreadable.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.ParseFloat(v, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		// Not a number compares false with everything and so is no wait.
		if !(n > 0) {
			return 0
		}
		if n > MaxRetryAfter.Seconds() {
			return MaxRetryAfter
		}
		d = time.Duration(n * float64(time.Second))
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), MaxRetryAfter)
}
