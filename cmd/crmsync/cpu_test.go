package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// fraction is the value of a gauge.
func fraction(t *testing.T, info sandbox.Info, name string) float64 {
	t.Helper()
	response, err := http.Get(info.Worker.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// 5,000 messages a minute into three CRMs. At the default nothing slows down;
// with hardly any of the processors allowed deliveries do, webhooks are
// answered as ever, and everything arrives.
func TestDeliveriesSlowDownBeforeIntakeDoes(t *testing.T) {
	d := 5 * time.Second
	if *measure {
		d = time.Minute
	}
	for _, most := range []string{"70%", "1%"} {
		t.Run(most, func(t *testing.T) {
			info := simulate(t)
			worker := serve(t, info, "CRMSYNC_MAX_CPU="+most)
			worker.working(info)
			l := newLoad(info)
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			ended := make(chan struct{})
			go func() { l.run(ctx, 83, 500); close(ended) }()
			var used, paused float64
			for {
				select {
				case <-ended:
				case <-time.After(200 * time.Millisecond):
					used = max(used, fraction(t, info, "crmsync_cpu_used_ratio"))
					paused = max(paused, fraction(t, info, "crmsync_cpu_pause_seconds"))
					continue
				}
				break
			}
			began := time.Now()
			for _, crm := range info.CRMs() {
				eventually(t, time.Minute, "every message is in "+crm.Name, func() bool { return statsOf(t, crm).Messages >= len(l.acked) })
			}
			t.Logf("%d messages; at most %.0f%% used, at most %v between calls; answers p50 %v, p99 %v; the last message came %v after the end",
				len(l.acked), 100*used, time.Duration(paused*float64(time.Second)).Round(time.Millisecond),
				l.percentile(0.5).Round(100*time.Microsecond), l.percentile(0.99).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			if most == "1%" && paused == 0 {
				t.Error("deliveries did not slow down")
			}
			if most != "1%" && *measure && paused > 0 {
				t.Errorf("deliveries slowed down, by %v s, though %v are used", paused, used)
			}
			if len(l.refused)+len(l.unknown) > 0 || l.percentile(0.99) > time.Second {
				t.Errorf("%d webhooks refused, %d not answered, p99 %v", len(l.refused), len(l.unknown), l.percentile(0.99))
			}
			for _, crm := range info.CRMs() {
				if s := statsOf(t, crm); s.DuplicateContacts+s.DuplicateMessages > 0 {
					t.Errorf("%s: %+v", crm.Name, s)
				}
			}
		})
	}
}
