// Package deadletter is the worklist: what could not be delivered, until a
// person settles it.
package deadletter

import (
	"fmt"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// A Letter says that something could not be delivered, and why. It carries no
// message text and no phone number.
type Letter struct {
	// ID is the same for the same entity in the same account: an entity has
	// at most one letter, which opens again when it fails again.
	ID      string `json:"id"`
	Account string `json:"account"`
	// Entity is what could not be delivered; zero for a fact that could not
	// be read.
	Entity directory.Entity `json:"entity,omitzero"`
	// FactID is the fact that could not be read; its bytes stay with it.
	FactID string           `json:"fact_id,omitempty"`
	Class  connectors.Class `json:"class"`
	// Code and Field are the vendor's, where it gave any.
	Code   string `json:"code,omitempty"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
	// Status is the HTTP status of the last answer, 0 if there was none.
	Status int `json:"status,omitempty"`
	// Attempts is how many calls failed because of this record.
	Attempts int `json:"attempts"`
	// History says what became of each, such as "503"; of many the last.
	// AttemptedAt, where it is known, is when each of them ended.
	History     []string    `json:"history,omitempty"`
	AttemptedAt []time.Time `json:"attempted_at,omitempty"`
	// Fields are what the last attempt would have written, without the values,
	// and RecordID is where; empty for a record that was to be created.
	Fields   []Field `json:"fields,omitempty"`
	RecordID string  `json:"record_id,omitempty"`
	// Revision is the mapping that was in force.
	Revision  string    `json:"mapping_revision,omitempty"`
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// DueAt is when a person must have settled it.
	DueAt     time.Time `json:"due_at"`
	SettledAt time.Time `json:"settled_at,omitzero"`
	SettledBy string    `json:"settled_by,omitempty"`
	Note      string    `json:"note,omitempty"`
}

// State is what has become of a letter.
type State string

// The states of a [Letter].
const (
	// Open: nobody has settled it.
	Open State = "open"
	// Replaying: somebody asked for another try that has not been made yet.
	Replaying State = "replaying"
	// Delivered: it reached the account after all.
	Delivered State = "delivered"
	// Discarded: somebody decided that it need not arrive.
	Discarded State = "discarded"
)

// Settled reports whether nothing more is expected to happen.
func (s State) Settled() bool { return s == Delivered || s == Discarded }

// ForEntity names the letter of an entity in an account.
func ForEntity(account string, e directory.Entity) string {
	return fmt.Sprintf("%s.%s.%d", account, e.Kind, e.ID)
}

// About says in a word or two what a letter is about.
func (l *Letter) About() string {
	if l.Entity.ID == 0 {
		return "fact"
	}
	return l.Entity.String()
}

// Cause is what the letter has in common with others.
func (l *Letter) Cause() Cause {
	return Cause{Account: l.Account, Class: l.Class, Code: l.Code, Field: l.Field, Reason: l.Reason}
}

// OfFact is the letter of a fact that could not be read.
func OfFact(f *directory.Fact, revision string, now time.Time, settleWithin time.Duration) Letter {
	return Letter{
		ID: ForFact(f), Account: f.Account, FactID: f.ID,
		Class: connectors.Rejected, Code: "MALFORMED", Reason: f.Reason, Attempts: 1,
		Revision: revision, State: Open, CreatedAt: now, UpdatedAt: now, DueAt: now.Add(settleWithin),
	}
}

// ForFact names the letter of a fact that could not be read. A fact's key may
// have numbers of people in it, and is long.
func ForFact(fact *directory.Fact) string {
	return fact.Account + ".fact." + connectors.Digest([]byte(fact.Key))[:16]
}

// A Filter selects letters. Empty fields select everything.
type Filter struct {
	IDs     []string
	Account string
	Class   string
	State   State
	// Accounts selects the letters of entities in some accounts, beside those
	// of facts; nil those of any.
	Accounts []string
	// DueBefore selects letters that must have been settled by then, and
	// CreatedBefore those that failed first before then; zero is any time.
	DueBefore, CreatedBefore time.Time
	// Cause selects the letters of one cause; nil those of any.
	Cause *Cause
	// Code and Field select by the vendor's words for the cause; where the
	// vendor gave no code, Code is the reason.
	Code, Field string
	// Replay selects the letters that a replay has asked to try again.
	Replay string
	// Limit is the greatest number of letters, 0 for all.
	Limit int
}

// A FactReplay is an unreadable part of a webhook that somebody wants read
// again, by a newer program or with the account's settings mended.
type FactReplay struct {
	LetterID   string
	Account    string
	ReceivedAt time.Time
	Raw        []byte
}
