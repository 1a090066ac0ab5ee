package deliver

import (
	"context"
	"errors"
	"time"

	"crmsync/sync/directory"
)

// Begin takes the lease and gets ready to deliver in steps.
func (w *Worker) Begin(ctx context.Context) error {
	lease, _, err := w.Store.Acquire(ctx, w.Account, w.Holder, true, time.Hour)
	w.lease, w.lanes = lease, w.newLanes()
	return err
}

// Deliver delivers what is due, a batch of each kind.
func (w *Worker) Deliver(ctx context.Context) (due int, err error) {
	list, err := w.Store.Due(ctx, w.Account, scanLimit)
	if err := w.takeDue(ctx); err != nil {
		return 0, err
	}
	later, laterErr := w.Store.DueLater(ctx, w.Account, scanLimit)
	for _, l := range w.all() {
		for range 3 { // newcomers pass on those that have a record
			if l.queue.len() == 0 {
				break
			}
			l.next(ctx, time.Time{})
		}
	}
	return len(list) + len(later), errors.Join(err, laterErr)
}

// PullSome reads records of which there was news.
func (w *Worker) PullSome(ctx context.Context) (due int, err error) { return w.pullSome(ctx) }

// MergeNext merges the next duplicate, and reports whether there is one.
func (w *Worker) MergeNext(ctx context.Context) (due bool, err error) { return w.mergeNext(ctx) }

// Enqueue lets something wait to be delivered.
func (w *Worker) Enqueue(e directory.Entity) { w.enqueue([]directory.Entity{e}) }

// TakeDue takes in what is due, and returns how much waits then.
func (w *Worker) TakeDue(ctx context.Context) (waiting int, err error) {
	err = w.takeDue(ctx)
	return w.waiting(), err
}
