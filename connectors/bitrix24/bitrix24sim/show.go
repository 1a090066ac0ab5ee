package bitrix24sim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// classic shows a field as the classic family does: in strings, empty as null.
func (s *Server) classic(p *contact, f *field) any {
	switch f.name {
	case "ID":
		return strconv.FormatInt(p.id, 10)
	case "HAS_PHONE":
		return p.has("PHONE")
	case "HAS_EMAIL":
		return p.has("EMAIL")
	case "HAS_IMOL":
		return "N"
	case "CREATED_BY_ID":
		return p.createdBy
	case "MODIFY_BY_ID":
		return p.modifiedBy
	case "DATE_CREATE":
		return s.stamp(p.created)
	case "DATE_MODIFY":
		return s.stamp(p.modified)
	case "LAST_ACTIVITY_TIME":
		return s.stamp(p.active)
	case "LAST_ACTIVITY_BY":
		return p.last
	}
	if f.multiple {
		out := []string{}
		for _, v := range p.lists[f.name] {
			out = append(out, str(s.classicValue(f, v)))
		}
		return out
	}
	return s.classicValue(f, p.fields[f.name])
}

func (s *Server) classicValue(f *field, v string) any {
	switch {
	case f.kind == "boolean" && v == "":
		return "0"
	case f.name == "BIRTHDATE" && v == "":
		return ""
	case v == "":
		return nil
	case f.kind == "date":
		// Midnight in Greenwich, in the portal's zone.
		at, _ := time.Parse(time.DateOnly, v)
		return s.stamp(at)
	case f.kind == "datetime":
		at, _ := time.Parse(time.RFC3339, v)
		return s.stamp(at)
	}
	return v
}

// classicRow shows the fields that are chosen; multifields only when they
// have a value.
func (s *Server) classicRow(p *contact, chosen []*field) obj {
	out := obj{}
	for _, f := range chosen {
		if f.kind != "crm_multifield" {
			out[f.name] = s.classic(p, f)
			continue
		}
		var rows []obj
		for _, r := range p.rows {
			if r.kind == f.name {
				rows = append(rows, obj{"ID": strconv.FormatInt(r.id, 10), "VALUE_TYPE": r.sort, "VALUE": r.text, "TYPE_ID": r.kind})
			}
		}
		if rows != nil {
			out[f.name] = rows
		}
	}
	return out
}

var numeric = map[string]bool{"integer": true, "user": true, "crm_company": true, "crm_lead": true, "enumeration": true, "double": true, "employee": true}

// itemValue shows a field as the item family does: numbers as numbers.
func (s *Server) itemValue(p *contact, f *field) any {
	v := s.classic(p, f)
	convert := func(text string) any {
		switch {
		case f.kind == "boolean":
			return []string{"N", "Y"}[flag(text == "1")]
		case text == "" && f.name == "BIRTHDATE":
			return nil
		case numeric[f.kind] && text != "":
			return json.Number(text)
		}
		return text
	}
	switch v := v.(type) {
	case string:
		return convert(v)
	case []string:
		out := []any{}
		for _, one := range v {
			out = append(out, convert(one))
		}
		return out
	}
	return v
}

// aliases hold the first value of some sort.
var aliases = map[string]struct {
	kind  string
	sorts []string
}{
	"phone": {"PHONE", nil}, "phoneWork": {"PHONE", []string{"WORK"}}, "phoneMobile": {"PHONE", []string{"MOBILE"}},
	"phoneMailing": {"PHONE", []string{"MAILING"}}, "email": {"EMAIL", nil}, "emailWork": {"EMAIL", []string{"WORK"}},
	"emailHome": {"EMAIL", []string{"HOME"}}, "emailMailing": {"EMAIL", []string{"MAILING"}}, "imol": {"IM", []string{"OPENLINE", "IMOL"}},
}

// extras are the item family's names that are no fields.
func (s *Server) extra(p *contact, name string) (any, bool) {
	if a, is := aliases[name]; is {
		return p.first(a.kind, a.sorts...), true
	}
	switch name {
	case "shortName", "address", "login":
		return nil, true
	case "categoryId":
		return 0, true
	case "entityTypeId":
		return 3, true
	case "observers":
		return []any{}, true
	case "searchContent":
		return strings.TrimSpace(p.fields["NAME"] + " " + p.fields["LAST_NAME"]), true
	}
	return nil, false
}

var extraNames = []string{
	"phone", "phoneWork", "phoneMobile", "phoneMailing", "email", "emailWork", "emailHome", "emailMailing", "imol",
	"shortName", "address", "login", "categoryId", "entityTypeId", "observers", "searchContent",
}

// fullItem shows everything, the multifields included.
func (s *Server) fullItem(p *contact, original bool) obj {
	out := obj{}
	for _, f := range s.allFields() {
		if f.item != "" {
			out[f.itemKey(original)] = s.itemValue(p, f)
		}
	}
	for _, name := range extraNames {
		out[name], _ = s.extra(p, name)
	}
	fm := []obj{}
	for _, r := range p.rows {
		fm = append(fm, obj{"id": r.id, "valueType": r.sort, "value": r.text, "typeId": r.kind})
	}
	out["fm"] = fm
	return out
}

func (f *field) itemKey(original bool) string {
	if original && f.user != nil {
		return f.name
	}
	return f.item
}
