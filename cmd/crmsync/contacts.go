package main

import "github.com/spf13/cobra"

func contactsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "contacts",
		Short: "Look at contacts, and at who they are in each account",
		RunE:  needsCommand,
	}
	c.AddCommand(contactsShow(), contactsExplain(), contactsInvalid(), contactsDuplicates(), contactsJoins(), contactsSplit())
	return c
}
