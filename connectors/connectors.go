// Package connectors says what an account can be asked to do, and what its
// failures mean.
package connectors

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// A Connector speaks to one account of one vendor.
//
// Every method is safe for concurrent use, returns promptly when ctx is
// cancelled, and reports failures as *[Error]. No error, log line or metric
// that it produces contains a secret, a phone number or message text.
type Connector interface {
	Writer
	Reader
	Merger
	Eraser
	Tasker
	// Subscribe has the vendor send webhooks about changed contacts, or
	// prolongs that. renewBy is when it has to be called again, zero for
	// never. Where people set that up in the vendor's own pages, the failure
	// is [NotOffered].
	Subscribe(ctx context.Context, s Subscription) (renewBy time.Time, err error)
}

// A Writer writes to an account.
type Writer interface {
	// Identity returns the names by which the vendor tells this account from
	// all others, the one that people know first. They stay as they are when
	// the credentials are replaced, and what can be renamed has another name
	// beside it: one that two answers have in common makes them answers of the
	// same account. None is empty, holds a space or is a secret.
	//
	// It changes nothing and may be asked before Setup. Where the vendor does
	// not tell, or not us, the failure is [NotOffered]; trouble with the account
	// is told as ever.
	Identity(ctx context.Context) ([]string, error)

	// Setup compares what the account has with what crmsync needs: the given
	// contact fields and whatever the vendor needs for messages. With fix it
	// creates what is missing. The findings name what is still wrong, in the
	// order found; none means ready. Setup also learns which way of writing
	// messages the account allows, so it runs before the first write. The
	// error is for an account that could not be asked.
	Setup(ctx context.Context, fields []Field, fix bool) ([]Finding, error)

	// WriteContacts creates or updates one record per change and returns one
	// result per change, in order. A change without a RecordID first looks
	// for a record with its key or one of its phones; applying the same
	// change twice leaves one record.
	WriteContacts(ctx context.Context, changes []ContactChange) []Result

	// FindMessages looks for messages that an earlier CreateMessages may or
	// may not have written. A result without RecordID and without Err means
	// that the message is not there.
	FindMessages(ctx context.Context, changes []MessageChange) []Result

	// CreateMessages writes messages that the account does not have yet and
	// returns one result per change, in order. It is not repeated after an
	// [UnknownOutcome] before FindMessages has been asked.
	CreateMessages(ctx context.Context, changes []MessageChange) []Result

	// UpdateMessages changes messages that were written before, by RecordID.
	UpdateMessages(ctx context.Context, changes []MessageChange) []Result

	// AttachFile adds the file of a message to that message, which the account
	// has, and returns the file's record. Where the account is not known to
	// have or not to have it already, it looks first.
	AttachFile(ctx context.Context, f FileChange) Result

	// Limits says how much one call may carry.
	Limits() Limits
}

// A Merger makes one record of two that are the same person.
type Merger interface {
	// MergeContacts keeps one record, with what it lacks taken from the other,
	// which is gone afterwards with its messages moved. The result's RecordID is
	// the record that there is now; some vendors make a third one. Merging what
	// was merged before changes nothing. Without the record to keep it is a
	// Conflict; without the other it may be one. Where the vendor has no means for it the
	// failure is [NotOffered]; one of class Rejected wants a person to do it.
	MergeContacts(ctx context.Context, keep, other string) Result
}

// An Eraser deletes what an account holds of a person. Both methods return one
// result per id, in order; what is not there any more, or never was, is as good
// as deleted, so that a call whose answer was lost can be repeated.
type Eraser interface {
	// EraseContacts deletes records as people do, so that they go where the vendor
	// keeps deleted ones. What the vendor has merged into another record is not
	// deleted: it is a Conflict that names that one.
	EraseContacts(ctx context.Context, ids []string) []Result

	// EraseMessages deletes messages that were written before, by their RecordID.
	// Where a vendor deletes them with their contact there is nothing to do.
	EraseMessages(ctx context.Context, ids []string) []Result
}

// A Tasker gives the account's people something to do.
//
// Who uses no tasks needs nothing for them, so [Writer.Setup] does not look. That
// tasks are not allowed, for want of a scope or otherwise, is Rejected, and says
// nothing about the rest of the account.
type Tasker interface {
	// SetupTasks compares what the account has with what tasks need, as Setup does,
	// and with fix creates what is missing. None of its findings is fatal: what a
	// task lacks then is told of the task. It is not needed before the first one.
	SetupTasks(ctx context.Context, fix bool) ([]Finding, error)

	// FindTasks looks for tasks that an earlier CreateTasks may or may not have
	// written. A result without RecordID and without Err means that the task is
	// not there.
	FindTasks(ctx context.Context, changes []TaskChange) []Result

	// CreateTasks writes tasks that the account does not have yet and returns one
	// result per change, in order. It is not repeated after an [UnknownOutcome]
	// before FindTasks has been asked. A contact that is not there is a Conflict.
	CreateTasks(ctx context.Context, changes []TaskChange) []Result

	// EraseTasks deletes tasks by their RecordID, as [Eraser.EraseMessages] does
	// messages.
	EraseTasks(ctx context.Context, ids []string) []Result
}

// Limits is how much one call of a [Connector] may carry, in records.
type Limits struct {
	Contacts int
	Messages int
	// Calls is how many calls about new people may be under way at once: more
	// than one, 0 being one, where a connector joins them in the requests that
	// it makes and sees to it that they do not take each other's records.
	Calls int
	// MessageCalls is how many calls about messages, each about others, may be
	// under way at once; 0 is one.
	MessageCalls int
	// FileCalls is how many requests one file takes; 0 is one.
	FileCalls int
	// LookAfter is how long a create whose answer was lost may still be on
	// its way into the account. Looking sooner could miss it.
	LookAfter time.Duration
}

