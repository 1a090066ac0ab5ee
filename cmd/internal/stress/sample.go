package stress

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Sample is what the worker says of itself at a time.
type Sample struct {
	// At is in seconds since the start.
	At         float64 `json:"at"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Memory     float64 `json:"memory_bytes"`
	Heap       float64 `json:"heap_bytes"`
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"open_files"`
	// Backlog is what the CRMs do not show yet: contacts, messages and files.
	Backlog float64 `json:"backlog"`
}

// watch samples the worker and tells how far the run is, until ctx ends.
func (r *run) watch(ctx context.Context) {
	r.sampleNow(ctx)
	// An hour has some hundreds of samples.
	every := max(time.Second, (r.options.Lasting / 720).Round(time.Second))
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	sampled := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if now.Sub(sampled) >= every-50*time.Millisecond {
				sampled = now
				r.sampleNow(ctx)
			}
			r.tell(ctx)
		}
	}
}

func (r *run) tell(ctx context.Context) {
	if r.options.Progress == nil {
		return
	}
	stats, err := r.stats(ctx)
	if err != nil {
		return // the next second is as good
	}
	elapsed := time.Since(r.began)
	p := Progress{Elapsed: elapsed, Rate: r.options.rate(elapsed), Settling: r.sentAll.Load()}
	if r.options.Ramp == nil {
		p.Of = r.options.Lasting
	}
	for i, crm := range r.target.CRMs {
		p.InCRM = append(p.InCRM, Count{crm.Name, stats[i].Messages - r.before[i].Messages})
	}
	var took []time.Duration
	r.ledger.mu.Lock()
	p.Sent, p.Errors = len(r.ledger.messages), r.ledger.errors
	for _, a := range slices.Backward(r.ledger.answers) {
		if a.due < elapsed-5*time.Second {
			break
		}
		took = append(took, a.took)
	}
	r.ledger.mu.Unlock()
	slices.Sort(took)
	p.Answer = percentile(took, 0.99)
	r.options.Progress(p)
}

// sampleNow asks for the worker's metrics. A worker that does not answer has
// no sample.
func (r *run) sampleNow(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.target.Worker+"/metrics", nil)
	if err != nil {
		return
	}
	response, err := r.http.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return
	}
	m := metricsIn(response.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, Sample{
		At: time.Since(r.began).Seconds(), CPUSeconds: m["process_cpu_seconds_total"], Memory: m["process_resident_memory_bytes"],
		Heap: m["go_memstats_heap_inuse_bytes"], Goroutines: m["go_goroutines"], Files: m["process_open_fds"], Backlog: m["crmsync_backlog"],
	})
}

// metricsIn reads Prometheus' text format and sums each metric up over its
// labels.
func metricsIn(in io.Reader) map[string]float64 {
	sums := map[string]float64{}
	for s := bufio.NewScanner(in); s.Scan(); {
		line := s.Text()
		name := line
		if i := strings.IndexAny(line, "{ "); i > 0 {
			name = line[:i]
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64); err == nil {
			sums[name] += value
		}
	}
	return sums
}
