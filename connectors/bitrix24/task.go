package bitrix24

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

const (
	taskAdd  = "crm.activity.add"
	taskList = "crm.activity.list"
	// taskProvider is whose activities are things to do.
	taskProvider = "CRM_TODO"

	maxTitle = 255
)

// A tasking is one call about tasks, which are activities to do: unlike tasks of
// Bitrix24's module of that name they need no scope beyond crm, and can be found
// by an id of ours (Bitrix24: crm.activity.add, crm.activity.list). They go before
// messages: somebody is to see to them.
type tasking struct {
	client  *Client
	results []connectors.Result
}

// SetupTasks finds nothing: activities need what contacts need.
func (c *Client) SetupTasks(context.Context, bool) ([]connectors.Finding, error) { return nil, nil }

// FindTasks looks for activities by their origin.
func (c *Client) FindTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	t := tasking{client: c, results: make([]connectors.Result, len(changes))}
	var cmds []command
	for _, task := range journal.Tasks(changes, t.results) {
		cmds = append(cmds, command{
			method: taskList,
			rank:   leading,
			params: params{
				"filter": params{"PROVIDER_ID": taskProvider, "ORIGINATOR_ID": originator, "ORIGIN_ID": task.Key},
				"select": []string{"ID", "ORIGIN_ID"},
				"order":  params{"ID": "ASC"},
			},
			done: func(o outcome) {
				var found list[struct {
					ID     value `json:"ID"`
					Origin value `json:"ORIGIN_ID"`
				}]
				if err := o.decode(&found); err != nil {
					task.Fail(t.results, err)
					return
				}
				for _, a := range found {
					if string(a.Origin) == task.Key && isID(string(a.ID)) {
						task.Give(t.results, connectors.Result{RecordID: string(a.ID)})
						return
					}
				}
			},
		})
	}
	c.run(ctx, cmds)
	return t.results
}

// CreateTasks adds activities to contacts, each of which is read before: an
// activity names a way to reach the contact, and who is to do it.
func (c *Client) CreateTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	t := tasking{client: c, results: make([]connectors.Result, len(changes))}
	tasks := t.owned(ctx, journal.Tasks(changes, t.results))
	people, err := c.aboutContacts(ctx, tasks)
	var cmds []command
	for _, task := range tasks {
		who, there := people[task.ContactRecordID]
		switch {
		case there:
			cmds = append(cmds, t.add(task, who))
		case err != nil:
			task.Fail(t.results, err)
		default:
			task.Fail(t.results, noContactOfTask())
		}
	}
	c.run(ctx, cmds)
	return t.results
}

// EraseTasks has nothing to do: activities go with their contact.
func (c *Client) EraseTasks(_ context.Context, ids []string) []connectors.Result {
	return make([]connectors.Result, len(ids))
}

func noContactOfTask() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: codeNoOwner, Reason: "the task's contact is not in Bitrix24"}
}

// owned are the tasks whose owner, if one is named, works with the portal.
func (t *tasking) owned(ctx context.Context, list []*journal.Task) []*journal.Task {
	const field = "RESPONSIBLE_ID"
	return slices.DeleteFunc(list, func(task *journal.Task) bool {
		if task.Owner == "" {
			return false
		}
		var failure *connectors.Error
		for _, age := range []time.Duration{dated, fresh} {
			s, err := t.client.people(ctx, age)
			if err != nil {
				failure = err
				if err.Class == connectors.Unauthorized {
					if isID(task.Owner) {
						return false // Bitrix24's to judge
					}
					e := *err
					e.Class, e.Field = connectors.Rejected, field
					e.Reason = "whose task it is cannot be looked up: give the webhook or application the scope user_basic, or leave the owner out"
					failure = &e
				}
				break
			}
			id := s.owner(task.Owner)
			if s.works(task.Owner) {
				id = task.Owner
			}
			if id != "" {
				task.Owner = id
				return false
			}
			failure = refuse(field, "INVALID_OWNER", "no active user of the portal has this id or e-mail address")
		}
		task.Fail(t.results, failure)
		return true
	})
}

// works reports whether there is an active user with an id.
func (s *staff) works(id string) bool {
	return slices.ContainsFunc(s.users, func(u connectors.User) bool { return u.Active && u.ID == id })
}

// aboutContacts reads the tasks' contacts, by id.
func (c *Client) aboutContacts(ctx context.Context, tasks []*journal.Task) (people map[string]contact, failure *connectors.Error) {
	var ids []string
	for _, task := range tasks {
		if isID(task.ContactRecordID) {
			ids = append(ids, task.ContactRecordID)
		}
	}
	slices.Sort(ids)
	people = map[string]contact{}
	var cmds []command
	for part := range slices.Chunk(slices.Compact(ids), perPage) {
		cmds = append(cmds, command{
			method: contactList,
			rank:   leading,
			params: params{"filter": params{"@ID": part}, "select": []string{"ID", "ASSIGNED_BY_ID", "PHONE", "EMAIL"}, "order": params{"ID": "ASC"}, "start": "-1"},
			done: func(o outcome) {
				var found list[contact]
				if err := o.decode(&found); err != nil {
					failure = err
					return
				}
				for _, who := range found {
					people[who.id()] = who
				}
			},
		})
	}
	c.run(ctx, cmds)
	return people, failure
}

// taskPriorities are Bitrix24's.
var taskPriorities = map[connectors.Priority]string{"": "2", connectors.LowPriority: "1", connectors.NormalPriority: "2", connectors.HighPriority: "3"}

func (t *tasking) add(task *journal.Task, who contact) command {
	owner := task.Owner
	if owner == "" {
		owner = string(who.text("ASSIGNED_BY_ID"))
	}
	reach := params{"ENTITY_ID": who.id(), "ENTITY_TYPE_ID": contactTypeID, "TYPE": "", "VALUE": ""}
	for _, kind := range []string{"EMAIL", "PHONE"} {
		if rows := who.rows(kind); len(rows) > 0 {
			reach["TYPE"], reach["VALUE"] = kind, string(rows[0].Value)
		}
	}
	due := instant(task.Due)
	return command{
		method:  taskAdd,
		rank:    leading,
		creates: true,
		subject: who.id(),
		params: params{"fields": params{
			"OWNER_TYPE_ID": contactTypeID, "OWNER_ID": who.id(), "TYPE_ID": "6", "PROVIDER_ID": taskProvider, "PROVIDER_TYPE_ID": "TODO",
			"SUBJECT": cut(task.Title, maxTitle), "DESCRIPTION": cut(task.Text, maxText), "DESCRIPTION_TYPE": "1",
			"RESPONSIBLE_ID": owner, "START_TIME": due, "END_TIME": due, "PRIORITY": taskPriorities[task.Priority], "COMPLETED": "N",
			"ORIGINATOR_ID": originator, "ORIGIN_ID": task.Key, "COMMUNICATIONS": []params{reach},
		}},
		done: func(o outcome) {
			var id value
			switch {
			case o.err != nil && (o.err.Code == codeGone || o.err.Code == codeNoOwner):
				// What is not there is the contact.
				e := noContactOfTask()
				e.Status = o.err.Status
				task.Fail(t.results, e)
			case o.err != nil:
				task.Fail(t.results, o.err)
			case json.Unmarshal(o.result, &id) != nil || !isID(strings.TrimSpace(string(id))):
				task.Fail(t.results, silent(&command{creates: true}))
			default:
				task.Give(t.results, connectors.Result{RecordID: string(id), Created: true})
			}
		},
	}
}
