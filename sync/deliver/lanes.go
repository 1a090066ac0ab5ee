package deliver

import (
	"time"

	"crmsync/sync/directory"
)

// lanes are what a worker does side by side. Contacts enter among the
// newcomers, who wait for nobody: their messages wait for them. Those who have
// a record go on to changes, which can wait.
type lanes struct {
	newcomers, changes, messages *lane
}

func (l *lanes) all() []*lane { return []*lane{l.newcomers, l.changes, l.messages} }

func (w *Worker) newLanes() lanes {
	limits := w.Connector.Limits()
	l := lanes{
		newcomers: newLane(w, directory.ContactEntity, limits.Contacts, 400*time.Millisecond, w.writeContacts),
		changes:   newLane(w, directory.ContactEntity, limits.Contacts, 500*time.Millisecond, w.writeContacts),
		messages:  newLane(w, directory.MessageEntity, limits.Messages, 200*time.Millisecond, w.writeMessages),
	}
	l.newcomers.others, l.changes.others = l.changes, l.newcomers
	l.changes.linked = true
	l.changes.before = l.messages
	if limits.Calls > 1 {
		// The connector joins calls, so that small ones cost no more.
		l.newcomers.calls, l.messages.calls = limits.Calls, limits.Calls
		l.newcomers.every = l.messages.every
	}
	return l
}

// share keeps of what was loaded what the lane is for, and passes the rest on
// to the other lane of contacts. A contact is in work in one of them only: one
// that has lost its record while the other lane still writes to that waits
// there.
func (l *lane) share(work []directory.Work) []directory.Work {
	if l.others == nil {
		return work
	}
	var keep []directory.Work
	var pass []int64
	for _, todo := range work {
		id := todo.Link.Entity.ID
		if linked := todo.Link.RecordID != ""; linked == l.linked && !l.others.queue.works(id) {
			keep = append(keep, todo)
		} else {
			pass = append(pass, id)
		}
	}
	l.queue.done(pass)
	l.others.queue.add(pass...)
	return keep
}
