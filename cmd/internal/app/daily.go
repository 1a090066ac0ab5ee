package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/sync/audit"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// DailyReport is what happened in a day, over all replicas.
type DailyReport struct {
	// Event is always "daily_report".
	Event           string    `json:"event"`
	From            time.Time `json:"from"`
	To              time.Time `json:"to"`
	MappingRevision string    `json:"mapping_revision"`
	// Attention says what somebody should look at; empty if nothing.
	Attention []string     `json:"attention"`
	Accounts  []AccountDay `json:"accounts"`
	Answers   Delays       `json:"webhook_answers"`
	Letters   LettersDay   `json:"dead_letters"`
	Drift     []DriftDay   `json:"drift"`
	// Audit says whether everything received is accounted for.
	Audit   *audit.Report `json:"audit"`
	Workers []WorkerDay   `json:"workers"`
}

// AccountDay is a day of an account. What was received is counted in the
// database; what was delivered, the delays and the calls by the workers, in
// their load records that ended in the day.
type AccountDay struct {
	Account string `json:"account"`
	Kind    string `json:"kind"`
	AccountLoad
	// OldestWaiting is since when the oldest of what the account does not show
	// yet waits.
	OldestWaiting *time.Time `json:"oldest_waiting,omitempty"`
}

// LettersDay is a day of the worklist. Causes are those of open letters, the
// most frequent first, at most mostCauses.
type LettersDay struct {
	New     int64              `json:"new"`
	Settled int64              `json:"settled"`
	Open    int64              `json:"open"`
	Overdue int64              `json:"overdue"`
	Causes  []deadletter.Group `json:"causes"`
}

const mostCauses = 20

// DriftDay is what the contact syncs of an account have found in a day: what its
// webhooks had missed.
type DriftDay struct {
	Account string `json:"account"`
	// Syncs is how many there were, Failed how many of them did not come to
	// their end, and Problem why the last of these did not.
	Syncs   int    `json:"syncs"`
	Failed  int    `json:"failed"`
	Problem string `json:"problem,omitempty"`
	// Read counts records, Changed those that showed something new, Gone those
	// that were deleted, Emptied those that had lost values.
	Read    int64 `json:"read"`
	Changed int64 `json:"changed"`
	Gone    int64 `json:"gone"`
	Emptied int64 `json:"emptied"`
	// Ended is when the last one came to its end, nil if none did.
	Ended *time.Time `json:"ended,omitempty"`
}

// WorkerDay is a day of one worker.
type WorkerDay struct {
	Worker      string    `json:"worker"`
	MemoryBytes int64     `json:"memory_bytes"`
	CPUSeconds  float64   `json:"cpu_seconds"`
	Goroutines  int64     `json:"goroutines"`
	SeenAt      time.Time `json:"seen_at"`
}

// reportDay writes the report of the day that ends at a time, and tells those
// receivers that want it.
func (a *App) reportDay(ctx context.Context, due time.Time) error {
	if err := a.recordLoad(ctx); err != nil { // what this worker has done until now
		return err
	}
	// A database connection of its own: the embedded database has one for
	// everybody else.
	db, err := OpenStore(ctx, a.config)
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := a.day(ctx, db, due.UTC().Add(-24*time.Hour), due.UTC())
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	file, err := keepReport(a.report(""), "daily-", due, append(text, '\n'))
	if err != nil {
		return err
	}
	shown, err := keepPage(a.report(""), "daily-", due, page)
	a.log.Info("daily report", "attention", len(r.Attention), "report", file, "page", shown)
	return errors.Join(err, a.postDay(ctx, r))
}

