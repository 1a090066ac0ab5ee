package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

func owe(t *testing.T, db *store.DB, id int64) {
	t.Helper()
	want(t, db, directory.ContactEntity, id, 1)
}

func put(t *testing.T, db *store.DB, letters ...deadletter.Letter) {
	t.Helper()
	if err := db.PutLetters(ctx, letters); err != nil {
		t.Fatal(err)
	}
}

// A letter keeps what was tried, where, and what was answered.
func TestALetterKeepsWhatWasTried(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		l := letter("hubspot", 1, time.Now())
		l.Status, l.RecordID = 400, "101"
		l.Fields = []deadletter.Field{{Name: "email", From: "email", Shape: "text, 3 characters"}}
		put(t, db, l)
		got := open(t, db, deadletter.Filter{})[0]
		if got.Status != 400 || got.RecordID != "101" || !slices.Equal(got.Fields, l.Fields) {
			t.Errorf("letter = %+v", got)
		}
		again := letter("hubspot", 1, time.Now().Add(time.Second))
		again.Status = 422
		put(t, db, again)
		if got = open(t, db, deadletter.Filter{})[0]; got.Status != 422 || got.RecordID != "" || len(got.Fields) != 0 {
			t.Errorf("after another failure = %+v", got)
		}
	})
}

func TestLettersAreSelectedByAgeDueTimeAndCause(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now()
		old, young, nameless := letter("zoho", 1, now.Add(-3*time.Hour)), letter("zoho", 2, now), letter("zoho", 3, now)
		old.Code, old.Field = "INVALID_DATA", "Mobile"
		young.Code, young.Field = "INVALID_DATA", "Phone"
		nameless.Code, nameless.Class = "", connectors.Unknown
		put(t, db, old, young, nameless)
		for name, tt := range map[string]struct {
			filter deadletter.Filter
			want   []string
		}{
			"older than two hours":   {deadletter.Filter{CreatedBefore: now.Add(-2 * time.Hour)}, []string{old.ID}},
			"due within 22 hours":    {deadletter.Filter{DueBefore: now.Add(22 * time.Hour)}, []string{old.ID}},
			"a code":                 {deadletter.Filter{Code: "INVALID_DATA"}, []string{old.ID, young.ID}},
			"a code on a field":      {deadletter.Filter{Code: "INVALID_DATA", Field: "Phone"}, []string{young.ID}},
			"a cause without a code": {deadletter.Filter{Code: "unknown"}, []string{nameless.ID}},
			"both":                   {deadletter.Filter{Code: "INVALID_DATA", CreatedBefore: now.Add(-time.Minute)}, []string{old.ID}},
			"another account":        {deadletter.Filter{Account: "hubspot", Code: "INVALID_DATA"}, nil},
		} {
			var got []string
			for _, l := range open(t, db, tt.filter) {
				got = append(got, l.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", name, got, tt.want)
			}
			var inGroups int64
			groups, err := db.Groups(ctx, tt.filter)
			for _, g := range groups {
				inGroups += g.Letters
			}
			if err != nil || int(inGroups) != len(tt.want) {
				t.Errorf("%s: %d letters in groups (error %v), want %d", name, inGroups, err, len(tt.want))
			}
		}
	})
}

