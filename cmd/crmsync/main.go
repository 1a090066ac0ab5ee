// Command crmsync keeps WhatsApp Business and a CRM in agreement.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := untilInterrupted()
	defer stop()
	root := command()
	root.SetArgs(args)
	out := &outlet{Writer: os.Stdout}
	root.SetOut(out)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	switch {
	case errors.Is(err, errReported):
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "crmsync: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "crmsync: "+err.Error())
	}
	if isUsage(err) {
		fmt.Fprintf(os.Stderr, "Run '%s --help' for usage.\n", c.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// An outlet remembers that what was printed did not get through: a report that
// ends in the middle is not a success, unless nobody wants to read on.
type outlet struct {
	io.Writer
	err error
}

func (o *outlet) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil && !errors.Is(err, syscall.EPIPE) {
		o.err = err
	}
	return n, err
}

// errReported fails a command that has said why already.
var errReported = errors.New("reported")

// usageError is a mistake in the command line.
type usageError struct{ error }

func isUsage(err error) bool {
	if _, ok := errors.AsType[usageError](err); ok {
		return true
	}
	return strings.HasPrefix(err.Error(), "unknown command")
}

// untilInterrupted returns a context that ends with the first SIGINT or
// SIGTERM. A second one ends the program at once.
func untilInterrupted() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx, cancel
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "crmsync",
		Short: "Keep WhatsApp Business and a CRM in agreement",
		Long: "crmsync runs beside a CRM and keeps WhatsApp Business contacts, conversations,\n" +
			"delivery statuses and consent in agreement with it.\n\n" +
			"See it work, with nothing to set up:  crmsync sandbox",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          needsCommand,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Version = version
	root.SetVersionTemplate("crmsync {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{plainly(err)} })
	root.AddCommand(sandboxCommand(), simulateCommand(), serveCommand(), checkCommand(), mappingCommand(), deadlettersCommand(), accountsCommand(), contactsCommand(), syncCommand(), auditCommand(), stressCommand(), healthCommand(), versionCommand())
	for _, c := range root.Commands() {
		checkArguments(c)
	}
	return root
}

// plainly takes strconv's words out of an error about a flag.
func plainly(err error) error {
	text, strconvs, found := strings.Cut(err.Error(), ": strconv.")
	switch {
	case !found:
		return err
	case strings.HasPrefix(strconvs, "ParseBool"):
		return errors.New(text + "; it is true or false")
	}
	return errors.New(text + "; it is a whole number")
}

// program is how the program was called, for commands to copy.
func program() string {
	if strings.Contains(os.Args[0], "/go-build") {
		return "go run ./cmd/crmsync" // it is gone when it ends
	}
	return os.Args[0]
}

// needsCommand answers for commands that only have subcommands.
func needsCommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())}
	}
	return c.Help()
}

// checkArguments makes a wrong number of arguments a usage error.
func checkArguments(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkArguments(sub)
	}
}