// day sums up what happened from one time to another.
func (a *App) day(ctx context.Context, db *store.DB, from, to time.Time) (*DailyReport, error) {
	r := &DailyReport{Event: "daily_report", From: from, To: to, MappingRevision: a.now.Load().mapping.Revision(), Attention: []string{}}
	// The load that was recorded for this report belongs to it.
	loads, err := db.Loads(ctx, from, time.Now())
	volumes, err2 := db.Volumes(ctx, from, to)
	waiting, err3 := db.Waiting(ctx)
	sweeps, err4 := db.SweepsBetween(ctx, from, to)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return nil, err
	}
	total := &Load{}
	for _, text := range loads {
		var l Load
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("read a load record: %w", err)
		}
		r.add(total, &l)
	}
	for _, c := range a.now.Load().config.Accounts {
		day := AccountDay{Account: c.Name, Kind: c.Kind, AccountLoad: *total.account(c.Name)}
		day.Received, day.Backlog = nil, 0
		for _, v := range volumes {
			if v.Account == c.Name {
				if day.Received == nil {
					day.Received = map[string]int64{}
				}
				day.Received[v.Kind] = v.N
			}
		}
		for _, w := range waiting {
			if w.Account == c.Name {
				day.Backlog, day.OldestWaiting = w.N, orNil(w.Oldest)
			}
		}
		r.Accounts = append(r.Accounts, day)
	}
	r.Drift = driftOf(sweeps)
	if err := r.letters(ctx, db); err != nil {
		return nil, err
	}
	if r.Audit, err = a.auditBeside(ctx, db); err != nil {
		return nil, err
	}
	r.attend()
	return r, nil
}

// add adds what a worker has done.
func (r *DailyReport) add(total, l *Load) {
	r.Answers.add(l.Answers, 1)
	for name, of := range l.Accounts {
		account := total.account(name)
		account.add(of, 1)
		account.DeadLetters = of.DeadLetters
	}
	i := slices.IndexFunc(r.Workers, func(w WorkerDay) bool { return w.Worker == l.Worker })
	if i < 0 {
		i = len(r.Workers)
		r.Workers = append(r.Workers, WorkerDay{Worker: l.Worker})
	}
	w := &r.Workers[i]
	w.MemoryBytes, w.Goroutines, w.SeenAt = max(w.MemoryBytes, l.MemoryBytes), max(w.Goroutines, l.Goroutines), l.To
	w.CPUSeconds += l.CPUSeconds
}

func driftOf(sweeps []directory.Sweep) []DriftDay {
	list := []DriftDay{}
	for _, s := range sweeps { // in the order of the accounts
		n := len(list)
		if n == 0 || list[n-1].Account != s.Account {
			list = append(list, DriftDay{Account: s.Account})
			n++
		}
		d := &list[n-1]
		d.Syncs++
		d.Read, d.Changed, d.Gone, d.Emptied = d.Read+s.Read, d.Changed+s.Changed, d.Gone+s.Gone, d.Emptied+s.Emptied
		switch {
		case s.Problem != "":
			d.Failed, d.Problem = d.Failed+1, s.Problem
		case !s.Ended.IsZero():
			d.Ended = orNil(s.Ended)
		}
	}
	return list
}

func (r *DailyReport) letters(ctx context.Context, db *store.DB) (err error) {
	if r.Letters.New, r.Letters.Settled, err = db.LettersBetween(ctx, r.From, r.To); err != nil {
		return err
	}
	counts, err := db.CountLetters(ctx)
	if err != nil {
		return err
	}
	for i := range r.Accounts {
		r.Accounts[i].DeadLetters = nil
	}
	for _, c := range counts {
		r.Letters.Open, r.Letters.Overdue = r.Letters.Open+c.N, r.Letters.Overdue+c.Overdue
		for i := range r.Accounts {
			if day := &r.Accounts[i]; day.Account == c.Account {
				if day.DeadLetters == nil {
					day.DeadLetters = map[string]int64{}
				}
				day.DeadLetters[c.Class] = c.N
			}
		}
	}
	groups, err := db.Groups(ctx, deadletter.Filter{State: deadletter.Open})
	r.Letters.Causes = groups[:min(len(groups), mostCauses)]
	return err
}

