package main

import (
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

// A couple is two replicas of the worker on a NATS cluster of three nodes and
// a PostgreSQL, all of them processes of their own.
type couple struct {
	f        *fault
	info     sandbox.Info
	cluster  []*node
	env      []string // what the replicas have in common
	own      [2][]string
	urls     [2]string
	workers  [2]*process
	webhooks []string
}

// newCouple starts one, with a configuration that has been prepared.
func newCouple(f *fault, prepare ...func(info sandbox.Info)) *couple {
	f.Helper()
	c := &couple{f: f, cluster: nodes(f.T, 3), info: simulate(f.T, slowly...)}
	for _, p := range prepare {
		p(c.info)
	}
	c.env = []string{
		"CRMSYNC_DATABASE_URL=" + storetest.Postgres(f.T),
		"CRMSYNC_NATS_URLS=" + addresses(c.cluster), "CRMSYNC_NATS_REPLICAS=3",
	}
	second := freeAddress(f.T)
	c.own[1] = []string{"CRMSYNC_LISTEN=" + second, "CRMSYNC_DATA_DIR=" + f.TempDir()}
	c.urls = [2]string{c.info.Worker.URL, "http://" + second}
	c.webhooks = []string{c.info.Worker.Webhooks["whatsapp"], "http://" + second + "/webhooks/whatsapp"}
	// The cluster has to have found its leader before streams can be created.
	eventually(f.T, 20*time.Second, "the first replica starts", func() bool {
		c.workers[0] = c.launch(0)
		return c.up(0, 8*time.Second)
	})
	c.workers[1] = c.launch(1)
	if !c.up(1, 10*time.Second) {
		f.Fatalf("the second replica does not start:\n%s", c.workers[1].errors)
	}
	c.workers[0].deliversTo(c.info, c.urls[0], 20*time.Second)
	return c
}

// launch starts a replica.
func (c *couple) launch(n int) *process {
	return start(c.f.T, append(append([]string{}, c.env...), c.own[n]...), "serve", "--config", c.info.Config)
}

// victim is the node that leads the stream of facts, or one that does not.
func (c *couple) victim(leader bool) (s *node, what string) {
	c.f.Helper()
	var found []*node
	eventually(c.f.T, 15*time.Second, "the stream of facts has a leader", func() bool {
		found = nil
		led := false
		for _, s := range c.cluster {
			leads := s.leads("EVENTS")
			if led = led || leads; leads == leader {
				found = append(found, s)
			}
		}
		return led
	})
	what = map[bool]string{true: "the leader", false: "another"}[leader]
	return found[c.f.random.IntN(len(found))], what
}

// up waits until a replica is ready and reports whether it is.
func (c *couple) up(n int, within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var report any
		if ask200(c.urls[n]+"/readyz", &report) {
			return true
		}
		select {
		case err := <-c.workers[n].ended:
			c.workers[n].ended <- err
			return false
		default:
		}
	}
	return false
}

// restart starts a replica that was killed, and waits until it is ready.
func (c *couple) restart(n int) {
	c.f.Helper()
	c.workers[n] = c.launch(n)
	if !c.up(n, 15*time.Second) {
		c.f.Fatalf("replica %d does not start:\n%s", n+1, c.workers[n].errors)
	}
}
