package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

const (
	tasks = "tasks"
	// taskKeyProperty is unique and tells tasks apart.
	taskKeyProperty  = "crmsync_task_key"
	taskBodyProperty = "hs_task_body"
)

// taskToContact is directional, like communicationToContact.
var taskToContact = associationType{Category: "HUBSPOT_DEFINED", ID: 204}

// A tasking is one call about tasks.
type tasking struct {
	client  *Client
	results []connectors.Result
	// key says that tasks have our unique property.
	key bool
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

// FindTasks looks for tasks by their unique property, or where the account has
// none by the last line of what hangs on the contact.
func (c *Client) FindTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return c.eachTask(ctx, changes, (*tasking).find)
}

// CreateTasks writes tasks on contacts.
func (c *Client) CreateTasks(ctx context.Context, changes []connectors.TaskChange) []connectors.Result {
	return c.eachTask(ctx, changes, (*tasking).create)
}

// EraseTasks moves tasks to the recycle bin, for HubSpot keeps them when their
// contact goes.
func (c *Client) EraseTasks(ctx context.Context, ids []string) []connectors.Result {
	results := make([]connectors.Result, len(ids))
	known := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID.MatchString(id) })
	c.archive(ctx, tasks, known, ids, results)
	for i := range results {
		results[i].Err = ofTasks(results[i].Err)
	}
	return results
}

// SetupTasks sees to the property that tells tasks apart. Whether an account allows
// own properties on tasks is nowhere documented; without it a task carries its key
// in a last line.
func (c *Client) SetupTasks(ctx context.Context, fix bool) ([]connectors.Finding, error) {
	have, err := c.definitions(ctx, tasks)
	if err != nil {
		if !refusal(err) {
			return nil, err
		}
		return []connectors.Finding{{Object: tasks, Problem: ofTasks(err).Reason}}, nil
	}
	const lost = "tasks carry their key in a last line, and looking for one reads the contact's tasks"
	p, there := have[taskKeyProperty]
	f := connectors.Finding{Object: tasks, Field: taskKeyProperty}
	switch {
	case there && !p.HasUniqueValue:
		f.Problem = "the property is not unique: " + lost + "; delete it in HubSpot and run the setup again"
	case there:
	case !fix:
		f.Fixable = true
		f.Problem = "the property does not exist in HubSpot: " + lost
	default:
		p = property{Name: taskKeyProperty, Label: "Task key (crmsync)", Type: "string", FieldType: "text", HasUniqueValue: true}
		s := setup{client: c}
		if err := s.create(ctx, tasks, p); err != nil {
			if !refusal(err) {
				return nil, err
			}
			p.HasUniqueValue = false
			f.Problem = fmt.Sprintf("HubSpot refuses the property (%s): %s", err, lost)
		}
	}
	c.knowTasks(p.HasUniqueValue)
	if f.Problem == "" {
		return nil, nil
	}
	return []connectors.Finding{f}, nil
}

func (c *Client) knowTasks(key bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks = &key
}

// learnedTasks reports whether tasks have our unique property: from SetupTasks, or
// read now.
func (c *Client) learnedTasks(ctx context.Context) (key bool, err *connectors.Error) {
	c.mu.Lock()
	known := c.tasks
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	have, err := c.definitions(ctx, tasks)
	if err != nil {
		return false, ofTasks(err)
	}
	key = have[taskKeyProperty].HasUniqueValue
	c.knowTasks(key)
	return key, nil
}

// ofTasks makes of a token that may not deal with tasks the trouble of the task.
func ofTasks(e *connectors.Error) *connectors.Error {
	if e == nil || e.Class != connectors.Unauthorized || e.Status == http.StatusUnauthorized {
		return e
	}
	denied := *e
	denied.Class = connectors.Rejected
	denied.Reason = "HubSpot does not let the token deal with tasks: give it the scopes for reading and writing contacts and their properties (" + e.Reason + ")"
	return &denied
}

