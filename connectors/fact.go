package connectors

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// A Fact is one thing that a vendor reported. Which of the pointers is set
// follows from Kind; everything else in it may be missing.
type Fact struct {
	// Key identifies the fact among those of its account: the same report
	// received twice has the same key. At most 200 bytes of printable ASCII.
	Key  string `json:"key"`
	Kind Kind   `json:"kind"`
	// Type is the vendor's own word: a message type such as "image", a
	// webhook field such as "account_update". At most 64 bytes.
	Type string `json:"type,omitempty"`
	// At is when it happened by the vendor's clock, in UTC; zero if unknown.
	At time.Time `json:"at"`
	// BusinessNumber is the phone_number_id it was reported for.
	BusinessNumber string `json:"business_number,omitempty"`
	// BusinessPhone is that number as displayed, digits only.
	BusinessPhone string `json:"business_phone,omitempty"`

	Person     *Person     `json:"person,omitempty"`
	Message    *Message    `json:"message,omitempty"`
	Status     *Status     `json:"status,omitempty"`
	Preference *Preference `json:"preference,omitempty"`
	Identity   *Identity   `json:"identity,omitempty"`
	Record     *RecordNews `json:"record,omitempty"`
	Observed   *Observed   `json:"observed,omitempty"`

	// Reason says what is wrong with a Malformed fact, without its values.
	Reason string `json:"reason,omitempty"`
	// Raw is the vendor's own JSON where the fact could not carry all of it:
	// for Malformed the part that could not be read, wrapped so that Split
	// accepts it again; for Other the element; for a message of an unknown
	// type the message. It need not be valid JSON for Malformed, hence bytes.
	Raw []byte `json:"raw,omitempty"`
}

// Digest names content in the Key of a fact that has no id of its own.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// TypeWord shortens a vendor's word to what a fact's Type may hold.
func TypeWord(word string) string {
	const most = 64
	word = strings.ToValidUTF8(word, "\uFFFD")
	if len(word) <= most {
		return word
	}
	end := most
	for end > 0 && word[end]&0xC0 == 0x80 {
		end--
	}
	return word[:end]
}

// Kind says what sort of thing a fact is.
type Kind string

// The kinds of facts.
const (
	// KindMessage is a message, in either direction.
	KindMessage Kind = "message"
	// KindStatus is a delivery status of an outbound message.
	KindStatus Kind = "status"
	// KindPreference is a person's choice about marketing messages.
	KindPreference Kind = "preference"
	// KindIdentity is a person's change of number or user id.
	KindIdentity Kind = "identity"
	// KindPerson is news about a person without a message.
	KindPerson Kind = "person"
	// KindRecord is news about a contact's record in a CRM.
	KindRecord Kind = "record"
	// KindObserved is what crmsync saw when it read such a record.
	KindObserved Kind = "observed"
	// KindOther is anything authentic that crmsync does not act on.
	KindOther Kind = "other"
	// KindMalformed is a part of an authentic webhook that cannot be read.
	KindMalformed Kind = "malformed"
)

// A Person is someone on WhatsApp, as far as one report describes them. A
// person has a WAID, a UserID or both.
type Person struct {
	// WAID is WhatsApp's id: digits, usually but not always the phone
	// number without its plus sign.
	WAID string `json:"wa_id,omitempty"`
	// UserID is the business-scoped user id, such as IT.1349120865530274.
	UserID       string `json:"user_id,omitempty"`
	ParentUserID string `json:"parent_user_id,omitempty"`
	// ProfileName is the name they chose on WhatsApp.
	ProfileName string `json:"profile_name,omitempty"`
	Username    string `json:"username,omitempty"`
	// CountryCode is the ISO country that WhatsApp reported.
	CountryCode string `json:"country_code,omitempty"`
	// FullName and FirstName come from a business's own address book.
	FullName  string `json:"full_name,omitempty"`
	FirstName string `json:"first_name,omitempty"`
}

