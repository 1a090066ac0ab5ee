package zohosim

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

const maxRows = 100

// payload is the body of a write. Zoho: insert, update and upsert records.
type payload struct {
	Data    []any     `json:"data"`
	Trigger *[]string `json:"trigger"`
	Checks  *[]string `json:"duplicate_check_fields"`
}

// workflows reports whether the write sets automations off: absent means all.
func (p *payload) workflows() bool {
	return p.Trigger == nil || slices.Contains(*p.Trigger, "workflow")
}

func (c *call) payload() (*payload, *refusal) {
	var shape any
	if refused := c.decode(&shape); refused != nil {
		return nil, refused
	}
	body, is := shape.(obj)
	if !is {
		return nil, bad(invalidData, "invalid data", obj{"expected_data_type": "jsonobject"})
	}
	data, given := body["data"]
	if !given || data == nil {
		return nil, bad(mandatory, "required field not found", obj{"api_name": "data", "json_path": "$.data"})
	}
	list, is := data.([]any)
	if !is {
		return nil, bad(invalidData, "invalid data", obj{"expected_data_type": "jsonarray", "api_name": "data", "json_path": "$.data"})
	}
	if len(list) == 0 {
		return nil, bad(mandatory, "required field not found", obj{"api_name": "data", "json_path": "$.data"})
	}
	if len(list) > maxRows {
		return nil, bad(invalidData, "invalid data", obj{"maximum_length": maxRows, "api_name": "data", "json_path": "$.data"})
	}
	p := &payload{}
	if refused := c.decode(p); refused != nil {
		return nil, refused
	}
	return p, nil
}

// writing is what all rows of a write share.
type writing struct {
	by        *user
	ext       externals
	workflows bool
	// related are lookups found already, for all rows.
	related map[string]*record
	// silent leaves out notices, as the knob says of trigger:[].
	silent bool
}

func (s *Server) writing(c *call, m *module, p *payload) (*writing, *refusal) {
	ext, refused := externalHeader(c, m)
	if refused != nil {
		return nil, refused
	}
	w := &writing{by: s.user(c), ext: ext, workflows: p.workflows()}
	w.silent = s.knobs.QuietTrigger && p.Trigger != nil && len(*p.Trigger) == 0
	return w, nil
}

// intent is a row that can be written.
type intent struct {
	module  *module
	target  *record
	next    *state
	changed []string
}

// plan checks one row without storing it. Target is nil for an insert.
func (s *Server) plan(w *writing, m *module, n int, in obj, target *record) (*intent, *refusal) {
	it := &intent{module: m, target: target, next: &state{owner: w.by, values: map[string]any{}}}
	if target != nil {
		it.next = target.now.clone()
	}
	if refused := s.rejected(n, in); refused != nil {
		return nil, refused
	}
	for _, name := range keysOf(in) {
		if refused := s.set(w, it, n, name, in); refused != nil {
			return nil, refused
		}
	}
	for name, r := range w.related {
		it.next.values[name] = r
	}
	for _, f := range m.fields {
		_, given := in[f.name]
		if f.mandatory && it.next.values[f.name] == nil && (target == nil || given) {
			return nil, rowError(mandatory, "required field not found", n, f.name, nil)
		}
	}
	if refused := s.collisions(it, n); refused != nil {
		return nil, refused
	}
	return it, nil
}

// set puts one given value into the state to be.
func (s *Server) set(w *writing, it *intent, n int, name string, in obj) *refusal {
	if name == "id" || name == "Layout" || strings.HasPrefix(name, "$") || w.related[name] != nil {
		return nil
	}
	f := it.module.byName[name]
	if f == nil {
		if s.knobs.RefuseUnknownFields {
			return rowError(invalidData, "invalid data", n, name, nil)
		}
		return nil
	}
	if f.readOnly {
		return nil
	}
	v, why := s.parse(f, in[name], w.ext)
	if why != nil {
		return rowError(invalidData, why.message, n, name, why.details)
	}
	if name == "Owner" {
		if owner, is := v.(*user); is && owner != it.next.owner {
			it.next.owner = owner
			it.changed = append(it.changed, name)
		}
		return nil
	}
	if more, is := in["$append_values"].(obj); is && more[name] == true && f.kind == "multiselectpicklist" {
		have, _ := it.next.values[name].([]string)
		added, _ := v.([]string)
		v = append(slices.Clone(have), slices.DeleteFunc(added, func(a string) bool { return slices.Contains(have, a) })...)
	}
	if !reflect.DeepEqual(v, it.next.values[name]) {
		it.changed = append(it.changed, name)
	}
	if v == nil {
		delete(it.next.values, name)
	} else {
		it.next.values[name] = v
	}
	return nil
}

