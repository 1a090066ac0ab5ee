package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

const (
	taskModule = "Tasks"
	// taskKeyField tells tasks apart, and is unique where Zoho allows that.
	taskKeyField = "Crmsync_Task_Key"
	whoField     = "Who_Id"
	ownerField   = "Owner"
	aboutField   = "Description"
)

// A tasking is one call about tasks.
type tasking struct {
	client  *Client
	results []connectors.Result
	// key is what our field of tasks is called, empty if they have none.
	key string
}

// eachTask does one of two things to tasks.
func (c *Client) eachTask(ctx context.Context, changes []connectors.TaskChange, do func(*tasking, context.Context, []*journal.Task)) []connectors.Result {
	t := tasking{client: c, results: make([]connectors.Result, len(changes))}
	list := journal.Tasks(changes, t.results)
	if len(list) == 0 {
		return t.results
	}
	var err *connectors.Error
	if t.key, err = c.learnedTasks(ctx); err != nil {
		journal.FailAll(list, t.results, err)
		return t.results
	}
	do(&t, ctx, list)
	return t.results
}

// FindTasks looks for tasks by our field, or where the organisation has none in
// what hangs on the contact.
func (c *Client) FindTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return c.eachTask(ctx, changes, (*tasking).find)
}

// CreateTasks writes tasks on contacts. Of when they are due Zoho has the day.
func (c *Client) CreateTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return c.eachTask(ctx, changes, (*tasking).create)
}

// EraseTasks moves tasks to the recycle bin: they stay when their contact goes.
func (c *Client) EraseTasks(ctx context.Context, ids []string) []connectors.Result {
	results := c.erase(ctx, taskModule, ids)
	for i := range results {
		results[i].Err = ofTasks(results[i].Err)
	}
	return results
}

// SetupTasks sees to the field that tells tasks apart. Where Zoho refuses a unique
// one it is a plain one, and where it refuses that a task carries its key in a last
// line.
func (c *Client) SetupTasks(ctx context.Context, fix bool) ([]connectors.Finding, error) {
	// The fields may be read without the scope for the module.
	_, err := c.do(ctx, call{method: http.MethodGet, path: taskModule, query: url.Values{"fields": {"Subject"}, "per_page": {"1"}}})
	var have map[string]definition
	if err == nil {
		have, err = c.definitions(ctx, taskModule)
	}
	if err != nil {
		if !refusal(err) {
			return nil, err
		}
		return []connectors.Finding{{Object: taskModule, Problem: ofTasks(err).Reason}}, nil
	}
	const lost = "tasks carry their key in a last line, and looking for one reads the contact's tasks"
	f := connectors.Finding{Object: taskModule, Field: taskKeyField}
	d, there := find(have, taskKeyField)
	var refused *connectors.Error
	if fix {
		unique := uniqueText(taskKeyField)
		plain := unique
		plain.Unique = nil
		for _, field := range []newField{unique, plain} {
			if there {
				break
			}
			s := setup{client: c}
			if _, refused = s.create(ctx, taskModule, field); refused != nil && !refusal(refused) {
				return nil, refused
			}
			// What there is in the end is read: another replica may have been faster.
			if have, err = c.definitions(ctx, taskModule); err != nil {
				return nil, err
			}
			d, there = find(have, taskKeyField)
		}
	}
	name := ""
	switch {
	case there && d.DataType != "text":
		f.Problem = "the field is no text: " + lost + "; delete it in Zoho and run the setup again"
	case there:
		name = d.APIName
	case !fix:
		f.Fixable = true
		f.Problem = "the field does not exist in Zoho: " + lost
	case refused != nil:
		f.Problem = fmt.Sprintf("Zoho refuses to create the field (%s): %s", refused, lost)
	default:
		f.Problem = "Zoho has created the field but does not show it: " + lost
	}
	c.knowTasks(name)
	if f.Problem == "" {
		return nil, nil
	}
	return []connectors.Finding{f}, nil
}

func (c *Client) knowTasks(field string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks = &field
}

// learnedTasks is what our field of tasks is called: from SetupTasks, or read now.
func (c *Client) learnedTasks(ctx context.Context) (string, *connectors.Error) {
	c.mu.Lock()
	known := c.tasks
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	have, err := c.definitions(ctx, taskModule)
	if err != nil {
		return "", ofTasks(err)
	}
	name := ""
	if d, there := find(have, taskKeyField); there && d.DataType == "text" {
		name = d.APIName
	}
	c.knowTasks(name)
	return name, nil
}

