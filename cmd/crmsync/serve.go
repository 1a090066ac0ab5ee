package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the worker",
		Long: "Run the worker: accept webhooks, record them, deliver to the CRM accounts.\n\n" +
			"Accounts and mapping can change while it runs: the files are read again when they\n" +
			"change, and on SIGHUP. Files that are not valid change nothing, and the log says why.\n\n" +
			"SIGTERM or Ctrl-C stops it within ten seconds; what is in flight is finished,\n" +
			"the rest is found at the next start. A second one stops it at once.",
		Args: cobra.NoArgs,
	}
	load := configFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := load()
		if err != nil {
			return err
		}
		if len(settings.Placeholders) > 0 {
			return settings.Placeholders
		}
		log := logger(os.Stderr, settings.Log.Level)
		for _, note := range settings.Notes {
			log.Warn("odd configuration", "where", note.File, "problem", note.Problem)
		}
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGHUP)
		source := app.NewSource(cmd.Flag("config").Value.String(), settings, load, asked)
		worker, err := app.New(cmd.Context(), settings, log)
		if err != nil {
			return err
		}
		worker.Follow(source)
		return worker.Run(cmd.Context())
	}
	return c
}

// configFlag adds --config to a command and returns what it names, loaded.
func configFlag(c *cobra.Command) func() (*config.Config, error) {
	path := c.Flags().StringP("config", "c", "crmsync.yaml", "the configuration file")
	return func() (*config.Config, error) { return config.Load(*path, os.Environ()) }
}

// withOpened adds --config and --output to a command, and makes it run f with
// what open opens for the configuration.
func withOpened[T io.Closer](c *cobra.Command, open func(context.Context, *config.Config) (T, error), f func(ctx context.Context, opened T, asJSON bool, args []string) error) {
	withConfig(c, func(ctx context.Context, settings *config.Config, asJSON bool, args []string) error {
		opened, err := open(ctx, settings)
		if err != nil {
			return err
		}
		defer opened.Close()
		return f(ctx, opened, asJSON, args)
	})
}

// withConfig adds --config and --output to a command, and makes it run f with
// the configuration.
func withConfig(c *cobra.Command, f func(ctx context.Context, settings *config.Config, asJSON bool, args []string) error) {
	load := configFlag(c)
	output := outputFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		settings, err := load()
		if err != nil {
			return err
		}
		return f(cmd.Context(), settings, asJSON, args)
	}
}

func logger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
