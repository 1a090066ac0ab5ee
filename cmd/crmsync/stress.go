package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/stress"
)

// rampsAtMost bounds a ramp that is not told how long it may last.
const rampsAtMost = time.Hour

const stressLong = `Send a worker signed webhooks at a given rate and find out what became of each message.

Without --target, simulated vendors and a worker are started, each in a process
of its own, and stopped at the end. Messages are sent when they are due, whether
or not the worker keeps up, and every delay is counted from then. Afterwards each
CRM's simulator is asked for each message: what was acknowledged is to be there
once. It fails if anything is lost or doubled, if the 99th percentile of the
delays is over --max-delay, or if more than --max-errors of the webhooks are not
answered 200.

With --target the load goes to a worker that runs already:

  crmsync simulate --write-config DIR --output json > target.json &
  crmsync serve --config DIR/crmsync.yaml &
  crmsync stress --target target.json --rate 5000/min --for 3m

or to one of which only the address and the app secret are known:

  crmsync stress --target https://host/webhooks/whatsapp --app-secret-file F

Then nobody can say what its CRMs have; --crm ACCOUNT=URL names simulators to
look into. Everybody in it has a number that begins with +1 555, which no
telephone has; still, they will all be contacts in the CRMs of that worker.`

func stressCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "stress",
		Short: "Send many messages, and prove from the CRMs that each arrived once and in time",
		Long:  stressLong,
		Example: "  crmsync stress --rate 5000/min --for 3m\n" +
			"  crmsync stress --rate 100/s --for 1h --quota off --report hour.html\n" +
			"  crmsync stress --ramp --latency 40ms-120ms --report ramp.html",
		Args: cobra.NoArgs,
	}
	c.Flags().SortFlags = false
	options := stressFlags(c)
	target := targetFlags(c)
	report := c.Flags().String("report", "", "write a report with plots to this file, a page that needs no network")
	output := outputFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		o, err := options()
		if err != nil {
			return err
		}
		page, err := createReport(*report)
		if err != nil {
			return err
		}
		t, local, err := target(cmd.Context())
		if err != nil {
			return err
		}
		screen := newScreen(os.Stderr, 10*time.Second)
		o.Progress = func(p stress.Progress) {
			line := progressLine(p)
			screen.show(line, line)
		}
		screen.say(fmt.Sprintf("Seed %d. %s", o.Seed, intent(o)))
		result, err := stress.Run(cmd.Context(), t, o)
		screen.clear()
		early := result == nil && cmd.Context().Err() != nil
		if early {
			err = errors.New("interrupted before the first message")
		}
		if local != nil {
			failed := !early && (result == nil || !result.Passed && !result.Interrupted)
			err = errors.Join(err, closeLocal(local, failed))
		}
		if err != nil {
			return err
		}
		if page != nil {
			if err := errors.Join(result.WriteHTML(page), page.Close()); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
		}
		if asJSON {
			err = writeJSON(cmd.OutOrStdout(), result)
		} else {
			printResult(cmd.OutOrStdout(), result)
			if page != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "\nThe report: %s\n", page.Name())
			}
		}
		if err == nil && !result.Passed {
			return errReported
		}
		return err
	}
	return c
}

// createReport creates the file before the run, which may last an hour.
func createReport(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	return os.Create(path)
}

// closeLocal stops what was started. After a run that failed, what it has left
// behind may tell why.
func closeLocal(l *stress.Local, failed bool) error {
	err := l.Close()
	if failed {
		fmt.Fprintf(os.Stderr, "The worker's log and data are in %s.\n", l.Dir)
		return err
	}
	return errors.Join(err, l.Remove())
}

