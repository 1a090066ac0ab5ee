package main

import (
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The fault suite: what is broken on purpose, and what became of it.
//
//	go test ./cmd/crmsync -run TestFaults -faults push -v
//	go test ./cmd/crmsync -run TestFaults/rows/K1 -faults larger -seed 42 -v
//
// A seed repeats a run's decisions: what is broken, how often, and how long
// after what. It cannot repeat what the operating system does meanwhile.
var (
	column     = flag.String("faults", "", "run the fault suite: push (a few rounds of each row) or larger")
	faultSeed  = flag.Uint64("seed", 0, "repeat a run of the fault suite; 0 is by chance")
	faultTable = flag.String("table", "", "write the fault suite's table into this file, such as docs/faults.md")
)

// A row is one line of the table.
type row struct {
	id, fault    string
	push, larger int // rounds
	// alone says that no other row may run beside this one, which measures.
	alone bool
	// limit is how long after the fault the first delivery may take, if that
	// is not five seconds.
	limit limit
	run   func(f *fault)
	// not says why this machine or this program cannot run the row.
	not string
}

// A limit is a longest recovery, and why it is not five seconds.
type limit struct {
	within  time.Duration
	because string
}

// within is the row's longest recovery.
func (r row) within() time.Duration { return cmp.Or(r.limit.within, recoverWithin) }

// A fault is a row under way.
type fault struct {
	*testing.T
	row    row
	rounds int
	larger bool
	seed   uint64
	random *rand.Rand

	mu                                   sync.Mutex
	sent, injected, lost, doubled, stuck int
	recovered                            []recovered
	notes                                []string
	red                                  bool
	unfinished                           bool
	beside                               bool     // other rows run at the same time
	late                                 []string // what took longer than it may, beside others
	complaints                           []string
}

// Errorf fails the row, and keeps why for the end of the run; so do the others.
func (f *fault) Errorf(format string, args ...any) {
	f.Helper()
	why := fmt.Sprintf(format, args...)
	f.mu.Lock()
	f.complaints = append(f.complaints, why)
	f.mu.Unlock()
	f.T.Error(why)
}

func (f *fault) Error(args ...any) {
	f.Helper()
	f.Errorf("%s", strings.TrimSpace(fmt.Sprintln(args...)))
}

func (f *fault) Fatal(args ...any) {
	f.Helper()
	f.Error(args...)
	f.FailNow()
}

func (f *fault) Fatalf(format string, args ...any) {
	f.Helper()
	f.Errorf(format, args...)
	f.FailNow()
}

// recovered is how long an account took to show a message again, and after
// what.
type recovered struct {
	took   time.Duration
	after  string
	at     time.Time
	within time.Duration // if that is not the row's
}

// inject adds to what was broken so far.
func (f *fault) inject(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injected += n
}

// note puts a figure into the table's last column.
func (f *fault) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// between is a random duration.
func (f *fault) between(least, most time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return least + time.Duration(f.random.Int64N(int64(most-least)))
}

// recoverWithin is how long after a fault the first delivery may take, where
// the row does not say otherwise.
const recoverWithin = 5 * time.Second

// unload shows what the processes of a row that failed have logged last.
func (f *fault) unload() {
	if !f.Failed() {
		return
	}
	all := processesOf(f.T)
	for _, p := range all[max(0, len(all)-4):] {
		f.Logf("%s:\n%s", strings.Join(p.cmd.Args[1:], " "), strings.Join(lastLines(p.errors.String(), 25), ""))
	}
}

// lastLines are the last so many lines of a log, of those that say the same the
// last two.
func lastLines(log string, n int) []string {
	lines := slices.Collect(strings.Lines(log))
	slices.Reverse(lines)
	said := map[string]int{}
	lines = slices.DeleteFunc(lines, func(line string) bool {
		_, says, _ := strings.Cut(line, `"msg":"`)
		says, _, found := strings.Cut(says, `"`)
		said[says]++
		return found && said[says] > 2
	})
	lines = lines[:min(len(lines), n)]
	slices.Reverse(lines)
	return lines
}

// judge closes a row.
func (f *fault) judge() {
	if f.injected == 0 {
		f.Error("nothing was broken")
	}
	if f.sent == 0 {
		f.Error("nothing was sent")
	}
	if f.lost+f.doubled+f.stuck > 0 {
		f.Errorf("lost %d, doubled %d, stuck %d", f.lost, f.doubled, f.stuck)
	}
	for _, r := range f.recovered {
		within := cmp.Or(r.within, f.row.within())
		if r.took <= within {
			continue
		}
		late := fmt.Sprintf("%s: the first delivery came %v after the fault at %s, want at most %v", r.after, r.took, r.at.UTC().Format(toTheMillisecond), within)
		if f.beside {
			f.late = append(f.late, late)
		} else {
			f.Errorf("%s", late)
		}
	}
}

func (f *fault) String() string {
	return fmt.Sprintf("%s, %s: seed %d, %d rounds, %d faults, %d sent; lost %d, doubled %d, stuck %d; recovery %s, at most %s%s",
		f.row.id, f.row.fault, f.seed, f.rounds, f.injected, f.sent, f.lost, f.doubled, f.stuck, f.recovery(0.5), f.recovery(1), strings.Join(append([]string{""}, f.notes...), "; "))
}

// recovery is a percentile of the recoveries, 1 the slowest.
func (f *fault) recovery(p float64) string {
	if len(f.recovered) == 0 {
		return "-"
	}
	list := make([]time.Duration, len(f.recovered))
	for i, r := range f.recovered {
		list[i] = r.took
	}
	return fmt.Sprintf("%.1f s", percentile(list, p).Seconds())
}

func TestFaults(t *testing.T) {
	if *column == "" {
		t.Skip("NOT RUN: it takes minutes, and measures; make faults runs it")
	}
	if *column != "push" && *column != "larger" {
		t.Fatalf("-faults is %q; it is push or larger", *column)
	}
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	var mu sync.Mutex
	done := map[string]*fault{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			t.Run(r.id, func(t *testing.T) {
				f := &fault{T: t, row: r, rounds: r.push, larger: *column == "larger", seed: seed, beside: !r.alone}
				if f.larger {
					f.rounds = r.larger
				}
				if r.not != "" {
					t.Skipf("NOT RUN: %s", r.not)
				}
				if f.rounds == 0 {
					t.Skip("NOT RUN: it is not in this column; make chaos runs it")
				}
				if !r.alone {
					t.Parallel()
				}
				mu.Lock()
				done[r.id] = f
				mu.Unlock()
				f.goThrough()
			})
		}
	})
	for _, r := range rows() {
		first := done[r.id]
		if first == nil || first.red || len(first.late) == 0 {
			continue
		}
		// The rows beside it took its share of the machine, so only alone is
		// it measured. Whatever else a row finds is red at once.
		t.Run("alone/"+r.id, func(t *testing.T) {
			t.Logf("beside other rows it was late: %s", strings.Join(first.late, "; "))
			f := &fault{T: t, row: r, rounds: first.rounds, larger: first.larger, seed: seed}
			done[r.id] = f
			f.note("measured a second time, alone")
			f.goThrough()
		})
	}
	for _, r := range rows() {
		if f := done[r.id]; f != nil && (f.red || f.unfinished) {
			t.Logf("RED %s\n\t%s", f, strings.Join(f.complaints, "\n\t"))
		}
	}
	if *faultTable == "" {
		return
	}
	if err := writeFaultTable(*faultTable, seed, done); err != nil {
		t.Fatal(err)
	}
}

