package stress

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// a hundred messages, of every kind, within a second and what their
// statuses take.
func hundred() Options {
	return Options{
		Rate: 6000, Lasting: time.Second, Seed: 7, MaxDelay: time.Second, MaxErrors: 0.01, Grace: 500 * time.Millisecond,
		Mix: Mix{People: 20, New: 0.1, Outgoing: 0.2, Duplicates: 0.2, Burst: time.Second},
	}
}

func TestWhatBecomesOfTheMessagesIsFoundOut(t *testing.T) {
	tests := map[string]struct {
		world *world
		want  string // of the failures
		check func(r *Result, a Account) bool
	}{
		"all goes well": {&world{}, "", func(r *Result, a Account) bool {
			return r.Passed && a.InCRM == 100 && a.Lost == 0 && a.Doubled == 0 && a.P50 > 0 && a.P50 <= a.P99 && a.P99 <= a.Max && a.CallsPerMessage == 1
		}},
		"one is acknowledged and lost": {
			&world{store: func(m *stored) []stored {
				if m.number() == "41" {
					return nil
				}
				return []stored{*m}
			}},
			"The CRM lacks 1 message that was acknowledged, 500ms after the last was sent",
			func(_ *Result, a Account) bool { return a.Lost == 1 && a.InCRM == 99 && a.Doubled == 0 },
		},
		"two are written twice": {
			&world{store: func(m *stored) []stored {
				if n := m.number(); n == "3" || n == "4" {
					return []stored{*m, *m}
				}
				return []stored{*m}
			}},
			"The CRM has 2 messages too many",
			func(_ *Result, a Account) bool { return a.Lost == 0 && a.InCRM == 100 && a.Doubled == 2 },
		},
		"one is with somebody else": {
			&world{store: withSomebodyElse()},
			"The CRM lacks 1 message",
			func(_ *Result, a Account) bool { return a.Lost == 1 && a.InCRM == 99 },
		},
		"one is with somebody else too": {
			&world{store: copyToSomebodyElse()},
			"The CRM shows 1 message under somebody else's number",
			func(_ *Result, a Account) bool { return a.Lost == 0 && a.InCRM == 100 && a.Astray == 1 },
		},
		"one is there twice, once without a contact": {
			&world{store: func(m *stored) []stored {
				if m.number() == "9" {
					return []stored{*m, {WAMID: m.WAMID, CommittedAt: m.CommittedAt}}
				}
				return []stored{*m}
			}},
			"The CRM has 1 message too many",
			func(_ *Result, a Account) bool { return a.Lost == 0 && a.InCRM == 100 && a.Doubled == 1 },
		},
		"some are there without their texts": {
			&world{store: func(m *stored) []stored {
				if len(m.number()) == 1 {
					m.Text = ""
				}
				return []stored{*m}
			}},
			"with another text",
			func(_ *Result, a Account) bool { return a.Lost == 0 && a.Altered > 2 && a.Altered <= 10 },
		},
		"everybody has two contacts": {
			&world{contacts: func(string) int { return 2 }},
			"contacts too many",
			func(r *Result, a Account) bool { return a.PeopleDoubled == r.People && a.Doubled == 0 },
		},
		"a status is not updated": {
			&world{store: func(m *stored) []stored {
				return []stored{{WAMID: m.WAMID, CommittedAt: m.CommittedAt, phone: m.phone, Status: "stuck"}}
			}},
			"does not show the last status",
			func(_ *Result, a Account) bool { return a.Behind > 0 && a.Lost == 0 },
		},
		"every twentieth webhook is refused": {
			&world{answer: func(n int) int {
				if n%20 == 0 {
					return http.StatusServiceUnavailable
				}
				return http.StatusOK
			}},
			"of the webhooks were not answered 200",
			func(r *Result, a Account) bool {
				return a.Lost == 0 && r.Webhooks.Errors == (r.Webhooks.Sent+19)/20 && r.Webhooks.Reasons["503 Service Unavailable"] == r.Webhooks.Errors
			},
		},
		"it is late": {
			&world{store: func(m *stored) []stored {
				m.CommittedAt = m.CommittedAt.Add(1200 * time.Millisecond)
				return []stored{*m}
			}},
			"1 in 100 messages took 1.",
			func(_ *Result, a Account) bool { return a.Lost == 0 && a.P50 > 1200 && a.P50 < 2000 },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), test.world.start(t), hundred())
			if err != nil {
				t.Fatal(err)
			}
			a := r.Accounts[0]
			if r.Sent != 100 || a.Sent != 100 || !test.check(r, a) {
				t.Errorf("%d sent, %d acknowledged; %+v", r.Sent, r.Acknowledged, a)
			}
			if got := strings.Join(r.Failures, "; "); !strings.Contains(got, test.want) || (test.want == "") != (got == "") || r.Passed != (got == "") {
				t.Errorf("failures %q (passed %v), want %q", got, r.Passed, test.want)
			}
		})
	}
}

