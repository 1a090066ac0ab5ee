package zohosim

import (
	"fmt"
	"net/http"
	"slices"
)

const maxChecks = 10

// upsert inserts or updates. Zoho: upsert records.
func (s *Server) upsert(c *call, m *module) (*reply, *refusal) {
	if m.name == notesModule || m.name == tasksModule {
		return nil, bad("NOT_SUPPORTED", "upsert is not supported for this module", obj{"module": m.name})
	}
	p, refused := c.payload()
	if refused != nil {
		return nil, refused
	}
	w, refused := s.writing(c, m, p)
	if refused != nil {
		return nil, refused
	}
	order, refused := m.checks(p.Checks)
	if refused != nil {
		return nil, refused
	}
	if stale := s.overtaken(c, p.Data, func(in obj) *record { r, _ := m.match(in, order); return r }); stale != nil {
		return stale, nil
	}
	fresh := map[*record]bool{}
	return s.rows(p.Data, http.StatusOK, func(n int, in obj) (obj, *refusal) {
		target, by := m.match(in, order)
		if s.knobs.RefuseTwins && fresh[target] {
			return nil, s.duplicate(n, by, target)
		}
		it, refused := s.plan(w, m, n, in, target)
		if refused != nil {
			return nil, refused
		}
		r := s.commit(w, it)
		if target == nil {
			fresh[r] = true
			row := s.written(r, "record added", true)
			row["action"], row["duplicate_field"] = "insert", nil
			return row, nil
		}
		row := s.written(r, "record updated", false)
		row["action"], row["duplicate_field"] = "update", by
		return row, nil
	}), nil
}

// checks is the order in which fields are compared: those listed, then what
// else is unique. The system field is compared only if listed, or if there is
// no list.
func (m *module) checks(given *[]string) ([]string, *refusal) {
	var order []string
	if given == nil || len(*given) == 0 {
		order = append(order, m.system)
	} else {
		if len(*given) > maxChecks {
			return nil, bad(limit, "duplicate check fields limit exceeded", obj{"limit": maxChecks, "api_name": "duplicate_check_fields"})
		}
		for n, name := range *given {
			if f := m.byName[name]; name != m.system && (f == nil || !f.key()) {
				return nil, bad(invalidData, "invalid data", obj{
					"api_name": name, "json_path": fmt.Sprintf("$.duplicate_check_fields[%d]", n),
				})
			}
			order = append(order, name)
		}
	}
	for _, f := range m.fields {
		if f.key() && !slices.Contains(order, f.name) {
			order = append(order, f.name)
		}
	}
	return order, nil
}

// match finds the record that a row is about, and by which field. Of several
// with one e-mail address the oldest is taken; Zoho does not say.
func (m *module) match(in obj, order []string) (*record, string) {
	for _, name := range order {
		if r := m.first(name, in[name]); r != nil {
			return r, name
		}
	}
	return nil, ""
}