// However many letters are replayed, only so many are let in at once.
func TestReplayedLettersAreLetInAFewAtATime(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		var letters []deadletter.Letter
		for n := range 5 {
			id := newContact(t, db, fmt.Sprintf("1555020%d", n))
			dead(t, db, id)
			letters = append(letters, letter("hubspot", id, time.Now().Add(time.Duration(n)*time.Second)))
		}
		if n, err := db.Exec("UPDATE links SET since = '2020-01-01 00:00:00+00:00'"); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		slices.Reverse(letters) // as they come, not as they are due
		put(t, db, letters...)
		slices.Reverse(letters)
		replay, n, err := db.Replay(ctx, deadletter.Filter{}, "anna")
		if n != 5 || err != nil {
			t.Fatalf("replayed %d (error %v)", n, err)
		}
		if states := linkStates(t, db); states[directory.Dead] != 5 {
			t.Errorf("links by state = %v before the worker has room", states)
		}
		began := time.Now()
		for _, want := range [][]int{{0, 1}, {2, 3}, {4}, nil} { // those due first first
			list, err := db.Reopen(ctx, "hubspot", 2, 0)
			var got []directory.Entity
			for _, n := range want {
				got = append(got, letters[n].Entity)
			}
			if err != nil || !slices.Equal(list, got) {
				t.Errorf("let in %v (error %v), want %v", list, err, got)
			}
		}
		if waiting, err := db.Waiting(ctx); err != nil || len(waiting) != 1 || waiting[0].Oldest.Before(began.Add(-time.Second)) {
			t.Errorf("waiting %+v (error %v), want since they were let in", waiting, err)
		}
		if states := linkStates(t, db); states[directory.Pending] != 5 {
			t.Errorf("links by state = %v, want all pending", states)
		}
		if err := db.Delivered(ctx, []string{letters[0].ID}); err != nil {
			t.Fatal(err)
		}
		again := letter("hubspot", letters[1].Entity.ID, time.Now().Add(time.Minute))
		put(t, db, again)
		counts, paused, err := db.CountReplay(ctx, replay)
		if err != nil || paused != 0 || counts[deadletter.Delivered] != 1 || counts[deadletter.Open] != 1 || counts[deadletter.Replaying] != 3 {
			t.Errorf("counts = %v (error %v)", counts, err)
		}
		if actions, err := db.Actions(ctx, again.ID); err != nil || len(actions) != 1 || actions[0].Do != deadletter.Replayed || actions[0].By != "anna" {
			t.Errorf("actions = %+v (error %v)", actions, err)
		}
	})
}

// A replay of files lets in no more of them than there is room for, whatever
// else there is room for.
func TestReplayedFilesHaveRoomOfTheirOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		for n := range int64(6) {
			l := letter("hubspot", n, time.Now().Add(time.Duration(n)*time.Second))
			l.Entity.Kind = []directory.EntityKind{directory.FileEntity, directory.MessageEntity}[n%2]
			l.ID = deadletter.ForEntity("hubspot", l.Entity)
			put(t, db, l)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{}, "anna"); n != 6 || err != nil {
			t.Fatal(n, err)
		}
		for _, want := range []struct {
			limit, files int
			ids          []int64
		}{{0, 2, []int64{0, 2}}, {1, 0, []int64{1}}, {5, 5, []int64{3, 4, 5}}} {
			list, err := db.Reopen(ctx, "hubspot", want.limit, want.files)
			var ids []int64
			for _, e := range list {
				ids = append(ids, e.ID)
			}
			if err != nil || !slices.Equal(ids, want.ids) {
				t.Errorf("%d and %d files: let in %v (error %v), want %v", want.limit, want.files, ids, err, want.ids)
			}
		}
	})
}

// Letters of an account that is gone are not left to a worker that there is not.
func TestLettersOfAnAccountThatIsGoneStayOpen(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		gone, here, tried := letter("hubspot", 1, time.Now()), letter("zoho", 2, time.Now()), letter("zoho", 3, time.Now().Add(-time.Hour))
		here.ID, here.Account, tried.ID, tried.Account = "zoho.contact.2", "zoho", "zoho.contact.3", "zoho"
		part := letter("whatsapp", 0, time.Now())
		part.ID, part.Account, part.Entity, part.FactID = "whatsapp.fact.1", "whatsapp", directory.Entity{}, "whatsapp/1"
		put(t, db, gone, here, tried, part)
		counts, err := db.CountSelected(ctx, deadletter.Filter{State: deadletter.Open})
		if want := []store.SelectedCount{{Account: "hubspot", N: 1}, {Account: "whatsapp", Facts: true, N: 1}, {Account: "zoho", N: 2}}; err != nil || !slices.Equal(counts, want) {
			t.Errorf("%+v (error %v), want %+v", counts, err, want)
		}
		replay, n, err := db.Replay(ctx, deadletter.Filter{Accounts: []string{"zoho"}}, "anna")
		if n != 3 || err != nil {
			t.Errorf("replayed %d (error %v), want zoho's and the part", n, err)
		}
		if list, err := db.Reopen(ctx, "zoho", 1, 1); len(list) != 1 || err != nil {
			t.Errorf("let in %v (error %v)", list, err)
		}
		if _, _, err := db.Pause(ctx, "zoho", "anna", "they migrate"); err != nil {
			t.Fatal(err)
		}
		if counts, paused, err := db.CountReplay(ctx, replay); err != nil || counts[deadletter.Replaying] != 3 || paused != 2 {
			t.Errorf("%v, %d paused (error %v)", counts, paused, err)
		}
		// Zoho is taken away while one of its letters waits and one is let in.
		for _, want := range []int64{2, 0} {
			if n, err := db.Recall(ctx, []string{"bitrix24"}); n != want || err != nil {
				t.Errorf("%d letters are open again (error %v), want %d", n, err, want)
			}
		}
		for _, l := range open(t, db, deadletter.Filter{}) {
			if want := map[string]deadletter.State{part.ID: deadletter.Replaying}[l.ID]; l.State != want && (want != "" || l.State != deadletter.Open) {
				t.Errorf("%s is %s", l.ID, l.State)
			}
		}
	})
}

