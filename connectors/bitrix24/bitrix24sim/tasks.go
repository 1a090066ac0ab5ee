package bitrix24sim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// Task is a task for a person as the control plane shows it: an activity to do
// or one of the tasks module.
type Task = simcrm.Task

// task is one of the tasks module, which knows of contacts by UF_CRM_TASK.
type task struct {
	id int64
	// fields are by the names in which they are written.
	fields            map[string]string
	bound             []string
	created, modified time.Time
}

// tasks holds all of them. The counts are of activities to do, too.
type tasks struct {
	byID   map[int64]*task
	nextID int64
	tally  simcrm.Tally[any]
}

// The fields that are written and shown. Bitrix24: task fields;
// tasks.task.getFields on the length of TITLE.
var (
	taskFields = []string{"TITLE", "DESCRIPTION", "DEADLINE", "PRIORITY", "RESPONSIBLE_ID", "CREATED_BY", "XML_ID", "STATUS", "GROUP_ID"}
	taskLimits = map[string]int{"TITLE": 460, "XML_ID": 200}
)

// taskAdd never looks for a duplicate, of XML_ID neither. Bitrix24:
// tasks.task.add; the texts are in the portal's language.
func (s *Server) taskAdd(c *call) (*reply, *refusal) {
	given, refused := taskArgs(c)
	if refused != nil {
		return nil, refused
	}
	now := s.Now()
	t := &task{created: now, fields: map[string]string{"PRIORITY": "1", "STATUS": "2", "GROUP_ID": "0", "CREATED_BY": c.user()}}
	if refused := s.assignTask(t, given); refused != nil {
		return nil, refused
	}
	s.tasks.nextID++
	t.id = s.tasks.nextID
	s.tasks.byID[t.id] = t
	s.keepTask(t)
	return ok(obj{"task": s.taskShown(t, nil)})
}

func taskArgs(c *call) (*dict, *refusal) {
	given := c.p.dict("fields")
	if given.len() == 0 {
		return nil, refuse(http.StatusBadRequest, "100", "Could not find value for parameter {fields} (internal error)")
	}
	return given, nil
}

func (s *Server) assignTask(t *task, given *dict) *refusal {
	next := maps.Clone(t.fields)
	for _, name := range taskFields {
		v, there := given.vals[name]
		if !there {
			continue
		}
		text, refused := s.fit(name, str(v), taskLimits[name])
		if refused != nil {
			return refused
		}
		if at, is := s.parse(text, true); is && name == "DEADLINE" {
			text = s.stamp(at)
		}
		next[name] = text
	}
	switch {
	case strings.TrimSpace(next["TITLE"]) == "":
		return core("Task name is not specified<br>")
	case next["RESPONSIBLE_ID"] == "":
		return core("The responsible person is not specified<br>")
	case !slices.ContainsFunc(s.users(), func(u user) bool { return strconv.FormatInt(u.id, 10) == next["RESPONSIBLE_ID"] }):
		return core("The user specified in the field \"Responsible person\" was not found<br>")
	}
	t.fields = next
	if bound, is := given.vals["UF_CRM_TASK"].(*dict); is {
		t.bound = nil
		for _, k := range bound.keys {
			t.bound = append(t.bound, str(bound.vals[k]))
		}
	}
	return nil
}

func (s *Server) keepTask(t *task) {
	t.modified = s.Now()
	s.tasks.tally.Put(t, simcrm.TaskKey(t.fields["XML_ID"], t.fields["TITLE"], t.contact()))
}

// contact is the first contact that a task is bound to.
func (t *task) contact() string {
	for _, b := range t.bound {
		if id, is := strings.CutPrefix(b, "C_"); is {
			return id
		}
	}
	return ""
}

