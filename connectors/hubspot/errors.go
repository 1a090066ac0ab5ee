package hubspot

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// classify says what an answer other than 2xx means. It is a function of what
// HubSpot said, of the wait that its headers ask for, and of whether the call
// was a create, whose repetition would not be harmless.
//
// HubSpot's messages quote the values they refuse, so nothing of a message is
// passed on: reasons are made from codes and property names.
func classify(status int, body []byte, wait time.Duration, create bool) *connectors.Error {
	a := rest.Answer{Status: status, Body: body}
	var f fault
	speaks := a.JSON() && json.Unmarshal(body, &f) == nil

	e := &connectors.Error{Status: status, RetryAfter: wait}
	switch {
	case status == http.StatusUnauthorized:
		f.unauthorized(e)
	case status == http.StatusTooManyRequests:
		f.throttled(e)

	// A lock, taken under heavy upserting and released after two seconds.
	case status == http.StatusLocked:
		e.Class, e.Code, e.Reason = connectors.Throttled, "LOCKED", "HubSpot has locked the records for two seconds"
		e.RetryAfter = max(wait, 2*time.Second)

	// HubSpot's own status, with a Retry-After of up to a day.
	case status == 477:
		e.Class, e.Code, e.Reason = connectors.Throttled, "MIGRATION", "HubSpot is moving the account to another data centre"
		if wait == 0 {
			e.RetryAfter = time.Minute
		}

	// Cloudflare could not agree on TLS with HubSpot: nothing was passed on.
	case status == 525, status == 526:
		e.Class, e.Reason = connectors.Transient, "HubSpot's edge cannot reach HubSpot"

	// Overload, a restart, or Cloudflare instead of HubSpot, often as HTML.
	// The request may have been carried out.
	case status >= 500, status == http.StatusRequestTimeout:
		e.Class, e.Reason = connectors.Transient, "HubSpot has an outage"
		if create {
			e.Class = connectors.UnknownOutcome
		}

	// An edge or a proxy is speaking, and it has passed nothing on.
	case !speaks, status < 400:
		e.Class, e.Reason = connectors.Transient, "the answer is not HubSpot's"

	case status == http.StatusForbidden:
		f.forbidden(e)
	case status == http.StatusNotFound:
		e.Class, e.Code, e.Reason = connectors.Conflict, "OBJECT_NOT_FOUND", "the record does not exist in HubSpot"
	case status == http.StatusConflict:
		f.conflict(e)

	// More than 250 records were merged into one, or an address too long.
	case status == http.StatusRequestURITooLong:
		e.Class, e.Code, e.Reason = connectors.Rejected, "URI_TOO_LONG", "the record has more merged identities than HubSpot allows"
	case status == http.StatusBadRequest:
		f.refused(e)
	default:
		e.Class, e.Code, e.Reason = connectors.Unknown, code(f.Category), "HubSpot refuses the call"
	}
	return e
}

// untold reports whether e says that HubSpot has no answer to a question, or
// none for us, and not that it cannot answer now.
func untold(e *connectors.Error) bool {
	switch e.Class {
	case connectors.Throttled, connectors.Unavailable:
		return false
	case connectors.Unauthorized:
		return e.Status != http.StatusUnauthorized
	case connectors.Transient:
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout
	}
	return true
}

// row says what an entry in the errors of a 207 means for its record.
func (f *fault) row() *connectors.Error {
	e := &connectors.Error{Status: http.StatusMultiStatus}
	switch f.Category {
	case "OBJECT_NOT_FOUND":
		e.Class, e.Code, e.Reason = connectors.Conflict, "OBJECT_NOT_FOUND", "the record does not exist in HubSpot"
	case "CONFLICT", "OBJECT_ALREADY_EXISTS":
		f.conflict(e)
	case "RATE_LIMITS":
		f.throttled(e)
	case "MISSING_SCOPES":
		f.forbidden(e)
	default:
		f.refused(e)
	}
	return e
}

func (f *fault) unauthorized(e *connectors.Error) {
	e.Class, e.Code, e.Reason = connectors.Unauthorized, code(f.Category), "HubSpot does not accept the token"
	if f.Category == "EXPIRED_AUTHENTICATION" {
		e.Reason = "the token has expired"
	}
}

