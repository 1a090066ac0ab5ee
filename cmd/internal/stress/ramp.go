package stress

import (
	"context"
	"slices"
	"time"
)

// A Step of a ramp, and whether the worker held out.
type Step struct {
	Rate   float64 `json:"rate_per_minute"`
	Sent   int     `json:"sent"`
	Errors float64 `json:"errors"` // the share of webhooks not answered 200
	// Delays are the 99th percentiles of each account, in milliseconds; what
	// had not arrived when the step was judged counts with its age.
	Delays []AccountDelay `json:"accounts"`
	Answer float64        `json:"answer_p99_ms"`
	Held   bool           `json:"held"`
}

// AccountDelay is how long messages took to an account.
type AccountDelay struct {
	Account string  `json:"account"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// judgeSteps looks at each step of the ramp once it is over, while the next
// one is under way, and stops the sending at the first that did not hold.
func (r *run) judgeSteps(ctx context.Context, stop context.CancelFunc) []Step {
	defer stop()
	var steps []Step
	for n := 0; ; n++ {
		from, to := time.Duration(n)*r.options.Ramp.Step, time.Duration(n+1)*r.options.Ramp.Step
		if from >= r.options.Lasting {
			return steps
		}
		to = min(to, r.options.Lasting)
		if !pause(ctx, time.Until(r.began.Add(to))) {
			return steps
		}
		step, ok := r.judge(ctx, from, to)
		if !ok {
			return steps
		}
		step.Rate = r.options.Ramp.From + float64(n)*r.options.Ramp.By
		steps = append(steps, step)
		if !step.Held {
			return steps
		}
	}
}

// judge waits until what was sent from one time to another has arrived, or
// takes too long. It reports false if it could not.
func (r *run) judge(ctx context.Context, from, to time.Duration) (step Step, ok bool) {
	first, last := r.ledger.between(from, to)
	tooLate := r.began.Add(to + r.options.MaxDelay)
	for crm := range r.target.CRMs {
		for {
			missing := r.ledger.missing(crm, first, last, false)
			if len(missing) == 0 || time.Now().After(tooLate) {
				break
			}
			if r.read(ctx, crm, missing) != nil || !pause(ctx, 100*time.Millisecond) {
				return step, false
			}
		}
	}
	now := time.Since(r.began)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	last = min(last, len(r.ledger.messages)) // one may have been taken back
	first = min(first, last)
	step.Sent, step.Held = last-first, true
	errors, webhooks := 0, 0
	var took []time.Duration
	for _, a := range r.ledger.answers {
		if a.due < from || a.due >= to {
			continue
		}
		webhooks++
		took = append(took, a.took)
		if !a.ok {
			errors++
		}
	}
	slices.Sort(took)
	step.Answer = millis(percentile(took, 0.99))
	step.Errors = share(errors, webhooks)
	step.Held = step.Errors <= r.options.MaxErrors
	for crm := range r.target.CRMs {
		var delays []time.Duration
		for _, m := range r.ledger.messages[first:last] {
			if a := m.arrived[crm]; a.copies > 0 {
				delays = append(delays, a.after-m.at)
			} else if m.acked {
				delays = append(delays, now-m.at)
			}
		}
		slices.Sort(delays)
		d := AccountDelay{r.target.CRMs[crm].Account, millis(percentile(delays, 0.5)), millis(percentile(delays, 0.99))}
		step.Delays = append(step.Delays, d)
		step.Held = step.Held && percentile(delays, 0.99) <= r.options.MaxDelay
	}
	return step, true
}

// between is which messages belong to a span of time.
func (l *ledger) between(from, to time.Duration) (first, last int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(t time.Duration) int {
		n, _ := slices.BinarySearchFunc(l.messages, t, func(m message, t time.Duration) int { return int(m.step - t) })
		return n
	}
	return at(from), at(to)
}

// pause waits and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
