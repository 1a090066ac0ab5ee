package deliver

import (
	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// Written are those of a contact's fields that a worker would write to an account,
// whose link to the contact is as it is now.
func Written(fields map[string]any, link *directory.Link) map[string]any {
	diff, _ := changed(fields, link)
	return diff
}

// OnlyFilledIn are the account's fields that a new contact's are not written over,
// in a record that turns out to be theirs.
func OnlyFilledIn(m *mapping.Mapping, account string) map[string]bool {
	names := map[string]bool{}
	for _, group := range guesses(m.Lines(account)) {
		for _, name := range group {
			names[name] = true
		}
	}
	return names
}

// Logged is a message as it would be logged in an account. The failure is why it
// would not be.
func Logged(m *mapping.Mapping, account string, todo directory.Work) (connectors.MessageChange, *connectors.Error) {
	return shownAs(m, account, todo)
}
