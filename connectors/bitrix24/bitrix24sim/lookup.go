package bitrix24sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const maxLookup = 20

// findByComm looks contacts up by whole numbers. Bitrix24:
// crm.duplicate.findbycomm.
func (s *Server) findByComm(c *call) (*reply, *refusal) {
	kind, _ := c.p.either("type")
	switch strings.ToUpper(str(kind)) {
	case "":
		return nil, bad("Communication type is not defined")
	case "PHONE", "EMAIL":
	default:
		return nil, bad("Communication type '%s' is not supported in current context", str(kind))
	}
	v, _ := c.p.either("values")
	values, is := v.(*dict)
	if !is || values.len() == 0 {
		return nil, bad("Communication values is not defined")
	}
	entity, _ := c.p.either("entity_type")
	if e := str(entity); e != "" && !strings.EqualFold(e, "CONTACT") {
		return ok([]any{})
	}
	index := s.people.phones
	if strings.EqualFold(str(kind), "EMAIL") {
		index = s.people.mails
	}
	var hits []*contact
	for n, k := range values.keys {
		if key := duplicateKey(strings.ToUpper(str(kind)), str(values.vals[k])); key != "" && n < maxLookup {
			for _, p := range index[key] {
				hits = with(hits, p)
			}
		}
	}
	if len(hits) == 0 {
		return ok([]any{})
	}
	ids := []int64{}
	for _, p := range hits[:min(maxLookup, len(hits))] {
		ids = append(ids, p.id)
	}
	return ok(obj{"CONTACT": ids})
}

// merge leaves the first contact and deletes the others. Bitrix24:
// crm.entity.mergeBatch.
func (s *Server) merge(c *call) (*reply, *refusal) {
	args, refused := c.array("params")
	if refused != nil {
		return nil, refused
	}
	kind, _ := number(args.get("entityTypeId"))
	given := args.dict("entityIds")
	if kind != contactType || given.len() < 2 {
		return nil, bad("The parameter entityIds must contain at least two elements")
	}
	var all []*contact
	for _, k := range given.keys {
		id, _ := number(given.vals[k])
		p := s.people.byID[id]
		if p == nil {
			return nil, notFound()
		}
		if slices.Contains(all, p) {
			return nil, bad("The parameter entityIds must not name an element twice")
		}
		all = append(all, p)
	}
	next := all[0].clone()
	for _, p := range all[1:] {
		for name, v := range p.fields {
			if next.fields[name] == "" {
				next.fields[name] = v
			}
		}
		for _, r := range p.rows {
			if !slices.ContainsFunc(next.rows, func(o row) bool { return o.kind == r.kind && o.text == r.text }) {
				next.rows = append(next.rows, r)
			}
		}
		for _, m := range s.timeline.byOwner[p.id] {
			m.owner = next.id
			for _, one := range m.messages {
				one.owner = next.id
			}
			s.timeline.byOwner[next.id] = append(s.timeline.byOwner[next.id], m)
		}
		delete(s.timeline.byOwner, p.id)
		for _, a := range s.activities.byOwner[p.id] {
			a.owner, a.fields["OWNER_ID"] = next.id, strconv.FormatInt(next.id, 10)
			for _, one := range a.messages {
				one.owner = next.id
			}
			s.activities.byOwner[next.id] = append(s.activities.byOwner[next.id], a)
			s.tallyActivity(a)
		}
		delete(s.activities.byOwner, p.id)
		s.discard(p, c)
	}
	next.modified, next.modifiedBy = s.Now(), c.user()
	s.commit(next, "UPDATE", c)
	return ok(obj{"STATUS": "SUCCESS", "ENTITY_IDS": []int64{next.id}})
}

// user is an employee.
type user struct {
	id          int64
	name, last  string
	active      bool
	departments []int
}

func (s *Server) users() []user {
	return []user{
		{1, "Nadia", "Okafor", true, []int{1}},
		{s.opts.UserID, "Sync", "Robot", true, []int{1}},
		{s.opts.UserID + 4, "Ivan", "Berg", true, []int{1, 3}},
		{s.opts.UserID + 6, "Petra", "Dahl", false, []int{3}},
	}
}

func (s *Server) userShown(u user) obj {
	return obj{
		"ID": strconv.FormatInt(u.id, 10), "ACTIVE": u.active, "NAME": u.name, "LAST_NAME": u.last, "SECOND_NAME": "",
		"EMAIL": strings.ToLower(u.name) + "@" + s.opts.Domain, "UF_DEPARTMENT": u.departments, "USER_TYPE": "employee",
		"LAST_LOGIN": "", "TIMESTAMP_X": obj{}, "LAST_ACTIVITY_DATE": obj{}, "IS_ONLINE": "N", "WORK_POSITION": nil,
	}
}

// userGet has a true or false ACTIVE among strings. Bitrix24: user.get.
func (s *Server) userGet(c *call) (*reply, *refusal) {
	filter, refused := c.array("filter")
	if refused != nil {
		return nil, refused
	}
	rows := []any{}
	for _, u := range s.users() {
		shown, hit := s.userShown(u), true
		for _, k := range slices.Concat(filter.names(), c.p.names()) {
			_, name := splitOperator(strings.ToUpper(k))
			have, known := shown[name]
			want := filter.get(k)
			if want == nil {
				want = c.p.get(k)
			}
			if known {
				hit = hit && shownAs(have, want)
			}
		}
		if hit {
			rows = append(rows, shown)
		}
	}
	return s.page(c, rows)
}

// shownAs compares a value with one of a filter, or with several.
func shownAs(have, want any) bool {
	if list, is := want.(*dict); is {
		return slices.ContainsFunc(list.keys, func(k string) bool { return shownAs(have, list.vals[k]) })
	}
	if on, is := have.(bool); is {
		return on == truthYN(want)
	}
	return str(have) == str(want)
}

func (s *Server) userCurrent(c *call) (*reply, *refusal) {
	for _, u := range s.users() {
		if u.id == c.who.user {
			return ok(s.userShown(u))
		}
	}
	return nil, refuse(http.StatusUnauthorized, "authorization_error", "Unable to authorize user")
}
