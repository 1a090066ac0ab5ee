package zoho

import (
	"bytes"
	"encoding/json"
	"net/http"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// The names of modules and fields that Zoho brings along.
const (
	contacts = "Contacts"
	notes    = "Notes"

	idField       = "id"
	lastNameField = "Last_Name"
	tagField      = "Tag"
	createdField  = "Created_Time"
	modifiedField = "Modified_Time"
)

// A write is the body of an insert, an update or an upsert. An absent trigger
// would run all of the organisation's automations, an empty one runs none
// (Zoho: insert-records).
type write struct {
	Data    []map[string]any `json:"data"`
	Trigger []string         `json:"trigger"`
	// Check is in what order fields are compared with records that exist; of
	// the others only the unique ones are, after these (Zoho: upsert-records).
	Check []string `json:"duplicate_check_fields,omitempty"`
}

type coqlRequest struct {
	Query string `json:"select_query"`
}

type tagging struct {
	Tags      []named  `json:"tags"`
	IDs       []string `json:"ids"`
	OverWrite *bool    `json:"over_write,omitempty"`
}

type named struct {
	Name string `json:"name"`
}

// A reference is how lookups and owners are written and read.
type reference struct {
	ID string `json:"id"`
}

// An envelope is any answer of the API: rows under a name that depends on the
// resource, or the fault for which the call was refused as a whole.
type envelope struct {
	fault
	Data    []json.RawMessage `json:"data"`
	Fields  []json.RawMessage `json:"fields"`
	Modules []json.RawMessage `json:"modules"`
	Users   []json.RawMessage `json:"users"`
	Org     []json.RawMessage `json:"org"`
	Watch   []json.RawMessage `json:"watch"`
	Info    struct {
		Count     *int   `json:"count"`
		More      bool   `json:"more_records"`
		NextToken string `json:"next_page_token"`
	} `json:"info"`
	status int
}

// unfold takes an answer apart. The status is a hint only: a body with rows is an
// answer, even as 400 when every row failed; one without them may be a refusal,
// even as 200 (Zoho: status-codes).
func unfold(a *rest.Answer, creating bool) (*envelope, *connectors.Error) {
	if a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		return &envelope{status: a.Status}, nil
	}
	e := envelope{status: a.Status}
	speaks := a.JSON() && json.Unmarshal(a.Body, &e) == nil
	switch {
	case speaks && e.rows() != nil && (a.OK() || a.Status == http.StatusBadRequest || a.Status == http.StatusPreconditionFailed):
		return &e, nil
	case a.OK() && (!speaks || !e.isFault()):
		return nil, rest.Failure(&rest.Error{Kind: rest.Garbled, Status: a.Status, Reason: "the answer is not Zoho's"}, creating)
	}
	return nil, classify(a, creating)
}

// rows are the parts of an answer.
func (e *envelope) rows() []json.RawMessage {
	for _, l := range [][]json.RawMessage{e.Data, e.Watch, e.Fields, e.Modules, e.Users, e.Org} {
		if l != nil {
			return l
		}
	}
	return nil
}

// broken reports whether a list is not what it says it is. That there is
// nothing Zoho says with 204, never with an empty list.
func (e *envelope) broken() bool {
	n := e.Info.Count
	return n != nil && *n != len(e.rows()) || e.status == http.StatusOK && len(e.rows()) == 0
}

func garbled() *connectors.Error {
	return &connectors.Error{Class: connectors.Transient, Reason: "Zoho's answer is not the list that was asked for"}
}

// An answerRow is what a write says about one of its records: done, or why not.
type answerRow struct {
	fault
	Action value `json:"action"`
	// Duplicate is the field by which an upsert recognised the record.
	Duplicate value `json:"duplicate_field"`
}

// A fault is the general form of an error, of a whole call or of one row, and
// of success. Every part may be missing.
type fault struct {
	Code    value   `json:"code"`
	Status  value   `json:"status"`
	Message value   `json:"message"`
	Details details `json:"details"`
	// Error and ErrorInfo are how older servers refuse for the limits, with a
	// number for a code.
	Error     value `json:"error"`
	ErrorInfo value `json:"error_info"`
}

func (f *fault) isFault() bool {
	return f.Status == "error" || f.Status == "failure" || f.Error != "" || f.Code != "" && f.Code != "SUCCESS"
}

// details are what a fault is about, or the record that was written.
type details struct {
	ID        value  `json:"id"`
	APIName   value  `json:"api_name"`
	JSONPath  value  `json:"json_path"`
	ParamName value  `json:"param_name"`
	Column    value  `json:"column_name"`
	PathIndex *int   `json:"resource_path_index"`
	Expected  value  `json:"expected_data_type"`
	MaxLength *int64 `json:"maximum_length"`

	Duplicate struct {
		ID value `json:"id"`
	} `json:"duplicate_record"`
	Errors         []fault `json:"errors"`
	ExpectedFields []struct {
		APIName value `json:"api_name"`
	} `json:"expected_fields"`
	Permissions []value `json:"permissions"`

	// Events are those of a channel.
	Events []struct {
		Expiry value `json:"channel_expiry"`
	} `json:"events"`
}

// UnmarshalJSON takes what it understands; a list where an object should be,
// as some errors have it, says nothing.
func (d *details) UnmarshalJSON(b []byte) error {
	type plain details
	var p plain
	if len(b) > 0 && b[0] == '{' && json.Unmarshal(b, &p) == nil {
		*d = details(p)
	}
	return nil
}

// A value is a text, whatever JSON made of it; null is empty.
type value string

func (v *value) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*v = ""
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(v))
	default:
		*v = value(b)
	}
	return nil
}
