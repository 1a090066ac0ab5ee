package zohosim

import (
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// Task is a task for a person as the control plane shows it.
type Task = simcrm.Task

const tasksModule = "Tasks"

// taskFields are those of the Tasks module. Zoho: insert records, which wants
// Subject; Kaizen #36 - Tasks API; tasks response (crm/developer/docs/api/v2).
// Subject's length is a guess. Whether a list of choices is kept to is a knob
// for all modules.
const taskFields = `
Subject text 255;must
Due_Date date
Who_Id lookup Contacts
What_Id lookup Accounts
Status picklist Not Started|Deferred|In Progress|Completed|Waiting on someone else
Priority picklist Highest|High|Normal|Low|Lowest
Description textarea large
Send_Notification_Email boolean
Closed_Time datetime fixed`

// relate finds what a new task is about besides a person: What_Id, in the
// module that $se_module names, which has to be there too. Zoho: Kaizen #36;
// what the lack of it answers is not documented.
func (s *Server) relate(w *writing, n int, in obj) *refusal {
	w.related = nil
	given, is := in["What_Id"].(obj)
	if !is {
		return nil
	}
	name, _ := in["$se_module"].(string)
	m := s.modules[name]
	switch {
	case name == "":
		return rowError(mandatory, "required field not found", n, "$se_module", nil)
	case m == nil || m.name == notesModule:
		return rowError(invalidData, "invalid data", n, "$se_module", nil)
	}
	id, _ := given["id"].(string)
	r := m.get(id)
	if r == nil {
		return rowError(invalidData, noRelated.message, n, "What_Id", nil)
	}
	w.related = map[string]*record{"What_Id": r}
	return nil
}

// ownKey is what an integration tells its records apart by: a field that none
// may share, or a custom one whose name ends in Key.
func (r *record) ownKey() string {
	key := ""
	for _, f := range r.module.fields {
		v := fold(r.now.values[f.name])
		if !f.custom || v == "" {
			continue
		}
		if f.key() {
			return v
		}
		if strings.HasSuffix(strings.ToLower(f.name), "key") {
			key = v
		}
	}
	return key
}

// tallyTask counts a live task.
func (s *Server) tallyTask(r *record) {
	subject, _ := r.now.values["Subject"].(string)
	s.tasks.Put(r, simcrm.TaskKey(r.ownKey(), subject, fold(r.now.values["Who_Id"])))
}

// dropTasks deletes a contact's tasks with it, where the knob says so.
func (s *Server) dropTasks(contact *record, by *user, quiet bool) {
	if contact.module.name != "Contacts" || !s.knobs.DropTasks {
		return
	}
	for _, r := range slices.Clone(s.modules[tasksModule].indexed("Who_Id")[fold(contact)]) {
		s.discard(r, by, quiet)
	}
}

// Tasks returns the task with this id, or else those of the contact; all if
// both are empty.
func (s *Server) Tasks(id, contact string) []Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modules[tasksModule]
	records := m.records
	switch {
	case id != "":
		records = nil
		if r := m.get(id); r != nil {
			records = []*record{r}
		}
	case contact != "":
		records = nil
		if who := s.modules["Contacts"].get(contact); who != nil {
			records = m.indexed("Who_Id")[fold(who)]
		}
	}
	list := []Task{}
	for _, r := range records {
		if !r.now.deleted.IsZero() {
			continue
		}
		text := func(name string) string { return s.plain(r.now.values[name]) }
		shown := Task{
			ID: r.name(), Title: text("Subject"), Text: text("Description"), Owner: r.now.owner.id, Due: text("Due_Date"),
			Priority: text("Priority"), CreatedAt: simcrm.Stamp(r.created),
		}
		if who, is := r.now.values["Who_Id"].(*record); is && who.now.deleted.IsZero() {
			shown.ContactID = who.name()
		}
		list = append(list, shown)
	}
	slices.SortFunc(list, func(a, b Task) int { return strings.Compare(a.ID, b.ID) })
	return list
}
