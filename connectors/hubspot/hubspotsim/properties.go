package hubspotsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

const (
	maxUnique = 10
	maxCustom = 1000
)

// property is the definition of a field.
type property struct {
	Name           string    `json:"name"`
	Label          string    `json:"label"`
	Type           string    `json:"type"`
	FieldType      string    `json:"fieldType"`
	Description    string    `json:"description"`
	GroupName      string    `json:"groupName"`
	Options        []option  `json:"options"`
	DisplayOrder   int       `json:"displayOrder"`
	HasUniqueValue bool      `json:"hasUniqueValue"`
	Hidden         bool      `json:"hidden"`
	FormField      bool      `json:"formField"`
	Calculated     bool      `json:"calculated"`
	HubSpotDefined bool      `json:"hubspotDefined,omitempty"`
	Archived       bool      `json:"archived"`
	CreatedAt      string    `json:"createdAt,omitempty"`
	UpdatedAt      string    `json:"updatedAt,omitempty"`
	ArchivedAt     string    `json:"archivedAt,omitempty"`
	Modification   *readOnly `json:"modificationMetadata,omitempty"`
}

type option struct {
	Label        string `json:"label"`
	Value        string `json:"value"`
	DisplayOrder int    `json:"displayOrder"`
	Hidden       bool   `json:"hidden"`
	Description  string `json:"description,omitempty"`
}

type readOnly struct {
	Archivable         bool `json:"archivable"`
	ReadOnlyDefinition bool `json:"readOnlyDefinition"`
	ReadOnlyValue      bool `json:"readOnlyValue"`
}

type group struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	DisplayOrder int    `json:"displayOrder"`
	Archived     bool   `json:"archived"`
}

func (p *property) readOnly() bool { return p.Modification != nil && p.Modification.ReadOnlyValue }

// definition is a property as a caller sends it; absent fields stay nil.
type definition struct {
	Name           *string   `json:"name"`
	Label          *string   `json:"label"`
	Type           *string   `json:"type"`
	FieldType      *string   `json:"fieldType"`
	Description    *string   `json:"description"`
	GroupName      *string   `json:"groupName"`
	Options        *[]option `json:"options"`
	DisplayOrder   *int      `json:"displayOrder"`
	HasUniqueValue *bool     `json:"hasUniqueValue"`
	Hidden         *bool     `json:"hidden"`
	FormField      *bool     `json:"formField"`
}

var fieldTypes = map[string][]string{
	"string":       {"text", "textarea", "html", "phonenumber", "file"},
	"phone_number": {"phonenumber", "text"},
	"enumeration":  {"select", "radio", "checkbox", "booleancheckbox"},
	"number":       {"number"},
	"date":         {"date"},
	"datetime":     {"date"},
	"bool":         {"booleancheckbox"},
}

// properties answers the properties API. HubSpot: the properties guide.
func (s *Server) properties(c *call) (*reply, *refusal) {
	if len(c.rest) == 0 {
		return nil, c.noRoute()
	}
	st, refused := s.store(c.rest[0])
	if refused != nil {
		return nil, refused
	}
	switch {
	case len(c.rest) > 1 && c.rest[1] == "groups":
		return s.groups(c, st)
	case c.is(http.MethodGet, "*"):
		return ok(page{Results: st.definitions(c.URL.Query().Get("archived") == "true")}), nil
	case c.is(http.MethodPost, "*"):
		var d definition
		if refused := c.decode(&d); refused != nil {
			return nil, refused
		}
		p, refused := s.define(st, d)
		if refused != nil {
			return nil, refused
		}
		return &reply{status: http.StatusCreated, body: p, location: c.URL.Path + "/" + p.Name}, nil
	case len(c.rest) == 3 && c.rest[1] == "batch" && c.Method == http.MethodPost:
		return s.propertyBatch(c, st)
	case len(c.rest) != 2:
		return nil, c.noRoute()
	}
	p := st.props[c.rest[1]]
	if p == nil || p.Archived {
		return nil, refuse(http.StatusNotFound, notFound, "Property %s does not exist", c.rest[1]).with("name", c.rest[1])
	}
	switch c.Method {
	case http.MethodGet:
		return ok(p), nil
	case http.MethodPatch:
		var d definition
		if refused := c.decode(&d); refused != nil {
			return nil, refused
		}
		return s.redefine(st, p, d)
	case http.MethodDelete:
		if p.HubSpotDefined {
			return nil, refuse(http.StatusBadRequest, validation, "The property %s cannot be archived", p.Name)
		}
		s.archiveProperty(st, p)
		return &reply{status: http.StatusNoContent}, nil
	}
	return nil, c.noRoute()
}

