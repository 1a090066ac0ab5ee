package bitrix24sim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const configurable = "CONFIGURABLE_REST_APP"

// activity is one in a contact's timeline. What it holds by name is by the
// classic names.
type activity struct {
	id, owner int64
	// origin is the ORIGIN_ID that it is indexed under.
	origin            string
	fields            map[string]string
	layout            *dict
	created, modified time.Time
	messages          []*message
}

// activities holds all of them.
type activities struct {
	byID     map[int64]*activity
	byOwner  map[int64][]*activity
	byOrigin map[string][]*activity
	nextID   int64
}

var activityFields = []string{
	"OWNER_TYPE_ID", "OWNER_ID", "TYPE_ID", "SUBJECT", "RESPONSIBLE_ID", "START_TIME", "END_TIME", "DEADLINE", "COMPLETED", "DIRECTION",
	"DESCRIPTION", "DESCRIPTION_TYPE", "PRIORITY", "ORIGINATOR_ID", "ORIGIN_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "IS_INCOMING_CHANNEL",
}

var activityLimits = map[string]int{"SUBJECT": 512, "ORIGINATOR_ID": 255, "ORIGIN_ID": 255, "PROVIDER_ID": 100, "PROVIDER_TYPE_ID": 100}

// activityAdd requires six fields; nothing keeps it from logging the same
// twice. Bitrix24: crm.activity.add.
func (s *Server) activityAdd(c *call) (*reply, *refusal) {
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	for _, name := range []string{"OWNER_TYPE_ID", "OWNER_ID", "TYPE_ID", "SUBJECT", "RESPONSIBLE_ID"} {
		if str(given.get(name)) == "" {
			return nil, bad("The field %s is not defined or empty", name)
		}
	}
	if given.dict("COMMUNICATIONS").len() == 0 {
		return nil, bad("The field COMMUNICATIONS is not defined or invalid")
	}
	owner, _ := number(given.get("OWNER_ID"))
	if str(given.get("OWNER_TYPE_ID")) != "3" || s.people.byID[owner] == nil {
		return nil, bad("Owner is not found")
	}
	switch provider := str(given.get("PROVIDER_ID")); {
	case str(given.get("TYPE_ID")) == "6" && provider == "":
		return nil, bad("The field PROVIDER_ID is not defined or empty")
	case strings.HasPrefix(provider, "REST_APP") && !c.who.app:
		return nil, bad("Application context required")
	}
	a := s.newActivity(owner)
	if refused := s.assignActivity(a, given); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "ADD")
	return ok(a.id)
}

func (s *Server) newActivity(owner int64) *activity {
	return &activity{owner: owner, created: s.Now(), fields: map[string]string{"COMPLETED": "N", "PRIORITY": "2", "DESCRIPTION_TYPE": "1"}}
}

func (s *Server) assignActivity(a *activity, given *dict) *refusal {
	for _, name := range activityFields {
		v, there := given.vals[name]
		if !there {
			continue
		}
		text, refused := s.fit(name, str(v), activityLimits[name])
		if refused != nil {
			return refused
		}
		a.fields[name] = text
	}
	// The deadline is not set directly. Bitrix24: crm.activity.add.
	if a.todo() {
		a.fields["DEADLINE"] = orElse(a.fields["END_TIME"], a.fields["START_TIME"])
	}
	return nil
}

// keepActivity stores a new state and indexes it.
func (s *Server) keepActivity(a *activity, c *call, what string) {
	if a.id == 0 {
		s.activities.nextID++
		a.id = s.activities.nextID
		s.activities.byID[a.id] = a
		s.activities.byOwner[a.owner] = append(s.activities.byOwner[a.owner], a)
	}
	s.activities.file(a, a.fields["ORIGIN_ID"])
	a.modified = s.Now()
	s.relogActivity(a)
	s.tallyActivity(a)
	s.touch(a.owner)
	s.changed("ONCRMACTIVITY"+what, a.id, c)
}

func (s *Server) dropActivity(a *activity) {
	s.unlog(a.messages)
	s.tasks.tally.Drop(a)
	delete(s.activities.byID, a.id)
	same := func(o *activity) bool { return o == a }
	s.activities.byOwner[a.owner] = slices.DeleteFunc(s.activities.byOwner[a.owner], same)
	s.activities.file(a, "")
}

