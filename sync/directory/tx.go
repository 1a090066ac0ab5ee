package directory

import "time"

// Tx is one transaction of the recorder. Whatever it does is stored together
// or not at all.
type Tx interface {
	// Known returns which of the facts have been recorded before, by ID.
	Known(facts []Fact) (map[string]bool, error)
	// SaveFacts stores new facts.
	SaveFacts(outcomes []FactOutcome) error
	// Passed notes that events have been recorded, or need not be. Known has
	// been asked for their facts.
	Passed(events []Event) error

	// Identities returns all holders, past and present, of any of the keys.
	Identities(keys []IdentityKey) ([]Identity, error)
	// SaveIdentities stores identities; one that exists takes the given
	// retirement.
	SaveIdentities(identities []Identity) error

	// Contacts returns the contacts with the ids, in any order.
	Contacts(ids []int64) ([]*Contact, error)
	// SaveContacts stores contacts and gives those with ID 0 theirs.
	SaveContacts(contacts []*Contact) error

	// Messages returns the messages with the keys, in any order.
	Messages(keys []MessageKey) ([]*Message, error)
	// SaveMessages stores messages and gives those with ID 0 theirs.
	SaveMessages(messages []*Message) error
	// SaveFiles stores the files of messages. A message has one: the first.
	SaveFiles(files []File) error
	// Conversations sums up the one-to-one messages of each contact.
	Conversations(contactIDs []int64) (map[int64]Conversation, error)

	// Records returns the links of contacts to any of the records, and those of
	// the contacts in the records' accounts, locked for the rest of the
	// transaction.
	Records(records []RecordKey, contactIDs []int64) ([]Link, error)
	// SaveRecords stores what links say of the record: its id and the shadow,
	// and the state and why if they have one. One that is new or had no record
	// is owed the contact's version.
	SaveRecords(links []Link) error
	// WantPulls notes records that have to be read.
	WantPulls(pulls []Pull) error

	// SaveDuplicates notes records of people who have another one in the same
	// account, and forgets those that are not any more.
	SaveDuplicates(found []Duplicate, gone []RecordKey) error
	// Duplicates returns those of the contacts.
	Duplicates(contactIDs []int64) ([]Duplicate, error)

	// Survivors returns the contacts that contacts have become a part of, of
	// those that have.
	Survivors(contactIDs []int64) (map[int64]int64, error)
	// Joins returns the joins of two contacts, split ones too.
	Joins(contact, other int64) ([]Join, error)
	// Join returns a join, nil if there is none.
	Join(id int64) (*Join, error)
	// SaveJoin stores a join and gives one with ID 0 its own. Unless it is
	// waiting the joined contact is a part of the survivor from then on, who has its
	// tasks for good, or, once split, none.
	SaveJoin(j *Join) error
	// WaitingJoins returns the joins that are yet to be made. DropJoin forgets
	// one of them.
	WaitingJoins() ([]Join, error)
	DropJoin(id int64) error
	// Links returns all links of contacts, locked for the rest of the
	// transaction.
	Links(contactIDs []int64) ([]Link, error)
	// Unlink forgets that accounts knew of a contact. They may not have been
	// told of its messages.
	Unlink(links []Link) error
	// InDoubt returns the accounts in which it is not known whether messages or
	// tasks of a contact are there.
	InDoubt(contactID int64) ([]string, error)
	// Owed returns the accounts that are owed messages of a contact.
	Owed(contactID int64) ([]string, error)
	// MoveMessages gives messages of a contact to another: those with the ids,
	// nil for all. It returns which they were.
	MoveMessages(from, to int64, ids []int64) ([]int64, error)
	// IdentitiesOf returns all names of contacts. RemoveIdentities removes some.
	IdentitiesOf(contactIDs []int64) ([]Identity, error)
	RemoveIdentities(identities []Identity) error
	// MoveDuplicates gives the duplicates of a contact to another.
	MoveDuplicates(from, to int64) error
	// SettleLetters discards the open letters about a contact.
	SettleLetters(contactID int64, note string) error

	// Standing says where a message of a contact stands in its conversation.
	Standing(messageID int64) (Standing, error)
	// Turn returns a number for those who take turns under a name: 0, then one more
	// each time.
	Turn(of string) (int, error)
	// SaveNotices stores what receivers are owed, SaveTasks tasks, which get their
	// IDs. Of what is there already nothing changes.
	SaveNotices(notices []Notice) error
	SaveTasks(tasks []*Task) error

	// Erase leaves nothing of a contact and of those that have become a part of
	// it but that there was one, and makes the accounts that have records of
	// theirs owe that these are deleted. It returns those accounts.
	Erase(e Erasure) (accounts []string, err error)
	// ErasedRecords returns until when what was read of records counts for
	// nothing, as they were deleted, of those of erased people.
	ErasedRecords(records []RecordKey) (map[RecordKey]time.Time, error)

	// LinkedAccounts returns the accounts that have heard of each contact.
	LinkedAccounts(contactIDs []int64) (map[int64][]string, error)
	// Want makes accounts owe the given versions. What was settled becomes
	// pending again; a dead one gets a fresh start.
	Want(wants []Want) error
}

// A FactOutcome is a fact with what became of it.
type FactOutcome struct {
	Fact *Fact
	// Outcome is [Applied], or "skipped: " or "malformed: " and why.
	Outcome string
	// Raw is the vendor's JSON, where it is to be kept.
	Raw []byte
	// Entity is the message, else the contact, that it has changed or
	// confirmed; zero if there is none.
	Entity Entity
}

// Applied is the outcome of a fact that the directory has taken in.
const Applied = "applied"

// SkippedErased is that of a fact about somebody who was erased. Only that it came
// is kept of it.
const SkippedErased = "skipped: " + Erased