// define creates a property. A name that is archived comes back with the new
// definition.
func (s *Server) define(st *store, d definition) (*property, *refusal) {
	if s.refusesCustom(st) {
		return nil, missingScope("crm.schemas." + st.plural + ".write")
	}
	for name, field := range map[string]*string{
		"name": d.Name, "label": d.Label, "type": d.Type, "fieldType": d.FieldType, "groupName": d.GroupName,
	} {
		if field == nil || *field == "" {
			return nil, malformed(int64(1), "Cannot build PropertyCreate, some of required attributes are not set ["+name+"]")
		}
	}
	p := &property{Name: strings.ToLower(*d.Name), FormField: true}
	old := st.props[p.Name]
	if old != nil && !old.Archived {
		r := refuse(http.StatusConflict, existsInside, "A property named '%s' already exists.", p.Name).with("name", p.Name)
		r.SubCategory = "Properties.PROPERTY_WITH_NAME_EXISTS"
		return nil, r
	}
	if !slices.Contains(fieldTypes[*d.Type], *d.FieldType) {
		return nil, refuse(http.StatusBadRequest, validation, "Property type %s with field type %s is not supported", *d.Type, *d.FieldType)
	}
	if !slices.ContainsFunc(st.groups, func(g group) bool { return g.Name == *d.GroupName }) {
		return nil, refuse(http.StatusBadRequest, validation, "Property group '%s' does not exist.", *d.GroupName)
	}
	p.Type, p.FieldType, p.GroupName = *d.Type, *d.FieldType, *d.GroupName
	p.HasUniqueValue = d.HasUniqueValue != nil && *d.HasUniqueValue
	p.apply(d)
	if refused := p.checkOptions(); refused != nil {
		return nil, refused
	}
	custom, unique := st.counts()
	if custom >= maxCustom {
		return nil, refuse(http.StatusBadRequest, validation, "You have reached the limit of %d custom properties", maxCustom)
	}
	if p.HasUniqueValue && unique >= maxUnique {
		return nil, refuse(http.StatusBadRequest, validation, "You have reached the limit of %d unique properties", maxUnique)
	}
	p.CreatedAt = simcrm.Stamp(s.Now())
	p.UpdatedAt = p.CreatedAt
	p.Modification = &readOnly{Archivable: true}
	st.props[p.Name] = p
	st.reindex(p)
	return p, nil
}

// redefine changes a property: options are replaced as a whole, and
// hasUniqueValue cannot change but is not refused.
func (s *Server) redefine(st *store, p *property, d definition) (*reply, *refusal) {
	changed := *p
	if d.Type != nil {
		changed.Type = *d.Type
	}
	if d.FieldType != nil {
		changed.FieldType = *d.FieldType
	}
	if d.GroupName != nil {
		changed.GroupName = *d.GroupName
	}
	changed.apply(d)
	if !slices.Contains(fieldTypes[changed.Type], changed.FieldType) {
		return nil, refuse(http.StatusBadRequest, validation, "Property type %s with field type %s is not supported",
			changed.Type, changed.FieldType)
	}
	if refused := changed.checkOptions(); refused != nil {
		return nil, refused
	}
	changed.UpdatedAt = simcrm.Stamp(s.Now())
	st.props[p.Name] = &changed
	return ok(&changed), nil
}

func (s *Server) archiveProperty(st *store, p *property) {
	gone := *p
	gone.Archived, gone.ArchivedAt = true, simcrm.Stamp(s.Now())
	st.props[p.Name] = &gone
	delete(st.unique, p.Name)
}

func (p *property) apply(d definition) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&p.Label, d.Label)
	set(&p.Description, d.Description)
	if d.Options != nil {
		p.Options = *d.Options
	}
	if p.Options == nil {
		p.Options = []option{}
	}
	if d.DisplayOrder != nil {
		p.DisplayOrder = *d.DisplayOrder
	}
	if d.Hidden != nil {
		p.Hidden = *d.Hidden
	}
	if d.FormField != nil {
		p.FormField = *d.FormField
	}
}

