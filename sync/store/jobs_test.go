package store_test

import (
	"testing"
	"time"

	"crmsync/sync/store"
)

func TestAJobIsBegunByOneReplicaAtATime(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		due := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
		begin := func(holder string, seen time.Duration, want bool) {
			t.Helper()
			if got, err := db.BeginRun(ctx, "check", due, holder, seen); err != nil || got != want {
				t.Errorf("%s begins: %v, error %v, want %v", holder, got, err, want)
			}
		}
		still := func(holder string, want bool) {
			t.Helper()
			if got, err := db.SeenAtRun(ctx, "check", due, holder); err != nil || got != want {
				t.Errorf("%s is at it: %v, error %v, want %v", holder, got, err, want)
			}
		}
		if last, ended, err := db.LastRun(ctx, "check"); err != nil || !last.IsZero() || ended {
			t.Errorf("before the first: %v %v, error %v", last, ended, err)
		}
		begin("a", time.Minute, true)
		begin("b", time.Minute, false)
		begin("a", time.Minute, true) // it was started again
		still("a", true)
		still("b", false)
		time.Sleep(5 * time.Millisecond)
		begin("b", time.Millisecond, true) // a has not been seen
		still("a", false)
		if err := db.EndRun(ctx, "check", due, "a", ""); err != nil {
			t.Error(err)
		}
		if _, ended, _ := db.LastRun(ctx, "check"); ended {
			t.Error("somebody who is not at it has ended it")
		}
		if err := db.EndRun(ctx, "check", due, "b", "no luck"); err != nil {
			t.Error(err)
		}
		begin("a", time.Millisecond, false)
		if last, ended, err := db.LastRun(ctx, "check"); err != nil || !last.Equal(due) || !ended {
			t.Errorf("after it: %v %v, error %v", last, ended, err)
		}
		runs := func() (n int64) {
			n, err := db.Exec("UPDATE job_runs SET problem = problem")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		due = due.AddDate(0, 6, 0) // after half a year
		begin("a", time.Minute, true)
		if err := db.EndRun(ctx, "check", due, "a", ""); err != nil || runs() != 1 {
			t.Errorf("%d runs are kept, error %v", runs(), err)
		}
		due = due.AddDate(0, 0, 7)
		begin("a", time.Minute, true)
		if err := db.EndRun(ctx, "check", due.AddDate(0, 0, -7), "a", ""); err != nil || runs() != 2 {
			t.Errorf("%d runs are kept, error %v", runs(), err)
		}
		if last, ended, _ := db.LastRun(ctx, "check"); !last.Equal(due) || ended {
			t.Errorf("a week later: %v %v", last, ended)
		}
	})
}
