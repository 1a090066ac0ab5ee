package directory

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
