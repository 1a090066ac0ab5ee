package bitrix24

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"crmsync/connectors"
)

// Codes that the package itself looks at, in the case in which it passes them
// on.
const (
	codeExpired = "EXPIRED_TOKEN"
	codeBlocked = "OPERATION_TIME_LIMIT"
	codeGone    = "NOT_FOUND"
	codeNoOwner = "OWNER_NOT_FOUND"
	// codeNoAnswer is our own word: Bitrix24 may still be at work.
	codeNoAnswer = "NO_ANSWER"
)

// A meaning is what a code or text of Bitrix24 means.
type meaning struct {
	class  connectors.Class
	reason string
	wait   time.Duration
	// code replaces an empty one.
	code string
	// field is the field that is always meant.
	field string
}

const (
	seeWebhook = "; is the webhook's address right, and its owner still there?"
	noAccess   = "Bitrix24 does not allow this call"
	bug        = "Bitrix24 cannot read the request"
	gone       = "the record does not exist in Bitrix24"
)

// codes are what Bitrix24 documents (Bitrix24: system errors, and the errors of
// each method). Statuses have moved from month to month, so the code decides,
// and in either case.
//
// What an administrator has to mend is Unauthorized: the account waits, and no
// record pays for it.
var codes = map[string]meaning{
	"NO_AUTH_FOUND":              {class: connectors.Unauthorized, reason: "Bitrix24 found no credentials in the call"},
	"INVALID_CREDENTIALS":        {class: connectors.Unauthorized, reason: "Bitrix24 does not accept the webhook" + seeWebhook},
	codeExpired:                  {class: connectors.Unauthorized, reason: "the access token has expired"},
	"INVALID_TOKEN":              {class: connectors.Unauthorized, reason: "Bitrix24 does not accept the access token"},
	"AUTHORIZATION_ERROR":        {class: connectors.Unauthorized, reason: "Bitrix24 cannot authorise the user"},
	"APPLICATION_NOT_FOUND":      {class: connectors.Unauthorized, reason: "Bitrix24 does not know the application"},
	"ERROR_OAUTH":                {class: connectors.Unauthorized, reason: "the application is not installed in the portal"},
	"NOT_INSTALLED":              {class: connectors.Unauthorized, reason: "the application is not installed in the portal"},
	"PAYMENT_REQUIRED":           {class: connectors.Unauthorized, reason: "the portal's subscription has ended"},
	"METHOD_CONFIRM_WAITING":     {class: connectors.Unauthorized, reason: "an administrator has to confirm the call in Bitrix24"},
	"INSUFFICIENT_SCOPE":         {class: connectors.Unauthorized, reason: "the webhook or application lacks a scope; crmsync needs crm and user"},
	"INVALID_SCOPE":              {class: connectors.Unauthorized, reason: "the application asks for a scope that it cannot have"},
	"USER_ACCESS_ERROR":          {class: connectors.Unauthorized, reason: "the application is not open to its user"},
	"INVALID_REQUEST":            {class: connectors.Unauthorized, reason: "Bitrix24 does not accept the form of the call; is the address https?"},
	"WRONG_AUTH_TYPE":            {class: connectors.Unauthorized, reason: "Bitrix24 allows this call to applications only"},
	"ERROR_WRONG_CONTEXT":        {class: connectors.Unauthorized, reason: "Bitrix24 allows this call to applications only"},
	"ALLOWED_ONLY_INTRANET_USER": {class: connectors.Unauthorized, reason: "the webhook's or application's user is no intranet user"},
	"ERROR_METHOD_NOT_FOUND":     {class: connectors.Unauthorized, reason: "Bitrix24 does not know the method" + seeWebhook},
	"PORTAL_DELETED":             {class: connectors.Unauthorized, reason: "the portal was deleted"},
	"INVALID_GRANT":              {class: connectors.Unauthorized, reason: "the refresh token is used up or too old: install the application again"},
	"INVALID_CLIENT":             {class: connectors.Unauthorized, reason: "Bitrix24 does not accept the application's id and secret"},
	"WRONG_CLIENT":               {class: connectors.Unauthorized, reason: "Bitrix24 does not accept the application's id and secret"},

	// Arrives as 503. The request was not executed, and there is never a
	// Retry-After; the bucket of 50 drains by 2 a second.
	"QUERY_LIMIT_EXCEEDED": {class: connectors.Throttled, reason: "Bitrix24's limit of requests is reached", wait: 2 * time.Second},
	// The wait of this one is the method's own, see budget.
	codeBlocked: {class: connectors.Throttled, reason: blocked().Reason},
	// Somebody at Bitrix24 lifts this by hand.
	"OVERLOAD_LIMIT": {class: connectors.Throttled, reason: "Bitrix24 has blocked the portal's REST API for overload", wait: 5 * time.Minute},

	codeGone:                                     {class: connectors.Conflict, reason: gone},
	codeNoOwner:                                  {class: connectors.Conflict, reason: "the message's contact does not exist in Bitrix24"},
	"ENTITY_TYPE_NOT_SUPPORTED":                  {class: connectors.Rejected, reason: bug},
	"INVALID_ARG_VALUE":                          {class: connectors.Rejected, reason: "Bitrix24 refuses a value"},
	"100":                                        {class: connectors.Rejected, reason: bug},
	"CRM_FIELD_ERROR_REQUIRED":                   {class: connectors.Rejected, reason: "Bitrix24 requires a value for a field: make it optional there, or map it"},
	"FIELD_IS_REQUIRED":                          {class: connectors.Rejected, reason: bug},
	"TOO_MANY_ITEMS":                             {class: connectors.Rejected, reason: bug},
	"ERROR_EMPTY_LAYOUT":                         {class: connectors.Rejected, reason: bug},
	"ERROR_WRONG_APPLICATION":                    {class: connectors.Rejected, reason: "the activity belongs to another application"},
	"ERROR_EVENT_NOT_FOUND":                      {class: connectors.Rejected, reason: "Bitrix24 does not know the event"},
	"ERROR_BATCH_LENGTH_EXCEEDED":                {class: connectors.Unknown, reason: bug},
	"ERROR_BATCH_METHOD_NOT_ALLOWED":             {class: connectors.Unknown, reason: bug},
	"CRM_FIELD_ERROR_VALUE_NOT_VALID":            {class: connectors.Rejected, reason: "Bitrix24 refuses a value"},
	"INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE": {class: connectors.Rejected, reason: bug},
}

