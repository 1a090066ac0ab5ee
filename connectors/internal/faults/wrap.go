package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

type callKey struct{}

// call remembers what was decided about one call.
type call struct {
	mu       sync.Mutex
	verdicts map[Mode]verdict
}

type verdict struct {
	fault Fault
	hit   bool
}

// Wrap puts the faults, the service time and POST /_sim/faults in front of a
// vendor's handler. Other calls under /_sim/ pass untouched and uncounted.
func (i *Injector) Wrap(vendor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_sim/faults" {
			i.control(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/_sim/") {
			vendor.ServeHTTP(w, r)
			return
		}
		i.mu.Lock()
		i.calls++
		i.mu.Unlock()
		service := i.latency()
		i.work(service / 2)
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, &call{verdicts: map[Mode]verdict{}}))
		if f, hit := i.takeGeneric(line(r)); hit {
			i.serve(w, r, vendor, f)
			return
		}
		if service == 0 {
			vendor.ServeHTTP(w, r)
			return
		}
		// The call is carried out in the middle of its service time. A caller
		// who dies meanwhile never learns that it was.
		a := handle(vendor, r)
		i.work(service - service/2)
		a.send(w, len(a.body))
	})
}

// work lets the vendor's own time pass, whether or not the caller stays.
func (i *Injector) work(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.closed:
	}
}

func (i *Injector) latency() time.Duration {
	low, high := i.opts.LatencyMin, i.opts.LatencyMax
	if high <= low {
		return low
	}
	return low + time.Duration(i.chance(int(high-low)))
}

// wait reports whether the caller is still there after d. The body is read
// first: net/http notices a caller who leaves only when nothing is left to read.
func (i *Injector) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	if r.Body != nil {
		// Once the answer has begun the server has closed the body.
		body, err := io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
			return false
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	case <-i.closed:
		return false
	}
}

func (i *Injector) control(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var s Spec
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		d.DisallowUnknownFields()
		err := d.Decode(&s)
		if err == nil {
			err = i.Set(s)
		}
		if err != nil {
			answer(http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
	default:
		answer(http.StatusMethodNotAllowed, map[string]string{"error": "use GET or POST"})
		return
	}
	answer(http.StatusOK, map[string]any{"active": i.Standing()})
}
