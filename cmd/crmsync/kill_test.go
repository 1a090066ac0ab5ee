package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

var kills = flag.Int("kills", 3, "how often each kill test kills the worker")

// kill -9 of the worker at random moments under 100 messages a second:
// whatever it acknowledged is in HubSpot exactly once.
//
// HubSpot's answers take their time, so that calls are under way when the
// worker dies, and the account refuses the unique property that would make it
// refuse a second copy by itself.
func TestKill(t *testing.T) {
	t.Parallel()
	databases := map[string]func(t *testing.T) []string{
		"sqlite":   func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string { return []string{"CRMSYNC_DATABASE_URL=" + storetest.Postgres(t)} },
	}
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			info := simulate(t, "--latency", "40ms-120ms", "--plain-messages")
			killUnderLoad(t, info, database(t)...)
		})
	}
}

func killUnderLoad(t *testing.T, info sandbox.Info, env ...string) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	worker := serve(t, info, env...)
	worker.delivering(info)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l := newLoad(info)
	l.picture = addPicture(t, info, 100_000).ID
	done := make(chan struct{})
	go func() { l.run(ctx, 100, 300); close(done) }()

	var slowest time.Duration
	for range *kills {
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(1950*time.Millisecond))))
		worker.kill()
		began := time.Now()
		worker = serve(t, info, env...)
		worker.delivering(info)
		slowest = max(slowest, time.Since(began))
	}
	time.Sleep(time.Second)
	stop()
	<-done

	for _, crm := range info.CRMs() {
		missing := func() int {
			n := 0
			for wamid := range l.acked {
				if len(messagesIn(t, crm, wamid)) == 0 {
					n++
				}
			}
			return n
		}
		eventually(t, 3*time.Minute, "every acknowledged message is in "+crm.Name, func() bool {
			time.Sleep(200 * time.Millisecond)
			return statsOf(t, crm).Messages >= len(l.acked) && missing() == 0
		})
		time.Sleep(2 * time.Second) // what is still under way would show up twice

		files := 0
		eventually(t, 2*time.Minute, "every picture is in "+crm.Name, func() bool {
			files = 0
			for wamid := range l.files {
				if !l.acked[wamid] {
					continue
				}
				files++
				if shown := messagesIn(t, crm, wamid); len(shown) != 1 || len(shown[0].Files) == 0 {
					time.Sleep(200 * time.Millisecond)
					return false
				}
			}
			return true
		})

		doubled := 0
		for wamid := range l.files {
			if shown := messagesIn(t, crm, wamid); len(shown) > 0 && len(shown[0].Files) > 1 {
				t.Errorf("%s shows %d pictures with %s", crm.Name, len(shown[0].Files), wamid)
			}
		}
		for _, set := range []map[string]bool{l.acked, l.unknown} {
			for wamid := range set {
				if len(messagesIn(t, crm, wamid)) > 1 {
					doubled++
				}
			}
		}
		s := statsOf(t, crm)
		t.Logf("%s: lost %d, doubled %d, people doubled %d, %d pictures there once", crm.Name, missing(), doubled, s.DuplicateContacts, files)
		if doubled > 0 || s.DuplicateMessages > 0 || s.DuplicateContacts > 0 {
			t.Errorf("doubled in %s: %d messages by our count, %d messages and %d people by its own", crm.Name, doubled, s.DuplicateMessages, s.DuplicateContacts)
		}
	}
	t.Logf("%d kills, %d sent, %d acknowledged, %d unanswered; delivering again after at most %v",
		*kills, l.sent, len(l.acked), len(l.unknown), slowest.Round(time.Millisecond))
	if len(l.acked) == 0 {
		t.Fatal("nothing was sent")
	}
	if slowest > 5*time.Second {
		t.Errorf("delivering again after %v, want at most 5 s", slowest)
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("a graceful stop ended with exit code %d", code)
	}
}
