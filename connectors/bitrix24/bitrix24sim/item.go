package bitrix24sim

import (
	"net/http"
)

const contactType = 3

// itemArgs checks what every method of the family needs. Its arguments are
// in camel case only. Bitrix24: crm.item.
func (s *Server) itemArgs(c *call, names ...string) (original bool, refused *refusal) {
	for _, name := range append([]string{"entityTypeId"}, names...) {
		if _, there := c.p.vals[name]; !there {
			return false, missing(name)
		}
	}
	kind, _ := number(c.p.get("entityTypeId"))
	switch kind {
	case contactType:
	case 1, 2, 4, 7, 31:
		return false, refuse(http.StatusBadRequest, "ENTITY_TYPE_NOT_SUPPORTED", "This entity type is not simulated")
	default:
		return false, refuse(http.StatusBadRequest, "NOT_FOUND", "Smart process not found")
	}
	for _, name := range []string{"fields", "filter", "order", "select"} {
		v, there := c.p.vals[name]
		if _, is := v.(*dict); there && !is && (name == "fields" || str(v) != "") {
			return false, refuse(http.StatusBadRequest, "100", "Invalid value {%s} to match with parameter {%s}. Should be value of type array.", str(v), name)
		}
	}
	return str(c.p.get("useOriginalUfNames")) == "Y", nil
}

func (s *Server) itemOf(c *call) (*contact, *refusal) {
	id, _ := number(c.p.get("id"))
	if p := s.people.byID[id]; p != nil {
		return p, nil
	}
	return nil, refuse(http.StatusBadRequest, "NOT_FOUND", "Element not found")
}

func (s *Server) itemAdd(c *call) (*reply, *refusal) {
	original, refused := s.itemArgs(c, "fields")
	if refused != nil {
		return nil, refused
	}
	next := s.blank(c.user())
	if refused := s.itemFields(next, c.p.dict("fields"), original, true); refused != nil {
		return nil, refused
	}
	s.commit(next, "ADD", c)
	return ok(obj{"item": s.fullItem(next, original)})
}

// itemUpdate saves nothing when no value changes. Bitrix24: crm.item.update.
func (s *Server) itemUpdate(c *call) (*reply, *refusal) {
	original, refused := s.itemArgs(c, "id", "fields")
	if refused != nil {
		return nil, refused
	}
	old, refused := s.itemOf(c)
	if refused != nil {
		return nil, refused
	}
	next := old.clone()
	if refused := s.itemFields(next, c.p.dict("fields"), original, false); refused != nil {
		return nil, refused
	}
	if next.equal(old) {
		return ok(obj{"item": s.fullItem(old, original)})
	}
	next.modified, next.modifiedBy = s.Now(), c.user()
	s.commit(next, "UPDATE", c)
	return ok(obj{"item": s.fullItem(next, original)})
}

func (s *Server) itemFields(next *contact, given *dict, original, fresh bool) *refusal {
	named := map[*field]bool{}
	for _, name := range given.keys {
		if name == "fm" {
			if refused := s.assignFM(next, given.vals[name]); refused != nil {
				return refused
			}
			continue
		}
		f := s.itemField(name, original)
		if f == nil {
			continue
		}
		named[f] = true
		if refused := s.assign(next, f, given.vals[name], style{item: true}); refused != nil {
			return refused
		}
	}
	return s.required(next, fresh, func(f *field) bool { return named[f] })
}

func (s *Server) itemGet(c *call) (*reply, *refusal) {
	original, refused := s.itemArgs(c, "id")
	if refused != nil {
		return nil, refused
	}
	p, refused := s.itemOf(c)
	if refused != nil {
		return nil, refused
	}
	return ok(obj{"item": s.fullItem(p, original)})
}

// itemDelete answers an empty list. Bitrix24: crm.item.delete.
func (s *Server) itemDelete(c *call) (*reply, *refusal) {
	if _, refused := s.itemArgs(c, "id"); refused != nil {
		return nil, refused
	}
	p, refused := s.itemOf(c)
	if refused != nil {
		return nil, refused
	}
	s.discard(p, c)
	return ok([]any{})
}

func (s *Server) itemList(c *call) (*reply, *refusal) {
	original, refused := s.itemArgs(c)
	if refused != nil {
		return nil, refused
	}
	f, refused := s.compile(c.p.dict("filter"), true, original)
	if refused != nil {
		return nil, refused
	}
	by, refused := s.orders(c.p.dict("order"), true, original)
	if refused != nil {
		return nil, refused
	}
	found, out := s.find(c, f, by)
	var rows []any
	for _, p := range found {
		rows = append(rows, s.itemRow(p, c.p.dict("select"), original))
	}
	out.result = obj{"items": s.spoil(c, rows, out)}
	return out, nil
}

// itemRow shows what is selected. The multifields cannot be selected by name,
// and original names break the selection. Bitrix24: crm.item.list.
func (s *Server) itemRow(p *contact, chosen *dict, original bool) any {
	if chosen.len() == 0 {
		return s.fullItem(p, original)
	}
	if original {
		return []any{}
	}
	out := obj{}
	for _, k := range chosen.keys {
		name := str(chosen.vals[k])
		if name == "*" {
			return s.fullItem(p, original)
		}
		if f := s.byItem[name]; f != nil {
			out[name] = s.itemValue(p, f)
		} else if v, is := s.extra(p, name); is {
			out[name] = v
		}
	}
	if len(out) == 0 {
		return []any{}
	}
	return out
}

func (s *Server) itemFieldList(c *call) (*reply, *refusal) {
	original, refused := s.itemArgs(c)
	if refused != nil {
		return nil, refused
	}
	out := obj{}
	for _, f := range s.allFields() {
		if f.item == "" {
			continue
		}
		d := f.descriptor(s)
		d["upperName"] = f.name
		out[f.itemKey(original)] = d
	}
	out["fm"] = obj{
		"type": "crm_multifield", "isRequired": false, "isReadOnly": false, "isImmutable": false, "isMultiple": true, "isDynamic": false,
		"title": "Communications", "upperName": "FM",
	}
	return ok(obj{"fields": out})
}