// goThrough runs a row and judges it.
func (f *fault) goThrough() {
	h := fnv.New64a()
	h.Write([]byte(f.row.id))
	f.random = rand.New(rand.NewPCG(f.seed, h.Sum64()))
	// Also when the row ends early: its line must not be missing.
	f.unfinished = true
	defer func() {
		f.red = f.Failed()
		f.Log(f)
		f.unload()
	}()
	f.row.run(f)
	f.judge()
	f.unfinished = false
}

// rows are the catalogue's, in its order.
func rows() []row {
	return slices.Concat(crashRows, brokerRows, databaseRows, crmRows, webhookRows, timeRows, diskRows)
}

// writeFaultTable replaces the part of a page between the marks.
func writeFaultTable(file string, seed uint64, done map[string]*fault) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Seed `%d`, %s.\n\n", seed, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	b.WriteString("| row | what is broken | rounds | faults | sent | lost | doubled | stuck | recovery, median | slowest | limit | also |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	var not []row
	for _, r := range rows() {
		f := done[r.id]
		if f == nil {
			not = append(not, r)
			continue
		}
		name := r.id
		if f.red || f.unfinished {
			name += " **RED**"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s |\n", name, r.fault, f.rounds, f.injected, f.sent,
			f.lost, f.doubled, f.stuck, f.recovery(0.5), f.recovery(1), r.within(), strings.Join(f.notes, "; "))
	}
	b.WriteString("\nLimits that are not five seconds, and why:\n\n")
	reasons := map[limit][]string{}
	for _, r := range rows() {
		if done[r.id] != nil && r.limit.because != "" {
			reasons[r.limit] = append(reasons[r.limit], r.id)
		}
	}
	for _, l := range slices.SortedFunc(maps.Keys(reasons), func(x, y limit) int { return strings.Compare(reasons[x][0], reasons[y][0]) }) {
		fmt.Fprintf(&b, "- %s, %s: %s.\n", strings.Join(reasons[l], ", "), l.within, l.because)
	}
	b.WriteString("\nNot run, and why:\n\n| row | what would be broken | why not |\n|---|---|---|\n")
	for _, r := range not {
		why := r.not
		if why == "" {
			why = "left out of this run, or of this column"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.fault, why)
	}
	return replaceBetween(file, "faults "+*column, b.String())
}

// replaceBetween replaces what stands between <!-- name --> and <!-- /name -->.
func replaceBetween(file, name, text string) error {
	file = filepath.Clean(file)
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), "<!-- "+name+" -->\n")
	_, after, closed := strings.Cut(rest, "<!-- /"+name+" -->")
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table %s", file, name)
	}
	return os.WriteFile(file, []byte(before+"<!-- "+name+" -->\n"+text+"<!-- /"+name+" -->"+after), 0o600)
}
