package zoho

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

func TestWhatZohoSaysOfACall(t *testing.T) {
	fault := func(code, details string) string {
		return `{"code":"` + code + `","details":` + details + `,"message":"about +393471234567","status":"error"}`
	}
	tests := map[string]struct {
		status   int
		body     string
		header   http.Header
		creating bool
		want     connectors.Error
	}{
		"expired token":         {401, fault("INVALID_TOKEN", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_TOKEN"}},
		"token pushed out":      {401, fault("INVALID_OAUTHTOKEN", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_OAUTHTOKEN"}},
		"no token":              {401, fault("AUTHENTICATION_FAILURE", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "AUTHENTICATION_FAILURE"}},
		"scope":                 {401, fault("OAUTH_SCOPE_MISMATCH", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "OAUTH_SCOPE_MISMATCH"}},
		"scope, as 403":         {403, fault("OAUTH_SCOPE_MISMATCH", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "OAUTH_SCOPE_MISMATCH"}},
		"401 without JSON":      {401, `no`, nil, false, connectors.Error{Class: connectors.Unauthorized}},
		"expired token, as 200": {200, fault("INVALID_TOKEN", `{}`), nil, false, connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_TOKEN"}},
		"permission": {
			403, fault("NO_PERMISSION", `{"permissions":["Crm_Implied_Edit_Contacts"]}`), nil, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "NO_PERMISSION", Reason: "the profile of the token's user does not allow this call: Crm_Implied_Edit_Contacts"},
		},
		"administrators only": {403, fault("NOT_SUPPORTED", `{}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "NOT_SUPPORTED"}},
		"reserved name":       {403, fault("RESERVED_KEYWORD_NOT_ALLOWED", `{}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "RESERVED_KEYWORD_NOT_ALLOWED"}},
		"a firewall":          {403, `<html>`, nil, false, connectors.Error{Class: connectors.Transient}},

		"throttled":                 {429, fault("TOO_MANY_REQUESTS", `{}`), nil, true, connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_REQUESTS"}},
		"throttled, other code":     {429, fault("RATE_LIMIT_EXCEEDED", `{}`), nil, false, connectors.Error{Class: connectors.Throttled, Code: "RATE_LIMIT_EXCEEDED"}},
		"throttled, without a body": {429, ``, nil, false, connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_REQUESTS"}},
		"throttled, with a wait":    {429, ``, http.Header{"Retry-After": {"7"}}, false, connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_REQUESTS", RetryAfter: 7 * time.Second}},
		"the day's credits, old form": {
			429, `{"code":429,"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired than the allowed limit for the past 24 hours.","details":[]}`, nil, false,
			connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_REQUESTS", RetryAfter: rest.MaxRetryAfter},
		},
		"the day's credits, by header": {
			429, fault("TOO_MANY_REQUESTS", `{}`),
			http.Header{http.CanonicalHeaderKey("X-API-CREDITS-REMAINING"): {"0"}},
			false,
			connectors.Error{Class: connectors.Throttled, Code: "TOO_MANY_REQUESTS", RetryAfter: rest.MaxRetryAfter},
		},

		"outage":                    {500, fault("INTERNAL_ERROR", `{}`), nil, false, connectors.Error{Class: connectors.Transient, Code: "INTERNAL_ERROR"}},
		"outage, while creating":    {500, fault("INTERNAL_ERROR", `{}`), nil, true, connectors.Error{Class: connectors.UnknownOutcome, Code: "INTERNAL_ERROR"}},
		"outage, as a page":         {502, `<html>`, nil, false, connectors.Error{Class: connectors.Transient}},
		"outage, empty":             {503, ``, nil, true, connectors.Error{Class: connectors.UnknownOutcome}},
		"a page":                    {200, `<html>`, nil, false, connectors.Error{Class: connectors.Transient}},
		"a page, while creating":    {200, `<html>`, nil, true, connectors.Error{Class: connectors.UnknownOutcome}},
		"no rows":                   {200, `{}`, nil, false, connectors.Error{Class: connectors.Transient}},
		"a redirect":                {302, ``, nil, false, connectors.Error{Class: connectors.Transient}},
		"a bad request as a page":   {400, `<html>`, nil, true, connectors.Error{Class: connectors.Transient}},
		"too large":                 {413, `<html>`, nil, false, connectors.Error{Class: connectors.Rejected, Code: "TOO_LARGE"}},
		"media type":                {415, fault("UNSUPPORTED_MEDIA_TYPE", `{}`), nil, false, connectors.Error{Class: connectors.Unknown, Code: "UNSUPPORTED_MEDIA_TYPE"}},
		"wrong address":             {404, fault("INVALID_URL_PATTERN", `{}`), nil, false, connectors.Error{Class: connectors.Transient, Code: "NO_SUCH_ADDRESS"}},
		"wrong method":              {400, fault("INVALID_REQUEST_METHOD", `{}`), nil, false, connectors.Error{Class: connectors.Transient, Code: "NO_SUCH_ADDRESS"}},
		"not found":                 {404, fault("RESOURCE_NOT_FOUND", `{}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: recordGone}},
		"unknown module":            {400, fault("INVALID_MODULE", `{"resource_path_index":0}`), nil, false, connectors.Error{Class: connectors.Transient, Code: "INVALID_MODULE"}},
		"unknown id":                {400, fault("INVALID_DATA", `{"resource_path_index":1}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: recordGone}},
		"too many rows":             {400, fault("INVALID_DATA", `{"maximum_length":100,"api_name":"data","json_path":"$.data"}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "INVALID_DATA", Field: "data", Reason: "the value is longer than the field's 100 characters"}},
		"the key is not unique":     {400, fault("INVALID_DATA", `{"api_name":"WA_ID","json_path":"$.duplicate_check_fields[0]"}`), nil, false, connectors.Error{Class: connectors.Transient, Code: "NOT_UNIQUE"}},
		"a parameter is missing":    {400, fault("REQUIRED_PARAM_MISSING", `{"param_name":"fields"}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "REQUIRED_PARAM_MISSING", Field: "fields"}},
		"a parameter is missing, 2": {400, fault("EXPECTED_PARAM_MISSING", `{"param_names":["criteria"]}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "EXPECTED_PARAM_MISSING"}},
		"no data":                   {400, fault("MANDATORY_NOT_FOUND", `{"api_name":"data"}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "MANDATORY_NOT_FOUND", Field: "data"}},
		"an odd id":                 {400, fault("UNABLE_TO_PARSE_DATA_TYPE", `{}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "UNABLE_TO_PARSE_DATA_TYPE"}},
		"too many fields":           {400, fault("LIMIT_EXCEEDED", `{"limit":50}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "LIMIT_EXCEEDED"}},
		"too many results":          {400, fault("LIMIT_REACHED", `{"limit":"2000"}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "LIMIT_REACHED"}},
		"too many criteria":         {400, fault("CRITERIA_LIMIT_EXCEEDED", `{}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "CRITERIA_LIMIT_EXCEEDED"}},
		"page too far":              {400, fault("DISCRETE_PAGINATION_LIMIT_EXCEEDED", `{"limit":2000}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "DISCRETE_PAGINATION_LIMIT_EXCEEDED"}},
		"tokens end":                {400, fault("PAGINATION_LIMIT_EXCEEDED", `{}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "PAGINATION_LIMIT_EXCEEDED"}},
		"another listing":           {400, fault("TOKEN_BOUND_DATA_MISMATCH", `{}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "TOKEN_BOUND_DATA_MISMATCH"}},
		"an old listing":            {400, fault("EXPIRED_VALUE", `{}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "EXPIRED_VALUE"}},
		"query syntax":              {400, fault("SYNTAX_ERROR", `{"line":1}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "SYNTAX_ERROR"}},
		"query":                     {400, fault("INVALID_QUERY", `{"column_name":"Tag"}`), nil, false, connectors.Error{Class: connectors.Rejected, Code: "INVALID_QUERY", Field: "Tag"}},
		"changed meanwhile":         {412, fault("ALREADY_MODIFIED", `{"id":"5550001"}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "ALREADY_MODIFIED", RecordID: "5550001"}},
		"channel":                   {400, fault("NOT_SUBSCRIBED", `{}`), nil, false, connectors.Error{Class: connectors.Conflict, Code: "NOT_SUBSCRIBED"}},
		"a new code":                {400, fault("SOMETHING_NEW", `{}`), nil, false, connectors.Error{Class: connectors.Unknown, Code: "SOMETHING_NEW"}},
		"a code that is none":       {400, fault("+39 347", `{"api_name":"Rossi <a@b.it>"}`), nil, false, connectors.Error{Class: connectors.Unknown}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, e := unfold(&rest.Answer{Status: test.status, Body: []byte(test.body), Header: test.header}, test.creating)
			if e == nil {
				t.Fatal("no failure")
			}
			check(t, e, &test.want)
		})
	}
}

func check(t *testing.T, got, want *connectors.Error) {
	t.Helper()
	if got.Class != want.Class || got.Code != want.Code || got.Field != want.Field || got.RecordID != want.RecordID ||
		got.RetryAfter != want.RetryAfter || want.Reason != "" && got.Reason != want.Reason {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Reason == "" || strings.Contains(got.Error(), "393471234567") || strings.Contains(got.Error(), "Rossi") {
		t.Errorf("says %q", got)
	}
}

func TestWhatZohoSaysOfARow(t *testing.T) {
	const taken = `{"code":"DUPLICATE_DATA","details":{"api_name":"WA_ID","duplicate_record":{"id":"5550001"}},"message":"duplicate data","status":"error"}`
	tests := map[string]struct {
		code, details string
		want          connectors.Error
	}{
		"mandatory":             {"MANDATORY_NOT_FOUND", `{"api_name":"Last_Name","json_path":"$.data[1].Last_Name"}`, connectors.Error{Class: connectors.Rejected, Field: "Last_Name"}},
		"invalid":               {"INVALID_DATA", `{"expected_data_type":"phone","api_name":"Phone"}`, connectors.Error{Class: connectors.Rejected, Field: "Phone", Reason: "the value is not a valid phone"}},
		"too long":              {"INVALID_DATA", `{"maximum_length":30,"api_name":"Phone","json_path":"$.data[0].Phone"}`, connectors.Error{Class: connectors.Rejected, Field: "Phone", Reason: "the value is longer than the field's 30 characters"}},
		"not one of the values": {"INVALID_DATA", `{"supported_values":["Rossi"],"api_name":"Stage"}`, connectors.Error{Class: connectors.Rejected, Field: "Stage"}},
		"no such record":        {"INVALID_DATA", `{"api_name":"id"}`, connectors.Error{Class: connectors.Conflict, Code: recordGone, Field: "id"}},
		"no such parent":        {"INVALID_DATA", `{"api_name":"Parent_Id"}`, connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Field: "Parent_Id"}},
		"duplicate":             {"DUPLICATE_DATA", `{"api_name":"WA_ID","id":"5550001","duplicate_record":{"id":"5550002"}}`, connectors.Error{Class: connectors.Conflict, Field: "WA_ID", RecordID: "5550002"}},
		"duplicate, old form":   {"DUPLICATE_DATA", `{"api_name":"WA_ID","id":"5550001"}`, connectors.Error{Class: connectors.Conflict, Field: "WA_ID", RecordID: "5550001"}},
		"somebody else's value": {"DUPLICATE_DATA", `{"api_name":"Customer_No","id":"5550001"}`, connectors.Error{Class: connectors.Rejected, Field: "Customer_No"}},
		"wrapped duplicate":     {"MULTIPLE_OR_MULTI_ERRORS", `{"errors":[` + taken + `]}`, connectors.Error{Class: connectors.Conflict, Code: "DUPLICATE_DATA", Field: "WA_ID", RecordID: "5550001"}},
		"several": {
			"MULTIPLE_OR_MULTI_ERRORS", `{"errors":[` + taken + `,{"code":"INVALID_DATA","details":{"api_name":"Email","expected_data_type":"email"},"status":"error"}]}`,
			connectors.Error{Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Email"},
		},
		"several, not saying which": {"MULTIPLE_OR_MULTI_ERRORS", `{}`, connectors.Error{Class: connectors.Rejected}},
		"expected":                  {"EXPECTED_FIELD_MISSING", `{"expected_fields":[{"api_name":"Note_Content"}]}`, connectors.Error{Class: connectors.Rejected, Field: "Note_Content"}},
		"dependent":                 {"DEPENDENT_FIELD_MISSING", `{"api_name":"City"}`, connectors.Error{Class: connectors.Rejected, Field: "City"}},
		"dependent mismatch":        {"DEPENDENT_MISMATCH", `{"api_name":"City"}`, connectors.Error{Class: connectors.Rejected, Field: "City"}},
		"ambiguous":                 {"AMBIGUITY_DURING_PROCESSING", `{"ambiguity_due_to":[]}`, connectors.Error{Class: connectors.Rejected}},
		"limit":                     {"LIMIT_EXCEEDED", `{"limit":10}`, connectors.Error{Class: connectors.Rejected}},
		"tag with another colour":   {"MAPPING_MISMATCH", `{}`, connectors.Error{Class: connectors.Rejected}},
		"locked":                    {"RECORD_LOCKED", `{"id":"1"}`, connectors.Error{Class: connectors.Unknown}},
		"in approval":               {"NOT_APPROVED", `{}`, connectors.Error{Class: connectors.Unknown}},
		"in a blueprint":            {"RECORD_IN_BLUEPRINT", `{}`, connectors.Error{Class: connectors.Unknown}},
		"changed meanwhile":         {"ALREADY_MODIFIED", `{"id":"5550001"}`, connectors.Error{Class: connectors.Conflict, RecordID: "5550001"}},
		"no permission":             {"NO_PERMISSION", `{"permissions":["Crm_X","+39 347"]}`, connectors.Error{Class: connectors.Rejected, Reason: "the token's user may not write the record: Crm_X"}},
		"not authorised":            {"AUTHORIZATION_FAILED", `{}`, connectors.Error{Class: connectors.Rejected}},
		"converted":                 {"CANNOT_PERFORM_ACTION", `{}`, connectors.Error{Class: connectors.Rejected}},
		"processing stopped":        {"NOT_ALLOWED", `{}`, connectors.Error{Class: connectors.Rejected}},
		"a part failed":             {"DEPENDENT_SERVICE_ERROR", `{}`, connectors.Error{Class: connectors.UnknownOutcome}},
		"Zoho failed":               {"INTERNAL_ERROR", `{}`, connectors.Error{Class: connectors.UnknownOutcome}},
		"throttled":                 {"TOO_MANY_REQUESTS", `{}`, connectors.Error{Class: connectors.Throttled}},
		"details are a list":        {"INVALID_DATA", `[]`, connectors.Error{Class: connectors.Rejected}},
		"a new code":                {"SOMETHING_NEW", `{}`, connectors.Error{Class: connectors.Unknown}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body := `{"code":"` + test.code + `","details":` + test.details + `,"message":"about Rossi","status":"error"}`
			o := (&envelope{status: 207}).outcome(json.RawMessage(body), keyField)
			if o.err == nil {
				t.Fatal("no failure")
			}
			if test.want.Code == "" {
				test.want.Code = test.code
			}
			check(t, o.err, &test.want)
		})
	}
	for name, body := range map[string]string{"no object": `7`, "no code": `{}`, "no id": `{"code":"SUCCESS","status":"success","details":{}}`} {
		if o := (&envelope{status: 200}).outcome(json.RawMessage(body), keyField); o.err == nil || o.err.Class != connectors.UnknownOutcome {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestThePauseGrowsWithTheTimeThatZohoRefuses(t *testing.T) {
	o, c := newOrg(t)
	busy := say(429, m{"code": "TOO_MANY_REQUESTS", "details": m{}, "message": "", "status": "error"})
	o.on(users, busy, busy, oneUser, busy)
	wait := func() time.Duration {
		_, err := c.ListUsers(t.Context())
		return connectors.AsError(err).RetryAfter
	}
	if got := wait(); got != time.Second {
		t.Errorf("first pause %s", got)
	}
	c.throttledSince = time.Now().Add(-time.Minute)
	if got := wait(); got < time.Minute || got > 2*time.Minute {
		t.Errorf("pause after a minute %s", got)
	}
	if _, err := c.ListUsers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := wait(); got != time.Second {
		t.Errorf("pause after a success %s", got)
	}
}