// attend says what somebody should look at.
func (r *DailyReport) attend() {
	say := func(format string, args ...any) { r.Attention = append(r.Attention, fmt.Sprintf(format, args...)) }
	if !r.Audit.Closes {
		say("Not everything received is accounted for; crmsync audit says what.")
	}
	switch l := r.Letters; {
	case l.Overdue > 0:
		say("%s, %d of them overdue; crmsync deadletters list --group-by cause shows why.", manyOf(l.Open, "open dead letter"), l.Overdue)
	case l.Open > 0:
		say("%s; crmsync deadletters list --group-by cause shows why.", manyOf(l.Open, "open dead letter"))
	}
	for _, a := range r.Accounts {
		if t := a.OldestWaiting; t != nil && r.To.Sub(*t) > time.Hour {
			say("%s does not show %s of what it should yet, the oldest since %s.", a.Account, grouped(a.Backlog), t.UTC().Format("2006-01-02 15:04 UTC"))
		}
		if a.QuotaRefusals > 0 {
			say("%s refused %s because of its quota.", a.Account, manyOf(a.QuotaRefusals, "call"))
		}
	}
	for _, d := range r.Drift {
		switch {
		case d.Ended == nil:
			say("No contact sync of %s came to its end: %s.", d.Account, cmp.Or(d.Problem, "it is still under way"))
		case d.Failed > 0:
			say("%s of %s did not come to the end: %s.", manyOf(int64(d.Failed), "contact sync"), d.Account, d.Problem)
		}
	}
}

// Text is the report for people in a few lines. Nothing in it comes from
// outside.
func (r *DailyReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "*crmsync, %s*", r.To.Format("Monday 2 January 2006"))
	for _, a := range r.Accounts {
		fmt.Fprintf(&b, "\n• %s: received %s, delivered %s", a.Account, grouped(a.In()), grouped(a.Out()))
		if a.Delays.Count > 0 {
			fmt.Fprintf(&b, ", p99 %s", lasting(a.Delays.P99))
		}
	}
	for _, d := range r.Drift {
		fmt.Fprintf(&b, "\n• the contact sync of %s found %s", d.Account, manyOf(d.Changed, "change")+" that webhooks had missed")
	}
	fmt.Fprintf(&b, "\n• dead letters: %d new, %d settled, %d open", r.Letters.New, r.Letters.Settled, r.Letters.Open)
	if len(r.Attention) == 0 {
		b.WriteString("\nNothing needs attention.")
	}
	if n := len(r.Attention); n > 0 {
		fmt.Fprintf(&b, "\n%s in the report.", manyOf(int64(n), "thing")+" to look at")
	}
	return b.String()
}

// In is how many facts the account has reported.
func (a *AccountLoad) In() (n int64) {
	for _, count := range a.Received {
		n += count
	}
	return n
}

// Out is how many deliveries have changed something there.
func (a *AccountLoad) Out() int64 { return a.Delivered["created"] + a.Delivered["updated"] }

// Failed is how many attempts did not succeed: put off, to be retried or given
// up.
func (a *AccountLoad) Failed() int64 {
	return a.Delivered["postponed"] + a.Delivered["retried"] + a.Delivered["dead"]
}

// Called is how many calls there were.
func (a *AccountLoad) Called() (n int64) {
	for _, count := range a.Calls {
		n += count
	}
	return n
}

// Refused is how many of them were not answered well.
func (a *AccountLoad) Refused() (n int64) {
	for outcome, count := range a.Calls {
		if !strings.HasPrefix(outcome, "2") {
			n += count
		}
	}
	return n
}

// manyOf is "1 letter" or "2 letters".
func manyOf(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(n) + " " + what + "s"
}

// postDay tells the receivers that want the report. A report that is made again
// after a crash is told again.
func (a *App) postDay(ctx context.Context, r *DailyReport) error {
	var failed error
	for i, receiver := range a.config.Notify {
		if !receiver.DailyReport {
			continue
		}
		p := &poster{settings: receiver, client: clientFor(receiver.Private)}
		var err error
		for try := range 3 {
			if err = p.post(ctx, r, r.Text()); err == nil || !pause(ctx, time.Second<<try) {
				break
			}
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("tell receiver %d of notify: %w", i+1, err))
		}
	}
	return failed
}
