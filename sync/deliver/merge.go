package deliver

import (
	"context"
	"fmt"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

const (
	// mergeEvery is how far apart merges begin: each takes several requests and
	// nobody waits for it. mergeLook is how often it is looked for duplicates.
	mergeEvery = 400 * time.Millisecond
	mergeLook  = 2 * time.Second
	// mergeAgain is when a merge of which nothing is known is made again, or one
	// that has not been taken in; mergeRead when it is tried whose records had to
	// be read first.
	mergeAgain = 30 * time.Second
	mergeRead  = 10 * time.Second
	// mergeWait is for how long a contact is put off whose duplicate has a value
	// of its own until they are merged, and mergedWithin for how often.
	mergeWait    = 5 * time.Second
	mergedWithin = time.Minute
)

// merge makes one record of each contact's in the account, one merge after the
// other, where the mapping says so, until ctx ends.
func (w *Worker) merge(ctx context.Context) {
	for pause := mergeLook; sleep(ctx, pause); {
		pause = mergeEvery
		due, err := w.mergeNext(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.Warn("cannot merge duplicates; trying again", "error", err)
		}
		if err != nil || !due {
			pause = mergeLook
		}
	}
}

// mergeNext merges the next duplicate, and reports whether there is one. It gives
// way to deliveries.
func (w *Worker) mergeNext(ctx context.Context) (due bool, err error) {
	if !w.Mapping().Merges(w.Account) {
		return false, nil
	}
	m, err := w.Store.NextMerge(ctx, w.Account, w.lease)
	if err != nil || m == nil {
		return false, err
	}
	if err := w.Wait(ctx, false); err != nil || w.waiting() > 0 || w.worksOn(m.ContactID) {
		return true, err
	}
	return true, w.mergeOne(ctx, *m)
}

// worksOn reports whether a contact waits to be written or is just being.
func (w *Worker) worksOn(contact int64) bool {
	return w.newcomers.queue.has(contact) || w.changes.queue.has(contact)
}

// mergeOne makes one record of two, if both still show what is known of them:
// it cannot be undone.
func (w *Worker) mergeOne(ctx context.Context, m directory.Merge) error {
	same, err := w.asKnown(ctx, m)
	if err != nil {
		return err
	}
	if !same {
		return w.Store.ReadBeforeMerge(ctx, m, mergeRead)
	}
	if ok, err := w.Store.BeginMerge(ctx, w.lease, w.Holder, m, mergeAgain); err != nil || !ok {
		return err
	}
	log := w.Log.With("entity", directory.ContactEntity, "id", m.ContactID, "kept", m.Kept, "other", m.Other)
	log.Info("merging two records of a contact", "lease", w.lease)
	result := w.Connector.MergeContacts(ctx, m.Kept, m.Other)
	noted := context.WithoutCancel(ctx)
	switch e := result.Err; {
	case e == nil:
		return w.Store.EndMerge(noted, m, result.RecordID)
	case e.Code == connectors.NotOffered:
		if !w.keepsDoubles {
			w.Log.Warn("the account does not merge records; duplicates are listed", "reason", e.Reason)
		}
		w.keepsDoubles = true
		return w.Store.RefuseMerge(noted, w.lease, m, e.Reason, true)
	case e.Class == connectors.Rejected, e.Class == connectors.Unknown:
		log.Warn("two records of a contact are not merged; they are listed", "code", e.Code, "reason", e.Reason)
		return w.Store.RefuseMerge(noted, w.lease, m, e.Reason, false)
	case e.Class.AccountTrouble():
		return e
	default: // they may have been merged, or one of them is gone
		log.Info("what has become of two records is not certain; they are read", "class", e.Class, "reason", e.Reason)
		return w.Store.EndMerge(noted, m, "")
	}
}

// asKnown reports whether both records show what they were known to show.
func (w *Worker) asKnown(ctx context.Context, m directory.Merge) (bool, error) {
	lines := shared(w.Mapping().Lines(w.Account))
	ids := []string{m.Kept, m.Other}
	readings := w.Connector.ReadContacts(ctx, ids, namesOf(lines))
	if len(readings) != len(ids) {
		return false, fmt.Errorf("the connector gave %d readings of %d records", len(readings), len(ids))
	}
	for i, r := range readings {
		if r.Err != nil {
			return false, r.Err
		}
		if r.Record.ID != ids[i] {
			return false, nil
		}
	}
	links, err := w.Store.Shadows(ctx, w.Account, ids)
	if err != nil {
		return false, err
	}
	kept, linked := links[m.Kept]
	other := factOf(w.Account, m.Other, readings[1].Record, time.Now(), lines, nil)
	return linked && !w.news(lines, &kept, readings[0].Record) && directory.Shown(other.Observed.Fields) == m.Seen, nil
}
