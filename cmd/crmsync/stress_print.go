package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"crmsync/cmd/internal/stress"
)

// intent says what is about to happen.
func intent(o stress.Options) string {
	if r := o.Ramp; r != nil {
		return fmt.Sprintf("From %s on, %s more every %v.", stress.PerMinute(r.From), stress.Whole(int(r.By)), r.Step)
	}
	return fmt.Sprintf("%s for %s.", stress.PerMinute(o.Rate), stress.Lasting(o.Lasting))
}

// printResult prints what became of a run.
func printResult(w io.Writer, r *stress.Result) {
	fmt.Fprintf(w, "\n%s messages of %s people in %s, %s webhooks; seed %d\n%s\n\n",
		stress.Whole(r.Sent), stress.Whole(r.People), stress.Lasting(time.Duration(r.Seconds*1e9)), stress.Whole(r.Webhooks.Sent), r.Seed, r.Machine)
	var rows [][]any
	for _, a := range r.Accounts {
		rows = append(rows, []any{
			a.Name, stress.Whole(a.Sent), stress.Whole(a.Acknowledged), stress.Whole(a.InCRM), stress.Whole(a.Lost), stress.Whole(a.Doubled + a.PeopleDoubled),
			delay(a.P50), delay(a.P95), delay(a.P99), delay(a.Max), fmt.Sprintf("%.3f", a.CallsPerMessage), stress.Whole(a.QuotaRefusals),
		})
	}
	if len(rows) > 0 {
		writeNumbers(w, []any{"Account", "Sent", "Acknowledged", "In CRM", "Lost", "Doubled", "p50", "p95", "p99", "Max", "Calls/msg", "Over quota"}, rows)
		fmt.Fprintln(w)
	} else {
		fmt.Fprintf(w, "%s were acknowledged. Without simulators to look into nobody knows what became of them.\n\n", stress.Whole(r.Acknowledged))
	}
	if len(r.Steps) > 0 {
		printSteps(w, r)
	}
	h := r.Webhooks
	fmt.Fprintf(w, "Webhooks   answered after p50 %s, p99 %s, max %s; %s not answered 200\n", delay(h.P50), delay(h.P99), delay(h.Max), stress.Whole(h.Errors))
	for _, reason := range slices.Sorted(maps.Keys(h.Reasons)) {
		fmt.Fprintf(w, "           %s: %s\n", reason, stress.Whole(h.Reasons[reason]))
	}
	if k := r.Worker; len(k.Samples) > 0 {
		fmt.Fprintf(w, "Worker     %.2f ms of CPU per message; memory at most %s, goroutines %s, open files %s, backlog %s\n",
			k.CPUPerMessage, mebibytes(float64(k.PeakMemory)), stress.Whole(k.PeakGoroutines), stress.Whole(k.PeakFiles), stress.Whole(k.PeakBacklog))
		if g := k.Growth; g != nil {
			fmt.Fprintf(w, "Growth     from the second quarter to the last: memory %s to %s, goroutines %.0f to %.0f, open files %.0f to %.0f, backlog %.0f to %.0f\n",
				mebibytes(g.Memory[0]), mebibytes(g.Memory[1]), g.Goroutines[0], g.Goroutines[1], g.Files[0], g.Files[1], g.Backlog[0], g.Backlog[1])
		}
	}
	fmt.Fprintln(w)
	switch {
	case r.Passed && len(r.Accounts) == 0:
		fmt.Fprintln(w, "Passed: the webhooks were answered.")
	case r.Passed && r.Unbeaten():
		fmt.Fprintf(w, "Passed: it held up to %s, where the ramp ended; each message is in each CRM once. A longer --for goes on.\n", stress.PerMinute(r.Peak))
	case r.Passed && len(r.Steps) > 0:
		fmt.Fprintf(w, "Passed: it held up to %s; each message is in each CRM once.\n", stress.PerMinute(r.Peak))
	case r.Passed:
		fmt.Fprintln(w, "Passed: each message is in each CRM once, and in time.")
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "Failed: %s.\n", f)
	}
}

func printSteps(w io.Writer, r *stress.Result) {
	header := []any{"A minute", "Sent", "Errors", "Answer p99"}
	for _, a := range r.Accounts {
		header = append(header, a.Name+" p99")
	}
	rows := make([][]any, len(r.Steps))
	for i, s := range r.Steps {
		rows[i] = []any{stress.Whole(int(s.Rate)), stress.Whole(s.Sent), fmt.Sprintf("%.1f %%", s.Errors*100), delay(s.Answer)}
		for _, d := range s.Delays {
			rows[i] = append(rows[i], delay(d.P99))
		}
		held := "no"
		if s.Held {
			held = "yes"
		}
		rows[i] = append(rows[i], held)
	}
	writeNumbers(w, append(header, "Held"), rows)
	fmt.Fprintln(w)
}

func delay(ms float64) string { return stress.Short(time.Duration(ms * 1e6)) }

func mebibytes(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) }
