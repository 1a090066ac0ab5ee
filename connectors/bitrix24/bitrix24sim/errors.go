package bitrix24sim

import (
	"fmt"
	"net/http"
	"strings"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// refusal is what a method answers instead of a result.
// Bitrix24: system errors.
type refusal struct {
	status int
	// code is often the empty string.
	code, text string
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

// bad is the classic family's way: no code.
func bad(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "", format, args...)
}

func core(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "ERROR_CORE", format, args...)
}

func badArg(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "INVALID_ARG_VALUE", format, args...)
}

func missing(name string) *refusal {
	return refuse(http.StatusBadRequest, "100", "Could not find value for parameter {%s}", name)
}

func notArray(name string) *refusal { return bad("Parameter '%s' must be array.", name) }

func noMethod() *refusal {
	return refuse(http.StatusNotFound, "ERROR_METHOD_NOT_FOUND", "Method not found!")
}

func wrongAuthType() *refusal {
	return refuse(http.StatusForbidden, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
}

// denied takes the status of today, or the one of before.
func (s *Server) denied(legacy int, code, text string) *refusal {
	if s.opts.LegacyStatuses {
		return &refusal{legacy, code, text}
	}
	return &refusal{http.StatusUnauthorized, code, text}
}

func (r *refusal) body() obj { return obj{"error": r.code, "error_description": r.text} }

// outage words what the portal says when it is down: 500 and OVERLOAD_LIMIT in
// JSON, everything else in a gateway's HTML. Bitrix24: limits, system errors.
func (s *Server) outage(w http.ResponseWriter, r *http.Request, f faults.Fault) bool {
	s.mu.Lock()
	body := s.knobs.OutageBody
	s.mu.Unlock()
	if !strings.HasPrefix(r.URL.Path, "/rest/") || body == "html" {
		return false
	}
	switch {
	case body == "overload", f.Status == http.StatusUnauthorized:
		send(w, f.Status, refuse(0, "OVERLOAD_LIMIT", "REST API is blocked due to overload.").body())
	case body == "json", f.Status == http.StatusInternalServerError:
		send(w, f.Status, refuse(0, "INTERNAL_SERVER_ERROR", "Internal server error").body())
	default:
		return false
	}
	return true
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(simcrm.JSON(body))
}
