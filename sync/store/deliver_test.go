package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

var ctx = context.Background()

func want(t *testing.T, db *store.DB, kind directory.EntityKind, id, version int64) {
	t.Helper()
	record(t, db, func(tx directory.Tx) error {
		return tx.Want([]directory.Want{{
			Account: "hubspot", Entity: directory.Entity{Kind: kind, ID: id}, Version: version, ReceivedAt: time.Now(),
		}})
	})
}

func lease(t *testing.T, db *store.DB, holder string) int64 {
	t.Helper()
	number, ok, err := db.Acquire(ctx, "hubspot", holder, true, time.Minute)
	if err != nil || !ok {
		t.Fatalf("lease: ok %v, error %v", ok, err)
	}
	return number
}

func load(t *testing.T, db *store.DB, kind directory.EntityKind, id int64) (directory.Work, bool) {
	t.Helper()
	work, err := db.Load(ctx, "hubspot", kind, []int64{id})
	if err != nil {
		t.Fatal(err)
	}
	if len(work) == 0 {
		return directory.Work{}, false
	}
	return work[0], true
}

// linkStates counts the links by state.
func linkStates(t *testing.T, db *store.DB) map[directory.State]int64 {
	t.Helper()
	counts, err := db.CountLinks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	states := map[directory.State]int64{}
	for _, c := range counts {
		states[c.State] = c.N
	}
	return states
}

func settle(t *testing.T, db *store.DB, number int64, link directory.Link, loaded int64) []directory.Entity {
	t.Helper()
	still, err := db.Settle(ctx, "hubspot", number, []directory.Outcome{{Link: link, Loaded: loaded}})
	if err != nil {
		t.Fatal(err)
	}
	return still
}

func TestOnlyOneReplicaHoldsALeaseAndTheNextGetsAHigherNumber(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		first := lease(t, db, "a")
		if _, ok, err := db.Acquire(ctx, "hubspot", "b", true, time.Minute); ok || err != nil {
			t.Fatalf("b got the lease while a holds it (error %v)", err)
		}
		if again, ok, _ := db.Acquire(ctx, "hubspot", "a", false, time.Minute); !ok || again != first {
			t.Errorf("a prolonged to number %d, want %d", again, first)
		}
		if restarted := lease(t, db, "a"); restarted <= first {
			t.Errorf("a's next run has number %d, want more than %d", restarted, first)
		}
		if err := db.Release(ctx, "hubspot", first+1); err != nil {
			t.Fatal(err)
		}
		if second := lease(t, db, "b"); second <= first+1 {
			t.Errorf("b has number %d, want more than %d", second, first+1)
		}
	})
}

func TestAWorkerThatWokeUpLateStoresNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		want(t, db, directory.ContactEntity, id, 1)
		late := lease(t, db, "a")
		work, _ := load(t, db, directory.ContactEntity, id)
		lease(t, db, "a") // a later run
		link := work.Link
		link.RecordID, link.State, link.Agreed = "501", directory.Agreed, 1
		if _, err := db.Settle(ctx, "hubspot", late, []directory.Outcome{{Link: link, Loaded: 1}}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("settling under an old number: %v, want ErrFenced", err)
		}
		if err := db.Doubt(ctx, "hubspot", late, []directory.Entity{link.Entity}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("doubting under an old number: %v, want ErrFenced", err)
		}
		if after, ok := load(t, db, directory.ContactEntity, id); !ok || after.Link.RecordID != "" {
			t.Errorf("link = %+v, want it untouched", after.Link)
		}
	})
}

func TestWhatChangedDuringACallIsWrittenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		want(t, db, directory.ContactEntity, id, 1)
		number := lease(t, db, "a")
		work, _ := load(t, db, directory.ContactEntity, id)
		want(t, db, directory.ContactEntity, id, 2) // while the call is out

		link := directory.Link{Account: "hubspot", Entity: work.Link.Entity, RecordID: "501", State: directory.Agreed, Agreed: 1, Shadow: map[string]string{"a": "b"}}
		if still := settle(t, db, number, link, 1); len(still) != 1 || still[0] != link.Entity {
			t.Errorf("still pending = %v, want the contact", still)
		}
		again, ok := load(t, db, directory.ContactEntity, id)
		if !ok || again.Link.RecordID != "501" || again.Link.Shadow["a"] != "b" {
			t.Fatalf("link = %+v (pending %v), want it pending with its record and shadow", again.Link, ok)
		}
		link.Agreed = 2
		if still := settle(t, db, number, link, 2); len(still) != 0 {
			t.Errorf("still pending = %v, want nothing", still)
		}
		if _, ok := load(t, db, directory.ContactEntity, id); ok {
			t.Error("the contact is still pending")
		}
		want(t, db, directory.ContactEntity, id, 2) // an old want comes again
		if _, ok := load(t, db, directory.ContactEntity, id); ok {
			t.Error("a want that was settled made the contact pending again")
		}
	})
}

func TestANewerTriggerDoesNotShortenTheWaitOfAFailingRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		want(t, db, directory.ContactEntity, id, 1)
		number := lease(t, db, "a")
		work, _ := load(t, db, directory.ContactEntity, id)
		link := work.Link
		link.Attempts, link.NextAttempt = 1, time.Now().Add(30*time.Second)
		settle(t, db, number, link, 1)
		want(t, db, directory.ContactEntity, id, 2)
		if _, ok := load(t, db, directory.ContactEntity, id); ok {
			t.Error("the record may be tried at once, want after 30 s")
		}
		if due, err := db.Due(ctx, "hubspot", 10); err != nil || len(due) != 0 {
			t.Errorf("due = %v (error %v), want nothing", due, err)
		}
	})
}

func TestAMessageIsNotDueBeforeItsContactHasARecord(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		contactID := newContact(t, db, "15550100")
		m := &directory.Message{Version: 1, BusinessNumber: "1", WAMID: "w", ContactID: contactID, Direction: connectors.In, Text: "Hello!", At: time.Now()}
		record(t, db, func(tx directory.Tx) error { return tx.SaveMessages([]*directory.Message{m}) })
		want(t, db, directory.ContactEntity, contactID, 1)
		want(t, db, directory.MessageEntity, m.ID, 1)
		number := lease(t, db, "a")

		due, err := db.Due(ctx, "hubspot", 10)
		if err != nil || len(due) != 1 || due[0].Kind != directory.ContactEntity {
			t.Fatalf("due = %v (error %v), want the contact only", due, err)
		}
		work, _ := load(t, db, directory.ContactEntity, contactID)
		link := work.Link
		link.RecordID, link.State, link.Agreed = "501", directory.Agreed, 1
		settle(t, db, number, link, 1)

		waiting, err := db.WaitingFor(ctx, "hubspot", []int64{contactID})
		if err != nil || len(waiting) != 1 || waiting[0].ID != m.ID {
			t.Fatalf("waiting for the contact = %v (error %v), want the message", waiting, err)
		}
		todo, ok := load(t, db, directory.MessageEntity, m.ID)
		if !ok || todo.ContactRecordID != "501" || todo.Message.Text != "Hello!" || todo.Message.ContactID != contactID {
			t.Errorf("work = %+v", todo)
		}
		if err := db.Forget(ctx, "hubspot", number, link.Entity, "500"); err != nil {
			t.Fatal(err)
		}
		if _, pending := load(t, db, directory.ContactEntity, contactID); pending {
			t.Error("forgetting a record that is not the contact's made it pending")
		}
		if err := db.Forget(ctx, "hubspot", number, link.Entity, "501"); err != nil {
			t.Fatal(err)
		}
		if again, pending := load(t, db, directory.ContactEntity, contactID); !pending || again.Link.RecordID != "" {
			t.Errorf("link = %+v (pending %v), want it pending without a record", again.Link, pending)
		}
	})
}

func letter(account string, id int64, at time.Time) deadletter.Letter {
	e := directory.Entity{Kind: directory.ContactEntity, ID: id}
	return deadletter.Letter{
		ID: deadletter.ForEntity(account, e), Account: account, Entity: e, Class: connectors.Rejected,
		Code: "INVALID_EMAIL", Reason: "the e-mail is not valid", Attempts: 1, State: deadletter.Open,
		CreatedAt: at, UpdatedAt: at, DueAt: at.Add(24 * time.Hour),
	}
}

