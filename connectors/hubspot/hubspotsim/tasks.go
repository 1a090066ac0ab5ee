package hubspotsim

import (
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// Task is a task for a person as the control plane shows it.
type Task = simcrm.Task

// due is the property that has a task's due date, the only one that a task
// needs. HubSpot: the tasks guide, and refusals that were seen.
const due = "hs_timestamp"

// taskProperties are those of HubSpot's tasks guide
// (developers.hubspot.com/docs/api/crm/tasks). Its table of statuses is shorter
// than what its own example sends.
func taskProperties() []*property {
	ps := []*property{
		field(due, "Due date", "datetime", "date"),
		field("hs_task_subject", "Task title", "string", "text"),
		field("hs_task_body", "Task notes", "string", "html"),
		choice("hs_task_status", "Task status", "select", "NOT_STARTED", "IN_PROGRESS", "WAITING", "COMPLETED", "DEFERRED"),
		choice("hs_task_priority", "Priority", "select", "NONE", "LOW", "MEDIUM", "HIGH"),
		choice("hs_task_type", "Task type", "select", "EMAIL", "CALL", "TODO"),
		field("hs_task_reminders", "Task reminders", "string", "text"),
		field("hubspot_owner_id", "Assigned to", "enumeration", "select"),
		field(attachmentIDs, "Attached file IDs", "string", "text"),
		locked("hs_createdate", "Create date", "datetime", false),
		locked("hs_lastmodifieddate", "Last modified date", "datetime", false),
		locked("hs_body_preview", "Body preview", "string", true),
	}
	return append(ps, everyObject()...)
}

// checkTask holds for new tasks and for changed ones. How HubSpot words it of
// the latter is not documented.
func checkTask(props map[string]string) *refusal {
	if props[due] != "" {
		return nil
	}
	return refuse(http.StatusBadRequest, validation, "Error creating TASK.  Some required properties were not set.").with("properties", due)
}

// refusesCustom reports whether the account takes no custom properties for
// this type of records.
func (s *Server) refusesCustom(st *store) bool {
	return st.id == communicationType && s.opts.CustomCommunicationProperties == "refused" ||
		st.id == taskType && s.knobs.PlainTasks
}

// tally counts a task anew once what it is known by may have changed.
func (s *Server) tally(r *record) {
	if r.kind.id != taskType {
		return
	}
	if !r.now.archived.IsZero() {
		s.tasks.Drop(r)
		return
	}
	contact := ""
	if p := r.person(); p != nil {
		contact = strconv.FormatInt(p.id, 10)
	}
	s.tasks.Put(r, simcrm.TaskKey(r.kind.ownKey(r.now.props), r.now.props["hs_task_subject"], contact))
}

// ownKey is what an integration tells its records apart by: a custom unique
// property, or a custom one whose name ends in _key.
func (st *store) ownKey(props map[string]string) string {
	key := ""
	for _, name := range slices.Sorted(maps.Keys(props)) {
		p := st.property(name)
		switch {
		case p == nil || p.HubSpotDefined:
		case p.HasUniqueValue:
			return props[name]
		case strings.HasSuffix(name, "_key"):
			key = props[name]
		}
	}
	return key
}

// person is the contact with which a record was associated first, were it
// deleted since.
func (r *record) person() *record {
	for _, l := range r.links {
		if l.kind.id == contactType {
			return l.to
		}
	}
	return nil
}

// Notes of tasks are HTML: people see no tags, and no line breaks but <br>.
var (
	tag    = regexp.MustCompile(`<[^>]*>`)
	breaks = strings.NewReplacer("<br>", "\n", "<br/>", "\n")
)

// read is HTML as people see it.
func read(body string) string {
	body = strings.Join(strings.Fields(body), " ")
	return html.UnescapeString(tag.ReplaceAllString(breaks.Replace(body), ""))
}

// Tasks returns the task with this id, or else those of the contact; all if
// both are empty. HubSpot: a deleted contact's tasks stay without it
// (knowledge.hubspot.com, Understand restorable and permanent contact
// deletions).
func (s *Server) Tasks(id, contact string) []Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[taskType]
	records := st.records
	switch {
	case id != "":
		records = st.numbered([]text{text(id)})
	case contact != "":
		records = nil
		if r := s.stores[contactType].get(contact); r != nil {
			for _, l := range r.links {
				if l.kind == st && !slices.Contains(records, l.to) {
					records = append(records, l.to)
				}
			}
		}
	}
	list := []Task{}
	for _, r := range records {
		if !r.now.archived.IsZero() {
			continue
		}
		p := r.now.props
		shown := Task{
			ID: strconv.FormatInt(r.id, 10), Title: p["hs_task_subject"], Text: read(p["hs_task_body"]), Owner: p["hubspot_owner_id"],
			Due: p[due], Priority: p["hs_task_priority"], CreatedAt: simcrm.Stamp(r.created),
		}
		if who := r.person(); who != nil && who.now.archived.IsZero() {
			shown.ContactID = strconv.FormatInt(who.id, 10)
		}
		list = append(list, shown)
	}
	return list
}
