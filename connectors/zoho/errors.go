package zoho

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// classify says what an answer without rows means. It is a function of what
// Zoho said and of whether the call was a create, whose repetition would not be
// harmless.
//
// Zoho's details may hold what people entered, so of them only codes, names of
// fields and ids are passed on, and of messages nothing.
func classify(a *rest.Answer, creating bool) *connectors.Error {
	var f fault
	speaks := a.JSON() && json.Unmarshal(a.Body, &f) == nil

	e := &connectors.Error{Status: a.Status, Code: f.code()}
	switch {
	case a.Status == http.StatusTooManyRequests, speaks && throttles(e.Code):
		f.throttled(e, a.Header)

	// Overload or a restart, often as HTML. The request may have been
	// carried out.
	case a.Status >= 500, a.Status == http.StatusRequestTimeout:
		e.Class, e.Reason = connectors.Transient, "Zoho has an outage"
		if creating {
			e.Class = connectors.UnknownOutcome
		}
	case a.Status == http.StatusUnauthorized, staleToken(e.Code), e.Code == "AUTHENTICATION_FAILURE", e.Code == scopeMismatch:
		f.unauthorized(e)

	// Too much for an edge, which does not speak JSON.
	case a.Status == http.StatusRequestEntityTooLarge, a.Status == http.StatusRequestURITooLong:
		e.Class, e.Code, e.Reason = connectors.Rejected, "TOO_LARGE", "the record is larger than Zoho takes"

	// An edge or a proxy is speaking, and it has passed nothing on.
	case !speaks, a.Status >= 300 && a.Status < 400:
		e.Class, e.Reason = connectors.Transient, "the answer is not Zoho's"
	case a.Status == http.StatusForbidden:
		f.forbidden(e)
	default:
		f.refused(e)
	}
	return e
}

// untold reports whether e says that Zoho has no answer to a question, or none
// for us, and not that it cannot answer now.
func untold(e *connectors.Error) bool {
	switch e.Class {
	case connectors.Throttled, connectors.Unavailable:
		return false
	case connectors.Unauthorized:
		return e.Status == http.StatusForbidden
	case connectors.Transient:
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout
	}
	return true
}

func throttles(code string) bool { return code == "TOO_MANY_REQUESTS" || code == "RATE_LIMIT_EXCEEDED" }

// throttled tells the day's credits from too many calls at once, as far as
// that can be told. Zoho documents no Retry-After, but one is honoured; without
// one the pause is left to whoever knows how long it has lasted.
func (f *fault) throttled(e *connectors.Error, h http.Header) {
	e.Class, e.Reason = connectors.Throttled, "Zoho says slow down"
	if e.Code == "" {
		e.Code = "TOO_MANY_REQUESTS"
	}
	e.RetryAfter = rest.RetryAfter(h, time.Now())
	left, err := strconv.Atoi(h.Get("X-API-CREDITS-REMAINING"))
	if err == nil && left <= 0 || strings.Contains(string(f.ErrorInfo), "24 hours") {
		e.Reason = "the organisation has used up its API credits of the last 24 hours"
		if e.RetryAfter == 0 {
			e.RetryAfter = rest.MaxRetryAfter
		}
	}
}

// staleToken reports whether a code means that another token might do. The
// second is what tokens get that were pushed out by newer ones (Zoho:
// token-validity).
func staleToken(code string) bool { return code == "INVALID_TOKEN" || code == "INVALID_OAUTHTOKEN" }

// scopeMismatch is the code of a call for which the token lacks a scope.
const scopeMismatch = "OAUTH_SCOPE_MISMATCH"

func (f *fault) unauthorized(e *connectors.Error) {
	e.Class, e.Reason = connectors.Unauthorized, "Zoho does not accept the token"
	switch {
	case staleToken(e.Code):
		e.Reason = "Zoho does not know the token: it has expired, or is of another data centre"
	case e.Code == scopeMismatch:
		e.Reason = "the token lacks a scope that this call needs"
	}
}

func (f *fault) forbidden(e *connectors.Error) {
	switch e.Code {
	case "RESERVED_KEYWORD_NOT_ALLOWED", "NOT_SUPPORTED", "CANNOT_PERFORM_ACTION", "NOT_ALLOWED":
		f.refused(e)
		return
	}
	e.Class, e.Reason = connectors.Unauthorized, "the profile of the token's user does not allow this call"
	if names := f.permissions(); names != "" {
		e.Reason += ": " + names
	}
}

func (f *fault) permissions() string {
	var names []string
	for _, p := range f.Details.Permissions {
		if isName.MatchString(string(p)) {
			names = append(names, string(p))
		}
	}
	return strings.Join(names, ", ")
}

// refused reads a whole call that was refused for what it asked.
func (f *fault) refused(e *connectors.Error) {
	switch {
	case e.Code == "INVALID_URL_PATTERN", e.Code == "INVALID_REQUEST_METHOD", e.Code == "" && e.Status == http.StatusNotFound:
		e.Class, e.Code = connectors.Transient, "NO_SUCH_ADDRESS"
		e.Reason = "Zoho does not serve this address: is the base URL right?"

	// A person has removed or changed what the setup made: trouble with the
	// account, which no record should have to pay for.
	case e.Code == "INVALID_MODULE":
		e.Class, e.Reason = connectors.Transient, "the module is gone from Zoho: run the setup"
	case e.Code == "INVALID_DATA" && strings.HasPrefix(string(f.Details.JSONPath), "$.duplicate_check_fields"),
		e.Code == "INVALID_DATA" && f.Details.APIName == "duplicate_check_fields":
		e.Class, e.Code, e.Reason = connectors.Transient, "NOT_UNIQUE", "the key is not unique any more: run the setup"

	case e.Code == "INVALID_DATA" && f.Details.PathIndex != nil:
		f.gone(e)
	case e.Code == "RESOURCE_NOT_FOUND":
		f.gone(e)
	default:
		f.about(e, "")
	}
}

// explain says what the row of a record means for it. key is the field whose
// values tell our records apart.
func (f *fault) explain(status int, key string) *connectors.Error {
	e := &connectors.Error{Status: status, Code: f.code()}
	if throttles(e.Code) {
		f.throttled(e, nil)
		return e
	}
	f.about(e, key)
	return e
}

// about fills in what a code of a row means. Codes that are not in the table
// count as unknown.
func (f *fault) about(e *connectors.Error, key string) {
	e.Field = name(f.Details.APIName)
	switch e.Code {
	case "INVALID_DATA":
		f.invalid(e)
		return
	case "DUPLICATE_DATA":
		f.duplicate(e, key)
		return
	case "MULTIPLE_OR_MULTI_ERRORS":
		f.several(e, key)
		return
	case "ALREADY_MODIFIED":
		e.Class, e.Reason = connectors.Conflict, "the record has changed in Zoho meanwhile"
		e.RecordID = id(f.Details.ID)
		return
	}
	m, ok := meanings[e.Code]
	if !ok {
		m = meaning{connectors.Unknown, "Zoho refuses the call"}
	}
	e.Class, e.Reason = m.class, m.reason
	switch e.Code {
	case "EXPECTED_FIELD_MISSING":
		for _, x := range f.Details.ExpectedFields {
			if e.Field == "" {
				e.Field = name(x.APIName)
			}
		}
	case "REQUIRED_PARAM_MISSING":
		e.Field = name(f.Details.ParamName)
	case "INVALID_QUERY":
		e.Field = name(f.Details.Column)
	case "NO_PERMISSION", "AUTHORIZATION_FAILED":
		if names := f.permissions(); names != "" {
			e.Reason += ": " + names
		}
	}
}

// invalid tells a refused value from a record that is not there, which Zoho
// says with the same code.
func (f *fault) invalid(e *connectors.Error) {
	message := string(f.Message)
	switch {
	case e.Field == idField, e.Field == "" && strings.Contains(message, "the id given seems to be invalid"):
		f.gone(e)
	case e.Field == parentField, strings.Contains(message, "related id given"):
		e.Class, e.Code, e.Reason = connectors.Conflict, "NO_CONTACT", "the message's contact does not exist in Zoho"
	case f.Details.MaxLength != nil:
		e.Class, e.Reason = connectors.Rejected, "the value is longer than the field's "+strconv.FormatInt(*f.Details.MaxLength, 10)+" characters"
	case isName.MatchString(string(f.Details.Expected)):
		e.Class, e.Reason = connectors.Rejected, "the value is not a valid "+string(f.Details.Expected)
	default:
		e.Class, e.Reason = connectors.Rejected, "Zoho refuses the value"
	}
}

func (f *fault) gone(e *connectors.Error) {
	e.Class, e.Code, e.Reason = connectors.Conflict, recordGone, "the record does not exist in Zoho"
}

// recordGone is the code of a record that Zoho does not have, or not any more.
const recordGone = "NO_SUCH_RECORD"

// duplicate finds out which record has the value already. Its id has two
// places, depending on the server's age.
func (f *fault) duplicate(e *connectors.Error, key string) {
	e.Class, e.Reason = connectors.Conflict, "another record in Zoho has this unique value"
	if e.Field != "" && e.Field != key {
		// Not our key: the record that has it is somebody else's.
		e.Class = connectors.Rejected
		return
	}
	e.RecordID = id(f.Details.Duplicate.ID)
	if e.RecordID == "" {
		e.RecordID = id(f.Details.ID)
	}
}

// several looks into a row with more than one error, or with a single one that
// came wrapped. What no repetition mends counts first.
func (f *fault) several(e *connectors.Error, key string) {
	var best *connectors.Error
	for i := range f.Details.Errors {
		x := &connectors.Error{Status: e.Status, Code: f.Details.Errors[i].code()}
		if x.Code == e.Code {
			continue
		}
		f.Details.Errors[i].about(x, key)
		if best == nil || x.Class == connectors.Rejected && best.Class != connectors.Rejected {
			best = x
		}
	}
	if best == nil {
		best = &connectors.Error{Status: e.Status, Code: e.Code, Class: connectors.Rejected, Reason: "Zoho refuses several fields"}
	}
	*e = *best
}

