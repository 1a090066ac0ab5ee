package main

import (
	"testing"
	"time"
)

func TestATimeIsReadAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, span := range map[string]time.Duration{"24h": 24 * time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "0s": 0, "0d": 0} {
		earlier, err := momentOf(text, now, before)
		later, err2 := momentOf(text, now, after)
		if err != nil || err2 != nil || !earlier.Equal(now.Add(-span)) || !later.Equal(now.Add(span)) {
			t.Errorf("%s: %v before and %v after %v, errors %v and %v", text, earlier, later, now, err, err2)
		}
	}
	for text, want := range map[string]time.Time{
		"2026-11-20T09:00:00Z":      time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
		"2026-11-20T09:00:00.5Z":    time.Date(2026, 11, 20, 9, 0, 0, 5e8, time.UTC),
		"2026-11-20T09:00:00+08:00": time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC),
		"2026-11-20 09:00":          time.Date(2026, 11, 20, 9, 0, 0, 0, time.Local),
		"2026-11-20T09:00":          time.Date(2026, 11, 20, 9, 0, 0, 0, time.Local),
		"2026-11-20":                time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local),
	} {
		if got, err := momentOf(text, now, before); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, error %v, want %v", text, got, err, want)
		}
	}
	for _, wrong := range []string{"", "yesterday", "tomorrow", "-24h", "-7d", "24", "d", "xd", "2026-13-01", "2026-02-30", "99999d", "99999999d", "99999999999d", "9999999h"} {
		if got, err := momentOf(wrong, now, before); err == nil {
			t.Errorf("%q is %v", wrong, got)
		}
	}
}
