package stress

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A ledger holds what was sent, how it was answered, and where it arrived. The
// worker has no say in it.
type ledger struct {
	prefix string // of the wamids of this run
	first  int    // the number of the first person

	mu       sync.Mutex
	messages []message
	people   map[int][]int // the messages of each person
	acked    int
	answers  []answer
	errors   int
	reasons  map[string]int   // why webhooks were not answered 200
	copies   []map[string]int // per CRM, by phone number: contacts beyond the first
	astray   []map[int]int    // per CRM, by person: messages of others under their number
}

// A message is what every CRM is to show once.
type message struct {
	at       time.Duration // when its first webhook was due
	step     time.Duration // the same without bursts
	person   int
	outgoing bool
	acked    bool
	status   int // the highest status that was acknowledged, -1 for none
	arrived  []arrival
}

// An arrival is what a CRM shows of a message.
type arrival struct {
	after   time.Duration // since the start of the run
	copies  int
	status  int
	altered bool // one of the copies lacks the text that was sent
}

// An answer is how the worker took a webhook.
type answer struct {
	due  time.Duration
	took time.Duration // since it was due
	ok   bool
}

func newLedger(seed uint64, crms int) *ledger {
	return &ledger{
		prefix: fmt.Sprintf("wamid.STRESS.%d.", seed),
		first:  int(seed % people), people: map[int][]int{}, reasons: map[string]int{}, copies: make([]map[string]int, crms), astray: make([]map[int]int, crms),
	}
}

// people is how many numbers there are: +1 555 and seven digits. No telephone
// has the area code 555.
const people = 10_000_000

// phone is a person's number, in digits.
func (l *ledger) phone(person int) string { return fmt.Sprintf("1555%07d", (l.first+person)%people) }

func (l *ledger) wamid(n int) string { return l.prefix + strconv.Itoa(n) }

// text is what somebody writes.
func text(n int) string { return fmt.Sprintf("Message %d.", n) }

// number is that of a message of this run.
func (l *ledger) number(wamid string) (int, bool) {
	text, ok := strings.CutPrefix(wamid, l.prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n < len(l.messages)
}

func (l *ledger) add(at, step time.Duration, person int, outgoing bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.messages)
	l.messages = append(l.messages, message{at: at, step: step, person: person, outgoing: outgoing, status: -1, arrived: make([]arrival, len(l.copies))})
	l.people[person] = append(l.people[person], n)
	return n
}

// forget takes back the last message, which has not been sent.
func (l *ledger) forget(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	person := l.messages[n].person
	l.messages = l.messages[:n]
	if l.people[person] = slices.DeleteFunc(l.people[person], func(o int) bool { return o == n }); len(l.people[person]) == 0 {
		delete(l.people, person)
	}
}

func (l *ledger) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.messages)
}

func (l *ledger) message(n int) message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.messages[n]
}

// answered notes how a webhook was taken; reason is empty for a 200.
func (l *ledger) answered(p post, took time.Duration, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, answer{p.at, took, reason == ""})
	if reason != "" {
		l.errors++
		l.reasons[reason]++
		return
	}
	m := &l.messages[p.message]
	if !m.acked {
		m.acked = true
		l.acked++
	}
	m.status = max(m.status, p.status)
}

// shown notes what a CRM shows under a person's number.
func (l *ledger) shown(crm, person int, began time.Time, list []shown, contacts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.people[person] {
		l.messages[n].arrived[crm] = arrival{status: -1}
	}
	astray := 0
	for _, s := range list {
		n, ok := l.number(s.WAMID)
		if !ok {
			continue
		}
		if l.messages[n].person != person {
			astray++
			continue
		}
		a := &l.messages[n].arrived[crm]
		a.altered = a.altered || !l.messages[n].outgoing && !strings.Contains(s.Text, text(n))
		after := s.CommittedAt.Sub(began)
		if a.copies++; a.copies == 1 || after < a.after {
			a.after = after
		}
		for i, known := range statuses {
			if known.name == s.Status {
				a.status = max(a.status, i)
			}
		}
	}
	if l.copies[crm] == nil {
		l.copies[crm], l.astray[crm] = map[string]int{}, map[int]int{}
	}
	delete(l.astray[crm], person)
	if astray > 0 {
		l.astray[crm][person] = astray
	}
	delete(l.copies[crm], l.phone(person))
	if contacts > 1 {
		l.copies[crm][l.phone(person)] = contacts - 1
	}
}

// missing lists the people of whom a CRM does not show everything that was
// acknowledged, of the messages from one number up to another: the messages
// alone, or their statuses too.
func (l *ledger) missing(crm, from, to int, statuses bool) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []int
	listed := map[int]bool{}
	for n := from; n < min(to, len(l.messages)); n++ { // the last may have been taken back
		m := &l.messages[n]
		if a := m.arrived[crm]; m.acked && (a.copies == 0 || statuses && a.status < m.status) && !listed[m.person] {
			listed[m.person] = true
			list = append(list, m.person)
		}
	}
	return list
}

// everybody lists the people who have a message.
func (l *ledger) everybody() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]int, 0, len(l.people))
	for person := range l.people {
		list = append(list, person)
	}
	return list
}