// rejected is what an injected fault says of a row, naming a field that shows
// the text it was to match.
func (s *Server) rejected(n int, in obj) *refusal {
	f, hit := s.faults.Rejects(string(simcrm.JSON(in)))
	if !hit {
		return nil
	}
	names := keysOf(in)
	culprit := "Last_Name"
	if len(names) > 0 {
		culprit = names[0]
	}
	for _, name := range names {
		if f.Match != "" && strings.Contains(fmt.Sprint(in[name]), f.Match) {
			culprit = name
		}
	}
	switch code := s.knobs.RejectCode; code {
	case "", invalidData:
		return rowError(invalidData, "invalid data", n, culprit, nil)
	case "NO_PERMISSION":
		return forbidden(code, "Crm_Implied_Edit_Contacts")
	default:
		return bad(code, "the record cannot be written", obj{"id": in["id"]})
	}
}

// collisions are other records that hold a value which none may share.
func (s *Server) collisions(it *intent, n int) *refusal {
	var all []*refusal
	for _, f := range it.module.fields {
		if !f.key() {
			continue
		}
		other := it.module.first(f.name, it.next.values[f.name])
		if other == nil || other == it.target {
			continue
		}
		all = append(all, s.duplicate(n, f.name, other))
	}
	switch {
	case len(all) == 0:
		return nil
	case len(all) == 1 && !s.knobs.WrapSingleDuplicate:
		return all[0]
	}
	return bad("MULTIPLE_OR_MULTI_ERRORS", "multiple errors found", obj{"errors": all})
}

func (s *Server) duplicate(n int, name string, other *record) *refusal {
	m := other.module
	more := obj{"id": other.name()}
	if !s.knobs.OldDuplicateForm {
		more["duplicate_record"] = obj{
			"id": other.name(), "Owner": other.now.owner.reference(false),
			"module": obj{"api_name": m.name, "id": fmt.Sprint(m.id)},
		}
	}
	return rowError(duplicate, "duplicate data", n, name, more)
}

// commit stores a row. Modified_Time moves even if nothing has changed.
func (s *Server) commit(w *writing, it *intent) *record {
	now, r, operation := s.Now(), it.target, "update"
	if r == nil {
		r = &record{id: s.newID(), module: it.module, created: now, createdBy: w.by}
		operation = "insert"
	}
	it.next.modified, it.next.by = now, w.by
	s.put(r, it.next)
	if w.workflows {
		s.count.workflows++
	}
	if !w.silent {
		s.changed(r, operation, it.changed)
	}
	return r
}

func (s *Server) insert(c *call, m *module) (*reply, *refusal) {
	p, refused := c.payload()
	if refused != nil {
		return nil, refused
	}
	w, refused := s.writing(c, m, p)
	if refused != nil {
		return nil, refused
	}
	return s.rows(p.Data, http.StatusCreated, func(n int, in obj) (obj, *refusal) {
		if m.name == tasksModule {
			if refused := s.relate(w, n, in); refused != nil {
				return nil, refused
			}
		}
		it, refused := s.plan(w, m, n, in, nil)
		if refused != nil {
			return nil, refused
		}
		return s.written(s.commit(w, it), "record added", true), nil
	}), nil
}

// update changes records named by id in each row, or the one in the path.
func (s *Server) update(c *call, m *module, id string) (*reply, *refusal) {
	p, refused := c.payload()
	if refused != nil {
		return nil, refused
	}
	w, refused := s.writing(c, m, p)
	if refused != nil {
		return nil, refused
	}
	target := func(n int, in obj) (*record, *refusal) {
		given := id
		if given == "" {
			if in["id"] == nil {
				return nil, rowError(mandatory, "required field not found", n, "id", nil)
			}
			given = fmt.Sprint(in["id"])
		}
		r := m.get(given)
		if r == nil {
			return nil, rowError(invalidData, "the id given seems to be invalid", n, "id", nil)
		}
		return r, nil
	}
	if stale := s.overtaken(c, p.Data, func(in obj) *record { r, _ := target(0, in); return r }); stale != nil {
		return stale, nil
	}
	return s.rows(p.Data, http.StatusOK, func(n int, in obj) (obj, *refusal) {
		r, refused := target(n, in)
		if refused != nil {
			return nil, refused
		}
		it, refused := s.plan(w, m, n, in, r)
		if refused != nil {
			return nil, refused
		}
		row := s.written(s.commit(w, it), "record updated", false)
		if w.ext.own != "" {
			row["details"].(obj)[w.ext.own] = r.now.values[w.ext.own]
		}
		return row, nil
	}), nil
}

func keysOf(in obj) []string {
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
