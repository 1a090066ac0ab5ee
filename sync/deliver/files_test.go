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

	mu       sync.Mutex
	work     map[int64]directory.Work
	attached map[int64][]string // by message, the record ids
	letters  []deadletter.Letter
	fetched  map[string]int
	// fetch says what WhatsApp answers, attach what the account does and
	// whether it carries the call out nevertheless.
	fetch  func(from string, id int64) *connectors.Error
	attach func(id int64) (err *connectors.Error, commit bool)
	// arrive is called each second.
	arrive func()
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
			Contact:         &directory.Contact{ID: 1},
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

func (f *files) Delivered(context.Context, []string) error { return nil }

func (f *files) Limits() connectors.Limits { return connectors.Limits{LookAfter: time.Second} }

func (f *files) AttachFile(_ context.Context, change connectors.FileChange) connectors.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	var id int64
	_, _ = fmt.Sscan(change.Message.WAMID, &id)
	if change.Message.RecordID != fmt.Sprint("m", id) || string(change.Content) != "content" || change.Name == "" || f.work[id].Link.InDoubtSince.IsZero() {
		return connectors.Result{Err: &connectors.Error{Class: connectors.Rejected, Code: "WRONG"}}
	}
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

// run delivers for so long, as a worker would, and finds what is due each
// second.
func (f *files) run(d time.Duration) {
	w := laneWorker(&held{})
	w.Store, w.Connector, w.Observer, w.quiet = f, f, unseenBatches{}, map[string]time.Time{}
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
	l := newLane(w, directory.FileEntity, 50, 200*time.Millisecond, w.writeFiles)
	w.files = l
	stop := runLane(l)
	for range int(d / time.Second) {
		f.mu.Lock()
		if f.arrive != nil {
			f.arrive()
		}
		ids := slices.Sorted(maps.Keys(f.work))
		f.mu.Unlock()
		l.queue.add(ids...)
		time.Sleep(time.Second)
	}
	stop()
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
			f.run(20 * time.Second)
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
		f.run(5 * time.Second)
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
			f.run(time.Hour)
			if n := f.fetched["down"]; n < 500 || n > 730 { // one each 5 s
				t.Errorf("%s: asked %d times in an hour", class, n)
			}
			down = false
			f.run(10 * time.Second)
			if f.states()[directory.Agreed] != 12 || len(f.letters) != 0 {
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
		f.run(10 * time.Second)
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

func TestNothingIsDownloadedForAnAccountInTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles("whatsapp", 1, 2, 3, 4, 5, 6, 7, 8)
		f.attach = func(int64) (*connectors.Error, bool) {
			return &connectors.Error{Class: connectors.Unavailable, RetryAfter: time.Minute}, false
		}
		f.run(time.Second)
		if n := f.fetched["whatsapp"]; n < 1 || n > 6 {
			t.Errorf("%d downloads within a second, want one for each look", n)
		}
	})
}
