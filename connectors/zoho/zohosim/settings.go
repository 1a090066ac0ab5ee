package zohosim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxLabel     = 25
	maxAPIName   = 50
	customStart  = "custom"
	defaultStart = "default"
)

var (
	labelForm = regexp.MustCompile(`^[A-Za-z0-9 ]+$`)
	nameForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	reserved  = []string{"users", "org", "settings", "coql", "actions", "deleted", "search", "activities"}
)

// settings answers metadata and set-up.
func (s *Server) settings(c *call) (*reply, *refusal) {
	if len(c.path) < 2 {
		return nil, noURL()
	}
	switch c.path[1] {
	case "modules":
		return s.moduleSettings(c)
	case "profiles":
		return s.profiles(c)
	case "fields", "layouts", "tags", "related_lists":
	default:
		return nil, noURL()
	}
	name := c.q.Get("module")
	if name == "" {
		return nil, missingParam("module")
	}
	m := s.modules[name]
	if m == nil {
		return nil, bad("INVALID_MODULE", "the module name given seems to be invalid", obj{"param_name": "module"})
	}
	switch {
	case c.path[1] == "fields":
		return s.fieldSettings(c, m)
	case c.path[1] == "tags" && len(c.path) == 2:
		return s.tagSettings(c, m)
	case c.Method != http.MethodGet:
		return nil, noMethod()
	case c.path[1] == "layouts":
		return s.layouts(m), nil
	case c.path[1] == "related_lists":
		return s.relatedLists(m), nil
	}
	return nil, noURL()
}

func (s *Server) profiles(c *call) (*reply, *refusal) {
	if c.Method != http.MethodGet {
		return nil, noMethod()
	}
	profile := func(id, name string) obj {
		return obj{
			"id": id, "name": name, "display_label": name, "category": false, "default": true, "description": nil,
			"created_by": nil, "modified_by": nil, "created_time": nil, "modified_time": nil, "permissions_details": []any{}, "sections": []any{},
		}
	}
	return ok(obj{"profiles": []obj{profile(adminProfile, "Administrator"), profile(standardProfile, "Standard")}}), nil
}

func (s *Server) layouts(m *module) *reply {
	var fields []obj
	for _, f := range m.fields {
		fields = append(fields, obj{"id": strconv.FormatInt(f.id, 10), "api_name": f.name, "field_label": f.label, "data_type": f.kind, "required": f.mandatory, "read_only": f.readOnly})
	}
	return ok(obj{"layouts": []obj{{
		"id": strconv.FormatInt(m.id+1, 10), "name": "Standard", "display_label": "Standard", "api_name": "Standard", "status": "active", "visible": true,
		"profiles": []obj{{"id": adminProfile, "name": "Administrator", "default": true}},
		"sections": []obj{{"name": m.singular + " Information", "display_label": m.singular + " Information", "sequence_number": 1, "column_count": 2, "fields": fields}},
	}}})
}

func (s *Server) relatedLists(m *module) *reply {
	names := []string{notesModule}
	if m.name == "Contacts" {
		names = append(names, tasksModule)
	}
	var lists []obj
	for n, name := range names {
		lists = append(lists, obj{
			"id": strconv.FormatInt(m.id+2+int64(n), 10), "api_name": name, "name": name, "display_label": name, "sequence_number": strconv.Itoa(n + 1),
			"module": obj{"api_name": name, "id": strconv.FormatInt(s.modules[name].id, 10)}, "href": m.name + "/{ENTITYID}/" + name,
			"type": "default", "action": nil,
		})
	}
	return ok(obj{"related_lists": lists})
}

func (m *module) definition(n int) obj {
	start := defaultStart
	if m.custom {
		start = customStart
	}
	return obj{
		"id": strconv.FormatInt(m.id, 10), "api_name": m.name, "module_name": m.name, "singular_label": m.singular, "plural_label": m.plural,
		"actual_singular_label": m.singular, "actual_plural_label": m.plural, "generated_type": start, "api_supported": true, "creatable": true,
		"editable": true, "deletable": true, "viewable": true, "visible": true, "status": "visible", "visibility": 1, "sequence_number": n + 1,
		"quick_create": true, "presence_sub_menu": true, "profiles": []obj{{"id": adminProfile, "name": "Administrator"}},
		"modified_by": nil, "modified_time": nil, "global_search_supported": true, "show_as_tab": true, "web_link": nil,
	}
}

