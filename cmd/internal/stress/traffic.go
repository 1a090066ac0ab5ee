package stress

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// window is the time that has one burst.
const window = 10 * time.Second

// statuses are those of a message that the business sends, in their order, and
// when WhatsApp reports them: between these times after the first. They
// overtake one another now and then.
var statuses = []struct {
	name        string
	least, most time.Duration
}{
	{"sent", 0, 0},
	{"delivered", 50 * time.Millisecond, 800 * time.Millisecond},
	{"read", 200 * time.Millisecond, 1500 * time.Millisecond},
}

// A post is one webhook, due at a time after the start.
type post struct {
	at      time.Duration
	message int  // the number of the message that it is about
	status  int  // the index of its status; -1 for a message that somebody wrote
	first   bool // of its message
}

// traffic makes up the webhooks of a run, in the order in which they are due.
type traffic struct {
	random  *rand.Rand
	options Options
	ledger  *ledger

	next  time.Duration // when the next message is due, on average
	later posts
}

func newTraffic(o Options, l *ledger) *traffic {
	return &traffic{random: rand.New(rand.NewPCG(o.Seed, 0)), options: o, ledger: l}
}

// rate is how many messages a minute there are, at a time after the start.
func (o Options) rate(at time.Duration) float64 {
	if o.Ramp != nil {
		return o.Ramp.From + float64(at/o.Ramp.Step)*o.Ramp.By
	}
	return o.Rate
}

// pop returns the next webhook. After the end there are no new messages, only
// what is left to be said about those before.
func (t *traffic) pop() (post, bool) {
	due := t.burst(t.next)
	if len(t.later) > 0 && (t.later[0].at <= due || t.next >= t.options.Lasting) {
		return heap.Pop(&t.later).(post), true
	}
	if t.next >= t.options.Lasting {
		return post{}, false
	}
	at := t.next
	t.next += time.Duration(float64(time.Minute) / t.options.rate(at))
	outgoing := t.random.Float64() < t.options.Mix.Outgoing
	n := t.ledger.add(due, at, t.person(), outgoing)
	if !outgoing {
		t.duplicate(post{at: due, message: n, status: -1})
		return post{due, n, -1, true}, true
	}
	for i, s := range statuses[1:] {
		p := post{at: due + s.least + time.Duration(t.random.Int64N(int64(s.most-s.least))), message: n, status: i + 1}
		heap.Push(&t.later, p)
		t.duplicate(p)
	}
	t.duplicate(post{at: due, message: n})
	return post{due, n, 0, true}, true
}

// person draws one of those who are there at present.
func (t *traffic) person() int {
	return int(float64(t.ledger.sent())*t.options.Mix.New) + t.random.IntN(t.options.Mix.People)
}

// duplicate lets some webhooks come again within two seconds.
func (t *traffic) duplicate(p post) {
	if t.random.Float64() < t.options.Mix.Duplicates {
		p.at += time.Duration(t.random.Int64N(int64(2 * time.Second)))
		heap.Push(&t.later, p)
	}
}

// burst moves what is due in the middle of a window to one moment.
func (t *traffic) burst(at time.Duration) time.Duration {
	begin := at.Truncate(window) + window/2
	if at >= begin && at < begin+t.options.Mix.Burst {
		return begin
	}
	return at
}

type posts []post

func (p posts) Len() int           { return len(p) }
func (p posts) Less(i, j int) bool { return p[i].at < p[j].at }
func (p posts) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *posts) Push(v any)        { *p = append(*p, v.(post)) }

func (p *posts) Pop() any {
	last := len(*p) - 1
	v := (*p)[last]
	*p = (*p)[:last]
	return v
}
