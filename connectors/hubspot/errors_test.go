package hubspot

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestWhatHubSpotSays(t *testing.T) {
	const (
		value = "mario@secret.con"
		json  = `[{\"isValid\":false,\"message\":\"Email address mario@secret.con is invalid\",\"error\":\"INVALID_EMAIL\",\"name\":\"email\"}]`
	)
	tests := map[string]struct {
		status int
		body   string
		wait   time.Duration
		create bool
		want   connectors.Error
	}{
		"unknown token": {
			401, `{"status":"error","message":"Authentication credentials not found.","category":"INVALID_AUTHENTICATION"}`, 0, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "INVALID_AUTHENTICATION"},
		},
		"expired token": {
			401, `{"status":"error","message":"The OAuth token used to make this call expired 2 minute(s) ago.","category":"EXPIRED_AUTHENTICATION","context":{"expire time":["2023-10-30T15:15:04.007Z"]}}`, 0, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "EXPIRED_AUTHENTICATION"},
		},
		"missing scope": {
			403, `{"status":"error","errors":[{"message":"One or more","context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}],"category":"MISSING_SCOPES"}`, 0, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "MISSING_SCOPES", Reason: "the token lacks a scope: crm.objects.contacts.write"},
		},
		"missing scope, second shape": {
			403, `{"context":{"requiredGranularScopes":["crm.schemas.contacts.read"]},"category":"MISSING_SCOPES"}`, 0, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "MISSING_SCOPES", Reason: "the token lacks a scope: crm.schemas.contacts.read"},
		},
		"missing permission as 400": {
			400, `{"status":"error","message":"Missing 'Edit Associations' permission.","category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Unauthorized, Code: "MISSING_PERMISSION"},
		},
		"firewall page": {
			403, `<html>blocked</html>`, 0, false,
			connectors.Error{Class: connectors.Transient},
		},

		"ten seconds' limit": {
			429, `{"status":"error","message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}`, 0, false,
			connectors.Error{Class: connectors.Throttled, Code: "TEN_SECONDLY_ROLLING", RetryAfter: 10 * time.Second},
		},
		"search limit": {
			429, `{"status":"error","message":"You have reached your secondly limit.","errorType":"RATE_LIMIT","policyName":"SECONDLY"}`, 0, false,
			connectors.Error{Class: connectors.Throttled, Code: "SECONDLY", RetryAfter: time.Second},
		},
		"search limit, short form": {
			429, `{"status":"error","message":"You have reached your secondly limit.","category":"RATE_LIMITS"}`, 0, false,
			connectors.Error{Class: connectors.Throttled, Code: "RATE_LIMITS", RetryAfter: time.Second},
		},
		"day's limit": {
			429, `{"message":"You have reached your daily limit.","policyName":"DAILY"}`, 0, false,
			connectors.Error{Class: connectors.Throttled, Code: "DAILY", RetryAfter: 15 * time.Minute},
		},
		"limit without a body": {
			429, ``, 0, false,
			connectors.Error{Class: connectors.Throttled, Code: "RATE_LIMITS", RetryAfter: 10 * time.Second},
		},
		"limit with a wait": {
			429, `{"policyName":"DAILY"}`, 7 * time.Second, false,
			connectors.Error{Class: connectors.Throttled, Code: "DAILY", RetryAfter: 7 * time.Second},
		},
		"locked":                 {423, ``, 0, true, connectors.Error{Class: connectors.Throttled, Code: "LOCKED", RetryAfter: 2 * time.Second}},
		"moving":                 {477, ``, 15 * time.Minute, true, connectors.Error{Class: connectors.Throttled, Code: "MIGRATION", RetryAfter: 15 * time.Minute}},
		"moving without a wait":  {477, `{}`, 0, true, connectors.Error{Class: connectors.Throttled, Code: "MIGRATION", RetryAfter: time.Minute}},
		"outage":                 {500, `{"status":"error","message":"internal error"}`, 0, false, connectors.Error{Class: connectors.Transient}},
		"outage during a create": {503, `<html>`, 0, true, connectors.Error{Class: connectors.UnknownOutcome}},
		"edge gave up waiting":   {524, `<html>`, 0, true, connectors.Error{Class: connectors.UnknownOutcome}},
		"edge without TLS":       {525, `<html>`, 0, true, connectors.Error{Class: connectors.Transient}},
		"redirect":               {307, ``, 0, true, connectors.Error{Class: connectors.Transient}},
		"HTML instead of JSON":   {400, `<html>`, 0, true, connectors.Error{Class: connectors.Transient}},
		"swallowed body":         {400, `{"status":"error","message":"a request body was expected"}`, 0, true, connectors.Error{Class: connectors.Transient}},

		"contact exists": {
			409, `{"status":"error","message":"Contact already exists. Existing ID: 12345","category":"CONFLICT"}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "CONFLICT", RecordID: "12345"},
		},
		"contact exists, context": {
			409, `{"message":"Contact already exists.","category":"CONFLICT","context":{"existingId":["77"]}}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "CONFLICT", RecordID: "77"},
		},
		"contact exists, spring 2024": {
			409, `{"category":"OBJECT_ALREADY_EXISTS","error":"CONTACT_EXISTS","identityProfile":{"vid":51,"identity":[{"value":"mario@secret.con"}]},"errors":[{"message":"A contact with email mario@secret.con already exists. Existing ID: 51","in":"email"}]}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "CONFLICT", RecordID: "51", Field: "email"},
		},
		"contact exists, a race": {
			409, `{"message":"Contact already exists","category":"CONFLICT"}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "CONFLICT"},
		},
		"unique value taken": {
			400, `{"status":"error","message":"Cannot set PropertyValueCoordinates{portalId=1, objectTypeId=ObjectTypeId{legacyObjectType=CONTACT}, propertyName=crmsync_wa_id, value=393470000001} on 51. 52 already has that value.","category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "VALUE_TAKEN", Field: "crmsync_wa_id", RecordID: "52"},
		},
		"not found": {
			404, `{"status":"error","message":"resource not found"}`, 0, false,
			connectors.Error{Class: connectors.Conflict, Code: "OBJECT_NOT_FOUND"},
		},
		"association target gone": {
			400, `{"message":"One or more associations are invalid","context":{"INVALID_OBJECT_IDS":["CONTACT=22645422197 is not valid"]},"category":"VALIDATION_ERROR"}`, 0, true,
			connectors.Error{Class: connectors.Conflict, Code: "INVALID_OBJECT_IDS"},
		},
		"too many associations": {
			400, `{"message":"One or more associations are invalid","context":{"ASSOCIATION_LIMIT_EXCEEDED":["Exceeded"]},"category":"VALIDATION_ERROR"}`, 0, true,
			connectors.Error{Class: connectors.Rejected, Code: "ASSOCIATION_LIMIT_EXCEEDED"},
		},

		"email, structured": {
			400, `{"message":"Property values were not valid: ` + json + `","errors":[{"message":"Email address mario@secret.con is invalid","code":"INVALID_EMAIL","context":{"propertyName":["email"]}}],"category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Rejected, Code: "INVALID_EMAIL", Field: "email"},
		},
		"email, in the message": {
			400, `{"message":"Property values were not valid: ` + json + `","category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Rejected, Code: "INVALID_EMAIL", Field: "email"},
		},
		"email, validationResults": {
			400, `{"message":"Property values were not valid","validationResults":[{"isValid":false,"message":"Email address mario@secret.con is invalid","error":"INVALID_EMAIL","name":"email"}]}`, 0, false,
			connectors.Error{Class: connectors.Rejected, Code: "INVALID_EMAIL", Field: "email"},
		},
		"unknown property": {
			400, `{"errors":[{"code":"PROPERTY_DOESNT_EXIST","context":{"propertyName":["wa_lang"]}}],"category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Rejected, Code: "PROPERTY_DOESNT_EXIST", Field: "wa_lang"},
		},
		"our property is gone": {
			400, `{"errors":[{"code":"PROPERTY_DOESNT_EXIST","context":{"propertyName":["crmsync_wa_id"]}}],"category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Transient, Code: "PROPERTY_DOESNT_EXIST", Field: "crmsync_wa_id"},
		},
		"our property is not unique": {
			400, `{"message":"Unable to perform update/upsert by non-unique 0-1 property crmsync_wa_id in portal ID 1","category":"VALIDATION_ERROR"}`, 0, false,
			connectors.Error{Class: connectors.Transient, Code: "NOT_UNIQUE", Field: "crmsync_wa_id"},
		},
		"required property": {
			400, `{"message":"Error creating COMMUNICATION.  Some required properties were not set.","context":{"properties":["hs_timestamp"]},"category":"VALIDATION_ERROR"}`, 0, true,
			connectors.Error{Class: connectors.Rejected, Code: "MISSING_REQUIRED_PROPERTY", Field: "hs_timestamp"},
		},
		"conditionally required": {
			400, `{"errors":[{"code":"MISSING_CONDITIONAL_REQUIRED_PROPERTY","context":{"propertyName":["industry"]}}],"category":"VALIDATION_ERROR"}`, 0, true,
			connectors.Error{Class: connectors.Rejected, Code: "MISSING_CONDITIONAL_REQUIRED_PROPERTY", Field: "industry"},
		},
		"malformed": {
			400, "{\"message\":\"Invalid input JSON on line 1, column 3301: Cannot deserialize value\"}", 0, true,
			connectors.Error{Class: connectors.Rejected, Code: "INVALID_JSON"},
		},
		"other validation": {
			400, `{"message":"Whatever mario@secret.con","category":"VALIDATION_ERROR"}`, 0, true,
			connectors.Error{Class: connectors.Rejected, Code: "VALIDATION_ERROR"},
		},
		"opaque":                        {400, `{"status":"error","message":"There was a problem with the request."}`, 0, true, connectors.Error{Class: connectors.Unknown}},
		"too many identities":           {414, `{"message":"Cannot have more than 250 identities on a profile"}`, 0, false, connectors.Error{Class: connectors.Rejected, Code: "URI_TOO_LONG"}},
		"a status nobody has heard of":  {418, `{}`, 0, false, connectors.Error{Class: connectors.Unknown}},
		"values where codes should be":  {400, `{"category":"mario@secret.con","errors":[{"code":"mario@secret.con","in":"mario@secret.con"}]}`, 0, false, connectors.Error{Class: connectors.Unknown}},
		"lists where texts should be":   {400, `{"category":["X"],"context":{"a":1}}`, 0, false, connectors.Error{Class: connectors.Unknown}},
		"an array instead of an object": {400, `[1]`, 0, false, connectors.Error{Class: connectors.Transient}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := classify(tt.status, []byte(tt.body), tt.wait, tt.create)
			w := tt.want
			if w.RetryAfter == 0 {
				w.RetryAfter = tt.wait
			}
			if got.Class != w.Class || got.Code != w.Code || got.Field != w.Field || got.RecordID != w.RecordID || got.RetryAfter != w.RetryAfter || got.Status != tt.status {
				t.Errorf("got %+v, want %+v", *got, w)
			}
			if got.Reason == "" || w.Reason != "" && got.Reason != w.Reason {
				t.Errorf("got reason %q, want %q", got.Reason, w.Reason)
			}
			for _, s := range []string{value, "393470000001", "secret"} {
				if strings.Contains(got.Error(), s) {
					t.Errorf("error %q quotes a value", got)
				}
			}
		})
	}
}
