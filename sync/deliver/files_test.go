package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

// files is a store of files, a WhatsApp that has them and an account that takes
// them: without any idempotency, so that attaching twice makes two.
type files struct {
	Store
	connectors.Writer
	connectors.Merger
	connectors.Eraser
	connectors.Tasker

	mu       sync.Mutex
	work     map[int64]directory.Work
	attached map[int64][]string // by message, the record ids
	letters  []deadletter.Letter
	calls    []time.Time
	fetched  map[string]int
	looks    int
	// messages is how many wait all the while, every how far apart files are.
	messages int64
	every    time.Duration
	// fetch says what WhatsApp answers, attach what the account does and
	// whether it carries the call out nevertheless.
	fetch  func(from string, id int64) *connectors.Error
	attach func(id int64) (err *connectors.Error, commit bool)
	// arrive is called each second.
	arrive func()
	// replayed are letters of files of WhatsApp that wait to be let in.
	replayed int
}

func newFiles(from string, ids ...int64) *files {
	f := &files{work: map[int64]directory.Work{}, attached: map[int64][]string{}, fetched: map[string]int{}}
	f.add(from, ids...)
	return f
}

func (f *files) add(from string, ids ...int64) {
	for _, id := range ids {
		f.work[id] = directory.Work{
			Link:            directory.Link{Account: "crm", Entity: directory.Entity{Kind: directory.FileEntity, ID: id}, State: directory.Pending, Wanted: 1},
			Message:         &directory.Message{ID: id, Account: from, WAMID: fmt.Sprint(id), Type: "image", At: time.Now()},
			File:            &directory.File{MessageID: id, Media: connectors.Media{ID: fmt.Sprint(id), MIMEType: "image/png"}},
			ContactRecordID: "c", MessageRecordID: fmt.Sprint("m", id),
		}
	}
}

func (f *files) Load(_ context.Context, _ string, _ directory.EntityKind, ids []int64) ([]directory.Work, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var work []directory.Work
	for _, id := range ids {
		if w := f.work[id]; w.Link.State == directory.Pending && !w.Link.NextAttempt.After(time.Now()) {
			work = append(work, w)
		}
	}
	return work, nil
}

func (f *files) Doubt(_ context.Context, _ string, _ int64, list []directory.Entity) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.work[list[0].ID]
	w.Link.InDoubtSince = time.Now()
	f.work[w.Link.Entity.ID] = w
	return nil
}

func (f *files) Settle(_ context.Context, _ string, _ int64, outcomes []directory.Outcome) ([]directory.Entity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range outcomes {
		w := f.work[o.Link.Entity.ID]
		w.Link = o.Link
		f.work[o.Link.Entity.ID] = w
	}
	return nil, nil
}

// Reopen lets files in behind those that are there.
func (f *files) Reopen(_ context.Context, _ string, _, files int) ([]directory.Entity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []directory.Entity
	for range min(files, f.replayed) {
		id := int64(len(f.work) + 1)
		f.add("whatsapp", id)
		f.replayed--
		list = append(list, f.work[id].Link.Entity)
	}
	return list, nil
}

func (f *files) Delivered(context.Context, []string) error     { return nil }
func (f *files) Dropped(context.Context, string, string) error { return nil }

func (f *files) DueFiles(_ context.Context, _ string, except []string, limit int) ([]int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	var due []int64
	for _, id := range slices.Sorted(maps.Keys(f.work)) {
		w := f.work[id]
		if w.Link.State == directory.Pending && !w.Link.NextAttempt.After(time.Now()) && w.MessageRecordID != "" &&
			!slices.Contains(except, w.Message.Account) && len(due) < limit {
			due = append(due, id)
		}
	}
	return due, nil
}

func (f *files) ReadContacts(context.Context, []string, []string) []connectors.Reading { return nil }

func (f *files) Limits() connectors.Limits { return connectors.Limits{LookAfter: time.Second} }

func (f *files) AttachFile(_ context.Context, change connectors.FileChange) connectors.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	var id int64
	_, _ = fmt.Sscan(change.Message.WAMID, &id)
	if change.Message.RecordID != fmt.Sprint("m", id) || string(change.Content) != "content" || change.Name == "" || f.work[id].Link.InDoubtSince.IsZero() {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Rejected, Code: "WRONG"}}
	}
	f.calls = append(f.calls, time.Now())
	if change.InDoubt && len(f.attached[id]) > 0 {
		return connectors.Result{RecordID: f.attached[id][0]}
	}
	var err *connectors.Error
	commit := true
	if f.attach != nil {
		err, commit = f.attach(id)
	}
	if err == nil || commit {
		f.attached[id] = append(f.attached[id], fmt.Sprint("f", id))
	}
	return connectors.Result{RecordID: fmt.Sprint("f", id), Created: true, Err: err}
}

type unseenBatches struct{ unseen }

func (unseenBatches) Batch(string, int)              {}
func (unseenBatches) EndToEnd(string, time.Duration) {}

