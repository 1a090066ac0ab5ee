package store_test

import (
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

func TestADayIsSummedUp(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now()
		a, b, c := fact("a"), fact("b"), fact("c")
		c.Kind = connectors.KindStatus
		record(t, db, func(tx directory.Tx) error {
			return tx.SaveFacts([]directory.FactOutcome{{Fact: &a}, {Fact: &b}, {Fact: &c}})
		})
		volumes, err := db.Volumes(ctx, now.Add(-time.Hour), now.Add(time.Hour))
		if want := []store.Volume{{"whatsapp", "message", 2}, {"whatsapp", "status", 1}}; err != nil || !slices.Equal(volumes, want) {
			t.Errorf("volumes %v, error %v", volumes, err)
		}
		if volumes, _ = db.Volumes(ctx, now.Add(time.Hour), now.Add(2*time.Hour)); len(volumes) != 0 {
			t.Errorf("of the next hour: %v", volumes)
		}

		fresh, old, settled := letter("hubspot", 1, now), letter("hubspot", 2, now.Add(-48*time.Hour)), letter("hubspot", 3, now.Add(-48*time.Hour))
		settled.State, settled.SettledAt = deadletter.Discarded, now
		put(t, db, fresh, old, settled)
		if n, done, err := db.LettersBetween(ctx, now.Add(-24*time.Hour), now.Add(time.Second)); n != 1 || done != 1 || err != nil {
			t.Errorf("%d new and %d settled letters, error %v", n, done, err)
		}

		for i, text := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
			if err := db.SaveLoad(ctx, "me", now.Add(time.Duration(i)*time.Hour), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		loads, err := db.Loads(ctx, now, now.Add(2*time.Hour))
		if err != nil || len(loads) != 2 || string(loads[0]) != `{"n":2}` || string(loads[1]) != `{"n":3}` {
			t.Errorf("loads %s, error %v", loads, err)
		}
	})
}

// What is old goes; what somebody may still need stays, and no fact is lost.
func TestWhatIsOldIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		day := 24 * time.Hour
		sweep := func(account string, due time.Time, ended bool, problem string) {
			s := directory.Sweep{Account: account, Due: due, Began: due, Problem: problem, Kind: directory.Whole}
			if ended {
				s.Ended = due.Add(time.Minute)
			}
			if err := db.SaveSweep(ctx, &s); err != nil {
				t.Fatal(err)
			}
		}
		sweep("hubspot", now.Add(-9*day), true, "")
		sweep("hubspot", now.Add(-8*day), true, "") // the last that came to its end
		sweep("hubspot", now.Add(-7*day), true, "no luck")
		sweep("hubspot", now.Add(-6*day), false, "") // the last
		sweep("zoho", now.Add(-9*day), true, "")     // the only one
		sweep("bitrix24", now.Add(-9*day), true, "")
		sweep("bitrix24", now.Add(-1*day), true, "")
		for _, at := range []time.Time{now.Add(-9 * day), now} {
			if err := db.SaveLoad(ctx, "me", at, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := db.ForgetHistory(ctx, now.Add(-5*day)); n != 4 || err != nil {
			t.Errorf("%d forgotten, error %v; want 3 sweeps and a load record", n, err)
		}
		for account, want := range map[string][]time.Time{
			"hubspot": {now.Add(-6 * day), now.Add(-8 * day)}, "zoho": {now.Add(-9 * day)}, "bitrix24": {now.Add(-1 * day)},
		} {
			var got []time.Time
			left, err := db.Sweeps(ctx, account, 10)
			for _, s := range left {
				got = append(got, s.Due)
			}
			if ever, _ := db.EverSwept(ctx, account); err != nil || !slices.Equal(got, want) || !ever {
				t.Errorf("%s: %v are left (ever %v), want %v, error %v", account, got, ever, want, err)
			}
		}
		all, err := db.SweepsBetween(ctx, now.Add(-10*day), now)
		if err != nil || len(all) != 4 || all[0].Account != "bitrix24" {
			t.Errorf("%+v, error %v", all, err)
		}

		other, malformed := fact("other"), fact("malformed")
		malformed.Kind = connectors.KindMalformed
		raw := []byte("+393331234567 wrote hello")
		record(t, db, func(tx directory.Tx) error {
			return tx.SaveFacts([]directory.FactOutcome{{Fact: &other, Raw: raw}, {Fact: &malformed, Raw: raw}})
		})
		if n, err := db.ForgetRaw(ctx, now.Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("%d forgotten before their time, error %v", n, err)
		}
		if n, err := db.ForgetRaw(ctx, now.Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("%d forgotten, error %v", n, err)
		}
		gone, _ := db.Raw(ctx, "other")
		left, _ := db.Raw(ctx, "malformed")
		volumes, _ := db.Volumes(ctx, now.Add(-time.Hour), now.Add(time.Hour))
		if gone != nil || len(left) == 0 || len(volumes) != 2 {
			t.Errorf("%q and %q are left of %v", gone, left, volumes)
		}
	})
}