func stressFlags(c *cobra.Command) func() (stress.Options, error) {
	f := c.Flags()
	rate := f.String("rate", "5000/min", "messages per min or per s")
	lasting := f.Duration("for", 3*time.Minute, "how long to send; bounds a ramp, by default after an hour")
	ramp := f.Bool("ramp", false, "raise the rate step by step until the delay or the errors are too much")
	from := f.String("from", "500/min", "the ramp's first rate")
	by := f.String("by", "200/min", "by how much each step raises it")
	step := f.Duration("step", 30*time.Second, "how long each step lasts")
	maxDelay := f.Duration("max-delay", 5*time.Second, "what 99 in 100 messages may take until each CRM has them")
	maxErrors := f.String("max-errors", "1%", "the share of webhooks that may not be answered 200")
	grace := f.Duration("grace", time.Minute, "how long to wait at the end for what is missing")
	people := f.Int("people", 500, "how many people there are at a time")
	newcomers := f.String("new", "2%", "the share of messages after which somebody new comes")
	outgoing := f.String("outgoing", "5%", "the share of messages that the business sends, with three statuses each")
	duplicates := f.String("duplicates", "5%", "the share of webhooks that come twice")
	burst := f.Duration("burst", time.Second, "how much of every 10s comes all at once")
	seed := f.Uint64("seed", 0, "make the same messages as the run that printed it; default another each time")
	return func() (o stress.Options, err error) {
		o = stress.Options{Lasting: *lasting, Seed: *seed, MaxDelay: *maxDelay, Grace: *grace}
		o.Mix.People, o.Mix.Burst = *people, *burst
		if o.Seed == 0 {
			o.Seed = rand.Uint64N(1e9) + 1 // short enough to type
		}
		if o.Rate, err = parseRate("rate", *rate); err != nil {
			return o, err
		}
		for _, s := range []struct {
			name, text string
			into       *float64
		}{{"max-errors", *maxErrors, &o.MaxErrors}, {"new", *newcomers, &o.Mix.New}, {"outgoing", *outgoing, &o.Mix.Outgoing}, {"duplicates", *duplicates, &o.Mix.Duplicates}} {
			if *s.into, err = parseShare(s.name, s.text); err != nil {
				return o, err
			}
		}
		if *ramp {
			o.Ramp = &stress.Ramp{Step: *step}
			if o.Ramp.From, err = parseRate("from", *from); err != nil {
				return o, err
			}
			if o.Ramp.By, err = parseRate("by", *by); err != nil {
				return o, err
			}
			if !f.Changed("for") {
				o.Lasting = rampsAtMost
			}
		}
		switch {
		case *ramp && f.Changed("rate"):
			return o, usageError{errors.New("--rate and --ramp exclude one another; a ramp begins at --from")}
		case !*ramp && (f.Changed("from") || f.Changed("by") || f.Changed("step")):
			return o, usageError{errors.New("--from, --by and --step are for --ramp")}
		case *lasting <= 0 || *step < time.Second:
			return o, usageError{errors.New("--for is longer than nothing, and --step lasts a second or more")}
		case *maxDelay <= 0 || *grace < 0:
			return o, usageError{errors.New("--max-delay is longer than nothing, and --grace is not negative")}
		case *people < 1 || *people > 1_000_000:
			return o, usageError{fmt.Errorf("--people is %d; it is 1 to 1,000,000", *people)}
		case *burst < 0 || *burst > 5*time.Second:
			return o, usageError{fmt.Errorf("--burst is %v; it is 0s to 5s", *burst)}
		}
		return o, nil
	}
}

// parseRate reads messages a minute.
func parseRate(name, text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(number, 64)
	switch unit {
	case "s", "sec", "second":
		n *= 60
	case "m", "min", "minute":
	case "h", "hour":
		n /= 60
	default:
		err = errors.New("no unit")
	}
	if err != nil || !(n >= 1.0/60 && n <= 6e6) { // once an hour to 100,000 a second
		return 0, usageError{fmt.Errorf("--%s is %q; write a rate such as 5000/min or 100/s", name, text)}
	}
	return n, nil
}

// parseShare reads a percentage.
func parseShare(name, text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return 0, usageError{fmt.Errorf("--%s is %q; write a percentage from 0%% to 100%%", name, text)}
	}
	return n / 100, nil
}

func targetFlags(c *cobra.Command) func(ctx context.Context) (*stress.Target, *stress.Local, error) {
	to := c.Flags().String("target", "", "a file with the line that simulate or sandbox prints with --output json, - for standard input, or the URL of a webhook")
	secretFile := c.Flags().String("app-secret-file", "", "with the URL of a webhook: the file with the app secret that signs it")
	crms := c.Flags().StringArray("crm", nil, "with the URL of a webhook: a simulator to look into, as ACCOUNT=URL; may be repeated")
	simulation := simulateFlags(c, "a temporary folder")
	shared := []string{"listen", "port", "quota", "lag", "data", "plain-messages", "latency", "only"}
	return func(ctx context.Context) (*stress.Target, *stress.Local, error) {
		if _, err := simulation(); err != nil {
			return nil, nil, err
		}
		var arguments []string
		for _, name := range shared {
			if c.Flags().Changed(name) {
				arguments = append(arguments, "--"+name+"="+c.Flags().Lookup(name).Value.String())
			}
		}
		isURL := strings.Contains(*to, "://")
		switch {
		case *to != "" && len(arguments) > 0:
			return nil, nil, usageError{fmt.Errorf("%s is for the simulators that are started without --target", arguments[0])}
		case !isURL && (*secretFile != "" || len(*crms) > 0):
			return nil, nil, usageError{errors.New("--app-secret-file and --crm go with a --target that is the URL of a webhook")}
		case isURL && *secretFile == "":
			return nil, nil, usageError{errors.New("--app-secret-file is missing: webhooks have to be signed")}
		case *to == "":
			path, err := os.Executable()
			if err != nil {
				return nil, nil, err
			}
			local, err := stress.StartLocal(ctx, path, arguments)
			if err != nil {
				return nil, nil, err
			}
			return local.Target, local, nil
		case isURL:
			t, err := webhookTarget(*to, *secretFile, *crms)
			return t, nil, err
		case *to == "-":
			t, err := stress.ReadTarget("standard input", c.InOrStdin())
			return t, nil, err
		}
		file, err := os.Open(*to)
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		t, err := stress.ReadTarget(*to, file)
		return t, nil, err
	}
}

func webhookTarget(webhook, secretFile string, crms []string) (*stress.Target, error) {
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return nil, err
	}
	t, err := stress.TargetAt(webhook, strings.TrimSpace(string(secret)))
	if err != nil {
		return nil, usageError{fmt.Errorf("--target: %w", err)}
	}
	for _, text := range crms {
		if err := t.AddCRM(text); err != nil {
			return nil, usageError{fmt.Errorf("--crm: %w", err)}
		}
	}
	return t, nil
}
