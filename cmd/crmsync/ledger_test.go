package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// A ledger sends WhatsApp's webhooks as WhatsApp does, again and again until
// they are answered 200, and keeps account of each message by itself. It
// shares no code with the program.
//
// A third of the messages are outgoing ones, known by their three statuses
// alone. One webhook in ten is sent twice, one in ten late.
type ledger struct {
	info   sandbox.Info
	urls   []string // of the workers, tried in turn
	client *http.Client
	// refused says which messages get a wamid with which a simulator can be
	// told to refuse them; nil for none.
	refused func(n int) bool

	mu       sync.Mutex
	random   *rand.Rand
	n        int
	messages map[string]*sentMessage // by wamid
	answers  map[int]int             // by HTTP status, 0 for none
	taken    []time.Time             // when webhooks were answered 200
	posts    sync.WaitGroup
	stop     context.CancelFunc
	over     chan struct{}
	giveUp   context.Context // ends the posts that are still refused
}

// people is how many people write.
const people = 30

// A sentMessage is what was sent of a message, and how far it came.
type sentMessage struct {
	from     string
	text     string // empty for one that is not compared
	outgoing bool
	began    time.Time
	acked    int // webhooks answered 200
	of       int // webhooks
}

func (m *sentMessage) status() string {
	if m.outgoing {
		return "read"
	}
	return ""
}

// traffic begins to send so many messages a second.
func (f *fault) traffic(info sandbox.Info, rate int, urls ...string) *ledger {
	f.Helper()
	l := newLedger(f, info)
	if len(urls) > 0 {
		l.urls = urls
	}
	l.start(f, rate)
	return l
}

func newLedger(f *fault, info sandbox.Info) *ledger {
	return &ledger{
		info: info, urls: []string{info.Worker.Webhooks["whatsapp"]},
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		random: rand.New(rand.NewPCG(f.random.Uint64(), 1)), messages: map[string]*sentMessage{}, answers: map[int]int{}, over: make(chan struct{}),
	}
}

// start begins to send. At a rate of 0 the test sends by itself.
func (l *ledger) start(f *fault, rate int) {
	ctx, stop := context.WithCancel(f.Context())
	var cancel context.CancelFunc
	l.giveUp, cancel = context.WithCancel(f.Context())
	l.stop = stop
	f.Cleanup(func() { stop(); cancel(); <-l.over; l.posts.Wait() })
	if rate == 0 {
		close(l.over)
		return
	}
	go func() {
		defer close(l.over)
		ticker := time.NewTicker(time.Second / time.Duration(rate))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				l.next()
			}
		}
	}()
}

// next sends the next message.
func (l *ledger) next() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	wamid, from := fmt.Sprintf("wamid.F%d", l.n), fmt.Sprintf("1555%07d", l.n%people)
	m := &sentMessage{from: from, outgoing: l.n%3 == 0, began: time.Now(), of: 1}
	if !m.outgoing && l.refused != nil && l.refused(l.n) {
		wamid = fmt.Sprintf("wamid.P%d", l.n)
	}
	l.messages[wamid] = m
	if !m.outgoing {
		m.text = fmt.Sprintf("message %d.", l.n)
		l.deliver(wamid, fmt.Sprintf(`"contacts":[{"profile":{"name":"Person %s"},"wa_id":%q}],"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]`,
			from, from, from, wamid, time.Now().Unix(), m.text))
		return
	}
	statuses := []string{"sent", "delivered", "read"}
	m.of = len(statuses)
	l.random.Shuffle(len(statuses), func(i, j int) { statuses[i], statuses[j] = statuses[j], statuses[i] })
	for _, s := range statuses {
		l.deliver(wamid, fmt.Sprintf(`"statuses":[{"id":%q,"status":%q,"timestamp":"%d","recipient_id":%q}]`, wamid, s, time.Now().Unix(), from))
	}
}

