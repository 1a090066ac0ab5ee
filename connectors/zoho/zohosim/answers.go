package zohosim

import (
	"fmt"
	"net/http"
	"time"
)

// written is the row of a success.
func (s *Server) written(r *record, message string, insert bool) obj {
	details := obj{
		"id": r.name(), "Created_Time": s.stamp(r.created), "Modified_Time": s.stamp(r.now.modified),
		"Created_By": r.createdBy.reference(false), "Modified_By": r.now.by.reference(false),
	}
	if insert {
		details["$approval_state"] = "approved"
	}
	return obj{"code": "SUCCESS", "details": details, "message": message, "status": "success"}
}

// rows answers a write row by row, in order. A row is an obj or a *refusal.
func (s *Server) rows(data []any, success int, write func(n int, in obj) (obj, *refusal)) *reply {
	rows := make([]any, len(data))
	for n, row := range data {
		in, is := row.(obj)
		if !is {
			rows[n] = bad(invalidData, "invalid data", obj{"expected_data_type": "jsonobject", "json_path": fmt.Sprintf("$.data[%d]", n)})
			continue
		}
		done, refused := write(n, in)
		if refused != nil {
			rows[n] = refused
		} else {
			rows[n] = done
		}
	}
	return s.answered("data", rows, success)
}

// answered picks the status. Which one a write gets has varied with version
// and kind of organisation.
func (s *Server) answered(key string, rows []any, success int) *reply {
	failed := 0
	for _, row := range rows {
		if _, is := row.(*refusal); is {
			failed++
		}
	}
	a := &reply{status: success, body: obj{key: rows}, wrote: failed < len(rows)}
	switch s.knobs.StatusProfile {
	case "flat200":
		a.status = http.StatusOK
	case "legacy202":
		if failed > 0 {
			a.status = http.StatusAccepted
		}
	default:
		if failed == len(rows) {
			a.status = http.StatusBadRequest
		} else if failed > 0 {
			a.status = http.StatusMultiStatus
		}
	}
	return a
}

// overtaken answers a call whose If-Unmodified-Since a record's change has
// passed. The header covers the whole call: nothing is written.
func (s *Server) overtaken(c *call, data []any, find func(obj) *record) *reply {
	given := c.Header.Get("If-Unmodified-Since")
	if given == "" {
		return nil
	}
	since, err := time.Parse(time.RFC3339, given)
	if err != nil {
		return nil
	}
	for _, row := range data {
		in, _ := row.(obj)
		r := find(in)
		if r == nil || !whole(r.now.modified).After(since) {
			continue
		}
		details := s.written(r, "", false)["details"].(obj)
		refused := refuse(http.StatusPreconditionFailed, "ALREADY_MODIFIED",
			"record updated time has already passed if-unmodified-since time", details)
		return &reply{status: refused.status, body: obj{"data": []any{refused}}}
	}
	return nil
}
