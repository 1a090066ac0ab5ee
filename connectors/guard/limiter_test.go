package guard

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
)

// A counter is a vendor that counts requests in a rolling window.
type counter struct {
	most      int
	per       time.Duration
	accepted  []time.Time
	perMinute []int // accepted, and at the same index refused
	turned    []int
	began     time.Time
}

func (c *counter) ask() bool {
	now := time.Now()
	if c.began.IsZero() {
		c.began = now
	}
	minute := int(now.Sub(c.began) / time.Minute)
	for len(c.perMinute) <= minute {
		c.perMinute, c.turned = append(c.perMinute, 0), append(c.turned, 0)
	}
	for len(c.accepted) > 0 && now.Sub(c.accepted[0]) >= c.per {
		c.accepted = c.accepted[1:]
	}
	if len(c.accepted) >= c.most {
		c.turned[minute]++
		return false
	}
	c.accepted = append(c.accepted, now)
	c.perMinute[minute]++
	return true
}

func (c *counter) between(from, to int) (accepted, refused int) {
	for m := from; m < to; m++ {
		accepted, refused = accepted+c.perMinute[m], refused+c.turned[m]
	}
	return accepted, refused
}

// A vendor allows half of what it documents, and says so by refusing. Before
// long hardly anything is refused any more, and not much of what it allows is
// left unused. When it allows everything again, everything is used.
func TestAQuotaThatIsHalfOfWhatIsDocumented(t *testing.T) {
	for name, tt := range map[string]struct {
		limiter func() *Limiter
		most    int
		per     time.Duration
	}{
		"a rolling window": {func() *Limiter { return NewLimiter(20, 10*time.Second) }, 20, 10 * time.Second},
		"a leaky bucket":   {func() *Limiter { return NewBucket(10, 1) }, 30, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tt.limiter()
				v := &counter{most: tt.most / 2, per: tt.per}
				work := func(until time.Duration) {
					for ctx := t.Context(); v.began.IsZero() || time.Since(v.began) < until; {
						if _, err := l.Wait(ctx); err != nil {
							t.Fatal(err)
						}
						if err := l.Pace(ctx); err != nil {
							time.Sleep(connectors.AsError(err).RetryAfter)
							continue
						}
						if !v.ask() {
							l.Slow(0)
						}
					}
				}
				work(31 * time.Minute)
				perMinute := int(float64(v.most) * 60 / tt.per.Seconds())
				accepted, refused := v.between(10, 30)
				t.Logf("of half the quota %d%% were used, %d of %d refused", 100*accepted/(20*perMinute), refused, accepted+refused)
				if refused*50 > accepted {
					t.Errorf("%d refused and %d accepted, want at most one in fifty", refused, accepted)
				}
				if accepted < 20*perMinute*70/100 {
					t.Errorf("%d accepted of %d that were allowed", accepted, 20*perMinute)
				}
				v.most = 1 << 30
				work(72 * time.Minute)
				if l.set != 1 {
					t.Errorf("forty minutes after the vendor allows everything the share is %v", l.set)
				}
				if _, refused := v.between(32, 71); refused > 0 {
					t.Errorf("%d refused", refused)
				}
			})
		})
	}
}

// Whatever the vendor says, and however idle and busy times follow each other,
// no window holds more than the quota, nor than the vendor says it allows.
func TestNoWindowHoldsMoreThanTheQuotaWhateverTheVendorSays(t *testing.T) {
	for seed := range uint64(25) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			requests, per := 1+r.IntN(40), time.Duration(1+r.IntN(20))*time.Second
			l := NewLimiter(requests, per)
			var sent []time.Time
			for len(sent) < 8*requests {
				switch n := r.IntN(100); {
				case n < 2:
					l.Slow(time.Duration(r.IntN(3000)) * time.Millisecond)
				case n < 4:
					l.Learn(1+r.IntN(3*requests), per)
				case n < 7:
					time.Sleep(time.Duration(r.Int64N(int64(2 * per))))
				}
				if l.Pace(context.Background()) == nil {
					sent = append(sent, time.Now())
				}
			}
			for i := range sent {
				n := 0
				for _, at := range sent[i:] {
					if at.Sub(sent[i]) < per {
						n++
					}
				}
				if n > requests {
					t.Fatalf("seed %d: %d requests in %v from a quota of %d", seed, n, per, requests)
				}
			}
		})
	}
}

// A vendor's own word lowers the rate before it has refused anything, and does
// not raise it over what is configured.
func TestAVendorsWordAboutItsQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(190, 10*time.Second)
		v := &counter{most: 100, per: 10 * time.Second}
		work := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				_ = l.Pace(t.Context())
				if !v.ask() {
					t.Fatalf("refused after %d", n)
				}
				l.Learn(v.most, v.per)
			}
			return n
		}
		if n := work(time.Minute); n < 500 {
			t.Errorf("%d requests in a minute of 600", n)
		}
		v.most = 1000
		if n := work(time.Minute); n < 950 || n > 1140 {
			t.Errorf("%d requests in a minute, of the configured 1,140", n)
		}
	})
}

// For a while a vendor refuses whatever comes: another program has used the
// quota up. That says nothing about how much it allows afterwards, and before
// long everything is used again.
func TestAVendorThatRefusesEverythingForAWhile(t *testing.T) {
	for name, limiter := range map[string]func() *Limiter{
		"a rolling window": func() *Limiter { return NewLimiter(190, 10*time.Second) },
		"a leaky bucket":   func() *Limiter { return NewBucket(50, 2) },
	} {
		for _, spell := range []time.Duration{30 * time.Second, 5 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				l := limiter()
				for over := time.Now().Add(spell); time.Now().Before(over); {
					if err := l.Pace(t.Context()); err != nil {
						t.Fatal(err)
					}
					l.Slow(0)
				}
				time.Sleep(11 * l.per)
				if l.catchUp(); l.set != 1 {
					t.Errorf("%s: %v after %v of refusals the share is %v", name, 11*l.per, spell, l.set)
				}
			})
		}
	}
}
