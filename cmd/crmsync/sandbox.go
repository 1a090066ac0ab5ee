package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/sandbox"
)

// sampleWithin is how long the sandbox waits for its sample traffic before it
// says that it is ready.
const sampleWithin = 3 * time.Second

func sandboxCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "See it work: simulated vendors, a worker and sample traffic, nothing to set up",
		Args:  cobra.NoArgs,
	}
	options := sandboxFlags(c, "a temporary folder")
	output := outputFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		asJSON, err := output()
		if err != nil {
			return err
		}
		o, err := options()
		if err != nil {
			return err
		}
		// A reader who goes away must not take the program down before it has
		// cleaned up.
		signal.Ignore(syscall.SIGPIPE)
		s, err := sandbox.Start(cmd.Context(), o)
		if err != nil && cmd.Context().Err() == nil {
			return err
		}
		if err != nil {
			return nil // interrupted while starting; it has cleaned up
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		out := &pipe{Writer: cmd.OutOrStdout()}
		if !asJSON {
			fmt.Fprintf(out, "\nWhatsApp, three CRMs and a worker are running in this process.\n\n")
			printAddresses(out, s.Info)
			fmt.Fprintf(out, "  %-10s %s\n", "log", s.LogFile())
		}
		within, cancel := context.WithTimeout(cmd.Context(), sampleWithin)
		story, err := s.Tell(within)
		interrupted, late := cmd.Context().Err() != nil, within.Err() != nil
		cancel()
		switch {
		case interrupted:
		case err != nil && !late:
			return err
		case asJSON:
			_ = writeJSON(out, s.Info) // out remembers
		default:
			tell(out, s.Info, story)
		}
		if out.broken {
			return nil
		}
		select {
		case <-cmd.Context().Done():
			fmt.Fprintln(os.Stderr, "Stopping.")
		case <-s.Stopped():
		}
		return nil
	}
	return c
}

// A pipe remembers that nobody reads it any more.
type pipe struct {
	io.Writer
	broken bool
}

func (p *pipe) Write(text []byte) (int, error) {
	n, err := p.Writer.Write(text)
	p.broken = p.broken || err != nil
	return n, err
}

// tell prints what became of the sample traffic.
func tell(w io.Writer, info sandbox.Info, story sandbox.Story) {
	fmt.Fprintf(w, "\nWhat just happened\n\n")
	first := story.CRMs[0]
	if guide := first.Guide; len(guide.Messages) > 0 {
		fmt.Fprintf(w, "  Kerry Fisher wrote %q on WhatsApp.\n\n", guide.Messages[0].Text)
		for _, crm := range story.CRMs {
			if g := crm.Guide; len(g.Messages) > 0 {
				fmt.Fprintf(w, "    %-10s had it %6s later, on the timeline of contact %s\n", crm.Name, short(g.Delay), g.Contact.ID)
			} else {
				fmt.Fprintf(w, "    %-10s does not have it yet; see the log\n", crm.Name)
			}
		}
		fmt.Fprintf(w, "\n  The contact in %s:\n\n", first.Name)
		for _, name := range mapped(guide.Contact.Fields) {
			fmt.Fprintf(w, "    %-32s %v\n", name, guide.Contact.Fields[name])
		}
	} else {
		fmt.Fprintf(w, "  Kerry Fisher's message has not reached %s yet; see the log.\n", first.Name)
	}
	if t := first.Template; len(t.Messages) > 0 {
		fmt.Fprintf(w, "\n  A template went out to %s: sent, delivered, read. Now the CRMs show it as:", t.Contact.Name)
		for _, crm := range story.CRMs {
			if t := crm.Template; len(t.Messages) > 0 {
				fmt.Fprintf(w, " %s", t.Messages[0].Status)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n  %d of %d webhooks were accepted.\n\n", story.Accepted, story.Webhooks)
	for _, crm := range story.CRMs {
		fmt.Fprintf(w, "    %-10s %2d contacts, %2d messages", crm.Name, crm.Contacts, crm.Messages)
		if n := len(crm.Delays); n > 0 {
			fmt.Fprintf(w, "; from webhook to CRM median %s, slowest %s", short(crm.Delays[n/2]), short(crm.Delays[n-1]))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, `
Try it

  curl %s/_sim/inbound -d '{"from":"16315555555","name":"Kerry Fisher","text":"And again!"}'
  curl '%s/_sim/messages?phone=%%2B16315555555'
  curl %s/metrics
  %s deadletters list --config %s

Ctrl-C stops it.
`, info.WhatsApp.URL, info.HubSpot.URL, info.Worker.URL, program(), info.Config)
}

// mapped are the fields that crmsync wrote, the familiar ones first.
func mapped(fields map[string]any) []string {
	names := []string{"firstname", "lastname", "phone", "country"}
	names = slices.DeleteFunc(names, func(name string) bool { return fields[name] == nil || fields[name] == "" })
	var own []string
	for name, value := range fields {
		if strings.HasPrefix(name, "crmsync_") && value != nil && value != "" {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	return append(names, own...)
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }
