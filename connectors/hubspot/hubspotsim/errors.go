package hubspotsim

import (
	"fmt"
	"net/http"
	"strings"

	"crmsync/connectors/internal/faults"
	"crmsync/connectors/internal/simcrm"
)

// refusal is an error body of HubSpot: every field optional, in this order.
type refusal struct {
	status int
	header http.Header
	// existing is the record in the way, which only batches say in context.
	existing string

	Status        string              `json:"status,omitempty"`
	Message       string              `json:"message"`
	ErrorType     string              `json:"errorType,omitempty"`
	CorrelationID string              `json:"correlationId,omitempty"`
	Category      string              `json:"category,omitempty"`
	SubCategory   string              `json:"subCategory,omitempty"`
	Errors        []detail            `json:"errors,omitempty"`
	Context       map[string][]string `json:"context,omitempty"`
	Links         map[string]string   `json:"links,omitempty"`
	PolicyName    string              `json:"policyName,omitempty"`
	GroupName     string              `json:"groupName,omitempty"`
	RequestID     string              `json:"requestId,omitempty"`
}

type detail struct {
	Message string              `json:"message"`
	Code    string              `json:"code,omitempty"`
	In      string              `json:"in,omitempty"`
	Context map[string][]string `json:"context,omitempty"`
}

func refuse(status int, category, format string, args ...any) *refusal {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &refusal{status: status, Status: "error", Category: category, Message: message}
}

func (r *refusal) with(key string, values ...string) *refusal {
	if r.Context == nil {
		r.Context = map[string][]string{}
	}
	r.Context[key] = values
	return r
}

const (
	validation   = "VALIDATION_ERROR"
	conflict     = "CONFLICT"
	notFound     = "OBJECT_NOT_FOUND"
	existsInside = "OBJECT_ALREADY_EXISTS"
)

// opaque is what HubSpot says when it says nothing.
func opaque() *refusal {
	return refuse(http.StatusBadRequest, "", "There was a problem with the request.")
}

// noRecord is the answer to a numeric id nobody has.
func noRecord() *refusal { return refuse(http.StatusNotFound, "", "resource not found") }

func malformed(column int64, what string) *refusal {
	return refuse(http.StatusBadRequest, "", "Invalid input JSON on line 1, column %d: %s", max(column, 1), what)
}

// badValue is one property value that cannot be stored.
type badValue struct{ code, name, value, message string }

// invalidValues lists every offender, once as JSON inside the message and
// once structured.
func (s *Server) invalidValues(bad []badValue) *refusal {
	type inside struct {
		IsValid   bool   `json:"isValid"`
		Message   string `json:"message"`
		Error     string `json:"error"`
		Name      string `json:"name"`
		Localized string `json:"localizedErrorMessage"`
		Value     string `json:"propertyValue,omitempty"`
		Portal    int64  `json:"portalId"`
	}
	r := refuse(http.StatusBadRequest, validation, "")
	list := make([]inside, 0, len(bad))
	for _, b := range bad {
		list = append(list, inside{false, b.message, b.code, b.name, b.message, b.value, s.opts.PortalID})
		r.Errors = append(r.Errors, detail{
			Message: b.message, Code: b.code, Context: map[string][]string{"propertyName": {b.name}},
		})
	}
	r.Message = "Property values were not valid: " + strings.TrimSpace(string(simcrm.JSON(list)))
	return r
}

// outage words those outages that HubSpot answers in JSON; gateways in front
// of it answer a page. HubSpot: error handling guide, 423 lasts two seconds,
// 477 means that the account moves to another data centre.
func (s *Server) outage(w http.ResponseWriter, _ *http.Request, f faults.Fault) bool {
	var r *refusal
	switch f.Status {
	case http.StatusLocked:
		r = refuse(f.Status, "", "This resource is locked by another request. Please try again in 2 seconds.")
	case 477:
		r = refuse(f.Status, "MIGRATION_IN_PROGRESS", "This Hub ID is currently being migrated between data hosting locations.")
		if f.RetryAfter == "" {
			w.Header().Set("Retry-After", "60")
		}
	case http.StatusInternalServerError:
		r = refuse(f.Status, "", "internal error")
	default:
		return false
	}
	s.write(w, s.correlation(), f.Status, r)
	return true
}

func (s *Server) correlation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := s.rand.Uint64(), s.rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48|0x8000, b&0xffffffffffff)
}
