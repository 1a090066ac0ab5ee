package main

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/connectors"
)

var manyPeople = flag.Int("people", 100_000, "how many contacts each CRM has in the measurement of the contact sync")

// Three CRMs have the same people, without quotas. The first sync links all of
// their records, and the second writes nothing.
func TestMeasureContactSync(t *testing.T) {
	if !*measure {
		t.Skip("it takes minutes; -measure")
	}
	info := simulate(t, "--quota", "off")
	seed(t, info, *manyPeople)
	raw := map[string]float64{}
	for _, crm := range info.CRMs() {
		var names []string
		for _, f := range sampleFields(t, crm.Account) {
			names = append(names, f.Name)
		}
		vendor := connect(info, crm.Account, false)
		if _, err := vendor.Setup(t.Context(), sampleFields(t, crm.Account), true); err != nil {
			t.Fatal(err)
		}
		began, n := time.Now(), 0
		for q := (connectors.Query{Fields: names}); ; {
			page, err := vendor.ListContacts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Records)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		raw[crm.Account] = float64(n) / time.Since(began).Seconds()
	}
	p := serve(t, info, withoutQuota(info)...)
	var most atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			most.Store(max(most.Load(), int64(residentMiB(t, p.cmd.Process.Pid))))
			time.Sleep(500 * time.Millisecond)
		}
	}()
	began := time.Now()
	compared(t, info, 30*time.Minute)
	first := syncStatuses(t, info)
	linked := func() int {
		n := 0
		for _, s := range syncStatuses(t, info) {
			n += int(s.Recent[0].Known)
		}
		return n
	}
	idle := func() {
		for _, crm := range info.CRMs() {
			eventually(t, 20*time.Minute, "nothing is pending in "+crm.Name, func() bool {
				time.Sleep(time.Second)
				return metric(t, info, `crmsync_backlog{account="`+crm.Account+`"}`) == 0
			})
		}
		time.Sleep(6 * time.Second) // it is counted every five
		settled(t, info)
	}
	idle()
	t.Logf("listed and delivered after %v, most memory %d MiB", time.Since(began).Round(time.Second), most.Load())
	before := make([]simStats, 3)
	for i, crm := range info.CRMs() {
		before[i] = statsOf(t, crm)
	}
	var second map[string]app.Sync
	for range 5 { // until all that the first has found is recorded
		if second, _ = syncOnce(t, info); second["bitrix24"].Known == int64(*manyPeople) {
			break
		}
		idle()
	}
	idle()
	fmt.Printf("\n| | contacts | raw listing | first sync | second sync | second wrote |\n|---|---|---|---|---|---|\n")
	for i, crm := range info.CRMs() {
		rate := func(s app.Sync) string {
			return fmt.Sprintf("%.1f s, %.0f/s", s.Seconds, float64(s.Read)/s.Seconds)
		}
		now := statsOf(t, crm)
		fmt.Printf("| %s | %d | %.0f/s | %s | %s | %d |\n", crm.Name, now.Contacts, raw[crm.Account],
			rate(first[crm.Account].Recent[0]), rate(second[crm.Account]), now.Writes-before[i].Writes)
		if s := second[crm.Account]; s.Here+s.There > 0 && s.Here != s.Read-s.Known || now.Writes != before[i].Writes || now.DuplicateContacts > before[i].DuplicateContacts {
			t.Errorf("%s: %+v, %d writes", crm.Name, s, now.Writes-before[i].Writes)
		}
	}
	fmt.Printf("%d records linked; most memory of the worker: %d MiB\n", linked(), most.Load())
	if most.Load() > 190 {
		t.Errorf("%d MiB of memory, want at most 190 (200 MB)", most.Load())
	}
}

// A comparison that does not fit into the day's quota is done a part at a time.
func TestMeasureContactSyncPiecemeal(t *testing.T) {
	if !*measure {
		t.Skip("it takes minutes; -measure")
	}
	info := simulate(t, "--quota", "off")
	hubspot := info.CRMs()[0]
	ask(t, hubspot.URL+"/_sim/contacts", map[string]any{"count": 300}, nil)
	// Two calls a minute, as the commands know too.
	t.Setenv("CRMSYNC_JOBS_CONTACT_SYNC", "* * * * *")
	t.Setenv("CRMSYNC_ACCOUNTS_HUBSPOT_QUOTA_PER_DAY", "5760")
	serve(t, info)
	compared(t, info, time.Minute)
	var rolled bool
	eventually(t, 6*time.Minute, "all are compared again, a part at a time", func() bool {
		time.Sleep(time.Second)
		s := syncStatuses(t, info)["hubspot"]
		for _, one := range s.Recent {
			rolled = rolled || one.Kind == "rolling" && one.State == "done" && one.Compared > 0 && !one.Partial
		}
		return rolled && !s.Fits && s.Why != ""
	})
	out, _, _ := runCommand(t, "sync", "status", "--config", info.Config, "--account", "hubspot")
	t.Log(out)
}

// 1,000 messages a minute at the documented quotas, while all contacts are
// compared, over and over.
func TestMeasureMessagesBesideAContactSync(t *testing.T) {
	if !*measure {
		t.Skip("it takes minutes; -measure")
	}
	info := simulate(t)
	seed(t, info, *manyPeople/5)
	serve(t, info)
	compared(t, info, 20*time.Minute)
	settled(t, info)
	l := newLoad(info)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			syncOnce(t, info)
		}
		done <- n
	}()
	l.run(ctx, 17, 2000)
	n := <-done
	for _, crm := range info.CRMs() {
		eventually(t, 5*time.Minute, "every message is in "+crm.Name, func() bool { return statsOf(t, crm).Messages >= len(l.acked) })
		var delays []time.Duration
		for wamid := range l.acked {
			for _, m := range messagesIn(t, crm, wamid) {
				delays = append(delays, m.CommittedAt.Sub(l.began[wamid]))
			}
		}
		p99 := percentile(delays, 0.99).Round(time.Millisecond)
		s := statsOf(t, crm)
		t.Logf("%s: %d messages beside %d syncs of %d contacts: p50 %v, p99 %v; %d calls refused for quota",
			crm.Name, len(delays), n, *manyPeople/5, percentile(delays, 0.5).Round(time.Millisecond), p99, s.Throttled)
		if p99 > 3*time.Second || len(delays) != len(l.acked) || s.Throttled > 0 {
			t.Errorf("%s: %d of %d messages, p99 %v, %d refused", crm.Name, len(delays), len(l.acked), p99, s.Throttled)
		}
	}
}