// deliver posts a webhook about a message until it is answered 200. Locked.
func (l *ledger) deliver(wamid, value string) {
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},%s}}]}]}`,
		l.info.WhatsApp.WABAID, l.info.WhatsApp.PhoneNumberID, value)
	var late time.Duration
	if l.random.IntN(10) == 0 {
		late = time.Duration(l.random.Int64N(int64(500 * time.Millisecond)))
	}
	first := l.random.IntN(len(l.urls))
	l.posts.Go(func() {
		if late > 0 && !pauseFor(l.giveUp, late) {
			return
		}
		l.insist(wamid, body, first)
	})
	if l.random.IntN(10) == 0 {
		l.posts.Go(func() { _, _ = l.post(body, l.urls[first]) })
	}
}

// unreadable posts a webhook of which a part cannot be read. It is no message:
// it has to become a dead letter.
func (l *ledger) unreadable(n int) {
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},"statuses":[{"status":"read","timestamp":"%d"}]}}]}]}`,
		l.info.WhatsApp.WABAID, l.info.WhatsApp.PhoneNumberID, 1767225600+n)
	l.posts.Go(func() {
		for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
			if status, _ := l.post(body, l.urls[0]); status == http.StatusOK || !pauseFor(l.giveUp, wait) {
				return
			}
		}
	})
}