// file puts an activity where its origin is looked up. Those without one are
// nowhere.
func (as *activities) file(a *activity, origin string) {
	if a.origin != "" {
		left := slices.DeleteFunc(as.byOrigin[a.origin], func(o *activity) bool { return o == a })
		as.byOrigin[a.origin] = left
		if len(left) == 0 {
			delete(as.byOrigin, a.origin)
		}
	}
	if a.origin = origin; origin != "" {
		as.byOrigin[origin] = append(as.byOrigin[origin], a)
	}
}

func (s *Server) activityOf(c *call) (*activity, *refusal) {
	id, refused := c.id()
	if refused != nil {
		return nil, refused
	}
	if a := s.activities.byID[id]; a != nil {
		return a, nil
	}
	return nil, refuse(http.StatusBadRequest, "NOT_FOUND", "Activity is not found.")
}

func (s *Server) activityUpdate(c *call) (*reply, *refusal) {
	a, refused := s.activityOf(c)
	if refused != nil {
		return nil, refused
	}
	given, refused := c.fields()
	if refused != nil {
		return nil, refused
	}
	if refused := s.assignActivity(a, given); refused != nil {
		return nil, refused
	}
	s.keepActivity(a, c, "UPDATE")
	return ok(true)
}

func (s *Server) activityDelete(c *call) (*reply, *refusal) {
	a, refused := s.activityOf(c)
	if refused != nil {
		return nil, refused
	}
	s.dropActivity(a)
	s.changed("ONCRMACTIVITYDELETE", a.id, c)
	return ok(true)
}

func (s *Server) activityShown(a *activity) obj {
	o := obj{
		"ID": strconv.FormatInt(a.id, 10), "CREATED": s.stamp(a.created), "LAST_UPDATED": s.stamp(a.modified),
		"AUTHOR_ID": strconv.FormatInt(s.opts.UserID, 10), "SETTINGS": []any{},
	}
	for _, name := range activityFields {
		o[name] = nil
		if v := a.fields[name]; v != "" {
			o[name] = v
		}
	}
	return o
}

func (s *Server) activityGet(c *call) (*reply, *refusal) {
	a, refused := s.activityOf(c)
	if refused != nil {
		return nil, refused
	}
	return ok(s.activityShown(a))
}

// activityList finds by origin, owner or any other value. Bitrix24:
// crm.activity.list.
func (s *Server) activityList(c *call) (*reply, *refusal) {
	filter, refused := c.array("filter")
	if refused != nil {
		return nil, refused
	}
	found := s.activities.candidates(filter)
	by, _ := c.array("order")
	desc := strings.EqualFold(str(by.get("ID")), "DESC")
	slices.SortFunc(found, func(a, b *activity) int {
		if desc {
			a, b = b, a
		}
		return int(a.id - b.id)
	})
	found = slices.Compact(found)
	rows := []any{}
	chosen, _ := c.array("select")
	for _, a := range found {
		if shown := s.activityShown(a); activityMatches(shown, filter) {
			rows = append(rows, choose(shown, chosen))
		}
	}
	return s.page(c, rows)
}

// candidates are activities among which all are that a filter matches.
func (as *activities) candidates(filter *dict) (found []*activity) {
	if origin, there := filterValue(filter, "ORIGIN_ID"); there && str(origin) != "" {
		return slices.Clone(as.byOrigin[str(origin)])
	}
	if owner, there := filterValue(filter, "OWNER_ID"); there && str(owner) != "" {
		id, _ := number(owner)
		return slices.Clone(as.byOwner[id])
	}
	origins, several := filter.get("@ORIGIN_ID").(*dict)
	for _, k := range origins.names() {
		origin := str(origins.vals[k])
		several = several && origin != ""
		found = append(found, as.byOrigin[origin]...)
	}
	if !several {
		return slices.Collect(maps.Values(as.byID))
	}
	return found
}

func activityMatches(shown obj, filter *dict) bool {
	for _, k := range filter.names() {
		op, name := splitOperator(k)
		have, known := shown[name]
		if !known {
			continue
		}
		v := filter.get(k)
		list, is := v.(*dict)
		if !is {
			list = newDict()
			list.push(v)
		}
		equal := slices.ContainsFunc(list.keys, func(k string) bool { return str(list.vals[k]) == str(have) })
		x, _ := number(have)
		y, _ := number(v)
		switch op {
		case ">", ">=", "<", "<=":
			if !ordered(op, int(x-y)) {
				return false
			}
		default:
			if equal == strings.HasPrefix(op, "!") {
				return false
			}
		}
	}
	return true
}
