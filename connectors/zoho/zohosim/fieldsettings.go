package zohosim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	maxNewFields = 5
	maxUnique    = 2
)

var (
	creatable = strings.Fields("text textarea email phone picklist multiselectpicklist date datetime integer autonumber currency percent " +
		"bigint double website boolean lookup userlookup")
	customLimits = map[string]int{"free": 0, "standard": 10, "professional": 155, "enterprise": 300, "ultimate": 500}
)

// fieldSettings answers /settings/fields. Zoho: fields metadata, create
// custom fields.
func (s *Server) fieldSettings(c *call, m *module) (*reply, *refusal) {
	if len(c.path) == 2 {
		switch c.Method {
		case http.MethodGet:
			if c.q.Get("type") == "unused" {
				return nothing(), nil
			}
			var list []obj
			for _, f := range m.fields {
				list = append(list, f.definition(m, s.modules))
			}
			return ok(obj{"fields": list}), nil
		case http.MethodPost:
			return s.createFields(c, m)
		case http.MethodPatch:
			return s.patchFields(c, m)
		}
		return nil, noMethod()
	}
	var f *field
	for _, other := range m.fields {
		if strconv.FormatInt(other.id, 10) == c.path[2] {
			f = other
		}
	}
	if f == nil || len(c.path) > 3 {
		return nil, bad(invalidData, "the id given seems to be invalid", obj{"resource_path_index": 2})
	}
	switch c.Method {
	case http.MethodGet:
		return ok(obj{"fields": []obj{f.definition(m, s.modules)}}), nil
	case http.MethodPatch:
		return s.patchFields(c, m)
	case http.MethodDelete:
		if !f.custom {
			return nil, refuse(http.StatusForbidden, "NOT_ALLOWED", "system fields cannot be deleted", nil)
		}
		m.fields = slices.DeleteFunc(m.fields, func(o *field) bool { return o == f })
		delete(m.byName, f.name)
		delete(m.indexes, f.name)
		return &reply{status: http.StatusOK, body: obj{"fields": []obj{fieldDone(f, "field deleted")}}}, nil
	}
	return nil, noMethod()
}

func fieldDone(f *field, message string) obj {
	return obj{"code": "SUCCESS", "details": obj{"id": strconv.FormatInt(f.id, 10)}, "message": message, "status": "success"}
}

// newField is a field as a caller describes it.
type newField struct {
	ID       string   `json:"id"`
	Label    string   `json:"field_label"`
	Kind     string   `json:"data_type"`
	Length   int      `json:"length"`
	Unique   any      `json:"unique"`
	External *newType `json:"external"`
	Area     *newType `json:"textarea"`
	Values   []struct {
		Display string `json:"display_value"`
	} `json:"pick_list_values"`
	Lookup *struct {
		Module struct {
			Name string `json:"api_name"`
		} `json:"module"`
	} `json:"lookup"`
}

type newType struct {
	Type string `json:"type"`
}

func (c *call) newFields() ([]newField, *refusal) {
	var in struct{ Fields []newField }
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	switch {
	case len(in.Fields) == 0:
		return nil, bad(mandatory, "required field not found", obj{"api_name": "fields", "json_path": "$.fields"})
	case len(in.Fields) > maxNewFields:
		return nil, bad(invalidData, "invalid data", obj{"maximum_length": maxNewFields, "api_name": "fields", "json_path": "$.fields"})
	}
	return in.Fields, nil
}

func (s *Server) createFields(c *call, m *module) (*reply, *refusal) {
	given, refused := c.newFields()
	if refused != nil {
		return nil, refused
	}
	rows := make([]any, len(given))
	for n, in := range given {
		f, refused := s.createField(m, in, n)
		if refused != nil {
			rows[n] = refused
			continue
		}
		rows[n] = fieldDone(f, "field created")
	}
	a := s.answered("fields", rows, http.StatusCreated)
	a.wrote = false
	return a, nil
}

