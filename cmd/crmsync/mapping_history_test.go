package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
)

// A mapping is edited twice, the second time into nonsense, and rolled back: what
// was in force is known and can be had again, and so can what was replaced.
func TestTheMappingIsRolledBack(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	file := filepath.Join(s.dir, "mapping.yaml")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	history := func() (h app.MappingHistory, told string) {
		t.Helper()
		out, errs, code := runCommand(t, "mapping", "history", "--config", s.worker.Config, "--output", "json")
		if code != 0 || json.Unmarshal([]byte(out), &h) != nil {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		for _, e := range h.Events {
			told += e.Event
			if e.InForce {
				told += "!"
			}
			told += " "
		}
		return h, strings.TrimSpace(told)
	}
	if _, errs, code := runCommand(t, "mapping", "history", "--config", s.worker.Config); code != 1 || !strings.Contains(errs, "no database yet") {
		t.Errorf("before the first start: exit %d, %s", code, errs)
	}
	worker := serve(t, s.worker)
	ready := func(configuration, revision string) func() bool {
		return func() bool {
			r := readinessOf(t, s.worker)
			return strings.Contains(r.Configuration, configuration) && (revision == "" || r.Revision == revision)
		}
	}
	eventually(t, 20*time.Second, "the worker is ready", ready("ok", ""))
	one := readinessOf(t, s.worker).Revision
	if metric(t, s.worker, `crmsync_mapping_info{revision="`+one+`"}`) != 1 || metric(t, s.worker, "crmsync_configuration_rejected") != 0 {
		t.Error("the metrics do not say which mapping is in force")
	}

	second := strings.Replace(string(first), "unread_count: unread_count", "unread: unread_count", 1)
	s.write(t, "mapping.yaml", second)
	eventually(t, 15*time.Second, "the second is in force", func() bool { r := readinessOf(t, s.worker); return r.Configuration == "ok" && r.Revision != one })
	two := readinessOf(t, s.worker).Revision
	broken := strings.Replace(strings.Replace(second, "phone: phone", "phone: fone", 1), "consent: consent", "consent: content", 1)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(broken), 0o640); err != nil {
		t.Fatal(err)
	}
	eventually(t, 15*time.Second, "nonsense is refused", ready("not valid and not in force; the log says what is wrong: mapping.yaml line 5 column 14 is the first of 2 findings", two))
	if metric(t, s.worker, "crmsync_configuration_rejected") != 1 || metric(t, s.worker, `crmsync_mapping_info{revision="`+two+`"}`) != 1 {
		t.Error("the metrics do not say that the mapping was rejected")
	}
	if !worker.says("the one before stays in force", "mapping.yaml:5:14: ", "mapping.yaml:10:24: ", `"findings":2`, two) {
		t.Errorf("the log does not say where:\n%s", worker.errors)
	}
	h, told := history()
	if told != "in_force! in_force" || h.Events[0].Revision != two || h.Events[1].Revision != one || h.FileRevision == two || h.Events[0].Accounts != 3 || h.Events[0].Fields != 14 {
		t.Errorf("the history is %s: %+v", told, h)
	}
	text, _, code := runCommand(t, "mapping", "history", "--config", s.worker.Config)
	if code != 0 || !strings.Contains(text, "which is not in force") || !strings.Contains(text, "was in force") {
		t.Errorf("exit %d: %s", code, text)
	}
	for _, args := range [][]string{{one[:5]}, {"--show", one}} {
		out, errs, code := runCommand(t, append([]string{"mapping", "history", "--config", s.worker.Config}, args...)...)
		if code != 0 || out != string(first) {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
	}
	for name, want := range map[string]string{"0000nosuch": "there is no revision", "": "there is no revision"} {
		if _, errs, code := runCommand(t, "mapping", "rollback", "x"+name, "--config", s.worker.Config); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("rollback to %q: exit %d, %s", name, code, errs)
		}
	}

	eventually(t, 10*time.Second, "the list of accounts says so too", func() bool {
		out, _, _ := runCommand(t, "accounts", "list", "--config", s.worker.Config, "--output", "json")
		return strings.Count(out, `"mapping_revision":"`+two+`"`) == 3
	})

	// From nonsense it goes back to what is in force.
	out, errs, code := runCommand(t, "mapping", "rollback", "--config", s.worker.Config, "--dry-run")
	if code != 0 || !strings.Contains(out, "-       phone: fone\n+       phone: phone\n") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != broken {
		t.Errorf("a dry run has written; error %v", err)
	}
	out, errs, code = runCommand(t, "mapping", "rollback", "--config", s.worker.Config, "--by", "ada")
	if code != 0 || !strings.Contains(out, "holds revision "+two+" again") || !strings.Contains(out, "takes it over") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	eventually(t, 15*time.Second, "all is well again", ready("ok", two))
	if metric(t, s.worker, "crmsync_configuration_rejected") != 0 {
		t.Error("the metric still says that it was rejected")
	}
	if mode, err := os.Stat(file); err != nil || mode.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, error %v", mode.Mode(), err)
	}
	// And from there to the first, which the worker takes over.
	out, errs, code = runCommand(t, "mapping", "rollback", "--config", s.worker.Config, "--by", "ada", "--output", "json")
	if code != 0 || !strings.Contains(out, `"done":true`) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	eventually(t, 15*time.Second, "the first is in force again", ready("ok", one))
	if now, err := os.ReadFile(file); err != nil || string(now) != string(first) {
		t.Errorf("the file holds %s, error %v", now, err)
	}
	h, told = history()
	if told != "in_force! rolled_back replaced rolled_back replaced in_force in_force" || h.Events[0].Revision != one || h.Events[1].By != "ada" {
		t.Errorf("the history is %s: %+v", told, h)
	}
	// Nonsense was kept too, and is not put back.
	nonsense := h.Events[4].Revision
	if out, _, _ := runCommand(t, "mapping", "history", nonsense, "--config", s.worker.Config); out != broken {
		t.Errorf("nonsense is %q", out)
	}
	if _, errs, code := runCommand(t, "mapping", "rollback", nonsense, "--config", s.worker.Config); code != 1 || !strings.Contains(errs, "revision "+nonsense+":5:14:") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// It all survives; and a restart is nothing new.
	serve(t, s.worker)
	eventually(t, 20*time.Second, "the worker is back", ready("ok", one))
	if _, again := history(); again != told {
		t.Errorf("after a restart the history is %s, before %s", again, told)
	}
}