// taskOf finds the task that a call names; nil where there is none.
func (s *Server) taskOf(c *call) (*task, *refusal) {
	v, there := c.p.vals["taskId"]
	if !there {
		return nil, refuse(http.StatusBadRequest, "100", "CTaskItem All parameters in the constructor must have real class type (internal error)")
	}
	id, is := number(v)
	if !is {
		return nil, refuse(http.StatusBadRequest, "0", "wrong task id")
	}
	return s.tasks.byID[id], nil
}

// taskGet answers an empty list where there is no such task. Bitrix24:
// tasks.task.get.
func (s *Server) taskGet(c *call) (*reply, *refusal) {
	t, refused := s.taskOf(c)
	switch {
	case refused != nil:
		return nil, refused
	case t == nil:
		return ok([]any{})
	}
	return ok(obj{"task": s.taskShown(t, c.p.dict("select"))})
}

func (s *Server) taskUpdate(c *call) (*reply, *refusal) {
	t, refused := s.taskOf(c)
	if refused != nil {
		return nil, refused
	}
	if t == nil {
		return nil, noTask("edit")
	}
	given, refused := taskArgs(c)
	if refused != nil {
		return nil, refused
	}
	if refused := s.assignTask(t, given); refused != nil {
		return nil, refused
	}
	s.keepTask(t)
	return ok(obj{"task": s.taskShown(t, nil)})
}

func (s *Server) taskDelete(c *call) (*reply, *refusal) {
	t, refused := s.taskOf(c)
	if refused != nil {
		return nil, refused
	}
	if t == nil {
		return nil, noTask("delete")
	}
	delete(s.tasks.byID, t.id)
	s.tasks.tally.Drop(t)
	return ok(obj{"task": true})
}

// noTask does not tell a task that is none's from one of others'. Bitrix24:
// tasks.task.delete.
func noTask(what string) *refusal {
	return refuse(http.StatusBadRequest, "1048582", "No permission to %s the task", what)
}

// taskShown names fields in camel case, and every value is a string. What is
// not chosen is left out but for the id; UF_CRM_TASK does not come unasked.
// Bitrix24: task fields.
func (s *Server) taskShown(t *task, chosen *dict) obj {
	o := obj{
		"id": strconv.FormatInt(t.id, 10), "createdDate": s.stamp(t.created), "changedDate": s.stamp(t.modified), "closedDate": nil,
		"descriptionInBbcode": "Y", "auditors": []any{}, "accomplices": []any{},
	}
	for _, name := range taskFields {
		o[itemName(name)] = nil
		if v := t.fields[name]; v != "" {
			o[itemName(name)] = v
		}
	}
	if o["description"] == nil {
		o["description"] = ""
	}
	if chosen.len() == 0 {
		return o
	}
	o["ufCrmTask"] = append([]string{}, t.bound...)
	out := obj{"id": o["id"]}
	for _, k := range chosen.keys {
		switch name := str(chosen.vals[k]); name {
		case "*":
			for name, v := range o {
				if name != "ufCrmTask" {
					out[name] = v
				}
			}
		case "UF_*":
			out["ufCrmTask"] = o["ufCrmTask"]
		default:
			if v, known := o[itemName(name)]; known {
				out[itemName(name)] = v
			}
		}
	}
	return out
}

// taskList has the newest first unless asked otherwise. Bitrix24:
// tasks.task.list, which leaves XML_ID out of what can be filtered by; the
// product's code compares it. What it does not know it passes over.
func (s *Server) taskList(c *call) (*reply, *refusal) {
	filter, refused := c.array("filter")
	if refused != nil {
		return nil, refused
	}
	by, _ := c.array("order")
	oldest := strings.EqualFold(str(by.get("ID")), "asc")
	found := slices.SortedFunc(maps.Values(s.tasks.byID), func(a, b *task) int {
		if oldest {
			return cmp.Compare(a.id, b.id)
		}
		return cmp.Compare(b.id, a.id)
	})
	rows := []any{}
	for _, t := range found {
		if s.taskMatches(t, filter) {
			rows = append(rows, s.taskShown(t, c.p.dict("select")))
		}
	}
	out, refused := s.page(c, rows)
	if refused == nil {
		out.result = obj{"tasks": out.result}
	}
	return out, refused
}

