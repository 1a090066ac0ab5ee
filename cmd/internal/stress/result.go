package stress

import (
	"cmp"
	"slices"
	"time"
)

// Result is what became of a run.
type Result struct {
	Target  string    `json:"target"`
	Machine string    `json:"machine"` // and how busy it was to begin with
	Seed    uint64    `json:"seed"`
	Began   time.Time `json:"began"`
	// Rate is what was asked for, in messages a minute; 0 for a ramp.
	Rate    float64 `json:"rate_per_minute,omitempty"`
	Seconds float64 `json:"seconds"` // for which was sent
	Mix     Mix     `json:"mix"`
	// MaxDelay is what was expected of the delays, in milliseconds.
	MaxDelay float64 `json:"max_delay_ms"`
	// Sent counts messages; People had one, at least.
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	People       int `json:"people"`

	Webhooks Webhooks  `json:"webhooks"`
	Accounts []Account `json:"accounts"`
	Worker   Worker    `json:"worker"`
	// Peak is the highest rate of the ramp at which the worker held out.
	Peak   float64 `json:"peak_per_minute,omitempty"`
	Steps  []Step  `json:"steps,omitempty"`
	Series Series  `json:"series"`

	Interrupted bool `json:"interrupted,omitempty"`
	// Passed says that there are no Failures.
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures"`
}

// Percentiles are of delays, in milliseconds.
type Percentiles struct {
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Webhooks are how the worker took what was sent.
type Webhooks struct {
	Sent int `json:"sent"`
	// Errors were not answered 200, for these Reasons.
	Errors  int            `json:"errors"`
	Reasons map[string]int `json:"reasons,omitempty"`
	// Percentiles are from when a webhook was due until its answer.
	Percentiles
}

// Account is what a CRM has of it.
type Account struct {
	Account      string `json:"account"`
	Name         string `json:"name"`
	Sent         int    `json:"sent"`
	Acknowledged int    `json:"acknowledged"`
	InCRM        int    `json:"in_crm"`
	// Lost were acknowledged and did not arrive; Doubled are copies beyond the
	// first, PeopleDoubled contacts beyond the first of a number.
	Lost          int `json:"lost"`
	Doubled       int `json:"doubled"`
	PeopleDoubled int `json:"people_doubled"`
	// Behind have another status than the last that was acknowledged, Altered
	// another text than what was sent. Astray are messages, or copies of them,
	// under the number of somebody else.
	Behind  int `json:"status_behind"`
	Altered int `json:"altered"`
	Astray  int `json:"astray"`
	// Percentiles are from when a message was due until the CRM had it.
	Percentiles
	Calls           int64   `json:"calls"`
	CallsPerMessage float64 `json:"calls_per_message"`
	QuotaRefusals   int64   `json:"quota_refusals"`
}

// result sums the ledger up.
func (r *run) result(steps []Step) *Result {
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	res := &Result{
		Target: r.target.Name, Machine: r.machine, Seed: r.options.Seed, Began: r.began.UTC().Truncate(time.Millisecond),
		Seconds: min(r.sentFor, r.options.Lasting).Round(time.Millisecond).Seconds(), Mix: r.options.Mix, MaxDelay: millis(r.options.MaxDelay),
		Sent: len(l.messages), Acknowledged: l.acked, People: len(l.people), Steps: steps, Failures: []string{}, Accounts: []Account{},
		Webhooks: Webhooks{Sent: len(l.answers), Errors: l.errors, Reasons: l.reasons},
	}
	if r.options.Ramp == nil {
		res.Rate = r.options.Rate
	}
	for _, s := range steps {
		if s.Held {
			res.Peak = s.Rate
		}
	}
	answered := make([]time.Duration, 0, len(l.answers))
	for _, a := range l.answers {
		answered = append(answered, a.took)
	}
	res.Webhooks.Percentiles = percentiles(answered)
	for i := range r.target.CRMs {
		res.Accounts = append(res.Accounts, r.account(i))
	}
	res.Worker = r.worker(l.acked)
	res.Series = r.series()
	return res
}

func (r *run) account(crm int) Account {
	l := r.ledger
	a := Account{
		Account: r.target.CRMs[crm].Account, Name: r.target.CRMs[crm].Name, Sent: len(l.messages), Acknowledged: l.acked,
		Calls: r.after[crm].Calls - r.before[crm].Calls, QuotaRefusals: r.after[crm].Throttled - r.before[crm].Throttled,
	}
	var delays []time.Duration
	for i := range l.messages {
		m := &l.messages[i]
		here := m.arrived[crm]
		if here.copies > 0 {
			a.InCRM++
			a.Doubled += here.copies - 1
			delays = append(delays, here.after-m.at)
		}
		if m.acked && here.copies == 0 {
			a.Lost++
		}
		if m.acked && here.copies > 0 && here.status < m.status {
			a.Behind++
		}
		if here.altered {
			a.Altered++
		}
	}
	for _, more := range l.copies[crm] {
		a.PeopleDoubled += more
	}
	for _, n := range l.astray[crm] {
		a.Astray += n
	}
	// The simulator knows of copies that are under nobody's number.
	a.Doubled = max(a.Doubled, r.after[crm].DuplicateMessages-r.before[crm].DuplicateMessages-a.Astray)
	a.Percentiles = percentiles(delays)
	if l.acked > 0 {
		a.CallsPerMessage = round(float64(a.Calls)/float64(l.acked), 4)
	}
	return a
}

func percentiles(delays []time.Duration) Percentiles {
	slices.Sort(delays)
	at := func(p float64) float64 { return millis(percentile(delays, p)) }
	return Percentiles{at(0.5), at(0.95), at(0.99), at(0.999), at(1)}
}

// Unbeaten says that the ramp ended before any rate was too much.
func (res *Result) Unbeaten() bool {
	return len(res.Steps) > 0 && res.Steps[len(res.Steps)-1].Held
}

// slowest is the account with the longest delays.
func (res *Result) slowest() Account {
	if len(res.Accounts) == 0 {
		return Account{}
	}
	return slices.MaxFunc(res.Accounts, func(a, b Account) int { return cmp.Compare(a.P99, b.P99) })
}
