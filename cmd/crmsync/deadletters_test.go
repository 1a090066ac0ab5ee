package main

import (
	"testing"
	"time"

	"crmsync/cmd/internal/app"
)

func TestALetterSaysWhatFailedAndWhen(t *testing.T) {
	failed, settled := time.Now().Add(-time.Hour), time.Now()
	letter := app.Letter{Reason: "the value is refused", Field: "email", State: "discarded", CreatedAt: failed, UpdatedAt: settled}
	if got := reason(letter); got != "the value is refused (field email)" {
		t.Errorf("reason %q", got)
	}
	if got := failedAt(letter); !got.Equal(failed) {
		t.Errorf("failed %v, which is when it was discarded", got)
	}
	letter.Reason = "email is refused"
	if got := reason(letter); got != letter.Reason {
		t.Errorf("reason %q", got)
	}
}