func (p *property) checkOptions() *refusal {
	seen := map[string]bool{}
	for _, o := range p.Options {
		if o.Label == "" || seen[o.Value] {
			return refuse(http.StatusBadRequest, validation, "Property options need distinct values and a label")
		}
		seen[o.Value] = true
	}
	if p.Type == "bool" && (len(seen) != 2 || !seen["true"] || !seen["false"]) {
		r := refuse(http.StatusBadRequest, validation, "Boolean properties must have exactly two options, true and false")
		r.Errors = []detail{{Message: r.Message, Code: "INVALID_BOOLEAN_OPTION"}}
		return r
	}
	return nil
}

func (s *Server) propertyBatch(c *call, st *store) (*reply, *refusal) {
	var in struct {
		Inputs []json.RawMessage `json:"inputs"`
	}
	if refused := c.decode(&in); refused != nil {
		return nil, refused
	}
	out := s.newBatch()
	for _, raw := range in.Inputs {
		var d definition
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, malformed(1, err.Error())
		}
		name := ""
		if d.Name != nil {
			name = *d.Name
		}
		p := st.props[name]
		switch c.rest[2] {
		case "create":
			made, refused := s.define(st, d)
			switch {
			case refused == nil:
				out.Results = append(out.Results, made)
			case refused.status == http.StatusForbidden:
				// A scope is missing for the call, not for one of its inputs.
				return nil, refused
			default:
				out.fail(refused)
			}
		case "read":
			if p == nil || p.Archived {
				out.fail(refuse(http.StatusNotFound, notFound, "Could not find property %s", name).with("name", name))
				continue
			}
			out.Results = append(out.Results, p)
		case "archive":
			if p != nil && !p.HubSpotDefined {
				s.archiveProperty(st, p)
			}
		default:
			return nil, c.noRoute()
		}
	}
	switch c.rest[2] {
	case "archive":
		return &reply{status: http.StatusNoContent}, nil
	case "create":
		return out.reply(http.StatusCreated), nil
	default:
		return out.reply(http.StatusOK), nil
	}
}

func (s *Server) groups(c *call, st *store) (*reply, *refusal) {
	var in struct {
		Name, Label  string
		DisplayOrder int
	}
	named := func(name string) int {
		return slices.IndexFunc(st.groups, func(g group) bool { return g.Name == name })
	}
	switch {
	case c.is(http.MethodGet, "*/groups"):
		out := page{Results: []any{}}
		for _, g := range st.groups {
			out.Results = append(out.Results, g)
		}
		return ok(out), nil
	case c.is(http.MethodPost, "*/groups"):
		if refused := c.decode(&in); refused != nil {
			return nil, refused
		}
		if in.Name == "" || in.Label == "" {
			return nil, malformed(1, "Cannot build PropertyGroupCreate, some of required attributes are not set [name, label]")
		}
		if named(in.Name) >= 0 {
			r := refuse(http.StatusConflict, existsInside, "A property group named '%s' already exists.", in.Name).with("name", in.Name)
			r.SubCategory = "Properties.GROUP_WITH_NAME_EXISTS"
			return nil, r
		}
		st.groups = append(st.groups, group{Name: in.Name, Label: in.Label, DisplayOrder: in.DisplayOrder})
		return &reply{status: http.StatusCreated, body: st.groups[len(st.groups)-1]}, nil
	case len(c.rest) == 3:
		n := named(c.rest[2])
		if n < 0 {
			return nil, refuse(http.StatusNotFound, notFound, "Property group %s does not exist", c.rest[2])
		}
		switch c.Method {
		case http.MethodGet:
			return ok(st.groups[n]), nil
		case http.MethodPatch:
			if refused := c.decode(&in); refused != nil {
				return nil, refused
			}
			st.groups[n].Label = orElse(in.Label, st.groups[n].Label)
			return ok(st.groups[n]), nil
		case http.MethodDelete:
			st.groups = slices.Delete(st.groups, n, n+1)
			return &reply{status: http.StatusNoContent}, nil
		}
	}
	return nil, c.noRoute()
}