// texts are what Bitrix24 says in English where the code is empty or says
// nothing, in lower case. The first that is contained counts. On portals in
// other languages such an error stays Unknown.
var texts = []struct {
	text string
	meaning
}{
	{"too many requests", meaning{class: connectors.Throttled, code: "QUERY_LIMIT_EXCEEDED", reason: codes["QUERY_LIMIT_EXCEEDED"].reason, wait: 2 * time.Second}},
	{"due to operation time limit", meaning{class: connectors.Throttled, code: codeBlocked, reason: blocked().Reason}},
	{"due to overload", meaning{class: connectors.Throttled, code: "OVERLOAD_LIMIT", reason: codes["OVERLOAD_LIMIT"].reason, wait: 5 * time.Minute}},
	{"contact is not found", meaning{class: connectors.Conflict, code: codeGone, reason: gone}},
	{"element not found", meaning{class: connectors.Conflict, code: codeGone, reason: gone}},
	{"item not found", meaning{class: connectors.Conflict, code: codeGone, reason: gone}},
	{"method not found", meaning{class: connectors.Unauthorized, code: "ERROR_METHOD_NOT_FOUND", reason: codes["ERROR_METHOD_NOT_FOUND"].reason}},
	{"is not defined or invalid", meaning{class: connectors.Conflict, code: codeGone, reason: gone}},
	{"contains an invalid address", meaning{class: connectors.Rejected, code: "INVALID_EMAIL", field: "EMAIL", reason: "the value is not an e-mail address that Bitrix24 accepts"}},
	{"must be array", meaning{class: connectors.Rejected, code: "INVALID_ARGUMENT", reason: bug}},
	{"communication ", meaning{class: connectors.Rejected, code: "INVALID_ARGUMENT", reason: bug}},
	{"parameter 'type' is required", meaning{class: connectors.Rejected, code: "INVALID_ARGUMENT", reason: bug}},
	{"is not defined or empty", meaning{class: connectors.Rejected, code: "INVALID_ARGUMENT", reason: bug}},
	{"not found", meaning{class: connectors.Conflict, code: codeGone, reason: gone}},
}

