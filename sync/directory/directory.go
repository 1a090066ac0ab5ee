// Package directory is what crmsync knows: contacts and messages, how reports
// about them merge, and what each account was last told.
//
// The rules in it are pure. Nothing in them depends on the order in which
// facts arrive: fields go by source time, statuses only move up.
package directory

import (
	"fmt"
	"time"

	"crmsync/connectors"
)

// A Fact is what a connector reported, with where it came from. It travels
// through EVENTS as JSON.
type Fact struct {
	// ID is unique over all accounts and the same for the same report
	// received twice; see [FactID].
	ID string `json:"id"`
	// Account is the configured name of the account that reported it.
	Account string `json:"account"`
	// ReceivedAt is when the webhook arrived.
	ReceivedAt time.Time `json:"received_at"`
	// Event is its place in EVENTS; zero if it does not come from there.
	Event Event `json:"-"`
	connectors.Fact
}

// An Event names a message of EVENTS.
type Event struct {
	// Stream tells one EVENTS from another that was created in its place.
	Stream string
	// Number rises by one with each message.
	Number uint64
	// Fact is the ID of the fact that it carries; empty if that is not stored.
	Fact string
}

// FactID names the fact that an account reported under key.
func FactID(account, key string) string { return account + "/" + key }

// When is the fact's time for ordering: the vendor's, or that of its receipt
// where the vendor gave none or one from the future.
func (f *Fact) When() time.Time {
	const clockSkew = 5 * time.Minute
	if f.At.IsZero() || f.At.After(f.ReceivedAt.Add(clockSkew)) {
		return f.ReceivedAt.UTC()
	}
	return f.At.UTC()
}

// An Entity names a contact, a message, a file or a task of the directory.
type Entity struct {
	Kind EntityKind `json:"kind"`
	ID   int64      `json:"id"`
}

// EntityKind says what an [Entity] is.
type EntityKind string

// The kinds of entities, in the order in which an account must receive them.
const (
	ContactEntity EntityKind = "contact"
	MessageEntity EntityKind = "message"
	// FileEntity is the file of the message with the same ID.
	FileEntity EntityKind = "file"
	// TaskEntity is a task that a rule has made.
	TaskEntity EntityKind = "task"
)

func (e Entity) String() string { return fmt.Sprintf("%s %d", e.Kind, e.ID) }

// A Trigger says that an account is out of agreement about an entity. It is a
// hint: the debt itself is the [Link] in the database.
type Trigger struct {
	Account string
	Entity  Entity
}
