package bitrix24sim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// userField is what an administrator said of a user field.
type userField struct {
	id    int64
	attrs map[string]string
	items []enumItem
}

type enumItem struct{ id, value, sort, def, xmlID string }

func (u *userField) mandatory() bool { return u.attrs["MANDATORY"] == "Y" }

func (u *userField) label() string {
	for _, name := range []string{"EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LABEL"} {
		if v := u.attrs[name]; v != "" {
			return v
		}
	}
	return u.attrs["FIELD_NAME"]
}

var (
	userTypes = []string{
		"string", "integer", "double", "boolean", "enumeration", "date", "datetime", "money", "url", "address", "file", "employee",
		"crm_status", "crm",
	}
	userFieldName = regexp.MustCompile(`^UF_CRM_[A-Z0-9_]{1,43}$`)
	// What a caller may say of a user field, and what it is otherwise.
	userAttributes = map[string]string{
		"XML_ID": "", "SORT": "100", "MULTIPLE": "N", "MANDATORY": "N", "SHOW_FILTER": "N", "SHOW_IN_LIST": "Y", "EDIT_IN_LIST": "Y",
		"IS_SEARCHABLE": "N", "LABEL": "", "EDIT_FORM_LABEL": "", "LIST_COLUMN_LABEL": "", "LIST_FILTER_LABEL": "", "ERROR_MESSAGE": "",
		"HELP_MESSAGE": "",
	}
)

// userFieldAdd is for administrators. Bitrix24: crm.contact.userfield.add.
func (s *Server) userFieldAdd(c *call) (*reply, *refusal) {
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	text := func(name string) string { v, _ := given.either(name); return str(v) }
	var wrong []string
	kind, name := text("USER_TYPE_ID"), strings.ToUpper(text("FIELD_NAME"))
	if kind == "" {
		wrong = append(wrong, "The 'USER_TYPE_ID' field is not found.")
	} else if !slices.Contains(userTypes, kind) {
		wrong = append(wrong, "The '"+kind+"' user type is not found.")
	}
	if name == "" {
		wrong = append(wrong, "The 'FIELD_NAME' field is not found.")
	} else if !strings.HasPrefix(name, "UF_CRM_") {
		name = "UF_CRM_" + name
	}
	if name != "" && !userFieldName.MatchString(name) {
		wrong = append(wrong, "The field name "+name+" is not valid.")
	}
	if s.field(name) != nil {
		wrong = append(wrong, "The field "+name+" already exists.")
	}
	if len(wrong) > 0 {
		return nil, core("%s", strings.Join(wrong, "\n"))
	}
	s.nextUserField++
	u := &userField{id: s.nextUserField, attrs: map[string]string{"FIELD_NAME": name, "USER_TYPE_ID": kind}}
	s.describe(u, given)
	if l, is := given.get("LIST").(*dict); is {
		for _, k := range l.keys {
			s.listItem(u, l.dict(k))
		}
	}
	s.userFields = append(s.userFields, &field{
		name: name, item: itemName(name), kind: kind, title: name, multiple: u.attrs["MULTIPLE"] == "Y", user: u,
	})
	s.nameFields()
	return ok(u.id)
}

// describe takes over what the caller says of a user field.
func (s *Server) describe(u *userField, given *dict) {
	for name, otherwise := range userAttributes {
		if _, there := u.attrs[name]; !there {
			u.attrs[name] = otherwise
		}
		v, said := given.either(name)
		if labels, is := v.(*dict); is && labels.len() > 0 {
			v = labels.vals[labels.keys[0]]
		}
		if said {
			u.attrs[name] = str(v)
		}
	}
}

// listItem adds, changes or deletes one value of an enumeration.
func (s *Server) listItem(u *userField, given *dict) {
	id := str(given.get("ID"))
	at := slices.IndexFunc(u.items, func(i enumItem) bool { return i.id == id })
	switch {
	case at >= 0 && str(given.get("DEL")) == "Y":
		u.items = slices.Delete(u.items, at, at+1)
		return
	case at < 0:
		if str(given.get("VALUE")) == "" {
			return
		}
		s.nextEnum += 2
		u.items = append(u.items, enumItem{id: strconv.FormatInt(s.nextEnum, 10), sort: "100", def: "N"})
		at = len(u.items) - 1
	}
	item := &u.items[at]
	for name, into := range map[string]*string{"VALUE": &item.value, "SORT": &item.sort, "DEF": &item.def, "XML_ID": &item.xmlID} {
		if v, said := given.either(name); said {
			*into = str(v)
		}
	}
}

func (u *userField) shown() obj {
	o := obj{"ID": strconv.FormatInt(u.id, 10), "ENTITY_ID": "CRM_CONTACT", "SETTINGS": obj{}}
	for name, v := range u.attrs {
		o[name] = v
	}
	if u.attrs["USER_TYPE_ID"] == "enumeration" {
		list := []obj{}
		for _, i := range u.items {
			list = append(list, obj{"ID": i.id, "VALUE": i.value, "SORT": i.sort, "DEF": i.def, "XML_ID": i.xmlID})
		}
		o["LIST"] = list
	}
	return o
}

func (s *Server) userFieldOf(c *call) (*field, *refusal) {
	given, _ := c.p.either("id")
	id, is := number(given)
	if !is || id <= 0 {
		return nil, bad("ID is not defined or invalid.")
	}
	for _, f := range s.userFields {
		if f.user.id == id {
			return f, nil
		}
	}
	return nil, refuse(http.StatusBadRequest, "ERROR_NOT_FOUND", "The entity with ID '%d' is not found.", id)
}

func (s *Server) userFieldGet(c *call) (*reply, *refusal) {
	f, refused := s.userFieldOf(c)
	if refused != nil {
		return nil, refused
	}
	return ok(f.user.shown())
}

func (s *Server) userFieldUpdate(c *call) (*reply, *refusal) {
	f, refused := s.userFieldOf(c)
	if refused != nil {
		return nil, refused
	}
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	s.describe(f.user, given)
	if l, is := given.get("LIST").(*dict); is {
		for _, k := range l.keys {
			s.listItem(f.user, l.dict(k))
		}
	}
	return ok(true)
}

func (s *Server) userFieldDelete(c *call) (*reply, *refusal) {
	f, refused := s.userFieldOf(c)
	if refused != nil {
		return nil, refused
	}
	s.userFields = slices.DeleteFunc(s.userFields, func(o *field) bool { return o == f })
	s.nameFields()
	for _, p := range s.people.all {
		s.people.unlist(p)
		delete(p.fields, f.name)
		delete(p.lists, f.name)
		s.people.enlist(p)
	}
	return ok(true)
}

// userFieldList filters by any attribute.
func (s *Server) userFieldList(c *call) (*reply, *refusal) {
	filter, refused := c.array("filter")
	if refused != nil {
		return nil, refused
	}
	rows := []any{}
	for _, f := range s.userFields {
		o, hit := f.user.shown(), true
		for _, k := range filter.names() {
			hit = hit && str(o[strings.TrimLeft(k, "=")]) == str(filter.get(k))
		}
		if hit {
			rows = append(rows, o)
		}
	}
	return s.page(c, rows)
}