// moduleSettings answers /settings/modules. Zoho: modules, create custom module.
func (s *Server) moduleSettings(c *call) (*reply, *refusal) {
	switch {
	case c.Method == http.MethodGet:
		var list []obj
		for n, m := range s.order {
			if len(c.path) == 2 || c.path[2] == m.name || c.path[2] == strconv.FormatInt(m.id, 10) {
				list = append(list, m.definition(n))
			}
		}
		if list == nil {
			return nil, noSuchModule()
		}
		return ok(obj{"modules": list}), nil
	case c.Method != http.MethodPost || len(c.path) > 2:
		return nil, noMethod()
	}
	var in struct{ Modules []newModule }
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	if len(in.Modules) == 0 {
		return nil, bad(mandatory, "required field not found", obj{"api_name": "modules", "json_path": "$.modules"})
	}
	if len(in.Modules) > 1 {
		return nil, bad(invalidData, "invalid data", obj{"maximum_length": 1, "api_name": "modules", "json_path": "$.modules"})
	}
	m, refused := s.createModule(in.Modules[0])
	if refused != nil {
		return &reply{status: refused.status, body: obj{"modules": []any{refused}}}, nil
	}
	return &reply{status: http.StatusCreated, body: obj{"modules": []obj{{
		"code": "SUCCESS", "details": obj{"id": strconv.FormatInt(m.id, 10)}, "message": "module created successfully", "status": "success",
	}}}}, nil
}

type newModule struct {
	Plural   string `json:"plural_label"`
	Singular string `json:"singular_label"`
	Name     string `json:"api_name"`
	Profiles []obj  `json:"profiles"`
	Display  struct {
		Label string `json:"field_label"`
		Kind  string `json:"data_type"`
	} `json:"display_field"`
}

func (s *Server) createModule(in newModule) (*module, *refusal) {
	path := func(name string) obj { return obj{"api_name": name, "json_path": "$.modules[0]." + name} }
	if s.opts.Edition == "free" {
		return nil, bad(limit, "custom modules are not available in this edition", obj{"limit": 0})
	}
	for _, label := range []struct{ name, value string }{{"plural_label", in.Plural}, {"singular_label", in.Singular}} {
		switch {
		case label.value == "":
			return nil, bad(mandatory, "required field not found", path(label.name))
		case utf8.RuneCountInString(label.value) > maxLabel:
			details := path(label.name)
			details["maximum_length"] = maxLabel
			return nil, bad(invalidData, "invalid data", details)
		case !labelForm.MatchString(label.value):
			return nil, bad(invalidData, "invalid data", path(label.name))
		}
	}
	if in.Name == "" {
		in.Name = apiName(in.Plural)
	}
	if len(in.Name) > maxAPIName || !nameForm.MatchString(in.Name) {
		return nil, bad(invalidData, "invalid data", path("api_name"))
	}
	if len(in.Profiles) == 0 {
		return nil, bad("MINIMUM_DATA_NOT_FOUND", "the minimum data is not found", path("profiles"))
	}
	for _, p := range in.Profiles {
		if !slices.Contains([]any{adminProfile, standardProfile}, p["id"]) {
			return nil, bad(invalidData, "the id given seems to be invalid", path("profiles"))
		}
	}
	if slices.Contains(reserved, strings.ToLower(in.Name)) {
		return nil, refuse(http.StatusForbidden, "RESERVED_KEYWORD_NOT_ALLOWED", "reserved keyword not allowed", path("api_name"))
	}
	for _, m := range s.order {
		if strings.EqualFold(m.name, in.Name) || strings.EqualFold(m.plural, in.Plural) || strings.EqualFold(m.singular, in.Singular) {
			return nil, bad(duplicate, "duplicate data", path("plural_label"))
		}
	}
	name := &field{name: "Name", label: orElse(in.Display.Label, in.Singular+" Name"), kind: "text", length: 120, mandatory: true}
	if in.Display.Kind == "autonumber" {
		name.kind, name.mandatory, name.readOnly = "autonumber", false, true
	}
	m := s.addModule(in.Name, in.Singular, in.Plural, "Name", "Name", append([]*field{name}, parseFields(customFields)...))
	m.custom = true
	return m, nil
}