func dead(t *testing.T, db *store.DB, id int64) {
	t.Helper()
	want(t, db, directory.ContactEntity, id, 1)
	number := lease(t, db, "a")
	work, _ := load(t, db, directory.ContactEntity, id)
	link := work.Link
	link.State, link.Attempts, link.Class = directory.Dead, 1, string(connectors.Rejected)
	settle(t, db, number, link, 1)
}

// reopen lets replayed letters in, as a worker does.
func reopen(t *testing.T, db *store.DB, want int) {
	t.Helper()
	if list, err := db.Reopen(ctx, "hubspot", 100, 100); err != nil || len(list) != want {
		t.Fatalf("reopened %v (error %v), want %d", list, err, want)
	}
}

func open(t *testing.T, db *store.DB, f deadletter.Filter) []deadletter.Letter {
	t.Helper()
	letters, err := db.Letters(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

func TestTheSameLetterTwiceIsOneLetter(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now()
		l := letter("hubspot", 7, now)
		for range 2 {
			if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil {
				t.Fatal(err)
			}
		}
		again := letter("hubspot", 7, now.Add(time.Hour))
		again.Reason = "it failed again"
		if err := db.PutLetters(ctx, []deadletter.Letter{again}); err != nil {
			t.Fatal(err)
		}
		letters := open(t, db, deadletter.Filter{Account: "hubspot"})
		if len(letters) != 1 || letters[0].Reason != "it failed again" {
			t.Fatalf("letters = %+v, want one with the newest reason", letters)
		}
		if got := letters[0].DueAt; got.Sub(now) > 24*time.Hour+time.Second {
			t.Errorf("due %v after the first failure, want 24 h: failing again is no extension", got.Sub(now))
		}
	})
}

func TestAReplayedLetterMakesItsEntityPendingAndIsSettledOnDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		dead(t, db, id)
		l := letter("hubspot", id, time.Now())
		if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil {
			t.Fatal(err)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{IDs: []string{l.ID}}, "anna"); n != 1 || err != nil {
			t.Fatalf("replayed %d (error %v), want 1", n, err)
		}
		if _, n, _ := db.Replay(ctx, deadletter.Filter{IDs: []string{l.ID}}, "anna"); n != 0 {
			t.Errorf("a letter that is being replayed was replayed again")
		}
		reopen(t, db, 1)
		work, pending := load(t, db, directory.ContactEntity, id)
		if !pending || work.Link.Attempts != 0 {
			t.Errorf("link = %+v (pending %v), want pending with a fresh start", work.Link, pending)
		}
		if err := db.Delivered(ctx, []string{l.ID}); err != nil {
			t.Fatal(err)
		}
		got := open(t, db, deadletter.Filter{})[0]
		if got.State != deadletter.Delivered || got.SettledBy != "anna" || got.SettledAt.IsZero() {
			t.Errorf("letter = %+v, want delivered, settled by anna", got)
		}
		if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil { // it comes late
			t.Fatal(err)
		}
		if got := open(t, db, deadletter.Filter{})[0]; got.State != deadletter.Delivered {
			t.Errorf("a late copy opened the letter again: %s", got.State)
		}
	})
}

func TestADiscardedLetterSkipsItsEntity(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id, other := newContact(t, db, "15550100"), newContact(t, db, "15550101")
		dead(t, db, id)
		dead(t, db, other)
		now := time.Now()
		if err := db.PutLetters(ctx, []deadletter.Letter{letter("hubspot", id, now), letter("hubspot", other, now)}); err != nil {
			t.Fatal(err)
		}
		n, err := db.Discard(ctx, deadletter.Filter{IDs: []string{letter("hubspot", id, now).ID}}, "anna", "a test number")
		if n != 1 || err != nil {
			t.Fatalf("discarded %d (error %v), want 1", n, err)
		}
		states := linkStates(t, db)
		if states[directory.Skipped] != 1 || states[directory.Dead] != 1 {
			t.Errorf("links by state = %v, want one skipped and one dead", states)
		}
		if left := open(t, db, deadletter.Filter{State: deadletter.Open}); len(left) != 1 {
			t.Errorf("%d letters open, want 1", len(left))
		}
	})
}