// throttled tells the limits apart. Only policyName or the message do; a
// Retry-After is optional, and without one the waits are those of HubSpot's
// own client library.
func (f *fault) throttled(e *connectors.Error) {
	e.Class, e.Code = connectors.Throttled, code(f.PolicyName)
	said := strings.ToLower(string(f.PolicyName + " " + f.Message))
	var pause time.Duration
	switch {
	case strings.Contains(said, "ten_secondly"):
		pause, e.Reason = 10*time.Second, "HubSpot's limit per ten seconds is reached"
	case strings.Contains(said, "secondly"):
		pause, e.Reason = time.Second, "HubSpot's limit per second is reached"

	// Lifted at midnight in the account's time zone, see day.
	case strings.Contains(said, "daily"):
		pause, e.Code, e.Reason = rest.MaxRetryAfter, daily, "HubSpot's limit per day is reached"
	default:
		pause, e.Reason = 10*time.Second, "HubSpot says slow down"
	}
	if e.Code == "" {
		e.Code = "RATE_LIMITS"
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = pause
	}
}

func (f *fault) forbidden(e *connectors.Error) {
	e.Class, e.Code, e.Reason = connectors.Unauthorized, code(f.Category), "HubSpot does not allow this call"
	lists := []map[string]values{f.Context}
	for _, d := range f.Errors {
		lists = append(lists, d.Context)
	}
	var scopes []string
	for _, l := range lists {
		for _, s := range l["requiredGranularScopes"] {
			if isScope.MatchString(string(s)) {
				scopes = append(scopes, string(s))
			}
		}
	}
	if len(scopes) > 0 {
		e.Reason = "the token lacks a scope: " + strings.Join(scopes, ", ")
	}
}

// conflict finds out which record was there first. HubSpot has three places
// for its id.
func (f *fault) conflict(e *connectors.Error) {
	if f.valueTaken(e) {
		return
	}
	e.Class, e.Code, e.Reason = connectors.Conflict, "CONFLICT", "HubSpot has such a record already"
	for _, id := range append(append(values{}, f.Context["existingId"]...), f.IdentityProfile.VID) {
		if e.RecordID == "" && isID.MatchString(string(id)) {
			e.RecordID = string(id)
		}
	}
	if e.RecordID == "" {
		if m := existingID.FindStringSubmatch(string(f.Message)); m != nil {
			e.RecordID = m[1]
		}
	}
	for _, d := range f.Errors {
		if e.Field = propertyName(d.In); e.Field != "" {
			break
		}
	}
}

// valueTaken reports whether the value of a unique property belongs to another
// record, which HubSpot says in the terms of its own code: "Cannot set
// PropertyValueCoordinates{…, propertyName=p, value=v} on 1. 2 already has
// that value."
func (f *fault) valueTaken(e *connectors.Error) bool {
	message := string(f.Message)
	if !strings.Contains(message, "already has that value") {
		return false
	}
	e.Class, e.Code, e.Reason = connectors.Conflict, "VALUE_TAKEN", "another HubSpot record has this unique value"
	if m := coordinates.FindStringSubmatch(message); m != nil {
		e.Field = m[1]
	}
	if e.Field != "" && e.Field != keyProperty && e.Field != messageKeyProperty && e.Field != taskKeyProperty {
		// Not our key: the record that has it is somebody else's.
		e.Class = connectors.Rejected
		return true
	}
	// The last one: a value may itself contain these words.
	if m := takenBy.FindAllStringSubmatch(message, -1); m != nil {
		e.RecordID = m[len(m)-1][1]
	}
	return true
}

