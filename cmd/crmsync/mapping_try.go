package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
	"crmsync/config"
	"crmsync/mapping"
)

func mappingTryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "try FILE (--payload WEBHOOK | --contact WHO)",
		Short: "Show what a mapping would write for a webhook or a contact, and write nothing",
		Long: "Show what a mapping would write, and write nothing: nobody is called, no database is changed.\n\n" +
			"--payload takes the body of a webhook as WhatsApp sends it, from a file or with - from\n" +
			"standard input; it need not be signed. It is recorded as by a worker that knows nobody\n" +
			"yet. It feeds all accounts of the mapping or, with --config, those that the WhatsApp\n" +
			"account delivers to.\n\n" +
			"--contact takes a contact of the directory (with --config) and shows what its accounts\n" +
			"have been told, too.\n\n" + whoHelp,
		Args: cobra.ExactArgs(1),
	}
	load := configFlag(c)
	output := outputFlag(c)
	payload := c.Flags().String("payload", "", "a file with a webhook's body, - for standard input")
	contact := c.Flags().String("contact", "", "a contact of the directory, with --config")
	account := c.Flags().String("account", "", "the WhatsApp account that sends the webhook, with --config (default the only one)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		configured := cmd.Flags().Changed("config")
		switch {
		case (*payload == "") == (*contact == ""):
			return usageError{errors.New("say what to try: --payload WEBHOOK or --contact WHO")}
		case *contact != "" && !configured:
			return usageError{errors.New("--contact goes with --config, which says where the directory is")}
		case *account != "" && (!configured || *contact != ""):
			return usageError{errors.New("--account goes with --payload and --config")}
		}
		var settings *config.Config
		if configured {
			if settings, err = load(); err != nil {
				return err
			}
		}
		var tried *app.Rehearsed
		if *contact != "" {
			tried, err = app.RehearseContact(cmd.Context(), settings, args[0], *contact)
		} else {
			tried, err = tryPayload(cmd, settings, args[0], *account, *payload)
		}
		switch {
		case err != nil:
			return reportFindings(cmd, err, asJSON)
		case asJSON:
			return writeJSON(cmd.OutOrStdout(), tried)
		}
		showRehearsed(cmd.OutOrStdout(), tried)
		return nil
	}
	return c
}

func tryPayload(cmd *cobra.Command, settings *config.Config, file, account, payload string) (*app.Rehearsed, error) {
	rehearsal, err := app.NewRehearsal(file, settings, account)
	if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, err
	}
	from, name := cmd.InOrStdin(), "standard input"
	if payload != "-" {
		opened, err := os.Open(payload)
		if err != nil {
			return nil, fmt.Errorf("read the payload: %w", err)
		}
		defer opened.Close()
		from, name = io.Reader(opened), payload
	}
	body, err := app.ReadPayload(from, name)
	if err != nil {
		return nil, err
	}
	return rehearsal.Payload(cmd.Context(), body)
}

// reportFindings prints the findings of a mapping that is not valid as mapping
// check does. Other errors it returns.
func reportFindings(cmd *cobra.Command, err error, asJSON bool) error {
	if _, invalid := errors.AsType[mapping.Findings](err); !invalid {
		return err
	}
	report := checkReport{Findings: []any{}}
	report.add(err)
	return report.print(cmd, asJSON)
}
