package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Sixty edits, twenty in each CRM, one a second, at the documented quotas and while
// 300 messages a minute flow, with -measure: how long each takes until both
// others show it.
func TestMeasureEdits(t *testing.T) {
	if !*measure {
		t.Skip("it takes minutes; -measure")
	}
	info := simulate(t)
	a := newAgreement(t, 1, 20, info)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() { a.load.run(ctx, 5, 200); close(done) }()
	time.Sleep(5 * time.Second)

	var mu sync.Mutex
	var watching sync.WaitGroup
	delays, slowest := map[string][]time.Duration{}, map[string]string{}
	for n := range 60 {
		in, p := info.CRMs()[n%3], a.people[n%len(a.people)]
		field := []string{"first", "email", "last", "phone", "country"}[n/3%5]
		value := map[string]string{"email": fmt.Sprintf("n%d@example.com", n), "phone": fmt.Sprintf("+1415777%04d", n)}[field]
		if value == "" {
			value = fmt.Sprintf("%s%d", strings.ToUpper(field[:1])+field[1:], n)
		}
		began := time.Now()
		a.save(in, p, form{field: value})
		for _, crm := range info.CRMs() {
			if crm.Account == in.Account {
				continue
			}
			watching.Go(func() {
				for time.Since(began) < 30*time.Second && a.shows(p, crm)[field] != value {
					time.Sleep(25 * time.Millisecond)
				}
				took := time.Since(began).Round(10 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				key := in.Name + " to " + crm.Name
				if delays[key] = append(delays[key], took); took >= percentile(delays[key], 1) {
					slowest[key] = field
				}
				delays[in.Name] = append(delays[in.Name], took)
			})
		}
		time.Sleep(time.Second - time.Since(began)%time.Second)
	}
	watching.Wait()
	stop()
	<-done
	for _, from := range info.CRMs() {
		for _, to := range info.CRMs() {
			key := from.Name + " to " + to.Name
			if from.Account == to.Account {
				key = from.Name
			}
			all := delays[key]
			t.Logf("%-22s %3d: p50 %6v  p95 %6v  p99 %6v  max %6v  %s", key, len(all), percentile(all, 0.5), percentile(all, 0.95), percentile(all, 0.99), percentile(all, 1), slowest[key])
			if percentile(all, 0.95) > 3*time.Second {
				t.Errorf("edits: %s: p95 %v, want at most 3 s", key, percentile(all, 0.95))
			}
		}
		if n := statsOf(t, from).Throttled; n > 0 {
			t.Errorf("%s has refused %d calls for its quota", from.Name, n)
		}
	}
}
