package connectors

import (
	"errors"
	"fmt"
	"time"
)

// Class says whose trouble a failure is, and so what follows from it.
type Class string

// The classes of failures. The first four are trouble with the account: they
// use up no attempt. The others are trouble with the record.
const (
	// Transient: an outage, a timeout before anything was written, HTML
	// where JSON should be. The same call may work later.
	Transient Class = "transient"
	// Throttled: the vendor said slow down.
	Throttled Class = "throttled"
	// Unauthorized: the vendor does not accept the credentials.
	Unauthorized Class = "unauthorized"
	// Unavailable: our own breaker is open and no call was made.
	Unavailable Class = "unavailable"

	// Rejected: the record will never be accepted as it is.
	Rejected Class = "rejected"
	// Conflict: the record is not the one we thought: merged, deleted, or
	// already there under another id. Looking again helps.
	Conflict Class = "conflict"
	// UnknownOutcome: the call was sent and the answer lost; it may or may
	// not have been carried out.
	UnknownOutcome Class = "unknown_outcome"
	// Unknown: nothing we recognise.
	Unknown Class = "unknown"
)

// AccountTrouble reports whether a failure of this class is the account's
// and not the record's.
func (c Class) AccountTrouble() bool {
	switch c {
	case Transient, Throttled, Unauthorized, Unavailable:
		return true
	}
	return false
}

// Unwanted is the code of a file that the configuration does not let through.
const Unwanted = "UNWANTED"

// Error is a failure of an account, classified by its connector. It carries
// nothing that may not be logged: no field value, phone number or secret.
type Error struct {
	Class Class
	// Code is the vendor's own code, such as "INVALID_EMAIL"; may be empty.
	Code string
	// Field is the vendor's field that was refused; may be empty.
	Field string
	// Reason is one clause for the operator, such as "property wa_lang does
	// not exist in HubSpot".
	Reason string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// RetryAfter is how long the vendor asked us to wait, 0 if it did not.
	RetryAfter time.Duration
	// Held says that a Throttled call is of a kind which the connector itself
	// holds back for now; the account is fit for others.
	Held bool
	// Shared says that the request which failed also carried changes of other
	// calls, so that it may have failed for those.
	Shared bool
	// RecordID is the record that a Conflict collided with, if known.
	RecordID string
}

func (e *Error) Error() string {
	switch {
	case e.Code != "" && e.Field != "":
		return fmt.Sprintf("%s: %s (%s on %s)", e.Class, e.Reason, e.Code, e.Field)
	case e.Code != "":
		return fmt.Sprintf("%s: %s (%s)", e.Class, e.Reason, e.Code)
	case e.Field != "":
		return fmt.Sprintf("%s: %s (%s)", e.Class, e.Reason, e.Field)
	}
	return fmt.Sprintf("%s: %s", e.Class, e.Reason)
}

// AsError returns err as an *Error: itself if it is one, else one of class
// [Unknown] that says only the error's type.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: Unknown, Reason: fmt.Sprintf("unexpected %T", err)}
}
