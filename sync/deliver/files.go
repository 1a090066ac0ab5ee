package deliver

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

const (
	// askAgain is how long a WhatsApp account is left alone after a file that
	// could not be fetched for its sake, askLeast how long in the end.
	askAgain = 5 * time.Second
	askLeast = 30 * time.Second
	// lookForFile is how long an upload whose answer was lost may still be on
	// its way into the account: longer than any connector waits for one.
	lookForFile = 45 * time.Second
	// fileTurn is how long files wait for the lanes at most.
	fileTurn = 5 * time.Second
	// filesAtOnce is how many files are looked for at a time.
	filesAtOnce = 20
	// fileWithin is how long one file may take, from WhatsApp into the account.
	fileWithin = 2 * time.Minute
)

// filing delivers the files of messages: each fetched from WhatsApp, then added
// to the message that the account shows. It does so one by one, beside the
// lanes and after them, and leaves them the account and most of its quota. What
// is due it reads from the store.
type filing struct {
	*Worker
	// began is when the last file was begun.
	began time.Time
	// pause is how long the next trouble with the account holds up files,
	// until when they are held up now.
	pause time.Duration
	until time.Time
	// quiet is until when no files of a WhatsApp account are asked for, and
	// silence for how long that was.
	quiet   map[string]time.Time
	silence map[string]time.Duration
	// uploads and, by WhatsApp account, downloads tell a file at which the
	// other side stumbles from an outage.
	uploads   *suspects
	downloads map[string]*suspects
}

func newFiling(w *Worker) *filing {
	return &filing{Worker: w, quiet: map[string]time.Time{}, silence: map[string]time.Duration{}, uploads: newSuspects(time.Hour), downloads: map[string]*suspects{}}
}

// run delivers until ctx ends. What is under way then is finished first.
func (f *filing) run(ctx context.Context) {
	const look = time.Second
	for ctx.Err() == nil {
		if f.round(ctx) == 0 && !sleep(ctx, look) {
			return
		}
	}
}

// round delivers some of the files that are due, and returns how many.
func (f *filing) round(ctx context.Context) (done int) {
	var silent []string
	for from, until := range f.quiet {
		if time.Now().Before(until) {
			silent = append(silent, from)
		}
	}
	ids, err := f.Store.DueFiles(ctx, f.Account, silent, filesAtOnce)
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("cannot look for files; trying again", "error", err)
	}
	if err == nil {
		f.dueFiles.Store(int64(len(ids)))
	}
	for _, id := range ids {
		if !f.turn(ctx) {
			return done
		}
		if f.one(ctx, id) {
			done++
		}
		f.dueFiles.Add(-1)
	}
	return done
}

// turn waits until the next file may begin: while more waits in the lanes than
// a call carries, one every now and then. It reports false when the work is
// over.
func (f *filing) turn(ctx context.Context) bool {
	const look = 20 * time.Millisecond
	for {
		gone := time.Since(f.began)
		mayBegin := gone >= f.FileEvery && !time.Now().Before(f.until) && (gone >= fileTurn || !f.busy())
		if mayBegin {
			return f.Wait(ctx, false) == nil
		}
		if !sleep(ctx, look) {
			return false
		}
	}
}

// busy reports whether newcomers or messages wait for quota.
func (f *filing) busy() bool {
	return f.newcomers.queue.len() > f.newcomers.limit || f.messages.queue.len() > f.messages.limit
}

// one delivers a file, also while the program stops. It reports false if there
// was nothing to do.
func (f *filing) one(ctx context.Context, id int64) bool {
	ctx, cancel := outlast(ctx, fileWithin)
	defer cancel()
	work, err := f.Store.Load(ctx, f.Account, directory.FileEntity, []int64{id})
	if err != nil {
		f.Log.Warn("cannot load a file; trying again", "error", err)
		return false
	}
	if len(work) == 0 || work[0].MessageRecordID == "" {
		return false
	}
	s := begin(f.Mapping(), work[0], work[0].Link.Wanted)
	content, ok := f.fetch(ctx, work[0], &s)
	if ok {
		err = f.attach(ctx, work[0], content, &s)
	}
	if err == nil && s.outcome != "" {
		err = f.settle(context.WithoutCancel(ctx), []settled{s})
	}
	if err != nil {
		f.Log.Warn("cannot settle a file; trying again", "error", err)
		return false
	}
	return s.outcome != ""
}

