package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/sync/directory"
)

// Close draws up the sums. The broker was asked before the database: what it
// did not hold any more was recorded by then. Held is nil, for a reason, if the
// broker could not be asked. Accounts are those that are configured to be
// delivered to.
func Close(p Period, t *Tally, held *Held, why string, accounts []string) *Report {
	r := &Report{
		At: time.Now().UTC().Truncate(time.Millisecond), Since: p.Since, Until: p.Until,
		Events: Events{Why: why}, Findings: slices.Clone(t.Findings), Sources: []Source{}, Accounts: []Account{},
	}
	switch {
	case held == nil:
	case len(t.Recorded) == 0 && held.Last > 0:
		r.Events.Why = "the worker begins to count when it is started next"
	default:
		r.closeEvents(held, t)
	}
	if held != nil {
		r.closeFormer(t)
	}
	if gone := t.Owed - t.Kept; gone > 0 {
		r.Findings = append(r.Findings, Finding{Problem: "recorded, and no fact says so", Count: gone, Names: []string{}})
	}
	r.closeFacts(p, t.Facts, held)
	r.closeAccounts(t, accounts)
	r.noteSettled(t.Settled)
	slices.SortFunc(r.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Problem, y.Problem))
	})
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	r.close()
	return r
}

func (r *Report) close() { r.Closes = r.Events.Known && len(r.Findings) == 0 }

// What is lost stays lost: these problems need not be looked at twice.
const (
	lostProblem   = "acknowledged, and neither recorded nor waiting in EVENTS"
	formerProblem = "EVENTS was replaced or set back, and whether something still waited in the one before is not known"
)

// closeEvents finds events that were stored and are neither there nor
// recorded.
func (r *Report) closeEvents(held *Held, t *Tally) {
	owed := without([]Range{{1, held.Last}}, t.Recorded)
	here := without([]Range{{held.First, held.Last}}, held.Gone)
	gone := without(owed, here)
	var settled []Range
	for _, s := range t.Settled {
		if s.Stream == held.Stream {
			settled = append(settled, s.Range)
		}
	}
	lost := without(gone, settled)
	e := Events{Known: true, Stored: held.Last, Lost: size(lost), Settled: size(gone) - size(lost)}
	e.Waiting = size(owed) - size(gone)
	e.Recorded = e.Stored - size(owed)
	r.Events = e
	if e.Lost == 0 {
		return
	}
	f := Finding{Problem: lostProblem, Count: int64(e.Lost)}
	for i, l := range lost {
		if i < MostNames {
			f.Names = append(f.Names, l.String())
		}
		r.Losses = append(r.Losses, Loss{held.Stream, l})
	}
	r.Findings = append(r.Findings, f)
}

// closeFormer finds streams in whose place there is another one now, unless a
// person has settled that.
func (r *Report) closeFormer(t *Tally) {
	f := Finding{Problem: formerProblem}
	for _, former := range t.Former {
		if slices.ContainsFunc(t.Settled, func(s SettledLoss) bool { return s.Loss == former }) {
			continue
		}
		f.Count++
		f.Names = append(f.Names, former.String())
		r.Losses = append(r.Losses, former)
	}
	if f.Count > 0 {
		r.Findings = append(r.Findings, f)
	}
}

// noteSettled says what people have settled, the last first.
func (r *Report) noteSettled(list []SettledLoss) {
	const most = 5
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y SettledLoss) int { return y.At.Compare(x.At) })
	for _, s := range list[:min(most, len(list))] {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: settled as lost by %s on %s: %s", s.Loss, s.By, s.At.UTC().Format(time.DateOnly), s.Reason))
	}
	if more := len(list) - most; more > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more losses were settled before", more))
	}
}

func size(ranges []Range) (n uint64) {
	for _, r := range ranges {
		n += r.Last - r.First + 1
	}
	return n
}

// without returns what is in some of the ranges and in none of the others.
func without(ranges, others []Range) []Range {
	for _, o := range others {
		var left []Range
		for _, r := range ranges {
			if r.Last < r.First {
				continue
			}
			if o.Last < r.First || o.First > r.Last {
				left = append(left, r)
				continue
			}
			if o.First > r.First {
				left = append(left, Range{r.First, o.First - 1})
			}
			if o.Last < r.Last {
				left = append(left, Range{o.Last + 1, r.Last})
			}
		}
		ranges = left
	}
	return slices.DeleteFunc(ranges, func(r Range) bool { return r.Last < r.First })
}

