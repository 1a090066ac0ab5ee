package bitrix24sim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// fields are the argument of that name, as the classic family takes it.
func (c *call) fields() (*dict, *refusal) {
	v, _ := c.p.either("fields")
	d, is := v.(*dict)
	if !is {
		return nil, notArray("fields")
	}
	return d, nil
}

// array is an argument that may be left out.
func (c *call) array(name string) (*dict, *refusal) {
	v, there := c.p.either(name)
	d, is := v.(*dict)
	if there && !is && str(v) != "" {
		return nil, notArray(name)
	}
	return d, nil
}

// blank is a contact before it is stored.
func (s *Server) blank(user string) *contact {
	now := s.Now()
	return &contact{
		fields: map[string]string{"OPENED": "Y", "EXPORT": "Y", "ASSIGNED_BY_ID": user, "TYPE_ID": "CLIENT"}, lists: map[string][]string{},
		created: now, modified: now, active: now, createdBy: user, modifiedBy: user, last: user,
	}
}

func (c *call) user() string { return strconv.FormatInt(c.who.user, 10) }

// classicAdd never looks for a duplicate. Bitrix24: crm.contact.add.
func (s *Server) classicAdd(c *call) (*reply, *refusal) {
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	settings, refused := c.array("params")
	if refused != nil {
		return nil, refused
	}
	next := s.blank(c.user())
	if refused := s.classicFields(next, given, style{imports: str(settings.get("IMPORT")) == "Y"}, true); refused != nil {
		return nil, refused
	}
	s.commit(next, "ADD", c)
	return ok(next.id)
}

// classicUpdate changes what is named and leaves the rest. Bitrix24: crm.contact.update.
func (s *Server) classicUpdate(c *call) (*reply, *refusal) {
	id, refused := c.id()
	if refused != nil {
		return nil, refused
	}
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	old := s.people.byID[id]
	if old == nil {
		return nil, bad("Contact is not found")
	}
	next := old.clone()
	next.modified, next.modifiedBy = s.Now(), c.user()
	if refused := s.classicFields(next, given, style{}, false); refused != nil {
		return nil, refused
	}
	s.commit(next, "UPDATE", c)
	return ok(true)
}

func (s *Server) classicFields(next *contact, given *dict, in style, fresh bool) *refusal {
	for _, name := range given.keys {
		f := s.field(name)
		if f == nil {
			continue
		}
		var refused *refusal
		if f.kind == "crm_multifield" {
			refused = s.assignRows(next, name, given.vals[name])
		} else {
			refused = s.assign(next, f, given.vals[name], in)
		}
		if refused != nil {
			return refused
		}
	}
	return s.required(next, fresh, func(f *field) bool { return given.vals[f.name] != nil })
}

// required refuses a contact without a mandatory user field. An update that
// does not name the field passes.
func (s *Server) required(next *contact, fresh bool, named func(*field) bool) *refusal {
	for _, f := range s.userFields {
		if f.user.mandatory() && (fresh || named(f)) && f.kind != "boolean" && len(next.plain(f.name)) == 0 {
			return refuse(http.StatusBadRequest, "CRM_FIELD_ERROR_REQUIRED", "Required fields are not filled: %s", f.user.label())
		}
	}
	return nil
}

// commit stores a contact and lets those know who listen.
func (s *Server) commit(next *contact, what string, c *call) {
	if what == "ADD" && next.fields["COMPANY_ID"] == "" {
		next.set("COMPANY_ID", "0")
	}
	s.people.put(next)
	s.changed("ONCRMCONTACT"+what, next.id, c)
}

func (s *Server) classicDelete(c *call) (*reply, *refusal) {
	id, refused := c.id()
	if refused != nil {
		return nil, refused
	}
	p := s.people.byID[id]
	if p == nil {
		return nil, core("Element not found")
	}
	s.discard(p, c)
	return ok(true)
}

// discard deletes a contact; its comments and activities go with it.
func (s *Server) discard(p *contact, c *call) {
	s.people.remove(p)
	s.forget(p.id)
	s.changed("ONCRMCONTACTDELETE", p.id, c)
}

// id is the argument of that name, as the classic family takes it.
func (c *call) id() (int64, *refusal) {
	v, _ := c.p.either("id")
	id, is := number(v)
	if !is || id <= 0 {
		return 0, bad("ID is not defined or invalid.")
	}
	return id, nil
}

// equal reports whether two states hold the same values.
func (c *contact) equal(o *contact) bool {
	return maps.Equal(c.fields, o.fields) && maps.EqualFunc(c.lists, o.lists, slices.Equal) && slices.Equal(c.rows, o.rows)
}
