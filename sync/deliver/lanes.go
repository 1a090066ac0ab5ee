package deliver

import (
	"slices"
	"sync"
	"time"

	"crmsync/sync/directory"
)

// lanes are what a worker does side by side. Contacts enter among the
// newcomers, who wait for nobody: their messages and tasks wait for them. Those who
// have a record go on to changes, which can wait. Tasks have a lane of their own, so
// that one that somebody is to see at once waits for no conversation.
type lanes struct {
	newcomers, changes, messages, tasks *lane
}

func (l *lanes) all() []*lane { return []*lane{l.newcomers, l.changes, l.messages, l.tasks} }

// waiting is how much waits in them.
func (l *lanes) waiting() int {
	n := 0
	for _, one := range l.all() {
		n += one.queue.len()
	}
	return n
}

// underWay is how much waits in them or is in work.
func (l *lanes) underWay() int {
	n := 0
	for _, one := range l.all() {
		n += one.queue.all()
	}
	return n
}

func (w *Worker) newLanes() lanes {
	limits := w.Connector.Limits()
	l := lanes{
		newcomers: newLane(w, directory.ContactEntity, limits.Contacts, 400*time.Millisecond, w.writeContacts),
		changes:   newLane(w, directory.ContactEntity, limits.Contacts, time.Second, w.writeContacts),
		messages:  newLane(w, directory.MessageEntity, limits.Messages, 170*time.Millisecond, w.writeMessages),
		tasks:     newLane(w, directory.TaskEntity, limits.Messages, 170*time.Millisecond, w.writeTasks),
	}
	l.newcomers.others, l.changes.others = l.changes, l.newcomers
	l.changes.linked = true
	l.changes.before = l.messages
	l.messages.calls = max(limits.MessageCalls, 1)
	if limits.Calls > 1 {
		// The connector joins calls, so that small ones cost no more. What people
		// have entered need not wait for a call that can wait itself.
		l.newcomers.calls, l.newcomers.every = limits.Calls, l.messages.every
		l.changes.calls, l.changes.every = limits.Calls, 400*time.Millisecond
	}
	return l
}

// share keeps of what was loaded what the lane is for, as much as a batch may
// carry, and passes the rest on to the other lane of contacts. A contact is in
// work in one of them only: one that has lost its record while the other lane
// still writes to that waits there. It returns the ids that are still in work,
// among them those of which nothing was found.
func (l *lane) share(ids []int64, work []directory.Work) ([]directory.Work, []int64) {
	l.mu.Lock()
	size := l.size
	l.mu.Unlock()
	var keep []directory.Work
	var pass, again []int64
	for _, todo := range work {
		id := todo.Link.Entity.ID
		linked := todo.Link.RecordID != ""
		switch {
		case l.others != nil && (linked != l.linked || l.others.queue.works(id)):
			pass = append(pass, id)
			l.linkedOnes().note(id, linked)
		case len(keep) == size:
			again = append(again, id)
		default:
			keep = append(keep, todo)
		}
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(pass, id) || slices.Contains(again, id) })
	l.queue.done(again)
	l.queue.add(again...)
	l.queue.done(pass)
	if l.others != nil {
		l.others.queue.add(pass...)
	}
	return keep, ids
}

// linkedOnes are those of the lane of changes.
func (l *lane) linkedOnes() *noted {
	if l.linked {
		return &l.have
	}
	return &l.others.have
}

// noted are contacts that had a record when they were last looked at. They need
// not pass by the newcomers; one that has lost it since comes back to them.
type noted struct {
	mu  sync.Mutex
	ids map[int64]struct{}
}

// maxNoted bounds the memory; beyond it contacts pass by the newcomers again.
const maxNoted = 50_000

func (n *noted) note(id int64, linked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !linked {
		delete(n.ids, id)
		return
	}
	if n.ids == nil || len(n.ids) >= maxNoted {
		n.ids = map[int64]struct{}{}
	}
	n.ids[id] = struct{}{}
}

func (n *noted) has(id int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, is := n.ids[id]
	return is
}

// batch is how many are taken at once: of contacts always as many as possible,
// for those that are passed on need no call.
func (l *lane) batch() int {
	if l.others != nil {
		return l.limit
	}
	return l.size
}

// Busy reports whether something waits to be delivered or is in work.
func (w *Worker) Busy() bool {
	ready, _ := w.State()
	return ready && w.underWay() > 0
}
