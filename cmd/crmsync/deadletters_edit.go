package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/app"
)

func lettersEdit() *cobra.Command {
	c := &cobra.Command{
		Use:   "edit ID (--set FIELD=VALUE… | --raw FILE)",
		Short: "Mend what a dead letter is about: a contact's fields, or a part of a webhook",
		Long: "Mends what a dead letter is about. --set gives a field of the contact another value, in\n" +
			"the directory and so for all accounts; whatever is reported later wins over it. --raw puts\n" +
			"a mended part of a webhook in the place of one that cannot be read. Who did it, when and to\n" +
			"which field is kept, without the value. The letter stays open until it is replayed.",
		Example: "  crmsync deadletters edit hubspot.contact.42 --set email=anna@example.com --replay\n" +
			"  crmsync deadletters edit whatsapp.fact.4f1c09de52ab7731 --raw part.json",
	}
	sets := c.Flags().StringArray("set", nil, "a contact field and its value, FIELD=VALUE; an empty value clears it; may be repeated")
	raw := c.Flags().String("raw", "", "a file with the mended part of a webhook, - for standard input")
	replay := c.Flags().Bool("replay", false, "try the letter again afterwards")
	by, waits := byFlag(c), waitFlags(c)
	var values map[string]string
	c.Args = func(cmd *cobra.Command, args []string) (err error) {
		if err := cobra.ExactArgs(1)(cmd, args); err != nil {
			return err
		}
		switch {
		case len(*sets) == 0 && *raw == "":
			return errors.New("say what to mend: --set FIELD=VALUE, or --raw FILE")
		case len(*sets) > 0 && *raw != "":
			return errors.New("a letter is about a contact (--set) or about a part of a webhook (--raw), never both")
		}
		if values, err = valuesOf(*sets); err != nil {
			return err
		}
		return waits.check()
	}
	withWorklist(c, func(ctx context.Context, list *app.Worklist, asJSON bool, args []string) error {
		id := args[0]
		edited := slices.Sorted(maps.Keys(values))
		if *raw != "" {
			part, err := partOf(c.InOrStdin(), *raw)
			if err != nil {
				return err
			}
			edited = []string{"raw"}
			if err := list.EditPart(ctx, id, part, *by); err != nil {
				return err
			}
		} else if err := list.EditContact(ctx, id, values, *by); err != nil {
			return err
		}
		if *replay {
			if !asJSON {
				fmt.Fprintf(c.OutOrStdout(), "%s: edited %s.\n", id, strings.Join(edited, ", "))
			}
			return replayLetters(ctx, c, list, app.LetterFilter{IDs: []string{id}}, replaying{by: *by, wait: waits.wanted(), asJSON: asJSON, edited: edited})
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), map[string]any{"letter": id, "edited": edited})
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: edited %s. The letter is still open; try it again with: %s deadletters replay %s\n", id, strings.Join(edited, ", "), program(), id)
		return nil
	})
	return c
}

// valuesOf takes FIELD=VALUE apart. Errors do not repeat a value.
func valuesOf(sets []string) (map[string]string, error) {
	values := make(map[string]string, len(sets))
	for _, set := range sets {
		field, value, found := strings.Cut(set, "=")
		field = strings.TrimSpace(field)
		if !found {
			return nil, errors.New("--set takes FIELD=VALUE, such as email=anna@example.com")
		}
		if _, twice := values[field]; twice {
			return nil, fmt.Errorf("--set %s is there twice; keep one", field)
		}
		text, err := app.CheckValue(field, value)
		if err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
		values[field] = text
	}
	return values, nil
}

// partOf reads a file, or standard input for -, of which no more than is too
// much.
func partOf(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, 4<<20))
}