func (s *Server) taskMatches(t *task, filter *dict) bool {
	for _, k := range filter.names() {
		op, name := splitOperator(k)
		var have []string
		switch {
		case name == "ID":
			have = []string{strconv.FormatInt(t.id, 10)}
		case name == "UF_CRM_TASK":
			have = t.bound
		case name == "XML_ID" && s.knobs.NoXMLIDFilter:
			continue
		case slices.Contains(taskFields, name):
			have = []string{t.fields[name]}
		default:
			continue
		}
		wanted := []string{}
		if list, is := filter.vals[k].(*dict); is {
			for _, n := range list.keys {
				wanted = append(wanted, str(list.vals[n]))
			}
		} else {
			wanted = append(wanted, str(filter.vals[k]))
		}
		hit := slices.ContainsFunc(have, func(v string) bool {
			return slices.ContainsFunc(wanted, func(w string) bool { return compared(op, name, v, w) })
		})
		if hit == strings.HasPrefix(op, "!") {
			return false
		}
	}
	return true
}

func compared(op, name, have, want string) bool {
	switch {
	case strings.Contains(op, "%"), name == "TITLE" && strings.ContainsAny(want, "%"):
		return strings.Contains(strings.ToLower(have), strings.ToLower(strings.Trim(want, "%")))
	case strings.ContainsAny(op, "<>"):
		x, _ := number(have)
		y, _ := number(want)
		return ordered(op, cmp.Compare(x, y))
	}
	return have == want
}

// tallyActivity counts an activity that is to be done by somebody.
func (s *Server) tallyActivity(a *activity) {
	if !a.todo() {
		s.tasks.tally.Drop(a)
		return
	}
	s.tasks.tally.Put(a, simcrm.TaskKey(a.fields["ORIGIN_ID"], a.fields["SUBJECT"], strconv.FormatInt(a.owner, 10)))
}

// Tasks returns the task or activity with this id, or else those of the
// contact; all if both are empty. A contact's activities go with it, its tasks
// stay.
func (s *Server) Tasks(id, contact string) []Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := number(contact)
	list := []Task{}
	add := func(t Task, owner int64) {
		if s.people.byID[owner] != nil {
			t.ContactID = strconv.FormatInt(owner, 10)
		}
		if id != "" && t.ID != id || id == "" && contact != "" && (t.ContactID == "" || owner != n) {
			return
		}
		list = append(list, t)
	}
	for _, k := range slices.Sorted(maps.Keys(s.activities.byID)) {
		a := s.activities.byID[k]
		if !a.todo() {
			continue
		}
		add(Task{
			ID: strconv.FormatInt(a.id, 10), Title: a.fields["SUBJECT"], Text: a.fields["DESCRIPTION"], Owner: a.fields["RESPONSIBLE_ID"],
			Due: s.dueShown(a.fields["DEADLINE"]), Priority: a.fields["PRIORITY"], CreatedAt: simcrm.Stamp(a.created),
		}, a.owner)
	}
	for _, k := range slices.Sorted(maps.Keys(s.tasks.byID)) {
		t := s.tasks.byID[k]
		owner, _ := number(t.contact())
		add(Task{
			ID: strconv.FormatInt(t.id, 10), Title: t.fields["TITLE"], Text: t.fields["DESCRIPTION"], Owner: t.fields["RESPONSIBLE_ID"],
			Due: s.dueShown(t.fields["DEADLINE"]), Priority: t.fields["PRIORITY"], CreatedAt: simcrm.Stamp(t.created),
		}, owner)
	}
	return list
}

func (s *Server) dueShown(text string) string {
	if at, is := s.parse(text, true); is {
		return simcrm.Stamp(at)
	}
	return text
}
