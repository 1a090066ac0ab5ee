package bitrix24sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// style is how the two families differ in what they take.
type style struct {
	item bool
	// imports lets a classic add set the dates and their users.
	imports bool
}

var importable = []string{"DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID"}

// assign puts one field's new value into a contact's next state.
func (s *Server) assign(next *contact, f *field, v any, in style) *refusal {
	if f.readOnly {
		if in.imports && slices.Contains(importable, f.name) {
			return s.impose(next, f, str(v))
		}
		return nil
	}
	if f.multiple {
		return s.assignList(next, f, v, in)
	}
	if _, nested := v.(*dict); nested {
		if in.item {
			return notValid(f)
		}
		return nil
	}
	text, valid := s.scalar(f, v)
	if !valid {
		if in.item {
			return notValid(f)
		}
		return nil
	}
	if text == "" && in.item && !s.knobs.ItemClears {
		return nil
	}
	text, refused := s.fit(f.name, text, f.max)
	if refused != nil {
		return refused
	}
	next.set(f.name, text)
	return nil
}

func (c *contact) set(name, text string) {
	if text == "" {
		delete(c.fields, name)
		return
	}
	c.fields[name] = text
}

func (s *Server) assignList(next *contact, f *field, v any, in style) *refusal {
	list, is := v.(*dict)
	if !is {
		if in.item {
			return refuse(http.StatusBadRequest, "100", "Expected iterable value for multiple field, but got `%s` instead", phpType(v))
		}
		list = newDict()
		list.push(v)
	}
	values := []string{}
	for _, k := range list.keys {
		text, valid := s.scalar(f, list.vals[k])
		if !valid && in.item {
			return notValid(f)
		}
		if valid && text != "" {
			values = append(values, text)
		}
	}
	if len(values) == 0 && in.item && !s.knobs.ItemClears {
		return nil
	}
	if len(values) == 0 {
		delete(next.lists, f.name)
	} else {
		next.lists[f.name] = values
	}
	return nil
}

// scalar converts a value to what is stored, and reports whether it is one of
// the field's kind.
func (s *Server) scalar(f *field, v any) (string, bool) {
	text := str(v)
	if text == "" && v != false {
		return "", true
	}
	switch f.kind {
	case "integer", "user", "crm_company", "employee":
		_, is := number(v)
		return strings.TrimSpace(text), is
	case "double":
		_, err := strconv.ParseFloat(text, 64)
		return text, err == nil
	case "char":
		if text != "Y" && text != "1" {
			return "N", true
		}
		return "Y", true
	case "boolean":
		return strconv.Itoa(flag(slices.Contains([]string{"Y", "1", "true"}, text))), true
	case "enumeration":
		return text, slices.ContainsFunc(f.user.items, func(i enumItem) bool { return i.id == text })
	case "date":
		at, is := s.parse(text, true)
		return at.In(s.opts.Offset).Format(time.DateOnly), is
	case "datetime":
		at, is := s.parse(text, true)
		return at.UTC().Format(time.RFC3339), is
	case "file":
		return "", false
	}
	return text, true
}

// fit cuts what is too long, or refuses it. Bitrix24: field length limits.
func (s *Server) fit(name, text string, limit int) (string, *refusal) {
	if limit == 0 || utf8.RuneCountInString(text) <= limit {
		return text, nil
	}
	if s.knobs.RefuseLong {
		return "", core("The maximum length of the field '%s' is %d characters", name, limit)
	}
	return string([]rune(text)[:limit]), nil
}

// impose sets what is read-only but for imports.
func (s *Server) impose(next *contact, f *field, text string) *refusal {
	at, is := s.parse(text, true)
	switch f.name {
	case "CREATED_BY_ID":
		next.createdBy = text
	case "MODIFY_BY_ID":
		next.modifiedBy = text
	case "DATE_MODIFY":
		if is {
			next.modified = at
		}
	case "DATE_CREATE":
		if n := len(s.people.all); is && n > 0 && at.Before(whole(s.people.all[n-1].created)) {
			return core("The creation date is earlier than that of the last contact")
		}
		if is {
			next.created = at
		}
	}
	return nil
}

// parse reads a time with its offset, or in the portal's zone if it has none.
func (s *Server) parse(text string, offset bool) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if !offset {
			at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, s.opts.Offset)
		}
		return whole(at), true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", time.DateOnly, "02.01.2006 15:04:05", "02.01.2006"} {
		if at, err := time.ParseInLocation(layout, text, s.opts.Offset); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func notValid(f *field) *refusal {
	return refuse(http.StatusBadRequest, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "The value of the field '%s' is not valid", f.title)
}

func phpType(v any) string {
	switch v.(type) {
	case nil:
		return "NULL"
	case bool:
		return "boolean"
	case string:
		return "string"
	}
	return "integer"
}
