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
		r.closeEvents(held, t.Recorded)
	}
	r.closeFacts(p, t.Facts, held)
	r.closeAccounts(t, accounts)
	slices.SortFunc(r.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Problem, y.Problem))
	})
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	r.Closes = len(r.Findings) == 0
	return r
}

// closeEvents finds events that were stored and are neither there nor
// recorded.
func (r *Report) closeEvents(held *Held, recorded []Range) {
	lost := without([]Range{{1, held.Last}}, recorded)
	here := []Range{{held.First, held.Last}}
	lost = without(lost, without(here, held.Gone))
	e := Events{Known: true, Stored: held.Last, Lost: size(lost)}
	e.Waiting = size(without([]Range{{1, held.Last}}, recorded)) - e.Lost
	e.Recorded = e.Stored - e.Waiting - e.Lost
	r.Events = e
	if e.Lost == 0 {
		return
	}
	f := Finding{Problem: "acknowledged, and neither recorded nor waiting in EVENTS", Count: int64(e.Lost)}
	for _, l := range lost[:min(len(lost), MostNames)] {
		f.Names = append(f.Names, l.String())
	}
	r.Findings = append(r.Findings, f)
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
		r.Accounts = append(r.Accounts, *a)
		if !slices.Contains(configured, name) && a.Pending > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is not in the configuration any more: what is pending there waits until it is", name))
		}
	}
}

// Persistent leaves out the findings of a report that an earlier one does not
// have: what is on its way is found now here, now there, and what is stranded
// stays where it is.
func (r *Report) Persistent(earlier *Report) {
	var kept []Finding
	for _, f := range r.Findings {
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
	r.Closes = len(kept) == 0
}
