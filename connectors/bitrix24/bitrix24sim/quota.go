package bitrix24sim

import (
	"net"
	"net/http"
	"time"
)

// Limits are a portal's figures. Zero fields take those of the cloud below
// the Enterprise plan. Bitrix24: limits.
type Limits struct {
	// Rate is how many calls a second drain from the bucket, Burst how many it holds.
	Rate  float64
	Burst float64
	// Operating bounds the operating time of one method and token in ten minutes.
	Operating time.Duration
}

func (l Limits) orDefault() Limits {
	if l.Rate == 0 {
		l.Rate = 2
	}
	if l.Burst == 0 {
		l.Burst = 50
	}
	if l.Operating == 0 {
		l.Operating = 480 * time.Second
	}
	return l
}

// Enterprise are the limits of the Enterprise plan.
func Enterprise() Limits { return Limits{Rate: 5, Burst: 250} }

// quota is what has been used. The portal counts apart by source address.
type quota struct {
	buckets   map[string]*bucket
	operating map[string]*budget
}

type bucket struct {
	level float64
	at    time.Time
}

// budget is the operating time of one method and token, by the minute.
type budget struct{ minutes []minute }

type minute struct {
	first time.Time
	spent time.Duration
}

const operatingSpan = 10 * time.Minute

// admit takes a call from the bucket of its source address, or refuses it.
// It needs s.mu, as all below.
func (s *Server) admit(r *http.Request) bool {
	if s.opts.Quota == "off" {
		return true
	}
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	now := s.Now()
	b := s.quota.buckets[source]
	if b == nil {
		b = &bucket{at: now}
		s.quota.buckets[source] = b
	}
	b.level = max(0, b.level-now.Sub(b.at).Seconds()*s.opts.Limits.Rate)
	b.at = now
	if b.level+1 > s.opts.Limits.Burst {
		return false
	}
	b.level++
	return true
}

// queryLimit comes as 503 and without Retry-After. Bitrix24: limits.
func queryLimit() *refusal {
	return refuse(http.StatusServiceUnavailable, "QUERY_LIMIT_EXCEEDED", "Too many requests")
}

func operationLimit() *refusal {
	return refuse(http.StatusTooManyRequests, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
}

func (s *Server) budget(c *call) *budget {
	key := c.who.key + " " + c.method
	b := s.quota.operating[key]
	if b == nil {
		b = &budget{}
		s.quota.operating[key] = b
	}
	now := s.Now()
	old := 0
	for old < len(b.minutes) && now.Sub(b.minutes[old].first) >= operatingSpan {
		old++
	}
	b.minutes = b.minutes[old:]
	return b
}

func (b *budget) used() time.Duration {
	var sum time.Duration
	for _, m := range b.minutes {
		sum += m.spent
	}
	return sum
}

func (b *budget) charge(now time.Time, cost time.Duration) {
	if last := len(b.minutes) - 1; last >= 0 && b.minutes[last].first.Truncate(time.Minute).Equal(now.Truncate(time.Minute)) {
		b.minutes[last].spent += cost
		return
	}
	b.minutes = append(b.minutes, minute{now, cost})
}

// timing is the time of an answer. Bitrix24: limits, data types.
func (s *Server) timing(began time.Time, b *budget) obj {
	end := s.Now()
	float := func(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }
	t := obj{
		"start": float(began), "finish": float(end), "duration": end.Sub(began).Seconds(), "processing": s.opts.OperatingCost.Seconds(),
		"date_start": s.stamp(began), "date_finish": s.stamp(end),
	}
	if s.knobs.SparseTime {
		t["start"], t["finish"], t["duration"], t["processing"] = began.Unix(), end.Unix(), 0, 0
		return t
	}
	t["operating"], t["operating_reset_at"] = 0, end.Add(operatingSpan).Unix()
	if b != nil && len(b.minutes) > 0 {
		t["operating"], t["operating_reset_at"] = b.used().Seconds(), b.minutes[0].first.Add(operatingSpan).Unix()
	}
	return t
}

// stamp shows a time as the portal does: to the second, in its own zone.
func (s *Server) stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(s.opts.Offset).Format("2006-01-02T15:04:05-07:00")
}
