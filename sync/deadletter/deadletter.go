// Package deadletter is the worklist: what could not be delivered, until a
// person settles it.
package deadletter

import (
	"fmt"
	"strings"
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
	// Attempts is how many calls failed because of this record.
	Attempts int `json:"attempts"`
	// History says what became of each, such as "503"; of many the last.
	History []string `json:"history,omitempty"`
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

// OfFact is the letter of a fact that could not be read.
func OfFact(f *directory.Fact, revision string, now time.Time, settleWithin time.Duration) Letter {
	return Letter{
		ID: ForFact(f), Account: f.Account, FactID: f.ID,
		Class: connectors.Rejected, Code: "MALFORMED", Reason: f.Reason, Attempts: 1,
		Revision: revision, State: Open, CreatedAt: now, UpdatedAt: now, DueAt: now.Add(settleWithin),
	}
}

// ForFact names the letter of a fact that could not be read.
func ForFact(fact *directory.Fact) string {
	return fact.Account + ".fact." + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, fact.Key)
}

// A Filter selects letters. Empty fields select everything.
type Filter struct {
	IDs     []string
	Account string
	Class   string
	State   State
	// DueBefore selects letters that must have been settled by then; zero is
	// any time.
	DueBefore time.Time
	// Cause selects the letters of one cause; nil those of any.
	Cause *Cause
	// Limit is the greatest number of letters, 0 for all.
	Limit int
}

// A Cause is what letters that one mend may settle have in common.
type Cause struct {
	Account string           `json:"account"`
	Class   connectors.Class `json:"class"`
	Code    string           `json:"code,omitempty"`
	Field   string           `json:"field,omitempty"`
	Reason  string           `json:"reason"`
}

// Group names the letters of a cause: eight hexadecimal digits.
func (c Cause) Group() string {
	parts := []string{c.Account, string(c.Class), c.Code, c.Field, c.Reason}
	return connectors.Digest([]byte(strings.Join(parts, "\x00")))[:8]
}

// A Group is the letters of one cause.
type Group struct {
	ID string `json:"group"`
	Cause
	// Letters is how many there are, CreatedAt when the first failed and DueAt
	// when the first must have been settled.
	Letters   int64     `json:"letters"`
	CreatedAt time.Time `json:"created_at"`
	DueAt     time.Time `json:"due_at"`
}

// A FactReplay is an unreadable part of a webhook that somebody wants read
// again, by a newer program or with the account's settings mended.
type FactReplay struct {
	LetterID   string
	Account    string
	ReceivedAt time.Time
	Raw        []byte
}
