package bitrix24

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestWhatBitrix24Says(t *testing.T) {
	type class = connectors.Class
	const (
		unauthorized, throttled, transient = connectors.Unauthorized, connectors.Throttled, connectors.Transient
		rejected, conflict, unknown, lost  = connectors.Rejected, connectors.Conflict, connectors.Unknown, connectors.UnknownOutcome
	)
	tests := map[string]struct {
		status int
		body   string
		create bool
		class  class
		code   string
		wait   time.Duration
	}{
		"no credentials":             {401, `{"error":"NO_AUTH_FOUND","error_description":"Wrong authorization data"}`, false, unauthorized, "NO_AUTH_FOUND", 0},
		"wrong secret":               {401, `{"error":"INVALID_CREDENTIALS","error_description":"Invalid request credentials"}`, false, unauthorized, "INVALID_CREDENTIALS", 0},
		"wrong secret, older":        {403, `{"error":"INVALID_CREDENTIALS"}`, true, unauthorized, "INVALID_CREDENTIALS", 0},
		"expired":                    {401, `{"error":"expired_token","error_description":"The access token provided has expired."}`, true, unauthorized, "EXPIRED_TOKEN", 0},
		"invalid token":              {401, `{"error":"invalid_token"}`, false, unauthorized, "INVALID_TOKEN", 0},
		"user gone":                  {401, `{"error":"authorization_error"}`, false, unauthorized, "AUTHORIZATION_ERROR", 0},
		"no application":             {401, `{"error":"APPLICATION_NOT_FOUND"}`, false, unauthorized, "APPLICATION_NOT_FOUND", 0},
		"not installed":              {401, `{"error":"ERROR_OAUTH","error_description":"Application not installed"}`, false, unauthorized, "ERROR_OAUTH", 0},
		"not paid":                   {401, `{"error":"PAYMENT_REQUIRED"}`, false, unauthorized, "PAYMENT_REQUIRED", 0},
		"to be confirmed":            {401, `{"error":"METHOD_CONFIRM_WAITING"}`, false, unauthorized, "METHOD_CONFIRM_WAITING", 0},
		"scope":                      {401, `{"error":"insufficient_scope"}`, false, unauthorized, "INSUFFICIENT_SCOPE", 0},
		"scope, older":               {403, `{"error":"insufficient_scope"}`, false, unauthorized, "INSUFFICIENT_SCOPE", 0},
		"scope in a batch":           {200, `{"error":"insufficient_scope"}`, true, unauthorized, "INSUFFICIENT_SCOPE", 0},
		"not for this user":          {401, `{"error":"user_access_error"}`, false, unauthorized, "USER_ACCESS_ERROR", 0},
		"the plan":                   {401, `{"error":"ACCESS_DENIED","error_description":"REST API is available only on commercial plans"}`, false, unauthorized, "ACCESS_DENIED", 0},
		"the plan, older":            {403, `{"error":"ACCESS_DENIED","error_description":"REST is available only by subscription"}`, false, unauthorized, "ACCESS_DENIED", 0},
		"the plan in a batch":        {200, `{"error":"ACCESS_DENIED","error_description":"available only by subscription"}`, false, unauthorized, "ACCESS_DENIED", 0},
		"no CRM at all":              {403, `{"error":"","error_description":"Access denied"}`, false, unauthorized, "ACCESS_DENIED", 0},
		"no right on the record":     {400, `{"error":"ACCESS_DENIED","error_description":"Access denied"}`, false, rejected, "ACCESS_DENIED", 0},
		"no right, in words":         {400, `{"error":"","error_description":"Access denied."}`, false, rejected, "ACCESS_DENIED", 0},
		"no right, in a batch":       {200, `{"error":"","error_description":"Access denied."}`, true, rejected, "ACCESS_DENIED", 0},
		"http":                       {401, `{"error":"INVALID_REQUEST","error_description":"Https required."}`, false, unauthorized, "INVALID_REQUEST", 0},
		"application only":           {403, `{"error":"WRONG_AUTH_TYPE"}`, false, unauthorized, "WRONG_AUTH_TYPE", 0},
		"application only, activity": {400, `{"error":"ERROR_WRONG_CONTEXT"}`, true, unauthorized, "ERROR_WRONG_CONTEXT", 0},
		"extranet":                   {403, `{"error":"allowed_only_intranet_user"}`, false, unauthorized, "ALLOWED_ONLY_INTRANET_USER", 0},
		"no such method":             {404, `{"error":"ERROR_METHOD_NOT_FOUND","error_description":"Method not found!"}`, true, unauthorized, "ERROR_METHOD_NOT_FOUND", 0},
		"deleted":                    {403, `{"error":"PORTAL_DELETED"}`, false, unauthorized, "PORTAL_DELETED", 0},
		"deleted, older":             {500, `{"error":"PORTAL_DELETED"}`, true, unauthorized, "PORTAL_DELETED", 0},
		"deleted, live":              {410, `{"error":"PORTAL_DELETED"}`, false, unauthorized, "PORTAL_DELETED", 0},

		"too many requests":         {503, `{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`, true, throttled, "QUERY_LIMIT_EXCEEDED", 2 * time.Second},
		"too many, in words":        {503, `{"error":"","error_description":"Too many requests"}`, true, throttled, "QUERY_LIMIT_EXCEEDED", 2 * time.Second},
		"too long":                  {429, `{"error":"OPERATION_TIME_LIMIT","error_description":"Method is blocked due to operation time limit."}`, true, throttled, "OPERATION_TIME_LIMIT", 0},
		"too long, in a batch":      {200, `{"error":"operation_time_limit"}`, true, throttled, "OPERATION_TIME_LIMIT", 0},
		"too long, in words":        {429, `{"error":0,"error_description":"Method is blocked due to operation time limit."}`, true, throttled, "OPERATION_TIME_LIMIT", 0},
		"overload":                  {401, `{"error":"OVERLOAD_LIMIT","error_description":"REST API is blocked due to overload."}`, true, throttled, "OVERLOAD_LIMIT", 5 * time.Minute},
		"overload, older":           {503, `{"error":"OVERLOAD_LIMIT"}`, true, throttled, "OVERLOAD_LIMIT", 5 * time.Minute},
		"overload, in words":        {503, `{"error":"","error_description":"REST API is blocked due to overload."}`, true, throttled, "OVERLOAD_LIMIT", 5 * time.Minute},
		"some proxy's limit":        {429, `<html>`, true, throttled, "", 10 * time.Second},
		"internal error":            {500, `{"error":"INTERNAL_SERVER_ERROR"}`, false, transient, "INTERNAL_SERVER_ERROR", 0},
		"internal error in an add":  {500, `{"error":"INTERNAL_SERVER_ERROR"}`, true, lost, "INTERNAL_SERVER_ERROR", 0},
		"unexpected answer":         {500, `{"error":"ERROR_UNEXPECTED_ANSWER"}`, true, lost, "ERROR_UNEXPECTED_ANSWER", 0},
		"bare 500":                  {500, ``, true, lost, "", 0},
		"gateway":                   {504, `<html>`, false, transient, "", 0},
		"gateway during an add":     {502, `<html>`, true, lost, "", 0},
		"unknown code of an outage": {503, `{"error":"SOMETHING"}`, true, lost, "SOMETHING", 0},
		"HTML 403":                  {403, `<html>`, true, transient, "", 0},
		"HTML 200":                  {200, `<html>`, false, transient, "", 0},
		"HTML 200 for an add":       {200, `<html>`, true, lost, "", 0},
		"redirect":                  {302, ``, true, transient, "", 0},
		"401 without a word":        {401, `{}`, false, unauthorized, "", 0},
		"401 with another":          {401, `{"error":"NEW_ONE"}`, false, unauthorized, "NEW_ONE", 0},
		"batch too long":            {200, `{"error":"ERROR_BATCH_LENGTH_EXCEEDED"}`, true, unknown, "ERROR_BATCH_LENGTH_EXCEEDED", 0},
		"batch in a batch":          {200, `{"error":"ERROR_BATCH_METHOD_NOT_ALLOWED"}`, false, unknown, "ERROR_BATCH_METHOD_NOT_ALLOWED", 0},
		"something in Russian":      {400, `{"error":"","error_description":"Контакт не найден"}`, false, unknown, "", 0},
		"zero":                      {400, `{"error":"0","error_description":"?"}`, false, unknown, "", 0},

		"contact gone":          {400, `{"error":"","error_description":"Contact is not found"}`, false, conflict, "NOT_FOUND", 0},
		"gone":                  {400, `{"error":"","error_description":"Not found"}`, false, conflict, "NOT_FOUND", 0},
		"gone, with a code":     {400, `{"error":"NOT_FOUND","error_description":"Element not found"}`, false, conflict, "NOT_FOUND", 0},
		"gone, core":            {400, `{"error":"ERROR_CORE","error_description":"Element not found"}`, false, conflict, "NOT_FOUND", 0},
		"gone, item":            {400, `{"error":"","error_description":"Item not found"}`, false, conflict, "NOT_FOUND", 0},
		"bad id":                {400, `{"error":"","error_description":"ID is not defined or invalid."}`, false, conflict, "NOT_FOUND", 0},
		"comment without owner": {400, `{"error":"OWNER_NOT_FOUND"}`, true, conflict, "OWNER_NOT_FOUND", 0},
		"no fields":             {400, `{"error":"","error_description":"Parameter 'fields' must be array."}`, true, rejected, "INVALID_ARGUMENT", 0},
		"bad address":           {400, `{"error":"ERROR_CORE","error_description":"The field Work e-mail contains an invalid address"}`, true, rejected, "INVALID_EMAIL", 0},
		"refused":               {400, `{"error":"ERROR_CORE","error_description":"+39347 is bad"}`, true, rejected, "ERROR_CORE", 0},
		"search without values": {400, `{"error":"","error_description":"Communication values is not defined"}`, false, rejected, "INVALID_ARGUMENT", 0},
		"text as code":          {400, `{"error":"Communication type is not defined","error_description":"Parameter 'type' is required."}`, false, rejected, "INVALID_ARGUMENT", 0},
		"bad activity":          {400, `{"error":"","error_description":"The field SUBJECT is not defined or empty"}`, true, rejected, "INVALID_ARGUMENT", 0},
		"argument missing":      {400, `{"error":100,"error_description":"Could not find value for parameter {fields}"}`, true, rejected, "100", 0},
		"argument, text":        {400, `{"error":"100"}`, true, rejected, "100", 0},
		"bad argument":          {400, `{"error":"INVALID_ARG_VALUE"}`, true, rejected, "INVALID_ARG_VALUE", 0},
		"bad value":             {400, `{"error":"CRM_FIELD_ERROR_VALUE_NOT_VALID"}`, true, rejected, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 0},
		"required":              {400, `{"error":"CRM_FIELD_ERROR_REQUIRED"}`, true, rejected, "CRM_FIELD_ERROR_REQUIRED", 0},
		"another of them":       {400, `{"error":"CRM_FIELD_ERROR_NEW"}`, true, rejected, "CRM_FIELD_ERROR_NEW", 0},
		"type":                  {400, `{"error":"ENTITY_TYPE_NOT_SUPPORTED"}`, true, rejected, "ENTITY_TYPE_NOT_SUPPORTED", 0},
		"layout":                {400, `{"error":"ERROR_EMPTY_LAYOUT"}`, true, rejected, "ERROR_EMPTY_LAYOUT", 0},
		"not our activity":      {400, `{"error":"ERROR_WRONG_APPLICATION"}`, true, rejected, "ERROR_WRONG_APPLICATION", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var f fault
			speaks := json.Unmarshal([]byte(tt.body), &f) == nil && strings.HasPrefix(tt.body, "{")
			e := classify(tt.status, speaks, f, tt.create)
			if e.Class != tt.class || e.Code != tt.code || e.RetryAfter != tt.wait || e.Reason == "" {
				t.Errorf("got %v after %s, want %s %s after %s", e, e.RetryAfter, tt.class, tt.code, tt.wait)
			}
			private(t, e)
		})
	}
}