// ofTasks makes of a token that may not deal with tasks the trouble of the task.
func ofTasks(e *connectors.Error) *connectors.Error {
	if e == nil || e.Class != connectors.Unauthorized || e.Status != http.StatusForbidden && e.Code != scopeMismatch {
		return e
	}
	denied := *e
	denied.Class = connectors.Rejected
	denied.Reason = "Zoho does not let the token deal with tasks: give it the scopes ZohoCRM.modules.tasks.ALL, " +
		"ZohoCRM.settings.fields.ALL and ZohoCRM.coql.READ, and its user's profile the right (" + e.Reason + ")"
	return &denied
}

// find looks tasks up. One may have been written before there was the field.
func (t *tasking) find(ctx context.Context, list []*journal.Task) {
	if t.key != "" {
		for part := range slices.Chunk(list, maxValues) {
			t.findByKey(ctx, part)
		}
		list = slices.DeleteFunc(slices.Clone(list), func(task *journal.Task) bool {
			return task.Error(t.results) != nil || task.Record(t.results) != "" || !isID.MatchString(task.ContactRecordID)
		})
	}
	for contact, list := range journal.ByContact(list) {
		err := noContactOfTask()
		if isID.MatchString(contact) {
			err = t.findOn(ctx, contact, list)
		}
		if err != nil {
			journal.FailAll(list, t.results, ofTasks(err))
		}
	}
}

// findByKey asks for at most 50 tasks by our field.
func (t *tasking) findByKey(ctx context.Context, list []*journal.Task) {
	keys := make([]string, len(list))
	for i, task := range list {
		keys[i] = task.Key
	}
	a, err := t.client.query(ctx, "select "+t.key+" from "+taskModule+" where ("+oneOf(t.key, keys)+") limit 200")
	found := map[string]string{}
	if err == nil {
		for _, raw := range a.Data {
			var fields map[string]json.RawMessage
			if json.Unmarshal(raw, &fields) != nil {
				err = garbled()
				break
			}
			key, _ := decode(definition{}, fields[t.key]).(string)
			record, _ := decode(definition{}, fields[idField]).(string)
			found[key] = record
		}
	}
	for _, task := range list {
		switch record, ok := found[task.Key]; {
		case err != nil:
			task.Fail(t.results, t.about(err))
		case ok && !isID.MatchString(record):
			task.Fail(t.results, garbled())
		default:
			task.Give(t.results, connectors.Result{RecordID: record})
		}
	}
}

// findOn reads the tasks of a contact and compares last lines.
func (t *tasking) findOn(ctx context.Context, contact string, list []*journal.Task) *connectors.Error {
	wanted := make(map[string]*journal.Task, len(list))
	for _, task := range list {
		wanted[task.Key] = task
	}
	return t.client.hanging(ctx, contact, taskModule, aboutField, func(id, text string) bool {
		key := journal.MarkedKey(text)
		if task := wanted[key]; task != nil {
			task.Give(t.results, connectors.Result{RecordID: id})
			delete(wanted, key)
		}
		return len(wanted) > 0
	})
}

func noContactOfTask() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the task's contact is not in Zoho"}
}

// create writes tasks. One that is there already, by its key, is as good as
// created.
func (t *tasking) create(ctx context.Context, list []*journal.Task) {
	list = t.owned(ctx, list)
	b := batch{method: http.MethodPost, path: taskModule, key: t.key, creating: true}
	for _, task := range list {
		r := map[string]any{
			"Subject": connectors.Cut(task.Title, 255), whoField: reference{task.ContactRecordID}, "$se_module": contacts,
			"Due_Date": task.Due.Format(time.DateOnly), "Status": "Not Started", "Priority": taskPriorities[task.Priority],
		}
		if task.Owner != "" {
			r[ownerField] = reference{task.Owner}
		}
		switch {
		case t.key == "":
			r[aboutField] = task.Marked(maxBody)
		case task.Text != "":
			r[aboutField] = connectors.Cut(task.Text, maxBody)
		}
		if t.key != "" {
			r[t.key] = task.Key
		}
		b.records = append(b.records, r)
	}
	var there []*journal.Task
	for i, o := range t.client.write(ctx, b) {
		taken := o.err != nil && o.err.Code == "DUPLICATE_DATA" && t.key != "" && (o.err.Field == t.key || o.err.Field == "")
		switch {
		case o.err == nil:
			list[i].Give(t.results, connectors.Result{RecordID: o.id, Created: true})
		case taken && o.err.RecordID != "":
			list[i].Give(t.results, connectors.Result{RecordID: o.err.RecordID})
		case taken:
			there = append(there, list[i])
		default:
			list[i].Fail(t.results, t.about(o.err))
		}
	}
	for part := range slices.Chunk(there, maxValues) {
		t.findByKey(ctx, part)
		for _, task := range part {
			if task.Error(t.results) == nil && task.Record(t.results) == "" {
				task.Fail(t.results, &connectors.Error{Class: connectors.Unknown, Code: "DUPLICATE_DATA", Reason: "Zoho has the task and does not show it"})
			}
		}
	}
}

