package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

var timeRows = []row{
	{id: "T1", fault: "the wall clock jumps by an hour, a day, to 2038", not: "the clock of one process cannot be moved: libfaketime works on libc, which a static Go program does not use, and time namespaces leave the wall clock alone; W7 has the odd times that others send"},
	{id: "T2", fault: "the nights on which clocks change", not: "needs another clock than the machine's: TestAQuarterOfAnHourIsOneInEveryNight and TestADailyJobComesOnceADay in package jobs count the runs of eight such nights"},
	{id: "T3", fault: "a run that takes longer than its interval, panics, is killed half way", not: "a run comes once a week: TestAJobThatTakesLongerThanItsInterval, TestAJobThatFailsOrPanicsComesAgainAtItsTime and TestAJobThatDiedWithItsReplicaIsDoneAgain in package jobs do it on a fake clock"},
}

var diskRows = []row{
	{id: "K4", fault: "facts at which the worker panics each time: somebody has published what no connector makes", push: 1, larger: 5, run: poisonedFacts},
	{id: "K5", fault: "out of memory", not: "an address-space limit stops Go's runtime itself, and no memory cgroup may be made here; W4 and N2 watch the memory"},
	{id: "K7-fsync", fault: "power loss: what is answered 200 without an fsync before it, counted by strace", push: 1, larger: 1, run: func(f *fault) { syncCounted(f) }},
	{id: "K7-lazy", fault: "power loss: a file system that forgets what was not synced", not: "there is no lazy file system here (no FUSE library among the dependencies)"},
	{id: "X1", fault: "the disk of the data directory is full, then has room again", push: 1, larger: 5, run: diskFull},
	{id: "X2-slow", fault: "each fsync takes 500 ms for 6 s", push: 1, larger: 5, run: func(f *fault) { syncs(f, "delay_exit=500ms") }},
	{id: "X2-error", fault: "each fsync fails with an I/O error for 3 s", push: 1, larger: 3, run: func(f *fault) { syncs(f, "error=EIO") }},
	{id: "X3", fault: "the data directory is read-only", push: 1, larger: 1, run: readOnly},
	{id: "X4-rolling", fault: "two replicas are restarted in turn", push: 4, larger: 20, run: func(f *fault) { rolling(f, syscall.SIGTERM) }},
	{id: "X4-kill", fault: "kill -9 of either of two replicas, on three NATS nodes", push: 4, larger: 20, run: func(f *fault) { rolling(f, syscall.SIGKILL) }},
	{id: "X5", fault: "the mapping is edited under load, half of the time into something that is not valid", push: 10, larger: 100, run: edited},
}

// editable are two fields of each account that the sample mapping fills from an
// advertisement, which nobody has clicked here.
var editable = map[string][2]string{
	"hubspot":  {"crmsync_source_id", "crmsync_source_headline"},
	"zoho":     {"WhatsApp_Source_Id", "WhatsApp_Source_Headline"},
	"bitrix24": {"UF_CRM_WHATSAPP_SOURCE_ID", "UF_CRM_WHATSAPP_SOURCE_HEADLINE"},
}

