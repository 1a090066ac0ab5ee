package jobs

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// nights on which clocks change, in summer time's beginnings and ends.
var nights = map[string][]string{
	"Europe/Rome":         {"2026-03-29", "2026-10-25"},
	"America/Sao_Paulo":   {"2018-11-04", "2018-02-18"}, // at midnight
	"America/New_York":    {"2026-03-08", "2026-11-01"},
	"Australia/Lord_Howe": {"2026-10-04", "2026-04-05"}, // by half an hour
}

// What is due every quarter of an hour is due every quarter of an hour, in the
// nights on which clocks change too: no run is left out, and none comes twice.
func TestAQuarterOfAnHourIsOneInEveryNight(t *testing.T) {
	for zone, days := range nights {
		for _, day := range days {
			s, err := Parse("*/15 * * * *", zone)
			if err != nil {
				t.Fatal(err)
			}
			noon, _ := time.Parse("2006-01-02", day)
			from := noon.Add(-24 * time.Hour)
			until := from.Add(72 * time.Hour)
			n := 0
			for at := s.next(from); at.Before(until); at = s.next(at) {
				if n++; !at.Equal(from.Add(time.Duration(n) * 15 * time.Minute)) {
					t.Errorf("%s, %s: run %d is at %v, want %v", zone, day, n, at.UTC(), from.Add(time.Duration(n)*15*time.Minute))
					break
				}
			}
			if n != 4*72-1 {
				t.Errorf("%s, %s: %d runs in three days, want %d", zone, day, n, 4*72-1)
			}
		}
	}
}

// A job by the day comes once a day, whatever the night; in the night that skips
// its hour not at all.
func TestADailyJobComesOnceADay(t *testing.T) {
	for zone, days := range nights {
		for _, day := range days {
			for _, expression := range []string{"30 0 * * *", "30 1 * * *", "30 2 * * *", "0 3 * * *", "0 12 * * *"} {
				s, err := Parse(expression, zone)
				if err != nil {
					t.Fatal(err)
				}
				noon, _ := time.Parse("2006-01-02", day)
				runs := map[string]int{}
				for at := s.next(noon.Add(-60 * time.Hour)); at.Before(noon.Add(60 * time.Hour)); at = s.next(at) {
					runs[at.In(s.zone).Format("2006-01-02")]++
				}
				for date, n := range runs {
					if n != 1 {
						t.Errorf("%s, %s: %d runs on %s of %q", zone, day, n, date, expression)
					}
				}
				if len(runs) < 4 {
					t.Errorf("%s, %s: only %d days of %q", zone, day, len(runs), expression)
				}
			}
		}
	}
}

// A job that takes longer than its interval is at work once at a time. What
// became due meanwhile is done once when it has ended, for the last of those
// times.
func TestAJobThatTakesLongerThanItsInterval(t *testing.T) {
	inWorld(t, func(w *world) {
		var at atomic.Int32
		stop := w.replica("a", "*/15 * * * *", nil, func(ctx context.Context) error {
			if n := at.Add(1); n > 1 {
				t.Errorf("%d are at work", n)
			}
			defer at.Add(-1)
			sleep(ctx, 40*time.Minute)
			return nil
		})
		time.Sleep(2*time.Hour + 10*time.Minute)
		stop()
		if len(w.done) != 2 || w.done[0] != "a 00:15" || w.done[1] != "a 00:45" || w.begun != 3 {
			t.Errorf("done %v, begun %d; want 00:15, 00:45 after it, and the third at work", w.done, w.begun)
		}
	})
}
