package deliver

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

const (
	// askAgain is how long WhatsApp is left alone after a file that could not
	// be fetched for the account's sake.
	askAgain = 5 * time.Second
	// filesFor is how long the files of one batch may take, after which no
	// other is begun.
	filesFor = 10 * time.Second
)

// writeFiles fetches the files of messages, one after the other, and adds them
// to the messages that the account shows.
func (w *Worker) writeFiles(ctx context.Context, work []directory.Work) ([]settled, error) {
	batch := make([]settled, 0, len(work))
	began, trouble := time.Now(), false
	for _, todo := range work {
		if todo.MessageRecordID == "" {
			continue // looked at again when its message has a record
		}
		s := begin(todo, todo.Link.Wanted)
		if trouble || time.Since(began) > filesFor {
			s.wait(time.Millisecond) // nothing is downloaded in vain
		} else if content, ok := w.fetch(ctx, todo, &s); ok {
			if err := w.attach(ctx, todo, content, &s); err != nil {
				return nil, err
			}
			trouble = s.err != nil && (s.err.Class.AccountTrouble() || s.err.Class == connectors.UnknownOutcome)
		}
		batch = append(batch, s)
	}
	return batch, nil
}

// fetch downloads a file, unless it is not wanted or not its time. While a
// WhatsApp account is in trouble its files wait, and only they.
func (w *Worker) fetch(ctx context.Context, todo directory.Work, s *settled) (content []byte, ok bool) {
	if todo.Message.TextRank == directory.RevokedText {
		s.skip("its sender has deleted the message")
		return nil, false
	}
	from := todo.Message.Account
	wait := time.Until(w.quiet[from])
	if since := todo.Link.InDoubtSince; !since.IsZero() {
		wait = max(wait, w.Connector.Limits().LookAfter-time.Since(since))
	}
	if wait > 0 {
		s.wait(wait)
		return nil, false
	}
	content, err := w.Fetch(ctx, from, todo.Message.BusinessNumber, todo.File.Media)
	switch {
	case err == nil:
		delete(w.quiet, from)
		return content, true
	case err.Code == connectors.Unwanted:
		s.skip(err.Reason)
		return nil, false
	case !err.Class.AccountTrouble():
		s.err = err
		return nil, false
	}
	if w.quiet[from].IsZero() {
		w.Log.Warn("cannot download files; they wait", "from", from, "class", err.Class, "code", err.Code, "reason", err.Reason)
	}
	pause := max(err.RetryAfter, askAgain)
	w.quiet[from] = time.Now().Add(pause)
	s.wait(pause)
	if err.Class == connectors.Transient {
		// It may be this file at which WhatsApp stumbles: let others go first.
		s.Link.NextAttempt = s.Link.NextAttempt.Add(time.Second)
		s.err, s.outcome = err, ""
	}
	return nil, false
}

// attach adds a file to its message.
func (w *Worker) attach(ctx context.Context, todo directory.Work, content []byte, s *settled) error {
	doubted := !todo.Link.InDoubtSince.IsZero()
	if !doubted {
		if err := w.Store.Doubt(ctx, w.Account, w.lease, []directory.Entity{todo.Link.Entity}); err != nil {
			return err
		}
	}
	m := changeOf(todo)
	m.RecordID = todo.MessageRecordID
	w.Observer.Batch(w.Account, 1)
	r := w.Connector.AttachFile(ctx, connectors.FileChange{
		Message: m, Name: todo.File.Name(todo.Message.Type, m.At), MIMEType: todo.File.Media.MIMEType,
		Content: content, InDoubt: doubted,
	})
	if r.Err == nil {
		s.agree(r.RecordID, nil, "created")
		return nil
	}
	s.err = r.Err
	if !doubted {
		s.liftDoubt()
	}
	return nil
}

// wait puts an entity off about which no call was made.
func (s *settled) wait(pause time.Duration) {
	s.Link.NextAttempt = time.Now().Add(pause)
	s.outcome, s.retryAfter = "unchanged", pause
}

// skip completes the outcome of an entity that the account shall not show.
func (s *settled) skip(reason string) {
	l := &s.Link
	s.Link = directory.Link{Account: l.Account, Entity: l.Entity, State: directory.Skipped, Agreed: s.Loaded, Reason: reason}
	s.outcome = "skipped"
}
