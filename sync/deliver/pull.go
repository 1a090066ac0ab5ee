package deliver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

const (
	// pullEvery is how far apart records are read: news comes in bunches, and
	// for each of our own writes too.
	pullEvery = 500 * time.Millisecond
	// A record of which there was news and that is not there may only not be
	// readable yet. It is looked for again goneTries times, goneAfter apart.
	goneTries = 5
	goneAfter = 2 * time.Second
)

// pull reads the records of which the account has sent news, until ctx ends,
// and publishes what they show as facts.
func (w *Worker) pull(ctx context.Context) {
	for sleep(ctx, pullEvery) {
		for {
			n, err := w.pullSome(ctx)
			if err != nil && ctx.Err() == nil {
				w.Log.Warn("cannot read changed records; trying again", "error", err)
				sleep(ctx, scanEvery)
			}
			if err != nil || n < w.Connector.Limits().Contacts {
				break
			}
		}
	}
}

// pullSome reads as many as a call carries, and returns how many were due.
func (w *Worker) pullSome(ctx context.Context) (due int, err error) {
	most := max(w.Connector.Limits().Contacts, 1)
	pulls, err := w.Store.Pulls(ctx, w.Account, most)
	if err != nil || len(pulls) == 0 {
		return 0, err
	}
	if err := w.Wait(ctx, false); err != nil {
		return 0, err
	}
	began := time.Now().Truncate(time.Millisecond)
	ids := make([]string, len(pulls))
	for i, p := range pulls {
		ids[i] = p.ID
	}
	lines := shared(w.Mapping().Lines(w.Account))
	readings := w.Connector.ReadContacts(ctx, ids, namesOf(lines))
	if len(readings) != len(pulls) {
		return len(pulls), fmt.Errorf("the connector gave %d readings of %d records", len(readings), len(pulls))
	}
	links, err := w.Store.Shadows(ctx, w.Account, ids)
	if err != nil {
		return len(pulls), err
	}
	duplicates, err := w.Store.SeenDuplicates(ctx, w.Account, ids)
	if err != nil {
		return len(pulls), err
	}
	var facts, losses []directory.Fact
	var done, later, soon []directory.Pull
	var trouble error
	for i, r := range readings {
		p := pulls[i]
		link, linked := links[p.ID]
		gone := r.Err == nil && r.Record.ID == ""
		switch {
		case linked && link.Erase && (r.Err != nil || r.Record.ID == "" || r.Record.ID == p.ID):
			// It is about to be deleted, or has just been.
		case r.Err != nil && r.Err.Class.AccountTrouble():
			trouble = r.Err
			continue
		case r.Err != nil, gone && !endedBy(p.Change):
			p.Tries++
			if r.Err == nil && p.Tries > goneTries || p.Tries > 2*goneTries {
				done = append(done, p) // the full sync finds it, and makes sure
				continue
			}
			later = append(later, p)
			continue
		case linked && !link.UpdatedBefore(began) && (gone || w.news(lines, &link, r.Record)):
			// Something was written or recorded while it was read, and nobody
			// knows which of the two came first.
			soon = append(soon, p)
			continue
		case gone && linked, !gone && linked && empties(lines, link.Shadow, r.Record) && w.news(lines, &link, r.Record):
			f := factOf(w.Account, p.ID, r.Record, began, lines, &link)
			f.Observed.Reported = gone && p.Change == connectors.RecordDeleted
			losses = append(losses, f)
		case !linked && (!gone || duplicates[p.ID] != ""):
			facts = append(facts, factOf(w.Account, p.ID, r.Record, began, lines, nil))
		case !gone && (r.Record.ID != p.ID || w.news(lines, &link, r.Record)):
			facts = append(facts, factOf(w.Account, p.ID, r.Record, began, lines, &link))
		}
		done = append(done, p)
	}
	if len(losses) > 0 {
		lets, err := w.lets(ctx, len(losses))
		if err != nil {
			return len(pulls), err
		}
		if lets {
			facts = append(facts, losses...)
		}
	}
	if len(facts) > 0 {
		if err := w.Publish(ctx, facts); err != nil {
			return len(pulls), err
		}
	}
	if err := w.Store.PullLater(ctx, later, goneAfter); err != nil {
		return len(pulls), err
	}
	if err := w.Store.PullLater(ctx, soon, pullEvery/2); err != nil {
		return len(pulls), err
	}
	if err := w.Store.Pulled(ctx, done); err != nil {
		return len(pulls), err
	}
	return len(pulls), trouble
}

// endedBy reports whether a change is one after which there is no such record.
func endedBy(c connectors.RecordChange) bool {
	return c == connectors.RecordDeleted || c == connectors.RecordMerged
}

// factOf says what a record shows that was asked for at a time, and what it was
// known to show before; link is nil for nobody's.
func factOf(account, asked string, r connectors.Record, read time.Time, lines []mapping.Line, link *directory.Link) directory.Fact {
	now := time.Now().UTC()
	o := &connectors.Observed{ID: r.ID, Read: read}
	at := r.UpdatedAt
	switch {
	case r.ID == "":
		o.ID, o.Gone, at = asked, true, now
	case r.ID != asked:
		o.Asked = asked
	}
	if !o.Gone {
		o.Fields = make(map[string]string, len(lines))
		for _, l := range lines {
			o.Fields[l.To] = directory.TextOf(r.Fields[l.To])
		}
	}
	if !o.Gone && link != nil && o.Asked == "" {
		o.Was = make(map[string]string, len(lines))
		for _, l := range lines {
			if was, told := link.Shadow[l.To]; told || len(link.Sent[l.To]) > 0 {
				o.Was[l.To] = directory.WithSent(l, was, link.Sent, o.Fields[l.To])
			}
		}
	}
	// The same values may come twice, with others between, and two records at
	// once that have become the same one.
	key := "observed:" + asked + ":" + strconv.FormatInt(now.UnixNano(), 36)
	return directory.Fact{
		ID: directory.FactID(account, key), Account: account, ReceivedAt: now,
		Fact: connectors.Fact{Key: key, Kind: connectors.KindObserved, At: at, Observed: o},
	}
}

// differs reports whether a record shows something else than it last did, and
// than what was sent to it.
func differs(lines []mapping.Line, link *directory.Link, r connectors.Record, region string) bool {
	return slices.ContainsFunc(lines, func(l mapping.Line) bool {
		seen := directory.TextOf(r.Fields[l.To])
		return !directory.Shows(l, link.Shadow, seen, region) && !directory.Sent(link.Sent, l, seen)
	})
}

// shared are the lines of the fields that are read from the account.
func shared(lines []mapping.Line) []mapping.Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l mapping.Line) bool { return !l.Read })
}

func namesOf(lines []mapping.Line) []string {
	names := make([]string, len(lines))
	for i, l := range lines {
		names[i] = l.To
	}
	return names
}