// Eight writers at once, in several time zones: none fails, none is lost.
func TestManyWritersAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		zones := []*time.Location{time.UTC, time.FixedZone("Taipei", 8*3600), time.FixedZone("Sao Paulo", -3*3600)}
		start := time.Now().Add(-time.Hour)
		var wg sync.WaitGroup
		var failed atomic.Int64
		for writer := range 8 {
			wg.Go(func() {
				for i := range 20 {
					at := start.Add(time.Duration(i) * time.Minute).In(zones[writer%3])
					m := &directory.Message{
						Version: 1, BusinessNumber: "1", WAMID: time.Duration(writer*100 + i).String(), ContactID: id,
						Direction: connectors.In, Text: "x", At: at,
					}
					err := db.Record(ctx, func(tx directory.Tx) error { return tx.SaveMessages([]*directory.Message{m}) })
					if err != nil {
						failed.Add(1)
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		record(t, db, func(tx directory.Tx) error {
			talks, err := tx.Conversations([]int64{id})
			if err != nil {
				return err
			}
			if got := talks[id].Unanswered; got != 160 {
				t.Errorf("%d messages, want 160", got)
			}
			if newest := talks[id].LastIn.At; newest.Sub(start.Add(19*time.Minute)).Abs() > time.Millisecond {
				t.Errorf("newest at %v, want %v", newest, start.Add(19*time.Minute))
			}
			return nil
		})
	})
}

func TestAFileIsNotDueBeforeItsMessageHasARecord(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		contactID := newContact(t, db, "15550100")
		m := &directory.Message{Version: 1, Account: "whatsapp", BusinessNumber: "1", WAMID: "w", ContactID: contactID, Direction: connectors.In, Text: "[Image]", At: time.Now()}
		media := connectors.Media{ID: "4711", MIMEType: "image/jpeg", SHA256: "abc", Filename: "a\x00.jpg"}
		record(t, db, func(tx directory.Tx) error {
			if err := tx.SaveMessages([]*directory.Message{m}); err != nil {
				return err
			}
			return tx.SaveFiles([]directory.File{{MessageID: m.ID, Media: media}})
		})
		record(t, db, func(tx directory.Tx) error {
			return tx.SaveFiles([]directory.File{{MessageID: m.ID, Media: connectors.Media{ID: "another"}}})
		})
		want(t, db, directory.ContactEntity, contactID, 1)
		want(t, db, directory.MessageEntity, m.ID, 1)
		want(t, db, directory.FileEntity, m.ID, 1)
		number := lease(t, db, "a")
		due := func(except ...string) (kinds []directory.EntityKind) {
			t.Helper()
			list, err := db.Due(ctx, "hubspot", 10)
			if err != nil {
				t.Fatal(err)
			}
			files, err := db.DueFiles(ctx, "hubspot", except, 10)
			if err != nil {
				t.Fatal(err)
			}
			for range files {
				list = append(list, directory.Entity{Kind: directory.FileEntity})
			}
			for _, e := range list {
				kinds = append(kinds, e.Kind)
			}
			return kinds
		}
		agree := func(kind directory.EntityKind, id int64, recordID string) {
			t.Helper()
			settle(t, db, number, directory.Link{
				Account: "hubspot", Entity: directory.Entity{Kind: kind, ID: id}, RecordID: recordID, State: directory.Agreed, Agreed: 1,
			}, 1)
		}
		if got := due(); !slices.Equal(got, []directory.EntityKind{directory.ContactEntity}) {
			t.Errorf("due = %v, want the contact", got)
		}
		agree(directory.ContactEntity, contactID, "501")
		if got := due(); !slices.Equal(got, []directory.EntityKind{directory.MessageEntity}) {
			t.Errorf("due = %v, want the message", got)
		}
		if todo, ok := load(t, db, directory.FileEntity, m.ID); !ok || todo.MessageRecordID != "" {
			t.Errorf("work = %+v, want a message without a record", todo)
		}
		agree(directory.MessageEntity, m.ID, "601")
		if got := due(); !slices.Equal(got, []directory.EntityKind{directory.FileEntity}) {
			t.Errorf("due = %v, want the file", got)
		}
		todo, ok := load(t, db, directory.FileEntity, m.ID)
		media.Filename = "a\uFFFD.jpg"
		if !ok || todo.MessageRecordID != "601" || todo.ContactRecordID != "501" || todo.Message.WAMID != "w" || todo.File == nil || todo.File.Media != media {
			t.Errorf("work = %+v, file %+v", todo, todo.File)
		}
		if got := due("whatsapp", "another"); len(got) != 0 {
			t.Errorf("due = %v, want nothing of that account", got)
		}
		want(t, db, directory.ContactEntity, contactID, 2)
		if got := due("another"); !slices.Equal(got, []directory.EntityKind{directory.ContactEntity, directory.FileEntity}) {
			t.Errorf("due = %v, want the contact and the file", got)
		}
		settle(t, db, number, directory.Link{
			Account: "hubspot", Entity: todo.Link.Entity, State: directory.Pending, NextAttempt: time.Now().Add(time.Minute),
		}, 1)
		if got := due(); !slices.Equal(got, []directory.EntityKind{directory.ContactEntity}) {
			t.Errorf("due = %v, want the contact: the file is put off", got)
		}
	})
}

