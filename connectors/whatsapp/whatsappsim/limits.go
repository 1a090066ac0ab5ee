package whatsappsim

import "time"

// Pair limit. Cloud API guide: one message every 6 seconds to the same user,
// with bursts of up to 45 borrowed from the future.
const (
	pairCapacity = 45
	pairRefill   = 6 * time.Second
	window       = 24 * time.Hour
)

// limits are the quotas of the number. Their clock is the caller's.
type limits struct {
	throughput bucket
	pairs      map[string]*bucket
	recipients map[string]time.Time // outside their window, when last written to
	hour       time.Time
	calls      int
}

func (l *limits) init(opt Options) {
	l.throughput = bucket{capacity: float64(opt.Throughput), every: time.Second / time.Duration(opt.Throughput)}
	l.pairs = map[string]*bucket{}
	l.recipients = map[string]time.Time{}
}

// bucket is a token bucket which starts full.
type bucket struct {
	capacity float64
	every    time.Duration
	spent    float64
	last     time.Time
}

func (b *bucket) take(now time.Time) bool {
	if b.spent -= now.Sub(b.last).Seconds() / b.every.Seconds(); b.spent < 0 {
		b.spent = 0
	}
	b.last = now
	if b.spent+1 > b.capacity {
		return false
	}
	b.spent++
	return true
}

// inbound counts a received message: throughput is in and out together, but
// only sending is refused.
func (l *limits) inbound(now time.Time) { l.throughput.take(now) }

// outbound says whether a message may go out, and what forbids it.
func (l *limits) outbound(to string, now time.Time) *failure {
	if !l.throughput.take(now) {
		return refuse(130429, "Message failed to send because there were too many messages sent from this phone number in a short period of time")
	}
	p := l.pairs[to]
	if p == nil {
		if len(l.pairs) > 10_000 {
			l.forgetPairs(now)
		}
		p = &bucket{capacity: pairCapacity, every: pairRefill}
		l.pairs[to] = p
	}
	if !p.take(now) {
		return refuse(131056, "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time")
	}
	return nil
}

func (l *limits) forgetPairs(now time.Time) {
	for to, p := range l.pairs {
		if now.Sub(p.last) > pairCapacity*pairRefill {
			delete(l.pairs, to)
		}
	}
}

// newRecipient says whether a person outside the window may still be written
// to under a limit of unique people in 24 hours.
func (l *limits) newRecipient(to string, limit int, now time.Time) bool {
	if limit <= 0 {
		return true
	}
	for who, at := range l.recipients {
		if now.Sub(at) >= window {
			delete(l.recipients, who)
		}
	}
	if _, again := l.recipients[to]; !again && len(l.recipients) >= limit {
		return false
	}
	l.recipients[to] = now
	return true
}

// management counts calls by the hour.
func (l *limits) management(now time.Time) int {
	if hour := now.Truncate(time.Hour); !hour.Equal(l.hour) {
		l.hour, l.calls = hour, 0
	}
	l.calls++
	return l.calls
}
