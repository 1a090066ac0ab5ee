package main

import (
	"encoding/json"
	"fmt"
	"strings"
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

// Letters of one cause are one line, are tried again as one, and the others stay.
func TestLettersOfOneCauseAreSettledTogether(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "reject", "match": "Person 1666"})
	l := newLoad(info)
	for n := range 3 {
		l.post(fmt.Sprintf("wamid.REJECTED%d", n), fmt.Sprintf("1666555%04d", n), "hello")
	}
	l.send([]byte(`{"object":"whatsapp_business_account","entry":[`)) // a letter of its own
	var groups []app.LetterGroup
	list := func() []app.LetterGroup {
		out, errs, code := runCommand(t, "deadletters", "list", "--group-by", "cause", "--config", info.Config, "--output", "json")
		groups = nil
		if err := json.Unmarshal([]byte(out), &groups); err != nil || code != 0 {
			t.Fatalf("%s %s (exit code %d): %v", out, errs, code, err)
		}
		return groups
	}
	eventually(t, 20*time.Second, "two groups", func() bool { return len(list()) == 2 && groups[0].Letters == 3 })
	if groups[0].Account != "hubspot" || groups[0].Class != "rejected" || groups[0].Reason == "" || groups[1].Code != "MALFORMED" || groups[1].Letters != 1 {
		t.Errorf("groups %+v", groups)
	}
	out, _, code := runCommand(t, "deadletters", "list", "--group-by", "cause", "--config", info.Config)
	if code != 0 || !strings.Contains(out, groups[0].ID) || !strings.Contains(out, "LETTERS") {
		t.Errorf("the table says %s (exit code %d)", out, code)
	}
	if _, errs, code := runCommand(t, "deadletters", "replay", "--group", "00000000", "--config", info.Config); code == 0 || !strings.Contains(errs, "--group-by cause") {
		t.Errorf("a group that is not there: %s (exit code %d)", errs, code)
	}
	post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "none"})
	if out, _, code = runCommand(t, "deadletters", "replay", "--group", groups[0].ID, "--dry-run", "--config", info.Config); code != 0 || out != "3 open letters would be tried again.\n" {
		t.Errorf("dry run: %s (exit code %d)", out, code)
	}
	if out, _, code = runCommand(t, "deadletters", "replay", "--group", groups[0].ID, "--config", info.Config); code != 0 || out != "3 open letters to be tried again.\n" {
		t.Errorf("replay: %s (exit code %d)", out, code)
	}
	eventually(t, 20*time.Second, "the letters are delivered", func() bool {
		return len(messagesOf(t, info, "wamid.REJECTED0")) == 1 && len(messagesOf(t, info, "wamid.REJECTED2")) == 1
	})
	eventually(t, 10*time.Second, "only the other group is left", func() bool { return len(list()) == 1 && groups[0].Code == "MALFORMED" })
	if out, _, code = runCommand(t, "deadletters", "discard", "--group", groups[0].ID, "--reason", "half a webhook", "--config", info.Config); code != 0 || out != "1 open letter discarded.\n" {
		t.Errorf("discard: %s (exit code %d)", out, code)
	}
}
