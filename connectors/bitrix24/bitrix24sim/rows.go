package bitrix24sim

import (
	"slices"
	"strconv"
	"strings"
)

const (
	maxRowValue = 250
	maxRowSort  = 50
)

// assignRows carries out the classic family's operations on phone numbers
// and the like; what is no operation is passed over. Bitrix24:
// crm.contact.update, how to change email or phone.
func (s *Server) assignRows(next *contact, kind string, v any) *refusal {
	list, is := v.(*dict)
	if !is {
		return nil
	}
	for _, k := range list.keys {
		element := list.dict(k)
		if element == nil {
			continue
		}
		id, text, sort := str(element.get("ID")), str(element.get("VALUE")), str(element.get("VALUE_TYPE"))
		var refused *refusal
		if id == "" {
			refused = s.addRow(next, kind, sort, text)
		} else if at := next.row(id); at >= 0 && next.rows[at].kind == kind {
			if str(element.get("DELETE")) == "Y" {
				text = ""
			}
			refused = s.changeRow(next, at, kind, sort, text)
		}
		if refused != nil {
			return core("%s", refused.text)
		}
	}
	return nil
}

// assignFM carries out the item family's. An element without a typeId does
// nothing. Bitrix24: crm.item.update, how to change email or phone.
func (s *Server) assignFM(next *contact, v any) *refusal {
	list, is := v.(*dict)
	if !is {
		return nil
	}
	for _, k := range list.keys {
		element := list.dict(k)
		kind := str(element.get("typeId"))
		if kind == "" {
			continue
		}
		text, sort := str(element.get("value")), str(element.get("valueType"))
		var refused *refusal
		if at := next.row(k); at >= 0 {
			refused = s.changeRow(next, at, kind, sort, text)
		} else {
			refused = s.addRow(next, kind, sort, text)
		}
		if refused != nil {
			return refused
		}
	}
	return nil
}

// row returns where the row with this id is, or -1.
func (c *contact) row(id string) int {
	return slices.IndexFunc(c.rows, func(r row) bool { return strconv.FormatInt(r.id, 10) == id })
}

func (s *Server) addRow(next *contact, kind, sort, text string) *refusal {
	if text == "" {
		return nil
	}
	if sort == "" {
		sort = "WORK"
	}
	r := row{kind: kind, sort: sort, text: text}
	if refused := s.checkRow(&r); refused != nil {
		return refused
	}
	s.people.rowID++
	r.id = s.people.rowID
	next.rows = append(next.rows, r)
	return nil
}

// changeRow deletes a row that becomes empty.
func (s *Server) changeRow(next *contact, at int, kind, sort, text string) *refusal {
	if text == "" {
		next.rows = slices.Delete(next.rows, at, at+1)
		return nil
	}
	r := next.rows[at]
	r.kind, r.text = kind, text
	if sort != "" {
		r.sort = sort
	}
	if refused := s.checkRow(&r); refused != nil {
		return refused
	}
	next.rows[at] = r
	return nil
}

func (s *Server) checkRow(r *row) *refusal {
	if r.kind == "EMAIL" {
		if name, host, _ := strings.Cut(r.text, "@"); name == "" || host == "" {
			return refuse(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "The field Work e-mail contains an invalid address")
		}
	}
	var refused *refusal
	if r.text, refused = s.fit(r.kind, r.text, maxRowValue); refused != nil {
		return refused
	}
	r.sort, refused = s.fit(r.kind, r.sort, maxRowSort)
	return refused
}