// A ContactChange is what one contact should look like in one account.
type ContactChange struct {
	// RecordID is the vendor's id; empty while the contact has none there.
	RecordID string
	// Key is the contact's value in the account's unique field: the WhatsApp
	// id, or the business-scoped user id of a sender without a phone. For a
	// contact with a RecordID it is set only when it has changed.
	Key string
	// Phones are the contact's number in E.164 and its known variants, the
	// exact one first; empty for a sender without a phone.
	Phones []string
	// Fields are the vendor's field names with the values to write: string,
	// bool, int64, float64, time.Time or []string (a set of labels). A nil
	// value clears the field. Fields not named are left alone.
	Fields map[string]any
	// Fill names fields that are only a guess, such as the parts of a
	// WhatsApp profile's name, in groups that belong together; not all of
	// them need be in Fields. When a record that somebody else made turns out
	// to be this contact, a group is written only if the record has nothing
	// in any field of the group.
	Fill [][]string
	// Not are records that are known to be other people.
	Not []string
	// Prompt says that somebody waits for it: it carries what a person has
	// entered. What only sums a conversation up can wait where quota is short.
	Prompt bool
}

// A MessageChange is what one message should look like in one account.
type MessageChange struct {
	// RecordID is the vendor's id; empty while the message has none there.
	RecordID string
	// ContactRecordID is the vendor's id of the contact it belongs to.
	ContactRecordID string
	// WAMID is WhatsApp's message id, unique per business number.
	WAMID string
	// BusinessNumber is the business's phone_number_id.
	BusinessNumber string
	Direction      Direction
	// Text is the message as a person reads it, never empty.
	Text string
	// Status is one of sent, delivered, read, played, failed, or empty.
	Status string
	At     time.Time
	// Words are the readers' words for directions and statuses, where people read
	// these; nil for WhatsApp's own.
	Words map[string]string
}

// Word is a direction or a status as the account's people read it.
func (m *MessageChange) Word(w string) string {
	if own := m.Words[w]; own != "" {
		return own
	}
	return w
}

// A FileChange is a file that came with a message.
type FileChange struct {
	// Message is the message as the account shows it, with its RecordID and
	// ContactRecordID.
	Message MessageChange
	// Name is what the file is called, with an extension where that is known;
	// never empty, and without a path.
	Name     string
	MIMEType string
	Content  []byte
	// InDoubt says that an earlier call may have added it.
	InDoubt bool
}

// A TaskChange is something that a person is to do about a contact.
type TaskChange struct {
	// ContactRecordID is the vendor's id of the contact that it is about.
	ContactRecordID string
	// Key tells the task apart from all others of the account: up to 64 small
	// letters and digits.
	Key string
	// Title is one line, never empty. Text is for who has more time.
	Title, Text string
	// Owner is who is to do it: the vendor's id of a user or an e-mail address.
	// Empty is whoever owns the contact.
	Owner string
	// Due is until when. Where a vendor has only days it is that of Due's zone.
	Due      time.Time
	Priority Priority
}

// Priority says how urgent a task is.
type Priority string

// The priorities of tasks. An empty one is normal.
const (
	LowPriority    Priority = "low"
	NormalPriority Priority = "normal"
	HighPriority   Priority = "high"
)

// Direction says who wrote a message.
type Direction string

// The two directions, seen from the business.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// A Result is what became of one change.
type Result struct {
	// RecordID is the vendor's id. It may differ from the change's when the
	// vendor has merged records since.
	RecordID string
	// Created says that this call made the record.
	Created bool
	// Kept are the fields of a change's Fill that were left as they were.
	Kept []string
	Err  *Error
}

// A Field is one contact field that a mapping writes.
type Field struct {
	// Name is the vendor's name of the field.
	Name string
	// Label is for people, should the field have to be created.
	Label string
	Type  FieldType
	// Options are the values of an enumeration or of labels.
	Options []string
}

// FieldType is the kind of value that a field holds.
type FieldType string

// The types of contact fields.
const (
	TypeText FieldType = "text"
	// TypeLong is text of up to 1,000 characters; [TypeText] has up to 255.
	TypeLong   FieldType = "long_text"
	TypePhone  FieldType = "phone"
	TypeNumber FieldType = "number"
	TypeBool   FieldType = "bool"
	TypeTime   FieldType = "time"
	TypeEnum   FieldType = "enum"
	TypeLabels FieldType = "labels"
	TypeOwner  FieldType = "owner"
)

// A Finding is something about an account that is not as crmsync needs it.
type Finding struct {
	// Object is the vendor's object, Field its field; either may be empty.
	Object string `json:"object,omitempty"`
	Field  string `json:"field,omitempty"`
	// Problem is one sentence: what is wrong and what to do.
	Problem string `json:"problem"`
	// Fatal says that the account cannot be used before this is mended; the
	// others are things that crmsync works around.
	Fatal bool `json:"fatal"`
	// Fixable says that Setup with fix would mend it.
	Fixable bool `json:"fixable"`
}

// A Receiver understands one account's webhooks. It does no I/O.
type Receiver interface {
	// Challenge answers the vendor's verification request. It reports false
	// when the request does not carry the account's token.
	Challenge(query url.Values) (answer string, ok bool)

	// Verify reports whether body was signed with one of the account's
	// secrets. It compares in constant time.
	Verify(header http.Header, body []byte) bool

	// Split takes a verified body apart into facts, each with a stable Key.
	// It never fails: a part it cannot read becomes a fact of kind
	// [Malformed], what it does not know a fact of kind [Other].
	Split(body []byte) []Fact
}