// A Message is one WhatsApp message.
type Message struct {
	WAMID     string    `json:"wamid"`
	Direction Direction `json:"direction"`
	// Text is the message as a person reads it, never empty: the text itself,
	// or a rendering such as "[Image] receipt" or "Reacted with a heart".
	Text string `json:"text,omitempty"`
	// Status is set for messages that arrive with one (history).
	Status string `json:"status,omitempty"`
	// Target is the wamid of the message whose text this one replaces: set
	// for an edit (Text is the new text) and for a revocation (Text says
	// that the message was deleted). Such a message is not one of its own.
	Target string `json:"target,omitempty"`
	// Revoked is set for a revocation.
	Revoked bool `json:"revoked,omitempty"`
	// ReplyTo is the wamid of the message that this one answers.
	ReplyTo string `json:"reply_to,omitempty"`
	// GroupID is set for a message in a group.
	GroupID string `json:"group_id,omitempty"`
	// History is set for what was taken from the past and is no news.
	History bool `json:"history,omitempty"`
	// Reply is set where somebody has pressed a button or chosen from a list, and
	// Text is what that says.
	Reply    *Reply    `json:"reply,omitempty"`
	Media    *Media    `json:"media,omitempty"`
	Referral *Referral `json:"referral,omitempty"`
	// Rendered is set where Text is a rendering, and Said is then what of it the
	// person has written, such as a caption.
	Rendered bool   `json:"rendered,omitempty"`
	Said     string `json:"said,omitempty"`
}

// A Reply is the button or the line of a list that somebody has chosen.
type Reply struct {
	Kind ReplyKind `json:"kind"`
	// ID is what the sender of the buttons calls it.
	ID string `json:"id,omitempty"`
}

// ReplyKind says what was chosen from.
type ReplyKind string

// The kinds of replies.
const (
	ButtonReply ReplyKind = "button"
	ListReply   ReplyKind = "list"
)

// Media is a file that belongs to a message, not yet downloaded.
type Media struct {
	ID       string `json:"id"`
	MIMEType string `json:"mime_type,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Filename string `json:"filename,omitempty"`
}

// A Referral is the advertisement or post whose click began a conversation.
type Referral struct {
	SourceType string `json:"source_type,omitempty"`
	SourceID   string `json:"source_id,omitempty"`
	SourceURL  string `json:"source_url,omitempty"`
	Headline   string `json:"headline,omitempty"`
	ClickID    string `json:"click_id,omitempty"`
}

// A Status is how far an outbound message has come.
type Status struct {
	WAMID string `json:"wamid"`
	// Status is sent, delivered, read, played, failed, or a word that the
	// vendor invented later.
	Status string `json:"status"`
	// ErrorCode is the vendor's code of a failure, such as 131049.
	ErrorCode int `json:"error_code,omitempty"`
	// GroupID is set when the message went to a group.
	GroupID string `json:"group_id,omitempty"`
}

// A Preference is a person's choice about marketing messages.
type Preference struct {
	Category string `json:"category,omitempty"`
	// Value is stop, resume, or a word that the vendor invented later.
	Value string `json:"value"`
}

// An Identity is a change of who somebody is on WhatsApp: Fact.Person is who
// they were, New who they are now.
type Identity struct {
	New Person `json:"new"`
}

// RecordNews says that a CRM's record has changed; what it holds now has to be
// read.
type RecordNews struct {
	ID     string       `json:"id"`
	Change RecordChange `json:"change"`
	// Survivor is the record that a merged one lives on in.
	Survivor string `json:"survivor,omitempty"`
	// Fields are the ones of an updated record that have changed, by the vendor's
	// names; empty if the vendor does not say.
	Fields []string `json:"fields,omitempty"`
}

// RecordChange says what happened to a record.
type RecordChange string

// The changes of records.
const (
	RecordCreated RecordChange = "created"
	RecordUpdated RecordChange = "updated"
	RecordDeleted RecordChange = "deleted"
	RecordMerged  RecordChange = "merged"
)

// Observed is a CRM's record as crmsync has read it. Fact.At is when it was last
// changed by the vendor's clock, or when it was found to be gone.
type Observed struct {
	// ID is the record's id, and Asked the one under which it was known
	// before the vendor merged it into ID; else empty.
	ID    string `json:"id"`
	Asked string `json:"asked,omitempty"`
	// Gone says that the account has no such record any more, Reported that it
	// has told of its deletion: what is only not found may be hidden.
	Gone     bool `json:"gone,omitempty"`
	Reported bool `json:"reported,omitempty"`
	// Fields are the values of the mapped fields by the vendor's names, in the
	// catalogue's text form; empty for what is empty there.
	Fields map[string]string `json:"fields,omitempty"`
	// Read is when it was asked for, by crmsync's clock.
	Read time.Time `json:"read,omitzero"`
	// Was is what the account was known to show when it was read, in the form
	// of a shadow; nil if nobody knew the record.
	Was map[string]string `json:"was,omitempty"`
}
