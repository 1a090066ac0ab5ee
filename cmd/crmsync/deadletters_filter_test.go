package main

import (
	"testing"
	"time"
)

func TestWhenALetterIsDue(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"4h":                   now.Add(4 * time.Hour),
		"2d":                   now.Add(48 * time.Hour),
		"2026-11-22T09:00:00Z": time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		"2026-11-22":           time.Date(2026, 11, 22, 0, 0, 0, 0, time.Local),
	} {
		if got, err := momentOf(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v (error %v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "tomorrow", "-4h", "d", "99999999d", "2026-13-01"} {
		if got, err := momentOf(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
