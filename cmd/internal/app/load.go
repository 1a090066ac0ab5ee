package app

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"crmsync/config"
)

// Load is what a worker has done from one time to another, and what it is like
// at the end.
type Load struct {
	// Worker names the worker's data directory among replicas.
	Worker   string                  `json:"worker"`
	From     time.Time               `json:"from"`
	To       time.Time               `json:"to"`
	Accounts map[string]*AccountLoad `json:"accounts"`
	// Answers is how long webhooks waited for their answers.
	Answers Delays `json:"webhook_answers"`
	// MemoryBytes is what the process has in memory, CPUSeconds what it has
	// used from From to To.
	MemoryBytes int64   `json:"memory_bytes"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	Goroutines  int64   `json:"goroutines"`
}

// AccountLoad is what passed between a worker and an account.
type AccountLoad struct {
	// Received counts facts by their kind, Delivered deliveries by what came of
	// them (created, updated, unchanged, retried, postponed, dead, skipped).
	Received  map[string]int64 `json:"received,omitempty"`
	Delivered map[string]int64 `json:"delivered,omitempty"`
	// Delays is from the receipt of a webhook until the account shows it.
	Delays Delays `json:"delays"`
	// Calls counts HTTP calls by status, or "no answer". QuotaRefusals are those
	// with 429, and Bitrix24's with 503.
	Calls         map[string]int64 `json:"calls,omitempty"`
	QuotaRefusals int64            `json:"quota_refusals"`
	// Backlog is what the account does not show yet, DeadLetters what is open by
	// class; both at the end.
	Backlog     int64            `json:"backlog"`
	DeadLetters map[string]int64 `json:"dead_letters,omitempty"`
}

// Delays are durations in seconds. Of those that are longer than the last of
// Bounds it is only known that they are.
type Delays struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	// Counts are how many lasted at most as long as each of Bounds, and longer
	// than the one before.
	Bounds []float64 `json:"bounds,omitempty"`
	Counts []int64   `json:"counts,omitempty"`
}

// add adds other delays, n times: -1 takes them away.
func (d *Delays) add(other Delays, n int64) {
	if len(d.Bounds) == 0 {
		d.Bounds, d.Counts = other.Bounds, make([]int64, len(other.Counts))
	}
	if len(d.Counts) != len(other.Counts) {
		return // of another version of the program
	}
	d.Count += n * other.Count
	for i := range d.Counts {
		d.Counts[i] += n * other.Counts[i]
	}
	d.P50, d.P95, d.P99 = d.quantile(0.5), d.quantile(0.95), d.quantile(0.99)
}

// quantile is the duration that a share of all did not exceed, as if they lay
// evenly between two bounds.
func (d *Delays) quantile(share float64) float64 {
	rank, below := share*float64(d.Count), 0.0
	for i, n := range d.Counts {
		if n > 0 && below+float64(n) >= rank {
			from := 0.0
			if i > 0 {
				from = d.Bounds[i-1]
			}
			return from + (d.Bounds[i]-from)*(rank-below)/float64(n)
		}
		below += float64(n)
	}
	if d.Count == 0 || len(d.Bounds) == 0 {
		return 0
	}
	return d.Bounds[len(d.Bounds)-1]
}

// add adds what another span, or another worker, has brought; n is -1 to take
// it away. What there is at the end stays as it is.
func (a *AccountLoad) add(other *AccountLoad, n int64) {
	for into, from := range map[*map[string]int64]map[string]int64{&a.Received: other.Received, &a.Delivered: other.Delivered, &a.Calls: other.Calls} {
		for name, count := range from {
			if *into == nil {
				*into = map[string]int64{}
			}
			if (*into)[name] += n * count; (*into)[name] == 0 {
				delete(*into, name)
			}
		}
	}
	a.QuotaRefusals += n * other.QuotaRefusals
	a.Delays.add(other.Delays, n)
}

// loadMeter knows what had been done when somebody last asked.
type loadMeter struct {
	mu       sync.Mutex
	registry *prometheus.Registry
	worker   string
	// refusal reports whether a status of an account's answer is about its
	// quota.
	refusal func(account, status string) bool
	last    *Load
}

func newLoadMeter(registry *prometheus.Registry, worker string, refusal func(account, status string) bool) *loadMeter {
	return &loadMeter{registry: registry, worker: worker, refusal: refusal, last: &Load{To: time.Now().UTC()}}
}

// refusesQuota reports whether a status of an account's answer is about its
// quota.
func (a *App) refusesQuota(account, status string) bool {
	return status == "429" || status == "503" && slices.ContainsFunc(a.now.Load().config.Accounts, func(c config.Account) bool {
		return c.Name == account && c.Kind == config.Bitrix24
	})
}

// since returns what has been done since it was last called, or since the start.
// It counts as told once keep has returned without an error.
func (m *loadMeter) since(keep func(*Load) error) (*Load, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	total, err := m.total()
	if err != nil {
		return nil, err
	}
	span := &Load{Worker: total.Worker, To: total.To, MemoryBytes: total.MemoryBytes, CPUSeconds: total.CPUSeconds, Goroutines: total.Goroutines}
	span.Answers.add(total.Answers, 1)
	for name, all := range total.Accounts {
		of := span.account(name)
		of.Backlog, of.DeadLetters = all.Backlog, all.DeadLetters
		of.add(all, 1)
	}
	span.From = m.last.To
	span.CPUSeconds -= m.last.CPUSeconds
	span.Answers.add(m.last.Answers, -1)
	for name, was := range m.last.Accounts {
		span.account(name).add(was, -1)
	}
	if err := keep(span); err != nil {
		return nil, err
	}
	m.last = total
	return span, nil
}

func (l *Load) account(name string) *AccountLoad {
	if l.Accounts == nil {
		l.Accounts = map[string]*AccountLoad{}
	}
	if l.Accounts[name] == nil {
		l.Accounts[name] = &AccountLoad{}
	}
	return l.Accounts[name]
}

// total reads what the metrics have counted since the start.
func (m *loadMeter) total() (*Load, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	l := &Load{Worker: m.worker, To: time.Now().UTC().Truncate(time.Millisecond), Accounts: map[string]*AccountLoad{}}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			labels := map[string]string{}
			for _, pair := range s.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			count := int64(s.GetCounter().GetValue())
			level := int64(s.GetGauge().GetValue())
			var delays Delays
			if h := s.GetHistogram(); h != nil {
				delays.Count = int64(h.GetSampleCount())
				before := uint64(0)
				for _, b := range h.GetBucket() {
					delays.Bounds = append(delays.Bounds, b.GetUpperBound())
					delays.Counts = append(delays.Counts, int64(b.GetCumulativeCount()-before))
					before = b.GetCumulativeCount()
				}
			}
			l.take(f.GetName(), labels, count, level, delays)
			switch f.GetName() {
			case "crmsync_api_calls_total":
				if m.refusal(labels["account"], labels["outcome"]) {
					l.account(labels["account"]).QuotaRefusals += count
				}
			case "process_cpu_seconds_total":
				l.CPUSeconds = s.GetCounter().GetValue()
			}
		}
	}
	return l, nil
}

// take takes in one metric.
func (l *Load) take(name string, labels map[string]string, count, level int64, delays Delays) {
	account := labels["account"]
	into := func(of func(a *AccountLoad) *map[string]int64, key string, n int64) {
		counts := of(l.account(account))
		if *counts == nil {
			*counts = map[string]int64{}
		}
		(*counts)[key] += n
	}
	switch name {
	case "crmsync_facts_total":
		into(func(a *AccountLoad) *map[string]int64 { return &a.Received }, labels["kind"], count)
	case "crmsync_deliveries_total":
		into(func(a *AccountLoad) *map[string]int64 { return &a.Delivered }, labels["outcome"], count)
	case "crmsync_api_calls_total":
		into(func(a *AccountLoad) *map[string]int64 { return &a.Calls }, labels["outcome"], count)
	case "crmsync_dead_letters_open":
		into(func(a *AccountLoad) *map[string]int64 { return &a.DeadLetters }, labels["class"], level)
	case "crmsync_backlog":
		l.account(account).Backlog = level
	case "crmsync_end_to_end_seconds":
		l.account(account).Delays.add(delays, 1)
	case "crmsync_webhook_answer_seconds":
		l.Answers.add(delays, 1)
	case "process_resident_memory_bytes":
		l.MemoryBytes = level
	case "go_goroutines":
		l.Goroutines = level
	}
}

// loadsKept is how many lines the file of load records has: at one in four hours
// those of half a year.
const loadsKept = 1000

// recordLoad keeps what this worker has done since the last time: for the daily
// report in the database, and as a line of a file.
func (a *App) recordLoad(ctx context.Context) error {
	load, err := a.loads.since(func(l *Load) error {
		line, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if err := a.store.SaveLoad(ctx, a.holder, l.To, line); err != nil {
			return err
		}
		return appendLine(a.report("load.jsonl"), line, loadsKept)
	})
	if err == nil {
		a.log.Info("load record", "from", load.From, "memory_bytes", load.MemoryBytes, "cpu_seconds", load.CPUSeconds, "report", a.report("load.jsonl"))
	}
	return err
}

// report is where a report of this worker is.
func (a *App) report(name string) string { return filepath.Join(a.config.DataDir, "reports", name) }

// appendLine appends a line to a file, of which the last ones are kept.
func appendLine(file string, line []byte, most int) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.SplitAfter(string(before)+string(line)+"\n", "\n")
	lines = lines[max(0, len(lines)-1-most):] // the last is empty
	return replaceFile(file, []byte(strings.Join(lines, "")))
}
