package stress

import (
	"math"
	"slices"
	"time"
)

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