// run delivers for so long, as a worker would.
func (f *files) run(d time.Duration) {
	w := laneWorker(&held{})
	w.Store, w.Connector, w.Observer, w.FileEvery = f, f, unseenBatches{}, f.every
	w.Mapping = func() *mapping.Mapping { return &mapping.Mapping{} }
	w.Retry = RetryPolicy{Delays: []time.Duration{time.Second, 30 * time.Second}, SettleWithin: time.Hour}
	w.Bury = func(_ context.Context, letters []deadletter.Letter) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.letters = append(f.letters, letters...)
		return nil
	}
	w.Fetch = func(_ context.Context, from, _ string, m connectors.Media) ([]byte, *connectors.Error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.fetched[from]++
		var id int64
		_, _ = fmt.Sscan(m.ID, &id)
		if f.fetch != nil {
			if err := f.fetch(from, id); err != nil {
				return nil, err
			}
		}
		return []byte("content"), nil
	}
	w.lanes = w.newLanes()
	if f.messages > 0 {
		for id := range f.messages {
			w.messages.queue.add(id)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { newFiling(w).run(ctx); close(done) }()
	replays := make(chan struct{})
	go func() { w.reopen(ctx); close(replays) }()
	for range int(d / time.Second) {
		f.mu.Lock()
		if f.arrive != nil {
			f.arrive()
		}
		f.mu.Unlock()
		time.Sleep(time.Second)
	}
	cancel()
	<-done
	<-replays
}

func (f *files) states() map[directory.State]int {
	n := map[directory.State]int{}
	for _, w := range f.work {
		n[w.Link.State]++
	}
	return n
}

func TestALostAnswerDoesNotDoubleAFile(t *testing.T) {
	t.Parallel()
	for _, commit := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			lost := 3
			f := newFiles("whatsapp", 1, 2, 3, 4, 5)
			f.attach = func(int64) (*connectors.Error, bool) {
				if lost--; lost >= 0 {
					return &connectors.Error{Class: connectors.UnknownOutcome}, commit
				}
				return nil, true
			}
			f.run(3 * time.Minute)
			for id, w := range f.work {
				if len(f.attached[id]) != 1 || w.Link.State != directory.Agreed || w.Link.RecordID != fmt.Sprint("f", id) || !w.Link.InDoubtSince.IsZero() {
					t.Errorf("commit %v, file %d: attached %v, link %+v", commit, id, f.attached[id], w.Link)
				}
			}
		})
	}
}

func TestAProgramThatDiedWhileAttachingLooksFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp", 1)
		_ = f.Doubt(t.Context(), "", 0, []directory.Entity{{ID: 1}})
		f.attached[1] = []string{"f1"}
		f.run(40 * time.Second)
		if len(f.calls) != 0 {
			t.Error("it looked while the upload could still be on its way")
		}
		f.run(10 * time.Second)
		if len(f.attached[1]) != 1 || f.states()[directory.Agreed] != 1 {
			t.Errorf("attached %v, link %+v", f.attached[1], f.work[1].Link)
		}
	})
}

func TestTroubleWithOneWhatsAppAccountHoldsUpItsFilesOnly(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.Unauthorized, connectors.Throttled, connectors.Transient} {
		synctest.Test(t, func(t *testing.T) {
			f := newFiles("down", 1, 2, 3, 4, 5, 6, 7, 8, 9)
			f.add("up", 10, 11, 12)
			down := true
			f.fetch = func(from string, _ int64) *connectors.Error {
				if from == "down" && down {
					return &connectors.Error{Class: class}
				}
				return nil
			}
			f.run(3 * time.Second)
			if f.states()[directory.Agreed] != 3 || f.fetched["down"] != 1 {
				t.Errorf("%s: after 3 s %v, asked %v", class, f.states(), f.fetched)
			}
			f.looks = 0
			f.arrive = func() {
				if next := int64(len(f.work)) + 1; next <= 300 {
					f.add("up", next)
				}
			}
			f.run(time.Hour)
			if n := f.fetched["down"]; n < 100 || n > 130 { // one each 30 s in the end
				t.Errorf("%s: asked %d times in an hour", class, n)
			}
			if f.states()[directory.Agreed] != 291 || len(f.letters) != 0 || f.looks > 2*3600 {
				t.Errorf("%s: after an hour %v, %d letters, %d looks", class, f.states(), len(f.letters), f.looks)
			}
			down = false
			f.run(time.Minute)
			if f.states()[directory.Agreed] != 300 || len(f.letters) != 0 {
				t.Errorf("%s: in the end %v, %d letters", class, f.states(), len(f.letters))
			}
		})
	}
}

func TestAFileAtWhichWhatsAppStumblesBecomesALetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp", 1)
		f.fetch = func(_ string, id int64) *connectors.Error {
			if id == 1 {
				return &connectors.Error{Class: connectors.Transient}
			}
			return nil
		}
		next := int64(1)
		f.arrive = func() { next++; f.add("whatsapp", next) }
		f.run(5 * time.Minute)
		f.arrive = nil
		f.run(10 * time.Minute)
		if s := f.states(); s[directory.Dead] != 1 || s[directory.Agreed] != 300 || len(f.letters) != 1 || f.letters[0].Entity.ID != 1 {
			t.Errorf("%v, letters %+v", s, f.letters)
		}
	})
}

func TestFilesThatAreNotDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp", 1, 2, 3, 4, 5)
		f.work[1].Message.TextRank = directory.RevokedText
		waits := f.work[2]
		waits.MessageRecordID = ""
		f.work[2] = waits
		f.fetch = func(_ string, id int64) *connectors.Error {
			switch id {
			case 3:
				return &connectors.Error{Class: connectors.Rejected, Code: connectors.Unwanted, Reason: "too large"}
			case 4:
				return &connectors.Error{Class: connectors.Rejected, Code: "100"}
			}
			return nil
		}
		f.attach = func(int64) (*connectors.Error, bool) {
			return &connectors.Error{Class: connectors.Unavailable}, false
		}
		f.run(3 * time.Second)
		for id, want := range map[int64]directory.State{1: directory.Skipped, 2: directory.Pending, 3: directory.Skipped, 4: directory.Dead, 5: directory.Pending} {
			if got := f.work[id].Link; got.State != want || want == directory.Skipped && got.Reason == "" || got.Attempts > 1 {
				t.Errorf("file %d is %+v, want %s", id, got, want)
			}
		}
		if len(f.letters) != 1 || f.letters[0].Entity.ID != 4 {
			t.Errorf("letters %+v", f.letters)
		}
	})
}

// However the account fails, files are downloaded for it a few times, not over
// and over, and none is given up for it.
func TestNothingIsDownloadedForAnAccountInTrouble(t *testing.T) {
	t.Parallel()
	for _, failure := range []connectors.Error{
		{Class: connectors.Unavailable, RetryAfter: time.Minute},
		{Class: connectors.Throttled, Held: true, RetryAfter: 10 * time.Minute},
		{Class: connectors.Unauthorized},
		{Class: connectors.Transient},
		{Class: connectors.UnknownOutcome},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFiles("whatsapp", 1, 2, 3, 4, 5, 6, 7, 8)
			down := true
			f.attach = func(int64) (*connectors.Error, bool) {
				if e := failure; down {
					return &e, false
				}
				return nil, true
			}
			f.run(time.Hour)
			if n := f.fetched["whatsapp"]; n < 6 || n > 75 || len(f.letters) != 0 {
				t.Errorf("%s: %d downloads in an hour, %d letters", failure.Class, n, len(f.letters))
			}
			down = false
			f.run(11 * time.Minute)
			if f.states()[directory.Agreed] != 8 {
				t.Errorf("%s: in the end %v", failure.Class, f.states())
			}
		})
	}
}

// Messages come first; files have a turn now and then all the same, and never
// more of the quota than their share.
func TestFilesLeaveTheAccountToMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp")
		for id := range int64(200) {
			f.add("whatsapp", id+1)
		}
		f.messages, f.every = 10, 2*time.Second
		f.run(time.Minute)
		if n := len(f.calls); n < 10 || n > 13 {
			t.Errorf("%d files in a minute while messages wait, want one each 5 s", n)
		}
		f.messages, f.calls = 0, nil
		f.run(time.Minute)
		if n := len(f.calls); n < 29 || n > 31 {
			t.Errorf("%d files in a minute, want one each 2 s", n)
		}
	})
}

// An upload that takes its time may come after the next look has found nothing.
func TestEveryUploadIsNoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp", 1)
		f.attach = func(int64) (*connectors.Error, bool) {
			return &connectors.Error{Class: connectors.UnknownOutcome}, false
		}
		f.run(10 * time.Minute)
		if len(f.calls) < 5 {
			t.Fatalf("%d uploads", len(f.calls))
		}
		for i := range f.calls[1:] {
			if gap := f.calls[i+1].Sub(f.calls[i]); gap < lookForFile {
				t.Errorf("upload %d comes %v after the one before, which may still be on its way", i+1, gap)
			}
		}
	})
}

// However many letters of files are replayed, a new file waits for a few of them
// at most, and they go out as fast as files do.
func TestALongReplayOfFilesDoesNotDelayANewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp")
		f.replayed, f.every = 300, 100*time.Millisecond
		second, came, before := 0, int64(0), 0
		f.arrive = func() {
			if second++; second == 5 {
				came, before = int64(len(f.work)+1), len(f.attached)
				f.add("whatsapp", came)
			}
		}
		f.attach = func(id int64) (*connectors.Error, bool) {
			if id == came {
				if between := len(f.attached) - before; between > 2*filesAtOnce {
					t.Errorf("%d of the old ones came before the new one", between)
				}
			}
			return nil, true
		}
		f.run(40 * time.Second)
		if len(f.attached[came]) != 1 || len(f.attached) != 301 {
			t.Errorf("%d attached, the new one %d times", len(f.attached), len(f.attached[came]))
		}
	})
}