// find looks tasks up. One may have been written before there was the property.
func (t *tasking) find(ctx context.Context, list []*journal.Task) {
	if t.key {
		t.findByKey(ctx, list)
		list = slices.DeleteFunc(slices.Clone(list), func(task *journal.Task) bool {
			return task.Error(t.results) != nil || task.Record(t.results) != "" || !isID.MatchString(task.ContactRecordID)
		})
	}
	for contact, list := range journal.ByContact(list) {
		wanted := map[string]*journal.Task{}
		for _, task := range list {
			wanted[task.Key] = task
		}
		err := t.client.hanging(ctx, contact, tasks, taskBodyProperty, func(id, body string) bool {
			key := journal.MarkedKey(body)
			if task := wanted[key]; task != nil {
				task.Give(t.results, connectors.Result{RecordID: id})
				delete(wanted, key)
			}
			return len(wanted) > 0
		})
		if err != nil && err.Code == "OBJECT_NOT_FOUND" {
			err = noContactOfTask()
		}
		if err != nil {
			journal.FailAll(list, t.results, ofTasks(err))
		}
	}
}

// findByKey asks for the unique property, which is consistent at once.
func (t *tasking) findByKey(ctx context.Context, list []*journal.Task) {
	keys := make([]string, len(list))
	for i, task := range list {
		keys[i] = task.Key
	}
	found, missing, err := t.client.read(ctx, tasks, taskKeyProperty, keys, []string{taskKeyProperty})
	for _, task := range list {
		i := slices.IndexFunc(found, func(o object) bool { return string(o.Properties[taskKeyProperty]) == task.Key })
		switch {
		case err != nil:
			task.Fail(t.results, ofTasks(err))
		case i >= 0:
			task.Give(t.results, connectors.Result{RecordID: string(found[i].ID)})
		case missing[task.Key], missing[""]:
			task.Give(t.results, connectors.Result{})
		default:
			task.Fail(t.results, &connectors.Error{Class: connectors.Transient, Reason: "HubSpot's answer does not mention the task"})
		}
	}
}

func noContactOfTask() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the task's contact is not in HubSpot"}
}

// create writes tasks. One that HubSpot has already, by its unique property, is
// as good as created.
func (t *tasking) create(ctx context.Context, list []*journal.Task) {
	var inputs []input
	var sent []*journal.Task
	for _, task := range t.owned(ctx, list) {
		p := map[string]string{
			"hs_timestamp": instant(task.Due), "hs_task_subject": connectors.Cut(task.Title, 255), "hs_task_type": "TODO",
			"hs_task_status": "NOT_STARTED", "hs_task_priority": taskPriorities[task.Priority],
		}
		if task.Owner != "" {
			p[ownerProperty] = task.Owner
		}
		if t.key {
			p[taskKeyProperty], p[taskBodyProperty] = task.Key, notes(task.Text, "")
		} else {
			line := journal.Task{TaskChange: connectors.TaskChange{Key: task.Key}}
			p[taskBodyProperty] = notes(task.Text, line.Marked(maxBody))
		}
		to := reference{task.ContactRecordID}
		inputs = append(inputs, input{Properties: p, Associations: []association{{To: to, Types: []associationType{taskToContact}}}})
		sent = append(sent, task)
	}
	match := byProperty(taskKeyProperty)
	if !t.key {
		match = func(in *input, o *object) bool {
			key := journal.MarkedKey(string(o.Properties[taskBodyProperty]))
			return key != "" && key == journal.MarkedKey(in.Properties[taskBodyProperty])
		}
	}
	var there []*journal.Task
	for i, o := range t.client.write(ctx, creating, t.client.paths.objects+tasks+"/batch/create", inputs, match) {
		switch {
		case o.err == nil:
			sent[i].Give(t.results, connectors.Result{RecordID: string(o.object.ID), Created: true})
		case t.key && o.err.Code == "VALUE_TAKEN" && o.err.Field == taskKeyProperty:
			sent[i].Fail(t.results, o.err)
			there = append(there, sent[i])
		default:
			sent[i].Fail(t.results, t.about(o.err))
		}
	}
	if len(there) == 0 {
		return
	}
	before := make([]*connectors.Error, len(there))
	for i, task := range there {
		before[i] = task.Error(t.results)
	}
	t.findByKey(ctx, there)
	for i, task := range there {
		if task.Error(t.results) == nil && task.Record(t.results) == "" {
			task.Fail(t.results, before[i]) // one in the recycle bin, perhaps
		}
	}
}