// refused reads a 400, or the entry of a 207 that would have been one.
func (f *fault) refused(e *connectors.Error) {
	message := string(f.Message)
	switch {
	case f.valueTaken(e):
		return
	case f.Context["INVALID_OBJECT_IDS"] != nil:
		e.Class, e.Code, e.Reason = connectors.Conflict, "INVALID_OBJECT_IDS", "the contact does not exist in HubSpot"
		return
	case f.Context["ASSOCIATION_LIMIT_EXCEEDED"] != nil:
		e.Class, e.Code, e.Reason = connectors.Rejected, "ASSOCIATION_LIMIT_EXCEEDED", "the contact has as many messages as HubSpot allows"
		return

	// An empty body, swallowed by the edge now and then.
	case strings.HasPrefix(message, "a request body was expected"):
		e.Class, e.Reason = connectors.Transient, "the request did not reach HubSpot whole"
		return
	case strings.HasPrefix(message, "Invalid input JSON"):
		e.Class, e.Code, e.Reason = connectors.Rejected, "INVALID_JSON", "HubSpot cannot read the request"
		return

	// A person has replaced or removed our key: trouble with the account,
	// which no record should have to pay for.
	case strings.Contains(message, "by non-unique"):
		e.Class, e.Code, e.Field, e.Reason = connectors.Transient, "NOT_UNIQUE", keyProperty, "the property is not unique any more: run the setup"
		return

	// This permission is missed with a 400 instead of a 403 (HubSpot: API
	// write validation enforcement, September 2026).
	case strings.HasPrefix(message, "Missing '") && strings.Contains(message, "permission"):
		e.Class, e.Code, e.Reason = connectors.Unauthorized, "MISSING_PERMISSION", "the token lacks a permission"
		return
	}

	if p := f.Context["properties"]; len(p) > 0 {
		e.Class, e.Code, e.Field = connectors.Rejected, "MISSING_REQUIRED_PROPERTY", propertyName(p[0])
		e.Reason = reasons[e.Code]
		return
	}
	for _, d := range f.details() {
		c := code(d.Code)
		if c == "" {
			c = code(d.Error)
		}
		if c == "" {
			continue
		}
		e.Class, e.Code, e.Field = connectors.Rejected, c, d.property()
		if e.Reason = reasons[c]; e.Reason == "" {
			e.Reason = "HubSpot refuses the value"
		}
		if c == "PROPERTY_DOESNT_EXIST" && strings.HasPrefix(e.Field, prefix) {
			e.Class, e.Reason = connectors.Transient, "the property is gone from HubSpot: run the setup"
		}
		return
	}
	e.Code = code(f.Category)
	if e.Code == "VALIDATION_ERROR" {
		e.Class, e.Reason = connectors.Rejected, "HubSpot refuses the record"
		return
	}
	e.Class, e.Reason = connectors.Unknown, "HubSpot refuses the call without saying why"
}

// reasons are what the codes of refused properties mean to an operator.
var reasons = map[string]string{
	"PROPERTY_DOESNT_EXIST":                 "the property does not exist in HubSpot",
	"READ_ONLY_VALUE":                       "the property is read-only in HubSpot",
	"INVALID_EMAIL":                         "the value is not an email address that HubSpot accepts",
	"INVALID_OPTION":                        "the value is not one of the property's options",
	"INVALID_INTEGER":                       "the value is not a whole number",
	"INVALID_LONG":                          "the value is not a whole number or time in milliseconds",
	"INVALID_NUMBER":                        "the value is not a number",
	"INVALID_DATE":                          "the value is not a date",
	"INVALID_OWNER_ID":                      "the value is not the id of an owner",
	"MISSING_REQUIRED_PROPERTY":             "HubSpot requires a value for the property",
	"MISSING_CONDITIONAL_REQUIRED_PROPERTY": "HubSpot requires a value for the property, given the others",
	"INVALID_BOOLEAN_OPTION":                "the value is neither true nor false",
}

// details are the properties that were refused, from the first of the three
// places that has any. The two lists of a body can differ in length.
func (f *fault) details() []detail {
	if len(f.Errors) > 0 {
		for _, d := range f.Errors {
			if d.Code != "" || d.Error != "" {
				return f.Errors
			}
		}
	}
	if len(f.ValidationResults) > 0 {
		return f.ValidationResults
	}
	var embedded []detail
	if _, list, ok := strings.Cut(string(f.Message), ": "); ok {
		_ = json.Unmarshal([]byte(list), &embedded)
	}
	return embedded
}

func (d *detail) property() string {
	for _, n := range append(append(values{}, d.Context["propertyName"]...), d.Name, d.In) {
		if s := propertyName(n); s != "" {
			return s
		}
	}
	return ""
}

// exists reports whether e says that a definition is there already.
func exists(e *connectors.Error) bool { return e.Status == http.StatusConflict }

var (
	isID       = regexp.MustCompile(`^[0-9]{1,20}$`)
	isCode     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)
	isProperty = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)
	isScope    = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,79}$`)

	existingID  = regexp.MustCompile(`Existing ID: ([0-9]{1,20})`)
	coordinates = regexp.MustCompile(`propertyName=([a-z][a-z0-9_]{0,99})[,}]`)
	takenBy     = regexp.MustCompile(`([0-9]{1,20}) already has that value`)
)

// code is v if it looks like a code, so that nothing else slips through.
func code(v value) string {
	if isCode.MatchString(string(v)) {
		return string(v)
	}
	return ""
}

// propertyName is v if it looks like the name of a property.
func propertyName(v value) string {
	if isProperty.MatchString(string(v)) {
		return string(v)
	}
	return ""
}