// A file whose message nobody will write has nowhere to go.
func TestADiscardedMessageTakesItsFileAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		contactID := newContact(t, db, "15550100")
		now := time.Now()
		var ids []int64
		for _, wamid := range []string{"discarded", "kept"} {
			m := &directory.Message{Version: 1, BusinessNumber: "1", WAMID: wamid, ContactID: contactID, Direction: connectors.In, Text: "[Image]", At: now}
			record(t, db, func(tx directory.Tx) error { return tx.SaveMessages([]*directory.Message{m}) })
			want(t, db, directory.MessageEntity, m.ID, 1)
			want(t, db, directory.FileEntity, m.ID, 1)
			ids = append(ids, m.ID)
		}
		number := lease(t, db, "a")
		e := directory.Entity{Kind: directory.MessageEntity, ID: ids[0]}
		settle(t, db, number, directory.Link{Account: "hubspot", Entity: e, State: directory.Dead}, 1)
		l := deadletter.Letter{ID: deadletter.ForEntity("hubspot", e), Account: "hubspot", Entity: e, Class: connectors.Rejected, State: deadletter.Open, CreatedAt: now, UpdatedAt: now, DueAt: now}
		if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Discard(ctx, deadletter.Filter{IDs: []string{l.ID}}, "anna", "a test"); n != 1 || err != nil {
			t.Fatalf("discarded %d (error %v), want 1", n, err)
		}
		states := linkStates(t, db)
		if states[directory.Skipped] != 2 || states[directory.Pending] != 2 {
			t.Errorf("links by state = %v, want one message and its file skipped, the others pending", states)
		}
	})
}

func TestALetterOfWhatIsNotWantedAnyMoreIsSettled(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		dead(t, db, id)
		l := letter("hubspot", id, time.Now())
		if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil {
			t.Fatal(err)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{IDs: []string{l.ID}}, "anna"); n != 1 || err != nil {
			t.Fatalf("replayed %d (error %v), want 1", n, err)
		}
		for range 2 {
			if err := db.Dropped(ctx, l.ID, "media is off"); err != nil {
				t.Fatal(err)
			}
		}
		if got := open(t, db, deadletter.Filter{})[0]; got.State != deadletter.Discarded || got.Note != "media is off" || got.SettledAt.IsZero() {
			t.Errorf("letter = %+v, want discarded with the reason", got)
		}
	})
}

