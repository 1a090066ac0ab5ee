package bitrix24sim

import "slices"

// methods are by their names in small letters.
var methods map[string]method

// Methods call each other through the table, a batch above all.
func init() {
	methods = map[string]method{
		"batch":   {run: (*Server).batch},
		"scope":   {run: (*Server).scopes},
		"methods": {run: (*Server).methodNames},

		"crm.contact.add":    {scope: "crm", write: true, run: (*Server).classicAdd},
		"crm.contact.update": {scope: "crm", write: true, run: (*Server).classicUpdate},
		"crm.contact.delete": {scope: "crm", write: true, run: (*Server).classicDelete},
		"crm.contact.get":    {scope: "crm", run: (*Server).classicGet},
		"crm.contact.list":   {scope: "crm", run: (*Server).classicList},
		"crm.contact.fields": {scope: "crm", run: (*Server).classicFieldList},

		"crm.duplicate.findbycomm": {scope: "crm", run: (*Server).findByComm},
		"crm.entity.mergebatch":    {scope: "crm", write: true, run: (*Server).merge},

		"crm.timeline.comment.add":    {scope: "crm", write: true, run: (*Server).commentAdd},
		"crm.timeline.comment.update": {scope: "crm", write: true, run: (*Server).commentUpdate},
		"crm.timeline.comment.delete": {scope: "crm", write: true, run: (*Server).commentDelete},
		"crm.timeline.comment.get":    {scope: "crm", run: (*Server).commentGet},
		"crm.timeline.comment.list":   {scope: "crm", run: (*Server).commentList},

		"user.get":     {scope: "user", run: (*Server).userGet},
		"user.current": {scope: "user", run: (*Server).userCurrent},

		"crm.activity.add":    {scope: "crm", write: true, run: (*Server).activityAdd},
		"crm.activity.update": {scope: "crm", write: true, run: (*Server).activityUpdate},
		"crm.activity.delete": {scope: "crm", write: true, run: (*Server).activityDelete},
		"crm.activity.get":    {scope: "crm", run: (*Server).activityGet},
		"crm.activity.list":   {scope: "crm", run: (*Server).activityList},

		"crm.activity.todo.add":    {scope: "crm", write: true, run: (*Server).todoAdd},
		"crm.activity.todo.update": {scope: "crm", write: true, run: (*Server).todoUpdate},

		"tasks.task.add":    {scope: "task", write: true, run: (*Server).taskAdd},
		"tasks.task.update": {scope: "task", write: true, run: (*Server).taskUpdate},
		"tasks.task.delete": {scope: "task", write: true, run: (*Server).taskDelete},
		"tasks.task.get":    {scope: "task", run: (*Server).taskGet},
		"tasks.task.list":   {scope: "task", run: (*Server).taskList},

		"crm.activity.configurable.add":    {scope: "crm", app: true, write: true, run: (*Server).configurableAdd},
		"crm.activity.configurable.update": {scope: "crm", app: true, write: true, run: (*Server).configurableUpdate},
		"crm.activity.configurable.get":    {scope: "crm", app: true, run: (*Server).configurableGet},

		"event.bind":          {app: true, run: (*Server).eventBind},
		"event.get":           {app: true, run: (*Server).eventGet},
		"event.unbind":        {app: true, run: (*Server).eventUnbind},
		"event.test":          {app: true, run: (*Server).eventTest},
		"event.offline.get":   {app: true, run: (*Server).offlineGet},
		"event.offline.list":  {app: true, run: (*Server).offlineList},
		"event.offline.clear": {app: true, run: (*Server).offlineClear},
		"event.offline.error": {app: true, run: (*Server).offlineError},

		"crm.contact.userfield.add":    {scope: "crm", run: (*Server).userFieldAdd},
		"crm.contact.userfield.update": {scope: "crm", run: (*Server).userFieldUpdate},
		"crm.contact.userfield.delete": {scope: "crm", run: (*Server).userFieldDelete},
		"crm.contact.userfield.get":    {scope: "crm", run: (*Server).userFieldGet},
		"crm.contact.userfield.list":   {scope: "crm", run: (*Server).userFieldList},

		"crm.item.add":    {scope: "crm", write: true, run: (*Server).itemAdd},
		"crm.item.update": {scope: "crm", write: true, run: (*Server).itemUpdate},
		"crm.item.delete": {scope: "crm", write: true, run: (*Server).itemDelete},
		"crm.item.get":    {scope: "crm", run: (*Server).itemGet},
		"crm.item.list":   {scope: "crm", run: (*Server).itemList},
		"crm.item.fields": {scope: "crm", run: (*Server).itemFieldList},
	}
	for _, name := range []string{
		"placement.bind", "imconnector.register", "imconnector.activate", "imconnector.connector.data.set", "imconnector.send.messages",
		"imconnector.update.messages", "imconnector.delete.messages", "imconnector.send.status.delivery", "imconnector.send.status.reading",
		"crm.activity.type.add", "crm.activity.type.list", "crm.activity.type.delete",
	} {
		methods[name] = method{app: true, run: (*Server).notSimulated}
	}
}

func (s *Server) scopes(*call) (*reply, *refusal) { return ok(s.opts.Scopes) }

func (s *Server) methodNames(*call) (*reply, *refusal) {
	names := make([]string, 0, len(methods))
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return ok(names)
}