// edited lets two fields of each account change places with each edit. A write
// by two mappings, or by one that is not valid, would show the same in both.
func edited(f *fault) {
	info := simulate(f.T, slowly...)
	file := filepath.Join(filepath.Dir(info.Config), "mapping.yaml")
	sample, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	mapping := func(first, second string) string {
		text := string(sample)
		for _, fields := range editable {
			text = strings.Replace(text, fields[0]+": source_id", fields[0]+": "+first, 1)
			text = strings.Replace(text, fields[1]+": source_headline", fields[1]+": "+second, 1)
		}
		return text
	}
	both := mapping("first_name", "first_name")
	wrong := []string{
		both + "  hubspot:\n    contact:\n      phone: phone\n", strings.Replace(both, "country: country", "country: no_such_field", 1),
		both[:strings.Index(both, "  zoho:")+4], "", both + "\t}", strings.Replace(both, "version: 1", "version: 2", 1),
	}
	replace := func(text string) {
		if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
			f.Fatal(err)
		}
	}
	replace(mapping("first_name", "last_name"))
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	said := func(what string) int { return strings.Count(worker.errors.String(), what) }
	const refused, taken = "the one before stays in force", "the configuration is in force"
	var recoveries []recovery
	for n := range f.rounds {
		time.Sleep(f.between(200*time.Millisecond, 2*time.Second))
		text, says := mapping("last_name", "first_name"), taken
		switch n % 4 {
		case 0, 2:
			text, says = wrong[f.random.IntN(len(wrong))], refused
		case 3:
			text = mapping("first_name", "last_name")
		}
		before := said(says)
		replace(text)
		if n%3 == 0 { // or when the worker sees it by itself
			_ = worker.cmd.Process.Signal(syscall.SIGHUP)
		}
		eventually(f.T, 15*time.Second, "an edit is noticed: "+says, func() bool { return said(says) > before })
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		for _, crm := range info.CRMs() {
			f.ofOneMapping(crm)
		}
	}
	time.Sleep(5 * time.Second)
	f.settle(l, nil, outcome{}, recoveries...)
	for _, crm := range info.CRMs() {
		if n := f.ofOneMapping(crm); n == 0 {
			f.Errorf("%s shows none of the fields that were edited", crm.Name)
		}
	}
}

// ofOneMapping checks that no contact shows the same in both fields, and
// returns how many show them.
func (f *fault) ofOneMapping(crm sandbox.CRM) (n int) {
	f.Helper()
	fields := editable[crm.Account]
	for _, p := range contactsIn(f, crm) {
		first, second := fmt.Sprint(p.Fields[fields[0]]), fmt.Sprint(p.Fields[fields[1]])
		if first == "<nil>" || first == "" {
			continue
		}
		if n++; first == second {
			f.Errorf("%s shows %q in both fields", crm.Name, first)
		}
	}
	return n
}

// poisonedFacts puts facts into the stream that lack what their kind promises.
// Each becomes a dead letter, the worker goes on, and the others flow.
func poisonedFacts(f *fault) {
	r := newRig(f)
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info, r.env...)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	kinds := []string{"message", "status", "preference", "identity"}
	for n := range f.rounds {
		time.Sleep(2 * time.Second)
		for _, kind := range kinds {
			key := fmt.Sprintf("%s%d", kind, n)
			answer := r.broker.request(f, "events.0.whatsapp."+kind, fmt.Sprintf(`{"id":"whatsapp/%s","account":"whatsapp","received_at":%q,"key":%q,"kind":%q,"at":"2026-11-01T00:00:00Z"}`,
				key, time.Now().UTC().Format(time.RFC3339), key, kind))
			if !strings.Contains(answer, `"stream":"EVENTS"`) {
				f.Fatalf("the fact was not stored: %s", answer)
			}
			f.inject(1)
		}
		recoveries = append(recoveries, recovery{at: time.Now()})
	}
	time.Sleep(2 * time.Second)
	f.settle(l, r.env, outcome{letters: f.rounds * len(kinds)}, recoveries...)
	if !worker.says("the program panics in crmsync/sync/record") {
		f.Error("the log does not say that and where the program panics")
	}
	if code := worker.stop(); code != 0 {
		f.Errorf("exit code %d", code)
	}
}

// syncCounted is TestEveryAnswerFollowsAnFsync as a row.
func syncCounted(f *fault) {
	TestEveryAnswerFollowsAnFsync(f.T)
	f.inject(1)
	f.mu.Lock()
	f.sent += 30
	f.mu.Unlock()
}

