package zohosim

import (
	"fmt"
	"slices"
)

// Knobs are what Zoho leaves undocumented or does one way here and another
// there. A client has to get along with every setting.
type Knobs struct {
	// StatusProfile is how writes answer: "spec" (201 or 200, 207 mixed, 400
	// all failed), "flat200" (always 200) or "legacy202" (202 when any row
	// failed). Defaults to "spec".
	StatusProfile string `json:"status_profile"`
	// RefreshLimitStatus is 400 or 200. Defaults to 400.
	RefreshLimitStatus int `json:"refresh_limit_status"`
	// ThrottleBody is "envelope", "numeric" (code 429 and error_info) or
	// "spec" (RATE_LIMIT_EXCEEDED). Defaults to "envelope".
	ThrottleBody string `json:"throttle_body"`
	// OutageBody is "json", "html", "empty" or "mixed": JSON for 500, else
	// HTML. Defaults to "mixed".
	OutageBody string `json:"outage_body"`
	// WrapSingleDuplicate wraps a lone duplicate in MULTIPLE_OR_MULTI_ERRORS.
	WrapSingleDuplicate bool `json:"wrap_single_duplicate"`
	// OldDuplicateForm names the record in the way by details.id alone.
	OldDuplicateForm bool `json:"old_duplicate_form"`
	// RejectCode is what a row says that an injected fault rejects, such as
	// RECORD_LOCKED or NO_PERMISSION. Defaults to INVALID_DATA.
	RejectCode string `json:"reject_code"`
	// RefuseUnknownFields makes a field that does not exist a row error; it
	// is ignored otherwise.
	RefuseUnknownFields bool `json:"refuse_unknown_fields"`
	// RestrictedPicklists refuses values that are not in the list.
	RestrictedPicklists bool `json:"restricted_picklists"`
	// RefuseTwins answers DUPLICATE_DATA to a second row with the same new
	// key in one upsert, which otherwise updates what the first created.
	RefuseTwins bool `json:"refuse_twins"`
	// CapPerPage takes a per_page above 200 for 200 instead of refusing it.
	CapPerPage bool `json:"cap_per_page"`
	// COQLRows is the highest limit of a query. Defaults to 2000; an older
	// text says 200.
	COQLRows int `json:"coql_rows"`
	// AttachmentMB is the largest attachment, in megabytes. Defaults to 20, of
	// which older pages speak; newer ones, and the specification, say 100.
	AttachmentMB int `json:"attachment_mb"`
	// RequireHTTPS refuses a notify_url that is not https, as Zoho does.
	RequireHTTPS bool `json:"require_https"`
	// PlainTasks refuses custom fields of tasks that none may share. Zoho's help
	// on duplicate records says that a field of any module can be unique.
	PlainTasks bool `json:"plain_tasks"`
	// DropTasks deletes a contact's tasks with it, which otherwise stay and
	// belong to nobody. Zoho says neither.
	DropTasks bool `json:"drop_tasks"`

	// QuietTrigger makes trigger:[] silence notices too.
	QuietTrigger bool `json:"quiet_trigger"`
	// DropNotices and DuplicateNotices are shares between 0 and 1.
	DropNotices      float64 `json:"drop_notices"`
	DuplicateNotices float64 `json:"duplicate_notices"`
	// NoticeDelayMS holds every notice back, in milliseconds.
	NoticeDelayMS int `json:"notice_delay_ms"`
	// ReorderNotices sends every other notice after its successor.
	ReorderNotices bool `json:"reorder_notices"`
	// NoticeFirst delivers before the write is answered.
	NoticeFirst bool `json:"notice_first"`
	// NoticeAttempts is how often an unanswered notice is sent. Defaults to 1.
	NoticeAttempts int `json:"notice_attempts"`
}

func (k Knobs) orDefault() Knobs {
	for _, f := range []struct {
		field *string
		value string
	}{{&k.StatusProfile, "spec"}, {&k.ThrottleBody, "envelope"}, {&k.OutageBody, "mixed"}} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	for _, f := range []struct {
		field *int
		value int
	}{{&k.RefreshLimitStatus, 400}, {&k.COQLRows, 2000}, {&k.NoticeAttempts, 1}, {&k.AttachmentMB, 20}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return k
}

func (k Knobs) check() error {
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"status_profile", k.StatusProfile, []string{"spec", "flat200", "legacy202"}},
		{"throttle_body", k.ThrottleBody, []string{"envelope", "numeric", "spec"}},
		{"outage_body", k.OutageBody, []string{"json", "html", "empty", "mixed"}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("%s %q is not one of %v", f.name, f.value, f.known)
		}
	}
	return nil
}

// Knobs returns the present setting.
func (s *Server) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs replaces the whole setting.
func (s *Server) SetKnobs(k Knobs) error {
	k = k.orDefault()
	if err := k.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	return nil
}