// A letter is on the worklist before its link is dead. Whoever settles it at once
// is heeded all the same.
func TestALetterThatIsSettledBeforeItsLinkIsDead(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		failed := time.Now().Add(-time.Second)
		do := map[string]func() error{
			"discarded": func() error { _, err := db.Discard(ctx, deadletter.Filter{}, "anna", "a test number"); return err },
			"replayed": func() error {
				_, _, err := db.Replay(ctx, deadletter.Filter{}, "anna")
				reopen(t, db, 1)
				return err
			},
			"replayed, and not let in yet": func() error { _, _, err := db.Replay(ctx, deadletter.Filter{}, "anna"); return err },
			"left alone":                   func() error { return nil },
			"discarded, and then failed again": func() error {
				failed = failed.Add(time.Hour)
				_, err := db.Discard(ctx, deadletter.Filter{}, "anna", "x")
				return err
			},
		}
		n := 0
		for what, want := range map[string]directory.State{
			"discarded": directory.Skipped, "replayed": directory.Pending, "replayed, and not let in yet": directory.Dead,
			"left alone": directory.Dead, "discarded, and then failed again": directory.Dead,
		} {
			failed = time.Now().Add(-time.Second)
			n++
			id := newContact(t, db, fmt.Sprintf("1555030%d", n))
			owe(t, db, id)
			number := lease(t, db, "a")
			work, _ := load(t, db, directory.ContactEntity, id)
			put(t, db, letter("hubspot", id, failed))
			if err := do[what](); err != nil {
				t.Fatal(err)
			}
			work.Link.State, work.Link.Attempts, work.Link.Class = directory.Dead, 1, string(connectors.Rejected)
			work.Link.History, work.Link.AttemptedAt = []string{"400"}, []time.Time{failed}
			still := settle(t, db, number, work.Link, 1)
			if pending := want == directory.Pending; pending != (len(still) == 1) {
				t.Errorf("%s: still %v", what, still)
			}
			states := linkStates(t, db)
			if states[want] != 1 {
				t.Errorf("%s: %v, want %s", what, states, want)
			}
			if _, err := db.Exec("DELETE FROM links"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("DELETE FROM dead_letters"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What became of an entity while its letter waited to be let in settles it.
func TestAReplayedLetterOfWhatIsThereOrNotWantedIsSettled(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		there, unwanted := newContact(t, db, "15550200"), newContact(t, db, "15550201")
		for id, state := range map[int64]directory.State{there: directory.Agreed, unwanted: directory.Skipped} {
			want(t, db, directory.ContactEntity, id, 1)
			work, _ := load(t, db, directory.ContactEntity, id)
			work.Link.State = state
			settle(t, db, lease(t, db, "a"), work.Link, 1)
			put(t, db, letter("hubspot", id, time.Now()))
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{}, "anna"); n != 2 || err != nil {
			t.Fatalf("replayed %d (error %v)", n, err)
		}
		reopen(t, db, 2)
		states := map[int64]deadletter.State{}
		for _, l := range open(t, db, deadletter.Filter{}) {
			states[l.Entity.ID] = l.State
		}
		if states[there] != deadletter.Delivered || states[unwanted] != deadletter.Discarded {
			t.Errorf("states %v", states)
		}
	})
}

// A person's value is the newest until something newer is reported.
func TestAnEditedFieldIsOverwrittenByNewerReportsOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		message := func(wamid, name string, at time.Time) {
			f := fact("whatsapp/" + wamid)
			f.At, f.ReceivedAt = at, time.Now().Add(time.Hour)
			f.BusinessNumber, f.Person = "1", &connectors.Person{WAID: "16315555555", ProfileName: name}
			f.Message = &connectors.Message{WAMID: wamid, Direction: connectors.In, Text: "x"}
			if _, err := recorder(db).Record(ctx, []directory.Fact{f}); err != nil {
				t.Fatal(err)
			}
		}
		message("w1", "A wrong name", time.Now().Add(-time.Hour))
		dead(t, db, 1)
		l := letter("hubspot", 1, time.Now())
		put(t, db, l)
		if err := db.EditContact(ctx, l.ID, map[string]string{"profile_name": "Anna", "email": "anna@example.com"}, "marco"); err != nil {
			t.Fatal(err)
		}
		if states := linkStates(t, db); states[directory.Dead] != 1 || open(t, db, deadletter.Filter{})[0].State != deadletter.Open {
			t.Errorf("an edit alone has tried again: links %v", states)
		}
		name := func() string {
			t.Helper()
			var text string
			record(t, db, func(tx directory.Tx) error {
				list, err := tx.Contacts([]int64{1})
				text = list[0].Text("profile_name") + " " + list[0].Text("email")
				return err
			})
			return text
		}
		message("w2", "An older name", time.Now().Add(-time.Minute))
		if got := name(); got != "Anna anna@example.com" {
			t.Errorf("after an older report: %q", got)
		}
		message("w3", "A newer name", time.Now().Add(time.Minute))
		if got := name(); got != "A newer name anna@example.com" {
			t.Errorf("after a newer report: %q", got)
		}
		actions, err := db.Actions(ctx, l.ID)
		if err != nil || len(actions) != 2 {
			t.Fatalf("actions = %+v (error %v), want one for each field", actions, err)
		}
		if text := fmt.Sprintf("%+v", actions); strings.Contains(text, "Anna") || strings.Contains(text, "anna@") || !strings.Contains(text, "text, 12 characters") || !strings.Contains(text, "marco") {
			t.Errorf("actions = %s", text)
		}
	})
}