// taskPriorities are Zoho's.
var taskPriorities = map[connectors.Priority]string{
	"": "Normal", connectors.LowPriority: "Low", connectors.NormalPriority: "Normal", connectors.HighPriority: "High",
}

// about is a failure of a task. A person may have deleted our field: what is known
// of it is forgotten.
func (t *tasking) about(e *connectors.Error) *connectors.Error {
	switch {
	case e.Class == connectors.Rejected && e.Code == "INVALID_DATA" && e.Field == whoField:
		gone := noContactOfTask()
		gone.Status, gone.Field = e.Status, e.Field
		return gone
	case e.Code == "INVALID_QUERY" && t.key != "":
		t.client.mu.Lock()
		t.client.tasks = nil
		t.client.mu.Unlock()
		return &connectors.Error{Class: connectors.Unknown, Status: e.Status, Code: e.Code, Field: e.Field, Reason: "Zoho does not take the query for tasks: is their field " + t.key + " gone?"}
	}
	return ofTasks(e)
}

// owned are the tasks whose contact and owner are known: by id, by e-mail address,
// or as the contact's own. The others fail.
func (t *tasking) owned(ctx context.Context, list []*journal.Task) []*journal.Task {
	var unowned []string
	list = slices.DeleteFunc(slices.Clone(list), func(task *journal.Task) bool {
		var err *connectors.Error
		switch {
		case !isID.MatchString(task.ContactRecordID):
			err = noContactOfTask()
		case task.Owner == "":
			unowned = append(unowned, task.ContactRecordID)
		default:
			if task.Owner, err = t.client.users.owner(ctx, t.client, task.Owner); err != nil {
				e := *err
				if e.Class == connectors.Unauthorized && (e.Status == http.StatusForbidden || e.Code == scopeMismatch) {
					e.Class, e.Reason = connectors.Rejected, "the token lacks the scope ZohoCRM.users.READ, by which owners are found: name them by id"
				}
				e.Field = ownerField
				err = &e
			}
		}
		if err != nil {
			task.Fail(t.results, err)
		}
		return err != nil
	})
	if len(unowned) == 0 {
		return list
	}
	slices.Sort(unowned)
	owners, err := t.client.ownersOf(ctx, slices.Compact(unowned))
	return slices.DeleteFunc(list, func(task *journal.Task) bool {
		if task.Owner == "" && err != nil {
			task.Fail(t.results, err)
			return true
		}
		if task.Owner == "" {
			// A contact that is gone is seen to by the create.
			task.Owner = owners[task.ContactRecordID]
		}
		return false
	})
}

// ownersOf are the owners of contacts, by the contacts' ids.
func (c *Client) ownersOf(ctx context.Context, contactIDs []string) (map[string]string, *connectors.Error) {
	owners := map[string]string{}
	for part := range slices.Chunk(contactIDs, perRead) {
		a, err := c.query(ctx, "select Owner from "+contacts+" where ("+oneOf(idField, part)+") limit 200")
		if err != nil {
			return nil, err
		}
		for _, raw := range a.Data {
			var found struct {
				ID    value     `json:"id"`
				Owner reference `json:"Owner"`
			}
			if json.Unmarshal(raw, &found) == nil && isID.MatchString(found.Owner.ID) {
				owners[string(found.ID)] = found.Owner.ID
			}
		}
	}
	return owners, nil
}
