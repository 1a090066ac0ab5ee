package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A webhook is answered only after its facts are on disk. kill -9 cannot show
// the difference, since the operating system keeps what was written; so the
// test watches the system calls: between a request and its 200 there must be
// an fsync of the stream's file.
func TestEveryAnswerFollowsAnFsync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT RUN: %v", err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	info := simulate(t)
	trace := filepath.Join(t.TempDir(), "trace")
	worker := startCommand(t, nil, strace, "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", trace, path, "serve", "--config", info.Config)
	worker.ready(info, 20*time.Second)

	syncs := func() int {
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		return countSyncs(string(text))
	}
	l := newLoad(info)
	const webhooks = 30
	for i := range webhooks {
		before := syncs()
		l.post(fmt.Sprintf("wamid.SYNC%d", i), "15550000001", "x")
		if len(l.acked) != i+1 {
			t.Fatalf("webhook %d was not acknowledged; log:\n%s", i, worker.errors)
		}
		if after := syncs(); after <= before {
			t.Fatalf("webhook %d was answered 200 without an fsync of EVENTS", i)
		}
	}
	t.Logf("%d webhooks, %d fsyncs of EVENTS", webhooks, syncs())
}

// countSyncs counts the fsyncs of EVENTS that have returned. One that another
// thread interrupts in the trace stands in two lines.
func countSyncs(trace string) int {
	n := 0
	begun := map[string]bool{} // by thread
	for line := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(line, " ")
		switch {
		case strings.Contains(call, "/EVENTS/msgs/") && strings.Contains(call, "<unfinished"):
			begun[thread] = true
		case strings.Contains(call, "/EVENTS/msgs/") && strings.Contains(call, "= 0"):
			n++
		case strings.Contains(call, "resumed>") && begun[thread]:
			begun[thread] = false
			n++
		}
	}
	return n
}