// A meaning is what a code says.
type meaning struct {
	class  connectors.Class
	reason string
}

// meanings are those of the codes that need no closer look (Zoho:
// insert-records, update-records, upsert-records, get-records, COQL-Limitations,
// notifications).
var meanings = map[string]meaning{
	"MANDATORY_NOT_FOUND":         {connectors.Rejected, "Zoho requires a value for the field"},
	"EXPECTED_FIELD_MISSING":      {connectors.Rejected, "Zoho requires a value for the field"},
	"DEPENDENT_FIELD_MISSING":     {connectors.Rejected, "Zoho requires the field that this one depends on"},
	"DEPENDENT_MISMATCH":          {connectors.Rejected, "the value does not go with that of the field it depends on"},
	"AMBIGUITY_DURING_PROCESSING": {connectors.Rejected, "the fields contradict each other"},
	"LIMIT_EXCEEDED":              {connectors.Rejected, "there are more values than Zoho takes"},
	"LIMIT_REACHED":               {connectors.Rejected, "there are more results than Zoho gives"},
	"CRITERIA_LIMIT_EXCEEDED":     {connectors.Rejected, "the query has more conditions than Zoho takes"},
	"NO_PERMISSION":               {connectors.Rejected, "the token's user may not write the record"},
	"AUTHORIZATION_FAILED":        {connectors.Rejected, "the token's user may not write the record"},
	"CANNOT_PERFORM_ACTION":       {connectors.Rejected, "Zoho does not allow changes to the record"},
	"NOT_ALLOWED":                 {connectors.Rejected, "Zoho does not allow changes to the record"},
	"NOT_SUPPORTED":               {connectors.Rejected, "Zoho does not offer this"},
	"PATTERN_NOT_MATCHED":         {connectors.Rejected, "the value does not have the form that Zoho expects"},
	"MAPPING_MISMATCH":            {connectors.Rejected, "the tag exists with other attributes"},
	"REQUIRED_PARAM_MISSING":      {connectors.Rejected, "the call lacks a parameter"},
	"EXPECTED_PARAM_MISSING":      {connectors.Rejected, "the call lacks a parameter"},
	"UNABLE_TO_PARSE_DATA_TYPE":   {connectors.Rejected, "Zoho cannot read an id"},
	"SYNTAX_ERROR":                {connectors.Rejected, "Zoho cannot read the query"},
	"INVALID_QUERY":               {connectors.Rejected, "Zoho does not take the query"},
	"DUPLICATE_ALIAS":             {connectors.Rejected, "Zoho does not take the query"},
	"INVALID_ALIAS":               {connectors.Rejected, "Zoho does not take the query"},

	"RESERVED_KEYWORD_NOT_ALLOWED": {connectors.Rejected, "the name is reserved in Zoho"},
	"MINIMUM_DATA_NOT_FOUND":       {connectors.Rejected, "the definition lacks a part"},

	// Listings that have to be begun anew.
	"DISCRETE_PAGINATION_LIMIT_EXCEEDED": {connectors.Conflict, "the listing is longer than Zoho's pages reach"},
	"PAGINATION_LIMIT_EXCEEDED":          {connectors.Conflict, "the listing is longer than Zoho's pages reach"},
	"TOKEN_BOUND_DATA_MISMATCH":          {connectors.Conflict, "the listing was begun with other parameters"},
	"EXPIRED_VALUE":                      {connectors.Conflict, "the listing was begun too long ago"},
	"NOT_SUBSCRIBED":                     {connectors.Conflict, "the channel does not exist in Zoho, or has expired"},

	// Worth another try or two. That a record is locked, in approval or in a
	// blueprint is its own trouble: the others must not wait for it.
	"RECORD_LOCKED":       {connectors.Unknown, "the record is locked in Zoho"},
	"NOT_APPROVED":        {connectors.Unknown, "the record waits for approval in Zoho"},
	"RECORD_IN_BLUEPRINT": {connectors.Unknown, "a blueprint in Zoho keeps the record from changing"},

	// As a row: the record may have been written. When every row says so the
	// account is in trouble, when this one alone does the record is.
	"DEPENDENT_SERVICE_ERROR": {connectors.UnknownOutcome, "a part of Zoho failed"},
	"INTERNAL_ERROR":          {connectors.UnknownOutcome, "Zoho failed at the record"},
}

var (
	isID   = regexp.MustCompile(`^[0-9]{1,20}$`)
	isCode = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)
	isName = regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9_$]{0,99}$`)
)

// code is what looks like a code, so that nothing else slips through.
func (f *fault) code() string {
	for _, v := range []value{f.Code, f.Error} {
		if isCode.MatchString(string(v)) {
			return string(v)
		}
	}
	return ""
}

// name is v if it looks like the name of a field.
func name(v value) string {
	if isName.MatchString(string(v)) {
		return string(v)
	}
	return ""
}

// nameOf is the same for a name that came from a mapping.
func nameOf(s string) string { return name(value(s)) }

// id is v if it looks like an id.
func id(v value) string {
	if isID.MatchString(string(v)) {
		return string(v)
	}
	return ""
}