// withSomebodyElse puts one message under the number of whoever wrote
// before that.
func withSomebodyElse() func(m *stored) []stored {
	var last string
	n := 0
	return func(m *stored) []stored {
		if n++; n >= 5 && last != m.phone && last != "" {
			m.phone, last = last, ""
		} else if n < 5 {
			last = m.phone
		}
		return []stored{*m}
	}
}

// copyToSomebodyElse puts a copy of one message under the number of whoever
// wrote before.
func copyToSomebodyElse() func(m *stored) []stored {
	last, done := "", false
	return func(m *stored) []stored {
		list := []stored{*m}
		if !done && last != "" && last != m.phone {
			done = true
			list = append(list, stored{WAMID: m.WAMID, CommittedAt: m.CommittedAt, phone: last})
		}
		last = m.phone
		return list
	}
}

// A run with the seed of an earlier one would find that one's messages, and
// pass whatever the worker does.
func TestASeedIsNotUsedTwiceInOneWorld(t *testing.T) {
	t.Parallel()
	var w world
	target := w.start(t)
	if _, err := Run(t.Context(), target, hundred()); err != nil {
		t.Fatal(err)
	}
	if r, err := Run(t.Context(), target, hundred()); err == nil || !strings.Contains(err.Error(), "--seed") {
		t.Errorf("%v, error %v", r, err)
	}
	o := hundred()
	o.Seed++
	if r, err := Run(t.Context(), target, o); err != nil || r.Accounts[0].Lost > 0 || r.Accounts[0].Doubled > 0 {
		t.Errorf("another seed: %v, error %v", r, err)
	}
}

// A worker that stands still for a second makes everything late that was due
// in that second, not only what it had taken in.
func TestDelaysCountFromWhenAWebhookWasDue(t *testing.T) {
	t.Parallel()
	var stands atomic.Bool
	w := world{answer: func(n int) int {
		if n == 20 {
			stands.Store(true)
			time.Sleep(time.Second)
			stands.Store(false)
		}
		for stands.Load() {
			time.Sleep(time.Millisecond)
		}
		return http.StatusOK
	}}
	o := hundred()
	o.Rate, o.Lasting = 3000, 2*time.Second
	o.Mix.Burst, o.Mix.Outgoing, o.Mix.Duplicates = 0, 0, 0
	r, err := Run(t.Context(), w.start(t), o)
	if err != nil {
		t.Fatal(err)
	}
	// 50 of 100 webhooks are due while it stands, on average half a second
	// before it goes on.
	if h := r.Webhooks; h.Max < 900 || h.P50 > 300 {
		t.Errorf("answers %+v", h)
	}
	late := 0
	for _, s := range r.Series.Spread {
		if s > 250 {
			late++
		}
	}
	if share := shares[len(shares)-late]; share < 0.5 || share > 0.75 {
		t.Errorf("%.0f %% of the answers took less than 250 ms, want about 62 %%", share*100)
	}
}

func TestTheSameSeedMakesTheSameWebhooks(t *testing.T) {
	t.Parallel()
	made := func(seed uint64) (list []string) {
		o := hundred()
		o.Seed = seed
		l := newLedger(seed, 0)
		r := &run{target: &Target{}, ledger: l}
		traffic := newTraffic(o, l)
		for {
			p, ok := traffic.pop()
			if !ok {
				return list
			}
			list = append(list, fmt.Sprint(p.at, string(r.body(p))))
		}
	}
	one := made(1)
	if !slices.Equal(one, made(1)) {
		t.Error("they differ")
	}
	if slices.Equal(one, made(2)) {
		t.Error("another seed makes the same")
	}
}

func TestTheMixIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	o := Options{Rate: 6000, Lasting: time.Minute, Seed: 3, Mix: Mix{People: 500, New: 0.02, Outgoing: 0.05, Duplicates: 0.05, Burst: time.Second}}
	l := newLedger(o.Seed, 0)
	r := &run{target: &Target{}, ledger: l}
	traffic := newTraffic(o, l)
	seen, again, out := map[string]int{}, 0, 0
	var before time.Duration
	moments := map[time.Duration]int{}
	for {
		p, ok := traffic.pop()
		if !ok {
			break
		}
		if p.at < before {
			t.Fatalf("what is due after %v comes after what is due after %v", p.at, before)
		}
		before = p.at
		body := string(r.body(p))
		if seen[body]++; seen[body] > 1 {
			again++
		} else if p.status < 1 {
			moments[p.at]++
		}
		if p.status == 0 && seen[body] == 1 {
			out++
		}
	}
	if l.sent() != 6000 {
		t.Errorf("%d messages, want 6,000", l.sent())
	}
	if out < 240 || out > 360 {
		t.Errorf("%d go out, want about 300", out)
	}
	if share := float64(again) / float64(len(seen)); share < 0.04 || share > 0.06 {
		t.Errorf("%.1f %% come again, want about 5 %%", share*100)
	}
	if n := len(l.everybody()); n < 550 || n > 620 {
		t.Errorf("%d people, want the first 500 and some 120 more", n)
	}
	bursts := 0
	for _, n := range moments {
		if n >= 99 {
			bursts++
		}
	}
	if bursts != 6 {
		t.Errorf("%d bursts of a second's messages, want 6", bursts)
	}
}

func TestARampEndsAtTheRateThatIsTooMuch(t *testing.T) {
	t.Parallel()
	w := world{perMessage: 30 * time.Millisecond} // 2,000 a minute
	o := hundred()
	o.Rate, o.MaxDelay, o.Lasting, o.Grace = 0, 600*time.Millisecond, time.Minute, 10*time.Second
	o.Mix.Burst = 0
	o.Ramp = &Ramp{From: 600, By: 600, Step: 2 * time.Second}
	r, err := Run(t.Context(), w.start(t), o)
	if err != nil {
		t.Fatal(err)
	}
	// 2,400 a minute are some 13 too many in 2 s, 3,000 are 33 more: a second
	// and a half behind.
	if r.Peak != 1800 && r.Peak != 2400 {
		t.Errorf("peak %v, want 1,800 or 2,400; %+v", r.Peak, r.Steps)
	}
	if n := len(r.Steps); n == 0 || r.Steps[n-1].Held || float64(n) != r.Peak/600+1 {
		t.Errorf("steps %+v", r.Steps)
	}
	if !r.Passed || r.Accounts[0].Lost > 0 {
		t.Errorf("failures %v: that a ramp ends is none", r.Failures)
	}
}

func TestWhatWasSentUntilAnInterruptionIsReadBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var w world
	r, err := Run(ctx, w.start(t), hundred())
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed || !r.Interrupted || r.Sent == 0 || r.Sent == 100 || r.Accounts[0].InCRM != r.Sent || r.Accounts[0].Lost > 0 {
		t.Errorf("%+v", r)
	}
}

func TestTheReportIsAPageByItself(t *testing.T) {
	t.Parallel()
	var w world
	o := hundred()
	o.Lasting = 3 * time.Second
	o.Ramp = &Ramp{From: 600, By: 600, Step: time.Second}
	r, err := Run(t.Context(), w.start(t), o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, banned := range []string{"http:", "https:", "src=", "@import", "url(", "ZgotmplZ", "NaN", "Inf"} {
		if strings.Contains(text, banned) {
			t.Errorf("the page has %s", banned)
		}
	}
	for _, want := range []string{"The CRM", "</html>", "Delay by rate", "where the ramp ended", "<svg", "prefers-color-scheme: dark", "Backlog"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if got := r.Worker.PeakBacklog; got != 7 {
		t.Errorf("backlog %d, want the sum of the accounts', 7", got)
	}
}