func (s *Server) createField(m *module, in newField, n int) (*field, *refusal) {
	at := func(name string, more obj) obj {
		d := obj{"api_name": name, "json_path": fmt.Sprintf("$.fields[%d].%s", n, name)}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	f := &field{name: apiName(in.Label), label: in.Label, kind: in.Kind, length: bounds[in.Kind], custom: true, readOnly: in.Kind == "autonumber"}
	custom, unique := 0, 0
	for _, other := range m.fields {
		if other.custom {
			custom++
		}
		if other.unique {
			unique++
		}
		if strings.EqualFold(other.label, f.label) || strings.EqualFold(other.name, f.name) {
			return nil, bad(duplicate, "duplicate data", at("field_label", nil))
		}
	}
	most, known := customLimits[s.opts.Edition]
	if !known {
		most = customLimits["enterprise"]
	}
	switch {
	case in.Label == "" || f.name == "":
		return nil, bad(mandatory, "required field not found", at("field_label", nil))
	case in.Kind == "":
		return nil, bad(mandatory, "required field not found", at("data_type", nil))
	case !slices.Contains(creatable, in.Kind):
		return nil, bad(invalidData, "invalid data", at("data_type", obj{"supported_values": creatable}))
	case custom >= most:
		return nil, bad(limit, "custom fields limit exceeded", obj{"limit": most})
	}
	if in.Kind == "textarea" {
		f.area = "small"
		if in.Area != nil {
			f.area = in.Area.Type
		}
		if f.length = areas[f.area]; f.length == 0 {
			return nil, bad(invalidData, "invalid data", at("textarea", nil))
		}
	}
	if in.Length != 0 {
		if in.Length < 0 || in.Length > f.length {
			return nil, bad(invalidData, "invalid data", at("length", obj{"maximum_length": f.length}))
		}
		f.length = in.Length
	}
	if s.knobs.PlainTasks && m.name == tasksModule && (in.unique() || in.External != nil) {
		return nil, bad("NOT_SUPPORTED", "the field cannot be unique", at("unique", nil))
	}
	if in.unique() {
		switch {
		case !slices.Contains(strings.Fields("text email phone integer bigint website"), in.Kind):
			return nil, bad("NOT_SUPPORTED", "the field cannot be unique", at("unique", nil))
		case unique >= maxUnique:
			return nil, bad(limit, "unique fields limit exceeded", at("unique", obj{"limit": maxUnique}))
		}
		f.unique = true
	}
	if in.External != nil {
		if in.Kind == "email" || in.Kind == "textarea" || !slices.Contains([]string{"user", "org"}, in.External.Type) {
			return nil, bad("NOT_SUPPORTED", "the field cannot be external", at("external", nil))
		}
		f.external = in.External.Type
	}
	if in.Kind == "lookup" {
		if in.Lookup == nil || s.modules[in.Lookup.Module.Name] == nil {
			return nil, bad(invalidData, "invalid data", at("lookup", nil))
		}
		f.lookup = in.Lookup.Module.Name
	}
	for _, v := range in.Values {
		f.options = append(f.options, v.Display)
	}
	s.addField(m, f)
	return f, nil
}

// unique is said as {"case_sensitive":false}, or as true.
func (in newField) unique() bool {
	switch v := in.Unique.(type) {
	case bool:
		return v
	case obj:
		return v["_disable"] != true
	}
	return false
}

// patchFields changes labels, lengths and lists.
func (s *Server) patchFields(c *call, m *module) (*reply, *refusal) {
	given, refused := c.newFields()
	if refused != nil {
		return nil, refused
	}
	rows := make([]any, len(given))
	for n, in := range given {
		id := in.ID
		if len(c.path) == 3 {
			id = c.path[2]
		}
		at := slices.IndexFunc(m.fields, func(f *field) bool { return strconv.FormatInt(f.id, 10) == id })
		if at < 0 {
			rows[n] = bad(invalidData, "the id given seems to be invalid", obj{"api_name": "id", "json_path": fmt.Sprintf("$.fields[%d].id", n)})
			continue
		}
		f := m.fields[at]
		f.label = orElse(in.Label, f.label)
		if in.Length > 0 && in.Length <= bounds[f.kind] {
			f.length = in.Length
		}
		for _, v := range in.Values {
			if !slices.Contains(f.options, v.Display) {
				f.options = append(f.options, v.Display)
			}
		}
		rows[n] = fieldDone(f, "field updated")
	}
	a := s.answered("fields", rows, http.StatusOK)
	a.wrote = false
	return a, nil
}
