package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func accountsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "accounts",
		Short: "List accounts, and pause or resume deliveries to one",
		RunE:  needsCommand,
	}
	c.AddCommand(accountsList(), accountsPause(), accountsResume())
	return c
}

// withRoster runs f with the accounts that --config names.
func withRoster(c *cobra.Command, f func(ctx context.Context, roster *app.Roster, asJSON bool, args []string) error) {
	withOpened(c, app.OpenRoster, func(ctx context.Context, roster *app.Roster, asJSON bool, args []string) error {
		err := f(ctx, roster, asJSON, args)
		if _, mistyped := errors.AsType[app.NoSuchAccount](err); mistyped {
			return usageError{err}
		}
		return err
	})
}

func accountsList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the accounts: what becomes of each, and what waits for it",
		Long: "List the accounts: what becomes of each, and what waits for it.\n\n" +
			"It reads the database; workers write there every two seconds how they see their\n" +
			"accounts. Here is the worker on this configuration's data directory.",
		Args: cobra.NoArgs,
	}
	withRoster(c, func(ctx context.Context, roster *app.Roster, asJSON bool, _ []string) error {
		list, err := roster.Accounts(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), list)
		}
		writeAccounts(c.OutOrStdout(), list)
		return nil
	})
	return c
}

func writeAccounts(w io.Writer, list []app.AccountState) {
	rows := make([][]any, len(list))
	for i, a := range list {
		quota := "-"
		if a.Where != "" && a.State != app.Receiving {
			quota = fmt.Sprintf("%.0f %%", 100*a.QuotaUsed)
		}
		waiting := any(a.Backlog)
		if a.State == app.Receiving {
			waiting = "-"
		}
		rows[i] = []any{a.Name, a.Kind, stateText(a), waiting, ago(a.OldestWaiting), ago(a.LastSuccess), quota, cmp.Or(a.MappingRevision, "-"), cmp.Or(why(a), "-")}
	}
	writeTable(w, []any{"Account", "Kind", "State", "Waiting", "Oldest", "Last success", "Quota", "Mapping", "Why"}, rows)
}

// stateText is a state in words.
func stateText(a app.AccountState) string {
	switch a.State {
	case app.Working:
		return "working " + a.Where
	case app.Stopped:
		return "no worker is running"
	}
	return strings.ReplaceAll(a.State, "_", " ")
}

// why says what keeps an account from working.
func why(a app.AccountState) string {
	if a.State != app.Paused {
		return a.Problem
	}
	text := "by " + a.PausedBy + " " + ago(a.PausedAt) + " ago"
	if a.PauseReason != "" {
		text += ": " + a.PauseReason
	}
	if a.Problem != "" {
		text += " (" + a.Problem + ")"
	}
	return text
}

func ago(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return max(time.Since(*t), 0).Truncate(time.Second).String()
}

// accountChange is what pause and resume print as JSON.
type accountChange struct {
	Account string    `json:"account"`
	Paused  bool      `json:"paused"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	// Changed is false if it was so already.
	Changed bool `json:"changed"`
}

func accountsPause() *cobra.Command {
	c := &cobra.Command{
		Use:   "pause NAME",
		Short: "Hold back deliveries to an account until it is resumed",
		Long: "Hold back deliveries to an account until it is resumed, also over restarts and by\n" +
			"all replicas, which notice within a second. Webhooks are accepted and recorded as\n" +
			"ever; what becomes owed to the account waits, and no attempt is counted.",
		Args: cobra.ExactArgs(1),
	}
	reason := c.Flags().String("reason", "", "why, for whoever looks at it later")
	withRoster(c, func(ctx context.Context, roster *app.Roster, asJSON bool, args []string) error {
		p, fresh, err := roster.Pause(ctx, args[0], operator(), *reason)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), accountChange{p.Account, true, p.PausedBy, p.PausedAt.UTC(), p.Reason, fresh})
		}
		if !fresh {
			fmt.Fprintf(c.OutOrStdout(), "%s is paused already, by %s since %s.\n", p.Account, p.PausedBy, p.PausedAt.Local().Format(time.RFC3339))
			return nil
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is paused: deliveries to it wait until %s accounts resume %s\n", p.Account, program(), p.Account)
		return nil
	})
	return c
}

func accountsResume() *cobra.Command {
	c := &cobra.Command{
		Use:   "resume NAME",
		Short: "Let deliveries to a paused account go on",
		Args:  cobra.ExactArgs(1),
	}
	withRoster(c, func(ctx context.Context, roster *app.Roster, asJSON bool, args []string) error {
		was, ok, err := roster.Resume(ctx, args[0])
		if err != nil {
			return err
		}
		switch {
		case asJSON:
			return writeJSON(c.OutOrStdout(), accountChange{Account: args[0], Changed: ok})
		case !ok:
			fmt.Fprintf(c.OutOrStdout(), "%s is not paused.\n", args[0])
		default:
			fmt.Fprintf(c.OutOrStdout(), "%s is resumed: it was paused for %s by %s.\n", args[0], ago(&was.PausedAt), was.PausedBy)
		}
		return nil
	})
	return c
}
