package stress

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Result is what became of a run.
type Result struct {
	Target  string    `json:"target"`
	Machine string    `json:"machine"`
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
	// Behind have another status than the last that was acknowledged.
	Behind int `json:"status_behind"`
	// Percentiles are from when a message was due until the CRM had it.
	Percentiles
	Calls           int64   `json:"calls"`
	CallsPerMessage float64 `json:"calls_per_message"`
	QuotaRefusals   int64   `json:"quota_refusals"`
}

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

// Series are the run over time, in equal spans.
type Series struct {
	Span    float64     `json:"span_seconds"`
	Sent    []float64   `json:"sent_per_second"`
	Answers []Quantiles `json:"answers"`
	// Spread are the answers, as AccountSeries has the delays.
	Spread   []float64       `json:"answers_spread_ms"`
	Accounts []AccountSeries `json:"accounts"`
}

// AccountSeries are an account's over time.
type AccountSeries struct {
	Account string      `json:"account"`
	Arrived []float64   `json:"arrived_per_second"`
	Delays  []Quantiles `json:"delays"`
	// Spread are the delays up to each share of the messages, shares being those
	// of [shares].
	Spread []float64 `json:"delays_spread_ms"`
}

// Quantiles are of what was due in a span, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// result sums the ledger up.
func (r *run) result(steps []Step) *Result {
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	res := &Result{
		Target: r.target.Name, Machine: describe(), Seed: r.options.Seed, Began: r.began.UTC().Truncate(time.Millisecond),
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
	}
	for _, more := range l.copies[crm] {
		a.PeopleDoubled += more
	}
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
	w.CPUSeconds = round(r.samples[len(r.samples)-1].CPUSeconds-r.samples[0].CPUSeconds, 2)
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

// spans is about how many points a curve has.
const spans = 240

func (r *run) series() Series {
	l := r.ledger
	// Spans are whole seconds; what is on its way at the end counts in the last.
	last := r.sentFor
	for _, m := range l.messages {
		for _, a := range m.arrived {
			last = max(last, a.after)
		}
	}
	span := max(time.Second, time.Duration(math.Ceil(last.Seconds()/spans))*time.Second)
	n := int(last/span) + 1
	in := func(t time.Duration) int { return min(max(int(t/span), 0), n-1) }
	s := Series{Span: span.Seconds(), Sent: make([]float64, n)}
	for _, m := range l.messages {
		s.Sent[in(m.at)] += 1 / span.Seconds()
	}
	took := make([][]time.Duration, n)
	for _, a := range l.answers {
		took[in(a.due)] = append(took[in(a.due)], a.took)
	}
	s.Answers = quantiles(took)
	s.Spread = spread(took)
	for crm := range r.target.CRMs {
		delays, arrived := make([][]time.Duration, n), make([]float64, n)
		for _, m := range l.messages {
			if a := m.arrived[crm]; a.copies > 0 {
				delays[in(m.at)] = append(delays[in(m.at)], a.after-m.at)
				arrived[in(a.after)] += 1 / span.Seconds()
			}
		}
		s.Accounts = append(s.Accounts, AccountSeries{r.target.CRMs[crm].Account, arrived, quantiles(delays), spread(delays)})
	}
	return s
}

func quantiles(spans [][]time.Duration) []Quantiles {
	list := make([]Quantiles, len(spans))
	for i, all := range spans {
		slices.Sort(all)
		list[i] = Quantiles{millis(percentile(all, 0.5)), millis(percentile(all, 0.99))}
	}
	return list
}

// judge says what is wrong.
func (res *Result) judge(o Options) {
	fail := func(format string, arguments ...any) {
		res.Failures = append(res.Failures, fmt.Sprintf(format, arguments...))
	}
	if res.Interrupted {
		fail("it was interrupted")
	}
	if res.Sent == 0 {
		fail("nothing was sent")
	}
	if res.Acknowledged == 0 && res.Sent > 0 {
		fail("no webhook was answered 200")
	}
	ramp := o.Ramp != nil // which ends where it is too much
	if ramp && res.Peak == 0 && !res.Interrupted {
		fail("not even %s held", PerMinute(o.Ramp.From))
	}
	if e := share(res.Webhooks.Errors, res.Webhooks.Sent); !ramp && e > o.MaxErrors {
		fail("%.2g %% of the webhooks were not answered 200, at most %.2g %% may be", e*100, o.MaxErrors*100)
	}
	for _, a := range res.Accounts {
		if a.Lost > 0 {
			fail("%s lacks %s that %s acknowledged, %v after the last was sent", a.Name, counted(a.Lost, "message"), were(a.Lost), o.Grace)
		}
		if a.Doubled > 0 {
			fail("%s has %s too many", a.Name, counted(a.Doubled, "message"))
		}
		if a.PeopleDoubled > 0 {
			fail("%s has %s too many", a.Name, counted(a.PeopleDoubled, "contact"))
		}
		if a.Behind > 0 {
			fail("%s does not show the last status of %s", a.Name, counted(a.Behind, "message"))
		}
		if p99 := time.Duration(a.P99 * 1e6); !ramp && p99 > o.MaxDelay {
			fail("1 in 100 messages took %s or more to %s, at most %v may be", Short(p99), a.Name, o.MaxDelay)
		}
	}
	res.Passed = len(res.Failures) == 0
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Whole(n) + " " + what + "s"
}

// PerMinute is a rate in words.
func PerMinute(rate float64) string { return Whole(int(math.Round(rate))) + " messages a minute" }

// Whole is a number with commas between its thousands.
func Whole[N int | int64](n N) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func round(f float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(f*p) / p
}

// slowest is the account with the longest delays.
func (res *Result) slowest() Account {
	if len(res.Accounts) == 0 {
		return Account{}
	}
	return slices.MaxFunc(res.Accounts, func(a, b Account) int { return cmp.Compare(a.P99, b.P99) })
}

// shares are those at which a spread is told: more of them towards the end.
var shares = func() []float64 {
	var list []float64
	for nines := 0.0; nines <= 4.001; nines += 0.05 {
		list = append(list, round(1-math.Pow(10, -nines), 6))
	}
	return list
}()

func spread(spans [][]time.Duration) []float64 {
	all := slices.Concat(spans...)
	slices.Sort(all)
	list := make([]float64, len(shares))
	for i, p := range shares {
		list[i] = millis(percentile(all, p))
	}
	return list
}
