package main

import (
	"encoding/json"
	"fmt"
	"os"
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

// A filter that is empty or mistyped settles nothing.
func TestAFilterThatSelectsNothingOnPurpose(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	l := newLoad(info)
	for n := range 3 {
		l.send(fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[%d`, n))
	}
	command := func(args ...string) (string, string, int) {
		t.Helper()
		return runCommand(t, append(append([]string{"deadletters"}, args...), "--config", info.Config)...)
	}
	var all []app.Letter
	eventually(t, 20*time.Second, "three letters", func() bool {
		out, _, _ := command("list", "--output", "json")
		return json.Unmarshal([]byte(out), &all) == nil && len(all) == 3
	})
	for _, flag := range []string{"--account", "--class", "--cause", "--group", "--older", "--due-before"} {
		if out, errs, code := command("discard", "--overdue", flag, "", "--reason", "x"); code != exitUsage || !strings.Contains(errs, flag+" is empty") {
			t.Errorf("discard %s '': exit code %d, %s%s", flag, code, out, errs)
		}
	}
	for _, do := range [][]string{{"list"}, {"replay"}, {"discard", "--reason", "x"}} {
		if out, errs, code := command(append(do, "--account", "hubsopt")...); code != exitFailed || !strings.Contains(errs, `"hubsopt"`) || !strings.Contains(errs, "hubspot, zoho") {
			t.Errorf("%v: exit code %d, %s%s", do, code, out, errs)
		}
	}
	if out, _, code := command("list", "--limit", "2"); code != 0 || strings.Count(out, "MALFORMED") != 2 || !strings.Contains(out, "There are more") {
		t.Errorf("exit code %d, %s", code, out)
	}
	if out, _, code := command("list", "--limit", "3"); code != 0 || strings.Count(out, "MALFORMED") != 3 || strings.Contains(out, "more") {
		t.Errorf("exit code %d, %s", code, out)
	}
	if out, _, code := command("list", "--limit", "2", "--output", "json"); code != 0 || strings.Count(out, "MALFORMED") != 2 {
		t.Errorf("exit code %d, %s", code, out)
	}
	if out, errs, code := command("discard", all[0].ID, all[0].ID, "--reason", "twice"); code != 0 || out != "1 open letter discarded.\n" {
		t.Errorf("named twice: exit code %d, %s%s", code, out, errs)
	}
	if out, errs, code := command("discard", all[0].ID, all[1].ID, "--reason", "again"); code != exitFailed || out != "1 open letter discarded.\n" || !strings.Contains(errs, "not open") {
		t.Errorf("one is settled: exit code %d, %s%s", code, out, errs)
	}
}

// What cannot be tried again, or not now, is said, and not waited for.
func TestAReplayOfWhatCannotBeTriedSaysSo(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "reject", "match": "Person 1666"})
	l := newLoad(info)
	for n := range 2 {
		l.post(fmt.Sprintf("wamid.REJECTED%d", n), fmt.Sprintf("1666555%04d", n), "hello")
	}
	command := func(args ...string) (string, string, int) {
		t.Helper()
		return runCommand(t, append(append([]string{"deadletters"}, args...), "--config", info.Config)...)
	}
	var all []app.Letter
	list := func(state string) []app.Letter {
		t.Helper()
		out, errs, _ := command("list", "--state", state, "--output", "json")
		all = nil
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		return all
	}
	eventually(t, 20*time.Second, "two letters", func() bool { return len(list("open")) == 2 })
	ids := []string{all[0].ID, all[1].ID}

	accounts(t, info, "pause", "hubspot")
	eventually(t, 10*time.Second, "the worker has noticed", func() bool { return metric(t, info, `crmsync_account_paused{account="hubspot"}`) == 1 })
	out, errs, code := command("replay", ids[0], "--wait")
	if code != exitFailed || !strings.Contains(out, "hubspot is paused") || !strings.Contains(out, "accounts resume hubspot") || !strings.Contains(out, "1 not tried yet") {
		t.Errorf("while it is paused: exit code %d, %s%s", code, out, errs)
	}

	// The account is taken away with one of its letters under way.
	config, err := os.ReadFile(info.Config)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := strings.Index(string(config), "  - name: hubspot"), strings.Index(string(config), "  - name: zoho")
	if err := os.WriteFile(info.Config, []byte(string(config[:begin])+string(config[end:])), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "both letters are open", func() bool { return len(list("open")) == 2 })
	for _, args := range [][]string{{"replay", "--account", "hubspot", "--wait"}, {"replay", ids[0], "--dry-run"}} {
		out, errs, code = command(args...)
		if code != exitFailed || !strings.HasPrefix(out, "0 open letters") || !strings.Contains(out, "hubspot left open: the account is not in the configuration") {
			t.Errorf("%v of an account that is gone: exit code %d, %s%s", args, code, out, errs)
		}
	}
	out, _, _ = command("replay", "--all", "--output", "json")
	var report struct {
		Replayed int
		Gone     map[string]int `json:"account_gone"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Replayed != 0 || report.Gone["hubspot"] != 2 {
		t.Errorf("%s (error %v)", out, err)
	}
	if len(list("open")) != 2 {
		t.Errorf("open: %+v", all)
	}
	if out, errs, code := command("discard", "--account", "hubspot", "--reason", "it is gone"); code != 0 || !strings.HasPrefix(out, "2 open letters discarded") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
}
