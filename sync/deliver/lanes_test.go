package deliver

import (
	"testing"

	"crmsync/sync/directory"
)

func contacts(linked bool, ids ...int64) []directory.Work {
	work := make([]directory.Work, len(ids))
	for i, id := range ids {
		work[i].Link.Entity = directory.Entity{Kind: directory.ContactEntity, ID: id}
		if linked {
			work[i].Link.RecordID = "record"
		}
	}
	return work
}

func idsOf(work []directory.Work) (ids []int64) {
	for _, todo := range work {
		ids = append(ids, todo.Link.Entity.ID)
	}
	return ids
}

// kept is what a lane keeps of what it has taken and loaded.
func kept(l *lane, work []directory.Work) []int64 {
	keep, _ := l.share(idsOf(work), work)
	return idsOf(keep)
}

// A contact is in work in one lane only, whatever it was when it was queued.
func TestLanesShareContacts(t *testing.T) {
	t.Parallel()
	newcomers, changes := newLane(nil, directory.ContactEntity, 10, 0, nil), newLane(nil, directory.ContactEntity, 10, 0, nil)
	newcomers.others, changes.others = changes, newcomers
	changes.linked = true

	newcomers.queue.add(1, 2)
	taken := newcomers.queue.take(10)
	if got := kept(newcomers, append(contacts(false, 1), contacts(true, 2)...)); len(got) != 1 || got[0] != 1 {
		t.Fatalf("newcomers keep %v, want 1", got)
	}
	if got := changes.queue.take(10); len(got) != 1 || got[0] != 2 {
		t.Fatalf("changes were passed %v, want 2", got)
	}
	if got := kept(changes, contacts(true, 2)); len(got) != 1 {
		t.Fatalf("changes keep %v, want 2", got)
	}

	// Contact 2 loses its record while that is being written to.
	newcomers.queue.add(2)
	newcomers.queue.take(10)
	if got := kept(newcomers, contacts(false, 2)); got != nil {
		t.Errorf("newcomers keep %v, which changes have in work", got)
	}
	changes.queue.done([]int64{2})
	if got := changes.queue.take(10); len(got) != 1 || got[0] != 2 {
		t.Errorf("changes look again at %v, want 2", got)
	}
	if got := kept(changes, contacts(false, 2)); got != nil {
		t.Errorf("changes keep %v, which has no record", got)
	}
	newcomers.queue.done(taken[:1])
	if got := newcomers.queue.take(10); len(got) != 1 || got[0] != 2 {
		t.Errorf("newcomers were passed %v, want 2", got)
	}
}