// notes is what a task holds, which is HTML: a text as it was written, and a last line
// of our own.
func notes(text, line string) string {
	if text != "" && line != "" {
		line = "<br><br>" + line
	}
	var b strings.Builder
	left := maxBody - len(line) - len("…") // in bytes, of which there are never fewer than characters
	for _, r := range text {
		piece := markup.Replace(string(r))
		if left -= len(piece); left < 0 {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
	}
	return b.String() + line
}

var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br>", "\r", "")

// taskPriorities are HubSpot's.
var taskPriorities = map[connectors.Priority]string{
	"": "MEDIUM", connectors.LowPriority: "LOW", connectors.NormalPriority: "MEDIUM", connectors.HighPriority: "HIGH",
}

// about is a failure of a task. A person may have deleted our property: what is
// known of it is forgotten.
func (t *tasking) about(err *connectors.Error) *connectors.Error {
	switch {
	case err.Code == "PROPERTY_DOESNT_EXIST" && err.Field == taskKeyProperty:
		t.client.mu.Lock()
		t.client.tasks = nil
		t.client.mu.Unlock()
		return &connectors.Error{Class: connectors.Unknown, Status: err.Status, Code: err.Code, Field: err.Field, Reason: "the property of tasks is gone from HubSpot"}
	case err.Code == "INVALID_OBJECT_IDS":
		gone := noContactOfTask()
		gone.Status = err.Status
		return gone
	}
	return ofTasks(err)
}

// owned are the tasks whose contact and owner are known: by id, by e-mail address,
// or as the contact's own. The others fail.
func (t *tasking) owned(ctx context.Context, list []*journal.Task) []*journal.Task {
	var contactIDs []string
	start := time.Now()
	list = slices.DeleteFunc(slices.Clone(list), func(task *journal.Task) bool {
		var err *connectors.Error
		switch {
		case !isID.MatchString(task.ContactRecordID):
			err = noContactOfTask()
		case task.Owner == "":
			contactIDs = append(contactIDs, task.ContactRecordID)
		case strings.Contains(task.Owner, "@"):
			var id string
			if id, err = t.client.ownerID(ctx, task.Owner, start); err == nil {
				task.Owner = id
			} else {
				err = about(ownerProperty, err)
			}
		case !isID.MatchString(task.Owner):
			err = &connectors.Error{Class: connectors.Rejected, Code: "INVALID_OWNER_ID", Field: ownerProperty, Reason: reasons["INVALID_OWNER_ID"]}
		}
		if err != nil {
			task.Fail(t.results, err)
		}
		return err != nil
	})
	if len(contactIDs) == 0 {
		return list
	}
	slices.Sort(contactIDs)
	found, _, err := t.client.read(ctx, contacts, "", slices.Compact(contactIDs), []string{ownerProperty})
	owners := map[string]string{}
	for i := range found {
		owners[string(found[i].ID)] = string(found[i].Properties[ownerProperty])
	}
	return slices.DeleteFunc(list, func(task *journal.Task) bool {
		if task.Owner != "" {
			return false
		}
		if err != nil {
			task.Fail(t.results, err)
			return true
		}
		// A contact that HubSpot shows under another id, or not, is seen to by
		// the create.
		task.Owner = owners[task.ContactRecordID]
		return false
	})
}