// classify says what an answer that is no success means: a status, what of a
// fault could be read if it was Bitrix24's JSON at all, and whether the call
// was a create, whose repetition would not be harmless. Of a command in a
// batch the status is 200.
//
// Descriptions quote values and come in the portal's language, so nothing of
// them is passed on.
func classify(status int, speaks bool, f fault, create bool) *connectors.Error {
	e := &connectors.Error{Status: status}
	if !speaks || f.Code == nil {
		f.wordless(e, speaks, create)
		return e
	}
	raw := strings.TrimSpace(string(*f.Code))
	said := strings.ToLower(raw + " " + string(f.Description))
	e.Code = code(raw)
	switch {
	// Two meanings: no right on the object, or no REST in the portal's plan.
	case e.Code == "ACCESS_DENIED", e.Code == "" && strings.Contains(said, "access denied"):
		accessDenied(e, said)
		return e
	case e.Code == "INTERNAL_SERVER_ERROR", e.Code == "ERROR_UNEXPECTED_ANSWER":
		outage(e, create)
		return e
	}
	m, ok := codes[e.Code]
	if !ok && (e.Code == "" || e.Code == "ERROR_CORE") {
		for _, t := range texts {
			if ok = strings.Contains(said, t.text); ok {
				m = t.meaning
				break
			}
		}
	}
	switch {
	case ok:
		e.Class, e.Reason, e.RetryAfter, e.Field = m.class, m.reason, m.wait, m.field
		if m.code != "" {
			e.Code = m.code
		}
	case strings.HasPrefix(e.Code, "CRM_FIELD_ERROR"), e.Code == "ERROR_CORE":
		e.Class, e.Reason = connectors.Rejected, "Bitrix24 refuses the record"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Class, e.Reason = connectors.Unauthorized, noAccess
	case status == http.StatusTooManyRequests:
		e.Class, e.Reason, e.RetryAfter = connectors.Throttled, "Bitrix24 says slow down", 10*time.Second
	case status >= http.StatusInternalServerError:
		outage(e, create)
	default:
		e.Class, e.Reason = connectors.Unknown, "Bitrix24 refuses the call without saying why"
	}
	return e
}

// wordless is about answers that hold no error of Bitrix24's: pages of a
// gateway or proxy, and success that cannot be read.
func (f *fault) wordless(e *connectors.Error, speaks, create bool) {
	switch {
	// A gateway that has lost patience: the request may go on.
	case e.Status >= http.StatusInternalServerError, e.Status == http.StatusRequestTimeout:
		outage(e, create)
	case e.Status == http.StatusTooManyRequests:
		e.Class, e.Reason, e.RetryAfter = connectors.Throttled, "Bitrix24 says slow down", 10*time.Second
	case e.Status < 300:
		e.Class, e.Reason = connectors.Transient, "the answer is not the JSON that was expected"
		if create {
			e.Class = connectors.UnknownOutcome
		}
	case e.Status < 400:
		e.Class, e.Reason = connectors.Transient, "the address redirects to where no credentials are sent"
	case speaks && e.Status == http.StatusUnauthorized:
		e.Class, e.Reason = connectors.Unauthorized, noAccess
	default:
		e.Class, e.Reason = connectors.Transient, "the answer is not Bitrix24's"
	}
}

func outage(e *connectors.Error, create bool) {
	e.Class, e.Reason = connectors.Transient, "Bitrix24 has an outage"
	if create {
		e.Class = connectors.UnknownOutcome
	}
}

func accessDenied(e *connectors.Error, said string) {
	e.Code = "ACCESS_DENIED"
	switch {
	case strings.Contains(said, "commercial plan"), strings.Contains(said, "subscription"):
		e.Class, e.Reason = connectors.Unauthorized, "REST is not part of the portal's plan"
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		e.Class, e.Reason = connectors.Unauthorized, noAccess
	default:
		e.Class, e.Reason = connectors.Rejected, "the webhook's or application's user has no right on the record"
	}
}

var isCode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_]{1,63}$`)

// code is s in upper case if it looks like a code, so that nothing else slips
// through. Zero is none.
func code(s string) string {
	if !isCode.MatchString(s) {
		return ""
	}
	return strings.ToUpper(s)
}
