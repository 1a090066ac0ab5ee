package directory

import (
	"time"

	"crmsync/connectors"
)

// A Link ties an entity to its record in one account. It is also the debt: as
// long as it is pending the account is out of agreement.
type Link struct {
	Account  string
	Entity   Entity
	RecordID string
	// Shadow is what the account was last told, by the vendor's field names.
	Shadow map[string]string
	// Sent are values, in the form of a shadow, that calls have sent whose
	// outcome is not known: of fields that people enter, by the vendor's names.
	Sent  map[string][]string
	State State
	// Erase says that the person was erased: what is owed is that the account
	// deletes the record.
	Erase bool
	// Wanted is the version of the entity that the account should show,
	// Agreed the one that it shows.
	Wanted, Agreed int64
	// Since is when the oldest webhook arrived that the account does not
	// show yet.
	Since time.Time
	// InDoubtSince is when a create was begun whose outcome is not known;
	// zero if none is. Such an entity is looked up before it is created.
	InDoubtSince time.Time
	// Attempts counts the calls that failed because of this record. The next
	// one is not made before NextAttempt.
	Attempts    int
	NextAttempt time.Time
	// History says what became of each of them, such as "503, 503, no answer
	// in time"; of many the last. AttemptedAt is when, nil if that is not known
	// of all.
	History     []string
	AttemptedAt []time.Time
	// Class and Reason say why the last attempt failed.
	Class, Reason string
	// WrittenAt is when a call was last known to have written to the record, by
	// the clock of the account's worker, and Revision under which mapping. SeenAt
	// is when a contact's record last showed something new.
	WrittenAt, SeenAt time.Time
	Revision          string
	// UpdatedAt is when it was last stored; only known of links of records.
	UpdatedAt time.Time
}

// UpdatedBefore reports whether the link has stayed the same since a time.
func (l *Link) UpdatedBefore(at time.Time) bool { return l.UpdatedAt.Before(at) }

// State is how an account stands to an entity. Every link is in exactly one.
type State string

// The states of a [Link].
const (
	Pending State = "pending"
	Agreed  State = "agreed"
	Dead    State = "dead"
	Skipped State = "skipped"
)

// Deleted is why a contact is [Skipped] whose record somebody has deleted in the
// account. It comes back with the next message, and not with anything else.
const Deleted = "its record was deleted in the account"

// Erased is why a link of somebody is [Skipped] who was erased, once the account
// has nothing of it any more.
const Erased = "the person was erased"

// A Want says that an account should show an entity's version.
type Want struct {
	Account    string
	Entity     Entity
	Version    int64
	ReceivedAt time.Time
	// Revive brings back what is [Deleted].
	Revive bool
}

// Work is everything that a worker needs to bring one account into agreement
// about one entity.
type Work struct {
	Link Link
	// Contact is set for contacts, Message for messages and files, Task for tasks.
	Contact *Contact
	Message *Message
	Task    *Task
	// File is set for files; Message is the one that it came with.
	File *File
	// ContactRecordID is the record of a message's or task's contact in this account,
	// empty while it has none; MessageRecordID that of a file's message.
	ContactRecordID, MessageRecordID string
	// Namesakes are the links in this account, with a record, of other
	// contacts that have or had a name of this one, such as the number that
	// was theirs before. Only known for a contact without a record.
	Namesakes []Link
}

// A RecordKey names a contact's record in an account.
type RecordKey struct{ Account, ID string }

// A Pull is a record that has to be read, because of news at a time.
type Pull struct {
	RecordKey
	// Change is the last news of it.
	Change connectors.RecordChange
	At     time.Time
	// Tries counts how often it was not there.
	Tries int
}
