package zohosim

import (
	"fmt"
	"net/http"

	"crmsync/connectors/internal/faults"
)

// obj is a JSON object.
type obj = map[string]any

// refusal is an error of Zoho's: at the top level it fails a whole call, in
// data[] one row.
type refusal struct {
	status int
	header http.Header

	Code    string `json:"code"`
	Details any    `json:"details"`
	Message string `json:"message"`
	Status  string `json:"status"`
}

func refuse(status int, code, message string, details obj) *refusal {
	if details == nil {
		details = obj{}
	}
	return &refusal{status: status, Code: code, Details: details, Message: message, Status: "error"}
}

const (
	invalidData = "INVALID_DATA"
	mandatory   = "MANDATORY_NOT_FOUND"
	duplicate   = "DUPLICATE_DATA"
	limit       = "LIMIT_EXCEEDED"
	ambiguity   = "AMBIGUITY_DURING_PROCESSING"
)

// bad is a 400 for a whole call.
func bad(code, message string, details obj) *refusal {
	return refuse(http.StatusBadRequest, code, message, details)
}

func noSuchModule() *refusal {
	return bad("INVALID_MODULE", "the module name given seems to be invalid", obj{"resource_path_index": 0})
}

func noSuchID() *refusal {
	return bad(invalidData, "the id given seems to be invalid", obj{"resource_path_index": 1})
}

func noURL() *refusal {
	return refuse(http.StatusNotFound, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one", nil)
}

func noMethod() *refusal {
	return bad("INVALID_REQUEST_METHOD", "The http request method type is not a valid one", nil)
}

func missingParam(name string) *refusal {
	return bad("REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", obj{"param_name": name})
}

func badParam(name, expected string) *refusal {
	return bad(invalidData, "invalid data", obj{"param_name": name, "expected_data_type": expected})
}

func forbidden(code string, permissions ...string) *refusal {
	return refuse(http.StatusForbidden, code, "permission denied", obj{"permissions": permissions})
}

// rowError is about one value of one row.
func rowError(code, message string, n int, name string, more obj) *refusal {
	details := obj{"api_name": name, "json_path": fmt.Sprintf("$.data[%d].%s", n, name)}
	for k, v := range more {
		details[k] = v
	}
	return bad(code, message, details)
}

// outage words an outage as the knob says.
func (s *Server) outage(w http.ResponseWriter, _ *http.Request, f faults.Fault) bool {
	kind := s.Knobs().OutageBody
	if kind == "mixed" {
		kind = "html"
		if f.Status == http.StatusInternalServerError {
			kind = "json"
		}
	}
	switch kind {
	case "json":
		s.write(w, f.Status, refuse(f.Status, "INTERNAL_ERROR", "Internal Server Error", nil))
	case "empty":
		w.WriteHeader(f.Status)
	default:
		return false
	}
	return true
}