func (r *Report) closeFacts(p Period, counts []FactCount, held *Held) {
	sources := map[string]*Source{}
	source := func(account string) *Source {
		s := sources[account]
		if s == nil {
			s = &Source{Account: account, SkippedByReason: map[string]int64{}}
			if held != nil {
				s.Waiting = new(int64)
			}
			sources[account] = s
		}
		return s
	}
	for _, c := range counts {
		s := source(c.Account)
		s.Recorded += c.N
		class, reason, _ := strings.Cut(c.Outcome, ": ")
		switch class {
		case directory.Applied:
			s.Applied += c.N
		case "skipped":
			s.Skipped += c.N
			s.SkippedByReason[reason] += c.N
		case "malformed":
			s.Unreadable += c.N
		default:
			r.Findings = append(r.Findings, Finding{
				Account: c.Account, Problem: "facts are recorded as neither applied, skipped nor malformed", Count: c.N,
			})
		}
	}
	if held != nil {
		for _, f := range held.Facts {
			*source(f.Account).Waiting += int64(f.N)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		s := sources[name]
		s.Received = s.Recorded
		if s.Waiting != nil && r.Events.Known {
			*s.Waiting = min(*s.Waiting, int64(r.Events.Waiting)) // the rest is recorded, and about to leave the broker
		}
		if s.Waiting != nil && p.Until.IsZero() {
			s.Received += *s.Waiting
		}
		r.Sources = append(r.Sources, *s)
	}
}

func (r *Report) closeAccounts(t *Tally, configured []string) {
	accounts := map[string]*Account{}
	account := func(name string) *Account {
		if accounts[name] == nil {
			accounts[name] = &Account{
				Account: name, SkippedByReason: map[string]int64{}, OldestPending: t.Oldest[name], Entities: map[directory.EntityKind]Counts{},
			}
		}
		return accounts[name]
	}
	for _, name := range configured {
		account(name)
	}
	for _, c := range append(slices.Clone(t.Links), t.Missing...) {
		a := account(c.Account)
		d := Counts{Recorded: c.N}
		switch directory.State(c.State) {
		case directory.Agreed:
			d.Agreed = c.N
		case directory.Pending:
			d.Pending = c.N
		case directory.Dead:
			d.DeadLettered = c.N
		case directory.Skipped:
			d.Skipped = c.N
			a.SkippedByReason[cmp.Or(c.Reason, "for no reason")] += c.N
		}
		kind := a.Entities[directory.EntityKind(c.Kind)]
		kind.add(d)
		a.Entities[directory.EntityKind(c.Kind)] = kind
		a.add(d)
	}
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[name]
		if a.Pending == 0 { // in the period
			a.OldestPending = time.Time{}
		}
		r.Accounts = append(r.Accounts, *a)
		if !slices.Contains(configured, name) && a.Pending > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is not in the configuration any more: what is pending there waits until it is", name))
		}
	}
}

// Persistent leaves out the findings of a report that an earlier one does not
// have: what is on its way is found now here, now there, and what is stranded
// stays where it is. Lost events stay in: the broker was asked before the
// database.
func (r *Report) Persistent(earlier *Report) {
	var kept []Finding
	for _, f := range r.Findings {
		if f.Problem == lostProblem || f.Problem == formerProblem {
			kept = append(kept, f)
			continue
		}
		i := slices.IndexFunc(earlier.Findings, func(e Finding) bool { return e.Account == f.Account && e.Problem == f.Problem })
		if i < 0 {
			continue
		}
		if f.Count <= MostNames && earlier.Findings[i].Count <= MostNames && len(f.Names) > 0 {
			f.Names = slices.DeleteFunc(slices.Clone(f.Names), func(n string) bool { return !slices.Contains(earlier.Findings[i].Names, n) })
			f.Count = int64(len(f.Names))
		}
		if f.Count > 0 {
			kept = append(kept, f)
		}
	}
	r.Findings = append([]Finding{}, kept...)
	r.close()
}
