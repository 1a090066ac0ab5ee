package bitrix24sim

import (
	"net/http"
	"strconv"
)

// todoProvider is that of universal activities, which are tasks for people.
// Bitrix24: how to transfer a dismissed employee's activities.
const todoProvider = "CRM_TODO"

func (a *activity) todo() bool { return a.fields["PROVIDER_ID"] == todoProvider }

// todoAdd takes no key of the caller's; crm.activity.update gives one later,
// and crm.activity.add with this provider at once. Bitrix24:
// crm.activity.todo.add, which tells 100, NOT_FOUND, OWNER_NOT_FOUND and
// WRONG_DATETIME_FORMAT apart in words of its own.
func (s *Server) todoAdd(c *call) (*reply, *refusal) {
	owner, refused := s.todoOwner(c)
	if refused != nil {
		return nil, refused
	}
	a := s.newActivity(owner)
	a.fields["OWNER_TYPE_ID"], a.fields["OWNER_ID"] = "3", strconv.FormatInt(owner, 10)
	a.fields["TYPE_ID"], a.fields["PROVIDER_ID"], a.fields["PROVIDER_TYPE_ID"] = "6", todoProvider, "TODO"
	a.fields["RESPONSIBLE_ID"] = c.user()
	if refused := s.assignTodo(a, c); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "ADD")
	return ok(obj{"id": a.id})
}

// todoUpdate changes what is named. Bitrix24: crm.activity.todo.update.
func (s *Server) todoUpdate(c *call) (*reply, *refusal) {
	owner, refused := s.todoOwner(c)
	if refused != nil {
		return nil, refused
	}
	id, _ := number(c.p.get("id"))
	a := s.activities.byID[id]
	if a == nil || a.owner != owner || !a.todo() {
		return nil, notFound()
	}
	if refused := s.assignTodo(a, c); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "UPDATE")
	return ok(obj{"id": a.id})
}

// todoOwner finds the contact, once all is there that has to be.
func (s *Server) todoOwner(c *call) (int64, *refusal) {
	for _, name := range []string{"ownerTypeId", "ownerId", "deadline"} {
		if c.p.get(name) == nil {
			return 0, missing(name)
		}
	}
	owner, _ := number(c.p.get("ownerId"))
	switch {
	case str(c.p.get("ownerTypeId")) != strconv.Itoa(contactType):
		return 0, refuse(http.StatusBadRequest, "OWNER_NOT_FOUND", "Owner was not found")
	case s.people.byID[owner] == nil:
		return 0, notFound()
	}
	return owner, nil
}

func (s *Server) assignTodo(a *activity, c *call) *refusal {
	at, is := s.parse(str(c.p.get("deadline")), true)
	if !is {
		return refuse(http.StatusBadRequest, "WRONG_DATETIME_FORMAT", "Incorrect datetime format")
	}
	for name, classic := range map[string]string{"title": "SUBJECT", "description": "DESCRIPTION", "responsibleId": "RESPONSIBLE_ID"} {
		v, there := c.p.vals[name]
		if !there {
			continue
		}
		text, refused := s.fit(classic, str(v), activityLimits[classic])
		if refused != nil {
			return refused
		}
		a.fields[classic] = text
	}
	a.fields["DEADLINE"], a.fields["START_TIME"], a.fields["END_TIME"] = s.stamp(at), s.stamp(at), s.stamp(at)
	return nil
}