// fetch downloads a file, unless it is not wanted or it is not its time. While
// a WhatsApp account is in trouble its files wait, and only they.
func (f *filing) fetch(ctx context.Context, todo directory.Work, s *settled) (content []byte, ok bool) {
	from, id := todo.Message.Account, todo.Link.Entity.ID
	switch {
	case todo.Message.TextRank == directory.RevokedText:
		s.skip("its sender has deleted the message")
		return nil, false
	case time.Now().Before(f.quiet[from]):
		return nil, false
	}
	if since := todo.Link.InDoubtSince; !since.IsZero() && time.Since(since) < lookForFile {
		s.later(lookForFile - time.Since(since))
		return nil, false
	}
	if f.downloads[from] == nil {
		f.downloads[from] = newSuspects(time.Hour)
	}
	f.began = time.Now()
	content, err := f.Fetch(ctx, from, todo.Message.BusinessNumber, todo.File.Media)
	switch {
	case err == nil && len(content) == 0:
		s.skip("the file is empty")
	case err == nil:
		delete(f.quiet, from)
		delete(f.silence, from)
		f.downloads[from].passed(id)
		return content, true
	case err.Code == connectors.Unwanted:
		s.skip(err.Reason)
	case !err.Class.AccountTrouble():
		s.err = err
		f.fail(s)
	default:
		if f.silence[from] == 0 {
			f.Log.Warn("cannot download files; they wait", "from", from, "class", err.Class, "code", err.Code, "reason", err.Reason)
		}
		f.silence[from] = min(max(2*f.silence[from], askAgain), askLeast)
		f.quiet[from] = time.Now().Add(max(err.RetryAfter, f.silence[from]))
		f.troubled(s, err, f.downloads[from], f.quiet[from])
	}
	return nil, false
}

// attach adds a file to its message.
func (f *filing) attach(ctx context.Context, todo directory.Work, content []byte, s *settled) error {
	m, failure := shownAs(s.mapping, f.Account, todo)
	if s.err = failure; failure != nil {
		f.fail(s)
		return nil
	}
	m.RecordID = todo.MessageRecordID
	// Every create is noted, also one after a look that has found nothing.
	if err := f.Store.Doubt(ctx, f.Account, f.lease, []directory.Entity{todo.Link.Entity}); err != nil {
		return err
	}
	f.Observer.Batch(f.Account, 1)
	r := f.Connector.AttachFile(ctx, connectors.FileChange{
		Message: m, Name: todo.File.Name(todo.Message.Type, m.At), MIMEType: todo.File.Media.MIMEType,
		Content: content, InDoubt: !todo.Link.InDoubtSince.IsZero(),
	})
	if r.Err == nil {
		f.pause = 0
		f.uploads.passed(todo.Link.Entity.ID)
		s.wrote(r.RecordID, nil, "created")
		return nil
	}
	s.err, s.tried = r.Err, map[string]any{"file": content}
	if s.Link.InDoubtSince.IsZero() || r.Err.Class == connectors.UnknownOutcome || r.Err.Class == connectors.Unknown {
		s.liftDoubt()
	}
	if !r.Err.Class.AccountTrouble() && r.Err.Class != connectors.UnknownOutcome {
		f.fail(s)
		return nil
	}
	f.pause = min(max(2*f.pause, time.Second), time.Minute)
	f.until = time.Now().Add(max(f.pause, r.Err.RetryAfter))
	f.troubled(s, r.Err, f.uploads, f.until)
	return nil
}

// troubled puts a file off until the trouble may be over. One that may be the
// cause lets others go first; and when it keeps failing while they pass, the
// trouble is its own.
func (f *filing) troubled(s *settled, err *connectors.Error, among *suspects, until time.Time) {
	s.err = err
	s.postpone()
	pause := time.Until(until)
	if lostAsAWhole(err) {
		id := s.Link.Entity.ID
		if among.failedAlone(id) {
			s.err.Class = connectors.Unknown
			f.fail(s)
			return
		}
		pause += time.Second << min(among.records[id].times, 9)
	}
	s.later(pause)
}

// later puts an entity off, in the store too.
func (s *settled) later(pause time.Duration) {
	s.Link.NextAttempt = time.Now().Add(pause)
	if s.outcome == "" {
		s.outcome = "postponed"
	}
}