func TestLettersAreGroupedByCause(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		var letters []deadletter.Letter
		put := func(n int, account, code, field string, age time.Duration) {
			for range n {
				l := letter(account, int64(len(letters)+1), now.Add(-age))
				l.Code, l.Field, l.Reason = code, field, "why"
				letters = append(letters, l)
			}
		}
		put(2, "zoho", "INVALID_DATA", "Mobile", time.Hour)
		put(3, "zoho", "INVALID_DATA", "Phone", time.Minute)
		put(1, "hubspot", "INVALID_DATA", "Mobile", time.Second)
		letters[1].CreatedAt = now.Add(-2 * time.Hour)
		if err := db.PutLetters(ctx, letters); err != nil {
			t.Fatal(err)
		}
		groups, err := db.Groups(ctx, deadletter.Filter{State: deadletter.Open})
		if err != nil || len(groups) != 3 {
			t.Fatalf("groups = %+v (error %v), want three", groups, err)
		}
		if g := groups[0]; g.Account != "zoho" || g.Field != "Phone" || g.Letters != 3 || g.ID != g.Group() {
			t.Errorf("the largest = %+v", g)
		}
		mobile := groups[1]
		if mobile.Field != "Mobile" || mobile.Letters != 2 || !mobile.CreatedAt.Equal(letters[1].CreatedAt) {
			t.Errorf("the second = %+v, want two since two hours", mobile)
		}
		if n, err := db.Discard(ctx, deadletter.Filter{Cause: &mobile.Cause}, "anna", "a test"); n != 2 || err != nil {
			t.Errorf("discarded %d (error %v), want 2", n, err)
		}
		if left, err := db.Groups(ctx, deadletter.Filter{State: deadletter.Open}); err != nil || len(left) != 2 || left[0].ID == mobile.ID || left[1].ID == mobile.ID {
			t.Errorf("left = %+v (error %v)", left, err)
		}
	})
}

func TestOverdueLettersAreCountedAndSelected(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now()
		late, early, done := letter("hubspot", 1, now), letter("hubspot", 2, now), letter("hubspot", 3, now)
		late.DueAt, early.DueAt, done.DueAt = now.Add(-time.Minute), now.Add(time.Hour), now.Add(-time.Minute)
		if err := db.PutLetters(ctx, []deadletter.Letter{late, early, done}); err != nil {
			t.Fatal(err)
		}
		if err := db.Delivered(ctx, []string{done.ID}); err != nil {
			t.Fatal(err)
		}
		counts, err := db.CountLetters(ctx)
		if err != nil || len(counts) != 1 || counts[0].N != 2 || counts[0].Overdue != 1 {
			t.Errorf("counts = %+v (error %v), want two open, one of them overdue", counts, err)
		}
		got, err := db.Letters(ctx, deadletter.Filter{State: deadletter.Open, DueBefore: now})
		if err != nil || len(got) != 1 || got[0].ID != late.ID {
			t.Errorf("overdue = %+v (error %v), want one", got, err)
		}
	})
}

func TestAHistoryIsKeptUntilAFreshStart(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550100")
		want(t, db, directory.ContactEntity, id, 1)
		number := lease(t, db, "a")
		work, _ := load(t, db, directory.ContactEntity, id)
		link := work.Link
		link.Attempts, link.History = 2, []string{"503", "no answer in time"}
		first := time.Now().UTC().Truncate(time.Millisecond)
		link.AttemptedAt = []time.Time{first, first.Add(time.Second)}
		settle(t, db, number, link, 1)
		if work, _ = load(t, db, directory.ContactEntity, id); !slices.Equal(work.Link.History, link.History) || !slices.Equal(work.Link.AttemptedAt, link.AttemptedAt) {
			t.Errorf("history %q, want %q", work.Link.History, link.History)
		}
		link.State = directory.Dead
		settle(t, db, number, link, 1)
		l := letter("hubspot", id, time.Now())
		l.History, l.AttemptedAt = link.History, link.AttemptedAt
		if err := db.PutLetters(ctx, []deadletter.Letter{l}); err != nil {
			t.Fatal(err)
		}
		if got := open(t, db, deadletter.Filter{})[0]; !slices.Equal(got.History, link.History) || !slices.Equal(got.AttemptedAt, link.AttemptedAt) {
			t.Errorf("the letter's history %q, want %q", got.History, link.History)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{}, "anna"); n != 1 || err != nil {
			t.Fatalf("replayed %d (error %v), want 1", n, err)
		}
		reopen(t, db, 1)
		if work, ok := load(t, db, directory.ContactEntity, id); !ok || len(work.Link.History) != 0 {
			t.Errorf("history %q after a fresh start (pending %v)", work.Link.History, ok)
		}
	})
}
