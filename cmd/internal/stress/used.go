package stress

import (
	"slices"
	"time"
)

// Worker is what the worker used. It is empty if its metrics could not be read.
type Worker struct {
	CPUSeconds    float64 `json:"cpu_seconds"`
	CPUPerMessage float64 `json:"cpu_ms_per_message"`
	// PeakMemory is in bytes, as far as the samples or the system tell.
	PeakMemory     int64   `json:"peak_memory_bytes"`
	PeakGoroutines int     `json:"peak_goroutines"`
	PeakFiles      int     `json:"peak_open_files"`
	PeakBacklog    int     `json:"peak_backlog"`
	Growth         *Growth `json:"growth,omitempty"`
	// Samples are taken every second, or every few in a long run.
	Samples []Sample `json:"samples"`
}

// Growth compares the worker's second quarter of the run with the last, by
// their medians. A run of less than five minutes has none.
type Growth struct {
	Memory     [2]float64 `json:"memory_bytes"`
	Goroutines [2]float64 `json:"goroutines"`
	Files      [2]float64 `json:"open_files"`
	Backlog    [2]float64 `json:"backlog"`
}

func (r *run) worker(acked int) Worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := Worker{Samples: r.samples}
	if len(r.samples) == 0 {
		return w
	}
	for _, s := range r.samples {
		w.PeakMemory = max(w.PeakMemory, int64(s.Memory))
		w.PeakGoroutines = max(w.PeakGoroutines, int(s.Goroutines))
		w.PeakFiles = max(w.PeakFiles, int(s.Files))
		w.PeakBacklog = max(w.PeakBacklog, int(s.Backlog))
	}
	if r.target.PID != 0 {
		w.PeakMemory = max(w.PeakMemory, peakMemory(r.target.PID))
	}
	for i, s := range r.samples[1:] {
		used := s.CPUSeconds - r.samples[i].CPUSeconds
		if used < 0 { // it was started again
			used = s.CPUSeconds
		}
		w.CPUSeconds += used
	}
	w.CPUSeconds = round(w.CPUSeconds, 2)
	if acked > 0 {
		w.CPUPerMessage = round(w.CPUSeconds*1000/float64(acked), 3)
	}
	if r.sentFor >= growsWithin {
		w.Growth = growth(r.samples, r.sentFor.Seconds())
	}
	return w
}

// growsWithin is the time after which a worker has all that it needs.
const growsWithin = 5 * time.Minute

func growth(samples []Sample, lasted float64) *Growth {
	median := func(from, to float64, of func(Sample) float64) float64 {
		var values []float64
		for _, s := range samples {
			if s.At >= from*lasted && s.At < to*lasted {
				values = append(values, of(s))
			}
		}
		slices.Sort(values)
		if len(values) == 0 {
			return 0
		}
		return values[len(values)/2]
	}
	both := func(of func(Sample) float64) [2]float64 {
		return [2]float64{median(0.25, 0.5, of), median(0.75, 1, of)}
	}
	g := &Growth{
		both(func(s Sample) float64 { return s.Memory }), both(func(s Sample) float64 { return s.Goroutines }),
		both(func(s Sample) float64 { return s.Files }), both(func(s Sample) float64 { return s.Backlog }),
	}
	return g
}
