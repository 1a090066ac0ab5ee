// Package jobs is what happens on a schedule. It is the only user of cron.
package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container has no time zones of its own

	"github.com/robfig/cron/v3"
)

// Off is the schedule of what never happens.
const Off = "off"

// A Schedule says when a job is due. The zero schedule is never.
type Schedule struct {
	cron cron.Schedule
	zone *time.Location
}

// Parse reads a cron expression of five fields, such as "0 3 * * 0" for Sundays
// at three, or one like @daily; "off" is never. Its hours are those of a time
// zone such as Europe/Rome.
//
// An hour that a night of clock changes skips does not come in that night, and
// one that comes twice counts once, but for what is due every hour.
func Parse(expression, zone string) (Schedule, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Schedule{}, fmt.Errorf("there is no time zone %q; write one such as UTC or Europe/Rome", zone)
	}
	if expression == Off {
		return Schedule{}, nil
	}
	if strings.Contains(expression, "TZ=") {
		return Schedule{}, errors.New("a schedule has no time zone of its own; set time_zone")
	}
	spec, err := cron.ParseStandard(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is no schedule; write minute, hour, day, month and weekday, such as \"0 3 * * 0\" for Sundays at three, or off", expression)
	}
	s := Schedule{spec, location}
	first := s.next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	switch {
	case first.IsZero():
		return Schedule{}, fmt.Errorf("%q never comes", expression)
	case s.next(first).Sub(first) < time.Minute:
		return Schedule{}, fmt.Errorf("%q is more often than once a minute", expression)
	}
	return s, nil
}

// next is when it is due next after a time; zero is never.
func (s Schedule) next(after time.Time) time.Time {
	if s.cron == nil {
		return time.Time{}
	}
	for next := s.cron.Next(after.In(s.zone)); !next.IsZero(); next = s.cron.Next(next) {
		if s.means(next) {
			return next.UTC()
		}
	}
	return time.Time{}
}

// Next is when it is due next after a time, and how long after that again; zero
// is never.
func (s Schedule) Next(after time.Time) (next time.Time, every time.Duration) {
	if next = s.next(after); next.IsZero() {
		return next, 0
	}
	return next, s.next(next).Sub(next)
}

// means reports whether a time that cron has found is one. In the nights on
// which clocks change it finds some that are not: an hour that comes twice is
// two only for what is due every hour, and where the clock changes by half an
// hour it looks at the minute alone.
func (s Schedule) means(at time.Time) bool {
	const every = 1 << 63 // cron's mark of an asterisk
	spec, ok := s.cron.(*cron.SpecSchedule)
	if !ok {
		return true
	}
	return spec.Hour&(1<<uint(at.Hour())) != 0 && (spec.Hour&every != 0 || !again(at))
}

// again reports whether the clock shows a time for the second time.
func again(at time.Time) bool {
	_, before := at.Add(-3 * time.Hour).Zone()
	_, now := at.Zone()
	first := at.Add(time.Duration(now-before) * time.Second)
	return before > now && first.Format(time.DateTime) == at.Format(time.DateTime)
}

// due is the last time that it was due after a time and until now; zero if it
// was not.
func (s Schedule) due(after, now time.Time) time.Time {
	var last time.Time
	for next := s.next(after); !next.IsZero() && !next.After(now); next = s.next(next) {
		last = next
	}
	return last
}