// onDisk mounts a file system in memory, of so many megabytes.
func onDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("NOT RUN: cannot mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func diskFull(f *fault) {
	dir := onDisk(f.T, 96)
	env := []string{"CRMSYNC_DATA_DIR=" + dir, "CRMSYNC_NATS_MAX_BYTES=32MiB"}
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info, env...)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(2 * time.Second)
		ballast := filepath.Join(dir, "ballast")
		out, err := exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=64k").CombinedOutput() // until it is full
		if err == nil {
			f.Fatalf("the disk is not full: %s", out)
		}
		f.inject(1)
		time.Sleep(5 * time.Second)
		if err := os.Remove(ballast); err != nil {
			f.Fatal(err)
		}
		recoveries = append(recoveries, recovery{at: time.Now()})
		time.Sleep(3 * time.Second)
	}
	f.settle(l, env, outcome{}, recoveries...)
	if f.note("%d webhooks answered 503", l.answered(503)); l.answered(503) == 0 {
		f.Error("no webhook was refused, so the disk was not full for the worker")
	}
}

// syncs lets every fsync of the worker go wrong for a while.
func syncs(f *fault, how string) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		f.Skipf("NOT RUN: %v", err)
	}
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(2 * time.Second)
		trace := filepath.Join(f.TempDir(), "trace")
		tracer := startCommand(f.T, nil, strace, "-f", "-p", fmt.Sprint(worker.cmd.Process.Pid), "-o", trace, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+how)
		eventually(f.T, 10*time.Second, "fsyncs are tampered with", func() bool {
			text, _ := os.ReadFile(trace)
			return strings.Contains(string(text), "INJECTED") || strings.Contains(string(text), "DELAYED")
		})
		time.Sleep(500 * time.Millisecond) // what was on the disk by then has been answered
		before := l.answered(200)
		if time.Sleep(3 * time.Second); !strings.Contains(how, "error") {
			time.Sleep(3 * time.Second)
		}
		if n := l.answered(200) - before; n > 0 && strings.Contains(how, "error") {
			f.Errorf("%d webhooks were answered 200 although nothing reached the disk", n)
		}
		_ = tracer.cmd.Process.Signal(syscall.SIGINT)
		tracer.wait(2 * time.Minute)
		text, _ := os.ReadFile(trace)
		f.inject(strings.Count(string(text), "INJECTED") + strings.Count(string(text), "DELAYED"))
		recoveries = append(recoveries, recovery{at: time.Now()})
		select {
		case err := <-worker.ended: // loudly, which is right after an I/O error
			worker.ended <- err
			worker = serve(f.T, info)
		case <-time.After(3 * time.Second):
		}
	}
	f.settle(l, nil, outcome{}, recoveries...)
}

func readOnly(f *fault) {
	info := simulate(f.T)
	serve(f.T, info)
	l := f.traffic(info, 20)
	dir := onDisk(f.T, 8)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		f.Fatal(err)
	}
	_, errs, code := f.serveOnce(info.Config, "CRMSYNC_DATA_DIR="+dir)
	f.inject(1)
	if code != exitFailed || !strings.Contains(errs, "data directory") {
		f.Errorf("exit code %d: %s; want 1 and a sentence", code, errs)
	}
	time.Sleep(time.Second)
	f.settle(l, nil, outcome{})
}

// rolling ends the replicas in turn; the other one goes on.
func rolling(f *fault, how syscall.Signal) {
	c := newCouple(f)
	l := f.traffic(c.info, 20, c.webhooks...)
	var recoveries []recovery
	for n := range f.rounds {
		time.Sleep(f.between(time.Second, 2*time.Second))
		w := c.workers[n%2]
		recoveries = append(recoveries, recovery{at: time.Now()})
		if how == syscall.SIGKILL {
			w.kill()
		} else if code := w.stop(); code != 0 {
			f.Errorf("exit code %d", code)
		}
		f.inject(1)
		time.Sleep(f.between(4*time.Second, 6*time.Second)) // on the other alone
		c.restart(n % 2)
	}
	time.Sleep(time.Second)
	f.settle(l, c.env, outcome{}, recoveries...)
}