// insist posts with growing pauses until the answer is 200.
func (l *ledger) insist(wamid string, body []byte, first int) {
	wait := 100 * time.Millisecond
	for n := first; ; n++ {
		status, _ := l.post(body, l.urls[n%len(l.urls)])
		if status == http.StatusOK {
			l.mu.Lock()
			l.messages[wamid].acked++
			l.mu.Unlock()
			return
		}
		if !pauseFor(l.giveUp, wait) {
			return
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (l *ledger) post(body []byte, url string) (status int, err error) {
	defer func() {
		l.mu.Lock()
		if l.answers[status]++; status == http.StatusOK {
			l.taken = append(l.taken, time.Now())
		}
		l.mu.Unlock()
	}()
	request, err := http.NewRequestWithContext(l.giveUp, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature-256", "sha256="+l.sign(body))
	response, err := l.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}

func (l *ledger) sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(l.info.WhatsApp.AppSecret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// answered is how many posts were answered so; 0 counts those without answer.
func (l *ledger) answered(statuses ...int) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range statuses {
		n += l.answers[s]
	}
	return n
}

// takesAgain requires a webhook to be answered 200 within two seconds after
// what it needs has come back.
func (l *ledger) takesAgain(f *fault, back time.Time) {
	f.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	n, _ := slices.BinarySearchFunc(l.taken, back, time.Time.Compare)
	if n == len(l.taken) || l.taken[n].Sub(back) > 2*time.Second {
		f.Errorf("webhooks are still refused two seconds after the broker is back")
	}
}

// acked are the messages of which every webhook was answered 200.
func (l *ledger) acked() map[string]*sentMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	acked := map[string]*sentMessage{}
	for wamid, m := range l.messages {
		if m.acked == m.of {
			acked[wamid] = m
		}
	}
	return acked
}

// ended stops sending and waits until every webhook has been taken.
func (l *ledger) ended(f *fault) {
	f.Helper()
	l.stop()
	<-l.over
	all := make(chan struct{})
	go func() { l.posts.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(30 * time.Second):
		f.Errorf("webhooks are still refused 30 s after the faults: answers %v", l.answers)
	}
}

// A recovery is a moment from which on deliveries have to come again. What
// counts is the first message that was sent after it: what was under way by then
// may arrive though nothing works any more.
type recovery struct {
	at       time.Time
	accounts []string // empty for all
	// backlog says that what was sent before counts too, since none of it could
	// arrive, and it goes out first.
	backlog bool
	after   string // what it is the end of, if the row has several kinds
	// within is how long it may take, if that is not the row's limit.
	within time.Duration
}

// An outcome is what there has to be in the end besides what was delivered.
type outcome struct {
	missing int // messages, in each CRM
	letters int // dead letters in all
	within  time.Duration
}

// settle ends the traffic, waits until everything acknowledged is where it
// belongs, and adds the sums to the row.
func (f *fault) settle(l *ledger, env []string, want outcome, recoveries ...recovery) {
	f.Helper()
	l.ended(f)
	acked := l.acked()
	f.mu.Lock()
	f.sent += len(l.messages)
	f.mu.Unlock()
	if len(acked) == 0 {
		f.Fatal("nothing was acknowledged")
	}
	if want.within == 0 {
		want.within = time.Minute
	}
	owed := func(crm sandbox.CRM) int {
		shown := byWAMID(f, crm)
		n := 0
		for wamid, m := range acked {
			if s := shown[wamid]; len(s) == 0 || m.outgoing && s[0].Status != m.status() {
				n++
			}
		}
		return n
	}
	deadline := time.Now().Add(want.within)
	for _, crm := range l.info.CRMs() {
		for owed(crm) > want.missing && time.Now().Before(deadline) {
			time.Sleep(200 * time.Millisecond)
		}
	}
	deadline = deadline.Add(15 * time.Second)
	backlog := f.backlog(l.info)
	for ; backlog > 0 && time.Now().Before(deadline); backlog = f.backlog(l.info) {
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(time.Second) // what is still under way would show up twice
	for _, crm := range l.info.CRMs() {
		f.check(l, crm, acked, want.missing)
	}
	if backlog > 0 {
		f.stuck += backlog
		f.Errorf("%d are still pending", backlog)
	}
	if open := f.letters(l.info, env); len(open) != want.letters {
		f.Errorf("%d dead letters, want %d: %v", len(open), want.letters, head(open, 3))
	}
	f.audit(l.info, env)
	f.measure(l, recoveries)
}

// audit lets the program draw up its own sums, which have to close as ours do.
func (f *fault) audit(info sandbox.Info, env []string) {
	f.Helper()
	path, err := binary()
	if err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command(path, "audit", "--config", info.Config)
	cmd.Env = append(cmd.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Errorf("audit: %v\n%s", err, out)
	}
}

const toTheMillisecond = "15:04:05.000"

// check compares one CRM with the ledger.
func (f *fault) check(l *ledger, crm sandbox.CRM, acked map[string]*sentMessage, want int) {
	f.Helper()
	shown := byWAMID(f, crm)
	people := map[string]sandbox.SimContact{}
	for _, p := range contactsIn(f, crm) {
		people[p.ID] = p
	}
	var missing, behind, misplaced []string
	doubled := 0
	for wamid, m := range acked {
		switch s := shown[wamid]; {
		case len(s) == 0:
			missing = append(missing, wamid)
		case m.outgoing && s[0].Status != m.status():
			behind = append(behind, wamid+" "+s[0].Status)
		case !strings.HasSuffix(digits(people[s[0].ContactID].Phone), m.from[1:]), !strings.Contains(s[0].Text, m.text):
			misplaced = append(misplaced, wamid)
		}
	}
	for wamid, s := range shown {
		if l.messages[wamid] != nil && len(s) > 1 {
			doubled += len(s) - 1
			f.Logf("%s: %s is there at %s and %s, first sent at %s", crm.Name, wamid, s[0].CommittedAt.Format(toTheMillisecond), s[1].CommittedAt.Format(toTheMillisecond), l.messages[wamid].began.UTC().Format(toTheMillisecond))
		}
	}
	stats := statsOf(f.T, crm)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubled += max(doubled, stats.DuplicateMessages) + stats.DuplicateContacts
	if len(missing) != want {
		f.lost += len(missing)
		f.Errorf("%s: %d of %d acknowledged messages are missing, want %d: %v", crm.Name, len(missing), len(acked), want, head(missing, 3))
	}
	if len(behind)+len(misplaced) > 0 {
		f.stuck += len(behind)
		f.lost += len(misplaced)
		f.Errorf("%s: statuses that are behind: %v; with somebody else or another text: %v", crm.Name, head(behind, 3), head(misplaced, 3))
	}
	if doubled > 0 || stats.DuplicateMessages+stats.DuplicateContacts > 0 {
		f.Errorf("%s: doubled %d by our count, %d messages and %d people by its own", crm.Name, doubled, stats.DuplicateMessages, stats.DuplicateContacts)
	}
}

// measure finds the first delivery after each recovery.
func (f *fault) measure(l *ledger, recoveries []recovery) {
	f.Helper()
	type delivery struct{ sent, shown time.Time }
	deliveries := map[string][]delivery{}
	for _, crm := range l.info.CRMs() {
		for wamid, list := range byWAMID(f, crm) {
			if m := l.messages[wamid]; m != nil {
				deliveries[crm.Account] = append(deliveries[crm.Account], delivery{m.began, list[0].CommittedAt})
			}
		}
	}
	of := func(r recovery, account string) bool {
		return len(r.accounts) == 0 || slices.Contains(r.accounts, account)
	}
	for n, r := range recoveries {
		for account, list := range deliveries {
			if !of(r, account) {
				continue
			}
			const never = time.Hour
			first, left := never, never
			for _, d := range list {
				if d.shown.After(r.at) && (r.backlog || d.sent.After(r.at)) {
					first = min(first, d.shown.Sub(r.at))
				}
			}
			if next := slices.IndexFunc(recoveries[n+1:], func(r recovery) bool { return of(r, account) }); next >= 0 {
				left = recoveries[n+1+next].at.Sub(r.at)
			}
			switch {
			case first > left && left < cmp.Or(r.within, f.row.within()):
				// Broken again before its time was over; the next one counts.
			case first == never:
				f.Errorf("%s: nothing was delivered after a recovery %s", account, r.after)
			default:
				f.recovered = append(f.recovered, recovered{first, strings.TrimSpace(account + " " + r.after), r.at, r.within})
			}
		}
	}
}

// delays are the times from a message's first post until a CRM showed it, of
// those that began within a span of time.
func (f *fault) delays(l *ledger, crm sandbox.CRM, from, to time.Time) (delays []time.Duration) {
	shown := byWAMID(f, crm)
	for wamid, m := range l.acked() {
		if s := shown[wamid]; len(s) > 0 && m.began.After(from) && m.began.Before(to) {
			delays = append(delays, s[0].CommittedAt.Sub(m.began))
		}
	}
	return delays
}

func byWAMID(f *fault, crm sandbox.CRM) map[string][]sandbox.SimMessage {
	var all []sandbox.SimMessage
	get(f.T, crm.URL+"/_sim/messages", &all)
	shown := map[string][]sandbox.SimMessage{}
	for _, m := range all {
		shown[m.WAMID] = append(shown[m.WAMID], m)
	}
	return shown
}

func contactsIn(f *fault, crm sandbox.CRM) (all []sandbox.SimContact) {
	get(f.T, crm.URL+"/_sim/contacts", &all)
	return all
}

// backlog is what the worker says is pending, counted by itself every five
// seconds; at least 1 as long as it does not say.
func (f *fault) backlog(info sandbox.Info) int {
	n := 0
	response, err := http.Get(info.Worker.URL + "/metrics")
	if err != nil {
		return 1
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 1
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "crmsync_backlog{") {
			var v float64
			_, value, _ := strings.Cut(line, "} ")
			_, _ = fmt.Sscan(value, &v)
			n += int(v)
		}
	}
	return n
}

// letters are the causes of the open dead letters.
func (f *fault) letters(info sandbox.Info, env []string) (reasons []string) {
	f.Helper()
	path, err := binary()
	if err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command(path, "deadletters", "list", "--config", info.Config, "--output", "json")
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.Output()
	var list []struct{ Account, Class, Reason string }
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil {
		f.Fatalf("deadletters list: %v %s", err, out)
	}
	for _, l := range list {
		reasons = append(reasons, l.Account+" "+l.Class+" "+l.Reason)
	}
	return reasons
}

// serveOnce runs a worker that is expected to refuse to start.
func (f *fault) serveOnce(config string, env ...string) (stdout, stderr string, code int) {
	f.Helper()
	p := start(f.T, env, "serve", "--config", config)
	p.wait(2 * time.Minute)
	return "", p.errors.String(), p.cmd.ProcessState.ExitCode()
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func head(list []string, n int) []string {
	slices.Sort(list)
	return list[:min(n, len(list))]
}

// pauseFor waits and reports whether ctx still goes on.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
