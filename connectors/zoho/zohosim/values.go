package zohosim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"crmsync/connectors/internal/simcrm"
)

// dateTime is the form of a datetime. Zoho: insert records shows an offset; its own
// SDK sends Z.
const dateTime = "2006-01-02T15:04:05Z07:00"

var (
	emailForm = regexp.MustCompile(`^[^@\s<>,;]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$`)
	phoneForm = regexp.MustCompile(`^\+?[\p{L}\d()][\p{L}\d ().,;#-]*$`)
)

// wrong says why a value cannot be stored.
type wrong struct {
	message string
	details obj
}

func notA(kind string) *wrong {
	return &wrong{"invalid data", obj{"expected_data_type": kind}}
}

// parse reads a value from JSON in the form that Zoho keeps it in. Zoho:
// insert records, field types. Nil clears the field.
func (s *Server) parse(f *field, raw any, ext externals) (any, *wrong) {
	if raw == nil {
		return nil, nil
	}
	if text, is := raw.(string); is && text == "" {
		return nil, nil
	}
	switch f.kind {
	case "boolean":
		if b, is := raw.(bool); is {
			return b, nil
		}
		return nil, notA("boolean")
	case "integer", "double", "currency", "percent":
		return number(f, raw)
	case "multiselectpicklist":
		return s.choices(f, raw)
	case "lookup":
		return s.linked(f, raw, ext)
	case "ownerlookup", "userlookup":
		return s.person(raw)
	}
	text, is := raw.(string)
	if !is {
		return nil, notA(map[bool]string{true: "text", false: f.kind}[f.kind == "textarea" || f.kind == "picklist"])
	}
	switch f.kind {
	case "email":
		if !emailForm.MatchString(text) {
			return nil, notA("email")
		}
	case "phone":
		if utf8.RuneCountInString(text) <= f.length && !phoneForm.MatchString(text) {
			return nil, notA("phone")
		}
	case "bigint":
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return nil, notA("bigint")
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, notA("date")
		}
	case "datetime":
		t, err := time.Parse(dateTime, text)
		if err != nil || strings.ContainsAny(text, ".,") {
			return nil, notA("datetime")
		}
		return t.UTC(), nil
	case "picklist":
		if s.knobs.RestrictedPicklists && len(f.options) > 0 && !slices.Contains(f.options, text) {
			return nil, &wrong{"invalid data", obj{"expected_data_type": "picklist", "supported_values": f.options}}
		}
	}
	if utf8.RuneCountInString(text) > f.length {
		return nil, &wrong{"invalid data", obj{"maximum_length": f.length}}
	}
	return text, nil
}

func number(f *field, raw any) (any, *wrong) {
	n, is := raw.(json.Number)
	if !is {
		return nil, notA(f.kind)
	}
	if f.kind == "integer" {
		if _, err := n.Int64(); err != nil {
			return nil, notA("integer")
		}
		if len(strings.TrimPrefix(n.String(), "-")) > f.length {
			return nil, &wrong{"invalid data", obj{"maximum_length": f.length}}
		}
	}
	v, err := n.Float64()
	if err != nil {
		return nil, notA(f.kind)
	}
	return v, nil
}

func (s *Server) choices(f *field, raw any) (any, *wrong) {
	list, is := raw.([]any)
	if !is {
		return nil, notA("jsonarray")
	}
	var chosen []string
	for _, v := range list {
		text, is := v.(string)
		if !is {
			return nil, notA("text")
		}
		if s.knobs.RestrictedPicklists && !slices.Contains(f.options, text) {
			return nil, &wrong{"invalid data", obj{"supported_values": f.options}}
		}
		chosen = append(chosen, text)
	}
	return chosen, nil
}

var noRelated = &wrong{"the id given seems to be invalid", obj{}}

// linked finds the record that a lookup names: by id, or by an external value
// where X-EXTERNAL maps the field.
func (s *Server) linked(f *field, raw any, ext externals) (any, *wrong) {
	given, is := raw.(obj)
	if !is {
		return nil, notA("jsonobject")
	}
	target := s.modules[f.lookup]
	if by := ext.lookups[f.name]; by != "" && target != nil && given[by] != nil {
		if r := target.first(by, given[by]); r != nil {
			return r, nil
		}
		return nil, &wrong{"The value of the external field is invalid.", obj{}}
	}
	id, is := given["id"].(string)
	if n, number := given["id"].(json.Number); number {
		id, is = n.String(), true
	}
	if given["id"] == nil || !is {
		return nil, notA("bigint")
	}
	if target != nil {
		if r := target.get(id); r != nil {
			return r, nil
		}
	}
	return nil, noRelated
}

func (s *Server) person(raw any) (any, *wrong) {
	given, is := raw.(obj)
	if !is {
		return nil, notA("jsonobject")
	}
	id, _ := given["id"].(string)
	for _, u := range s.users {
		if u.id == id {
			return u, nil
		}
	}
	return nil, noRelated
}

// value is a field of a record's state, computed ones included.
func (r *record) value(v *state, name string) any {
	switch name {
	case "id":
		return strconv.FormatInt(r.id, 10)
	case "Owner":
		return v.owner
	case "Created_By":
		return r.createdBy
	case "Modified_By":
		return v.by
	case "Created_Time":
		return whole(r.created)
	case "Modified_Time":
		return whole(v.modified)
	case "Tag":
		return v.tags
	case "Full_Name":
		if r.module.display == "Full_Name" {
			return fullName(v.values)
		}
	case "Record_Status__s":
		return "Available"
	case "Locked__s":
		return false
	}
	if f := r.module.byName[name]; f != nil && f.kind == "boolean" && v.values[name] == nil {
		return false
	}
	return v.values[name]
}

func fullName(values map[string]any) string {
	first, _ := values["First_Name"].(string)
	last, _ := values["Last_Name"].(string)
	return strings.TrimSpace(first + " " + last)
}

// called is what a record is called where others point at it.
func (r *record) called() any { return r.value(r.now, r.module.display) }

func (r *record) name() string { return strconv.FormatInt(r.id, 10) }

// shown is a value as the records API shows it.
func (s *Server) shown(v any) any {
	switch v := v.(type) {
	case time.Time:
		return s.stamp(v)
	case *record:
		return obj{"name": v.called(), "id": v.name()}
	case *user:
		return v.reference(true)
	case []*tag:
		list := []obj{}
		for _, t := range v {
			list = append(list, t.shown())
		}
		return list
	}
	return v
}

// plain is a value as text, for the control plane.
func (s *Server) plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return s.stamp(v)
	case *record:
		return v.name()
	case *user:
		return v.id
	case []*tag:
		var names []string
		for _, t := range v {
			names = append(names, t.name)
		}
		return strings.Join(names, ",")
	}
	return string(simcrm.JSON(v))
}
