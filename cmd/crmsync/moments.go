package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// errMoment says that something is neither a time nor how far away one is.
var errMoment = errors.New("no time")

// before and after are the directions in which 24h or 7d are counted.
const (
	before = -1
	after  = +1
)

// momentOf reads a time, a day by this machine's clock, or how long ago or how
// far ahead one is. Times are in UTC.
func momentOf(text string, now time.Time, direction time.Duration) (time.Time, error) {
	if d, err := spanOf(text); err == nil {
		return now.Add(direction * d).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errMoment
}

// spanOf reads a duration, which may be in days of 24 hours; at most a hundred
// years.
func spanOf(text string) (time.Duration, error) {
	const most = 36500
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n <= most {
			return time.Duration(n) * 24 * time.Hour, nil
		}
		return 0, errMoment
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most*24*time.Hour {
		return 0, errMoment
	}
	return d, nil
}