// Accounts that show the contact get the edited value; those that have given up
// on it wait for a replay, which carries the newest version.
func TestAnEditMakesTheOtherAccountsOweIt(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		id := newContact(t, db, "15550300")
		dead(t, db, id)
		record(t, db, func(tx directory.Tx) error {
			return tx.Want([]directory.Want{{Account: "zoho", Entity: directory.Entity{Kind: directory.ContactEntity, ID: id}, Version: 1, ReceivedAt: time.Now()}})
		})
		l := letter("hubspot", id, time.Now())
		put(t, db, l)
		if err := db.EditContact(ctx, l.ID, map[string]string{"email": "anna@example.com"}, "marco"); err != nil {
			t.Fatal(err)
		}
		work, err := db.Load(ctx, "zoho", directory.ContactEntity, []int64{id})
		if err != nil || len(work) != 1 || work[0].Contact.Text("email") != "anna@example.com" || work[0].Link.Wanted != work[0].Contact.Version {
			t.Errorf("zoho owes %+v (error %v)", work, err)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{}, "marco"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		reopen(t, db, 1)
		if mended, ok := load(t, db, directory.ContactEntity, id); !ok || mended.Contact.Text("email") != "anna@example.com" || mended.Link.Wanted != mended.Contact.Version {
			t.Errorf("hubspot owes %+v (pending %v)", mended, ok)
		}
		for _, not := range []string{l.ID, "nobody.contact.1"} {
			if err := db.EditContact(ctx, not, map[string]string{"email": ""}, "marco"); !errors.Is(err, store.ErrNotOpen) {
				t.Errorf("editing %s: %v", not, err)
			}
		}
	})
}

func malformed(t *testing.T, db *store.DB, key string) deadletter.Letter {
	t.Helper()
	bad := fact("whatsapp/" + key)
	bad.Kind, bad.Key, bad.Reason, bad.Raw = connectors.KindMalformed, key, "entry is missing", []byte(`{"secret text"`)
	if _, err := recorder(db).Record(ctx, []directory.Fact{bad}); err != nil {
		t.Fatal(err)
	}
	return deadletter.OfFact(&bad, "r1", time.Now(), time.Hour)
}

func TestAnEditedPartIsWhatIsReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		l := malformed(t, db, "bad")
		if err := db.EditFact(ctx, l.ID, []byte(`{}`), "marco"); err != nil {
			t.Fatal(err)
		}
		if raw, err := db.Raw(ctx, l.FactID); err != nil || string(raw) != "{}" {
			t.Errorf("raw = %s (error %v)", raw, err)
		}
		actions, err := db.Actions(ctx, l.ID)
		if err != nil || len(actions) != 1 || actions[0].Was != "14 bytes" || actions[0].Became != "2 bytes" || actions[0].Field != deadletter.RawField {
			t.Errorf("actions = %+v (error %v)", actions, err)
		}
		if _, n, err := db.Replay(ctx, deadletter.Filter{}, "marco"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if replays, err := db.FactsToReplay(ctx, 10); err != nil || len(replays) != 1 || string(replays[0].Raw) != "{}" {
			t.Errorf("replays = %+v (error %v)", replays, err)
		}
		put(t, db, letter("hubspot", 9, time.Now()))
		if err := db.EditFact(ctx, "hubspot.contact.9", []byte("{}"), "marco"); !errors.Is(err, store.ErrNotOpen) {
			t.Errorf("a letter without a part was edited: %v", err)
		}
	})
}

// After retention the part of a webhook is gone and the history stays.
func TestSettledLettersLoseThePartAndKeepTheirHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		settled, unsettled := malformed(t, db, "one"), malformed(t, db, "two")
		if n, err := db.Discard(ctx, deadletter.Filter{IDs: []string{settled.ID}}, "anna", "half a webhook"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := db.ForgetSettled(ctx, time.Now().Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("%d parts were removed before their time (error %v)", n, err)
		}
		if n, err := db.ForgetSettled(ctx, time.Now().Add(time.Minute)); n != 1 || err != nil {
			t.Errorf("%d parts were removed (error %v), want 1", n, err)
		}
		if raw, err := db.Raw(ctx, settled.FactID); err != nil || raw != nil {
			t.Errorf("raw = %q (error %v), want it gone", raw, err)
		}
		if raw, err := db.Raw(ctx, unsettled.FactID); err != nil || len(raw) == 0 {
			t.Errorf("an open letter has lost its part (error %v)", err)
		}
		kept := open(t, db, deadletter.Filter{IDs: []string{settled.ID}})
		if len(kept) != 1 || kept[0].Reason != "entry is missing" || kept[0].Note != "half a webhook" || kept[0].SettledBy != "anna" {
			t.Errorf("kept %+v", kept)
		}
		if actions, err := db.Actions(ctx, settled.ID); err != nil || len(actions) != 1 {
			t.Errorf("actions = %+v (error %v)", actions, err)
		}
	})
}

func TestAReceiverIsToldOfAnOverdueLetterOnceADay(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, reopen func() (*store.DB, error)) {
		now := time.Now()
		late, early := letter("hubspot", 1, now), letter("hubspot", 2, now)
		late.DueAt, early.DueAt = now.Add(-time.Minute), now.Add(time.Hour)
		put(t, db, late, early)
		untold := func(receiver string, since time.Time) []deadletter.Letter {
			t.Helper()
			letters, err := db.Unnoticed(ctx, receiver, since)
			if err != nil {
				t.Fatal(err)
			}
			return letters
		}
		yesterday := now.Add(-24 * time.Hour)
		letters := untold("log", yesterday)
		if len(letters) != 1 || letters[0].ID != late.ID || letters[0].Cause() != late.Cause() {
			t.Fatalf("overdue = %+v, want one", letters)
		}
		for range 2 {
			if err := db.Noticed(ctx, "log", letters); err != nil {
				t.Fatal(err)
			}
		}
		again, err := reopen() // a restart does not tell it twice
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		db = again
		if left := untold("log", yesterday); len(left) != 0 {
			t.Errorf("told twice: %+v", left)
		}
		if other := untold("another", yesterday); len(other) != 1 {
			t.Errorf("another receiver is told of %+v, want one", other)
		}
		if tomorrow := untold("log", time.Now().Add(time.Minute)); len(tomorrow) != 1 {
			t.Errorf("a day later: %+v, want it again", tomorrow)
		}
	})
}
