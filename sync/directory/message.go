package directory

import (
	"time"

	"crmsync/connectors"
)

// A Message is one WhatsApp message, as merged from every report about it. It
// may be known by a status alone, before or without its text.
type Message struct {
	ID      int64
	Version int64
	// Account, BusinessNumber and WAMID identify it: a wamid is unique per
	// business number only.
	Account        string
	BusinessNumber string
	WAMID          string
	// ContactID is 0 while nobody has said whose message it is.
	ContactID int64
	Direction connectors.Direction
	Type      string
	// Text is what a person reads; empty while only statuses are known.
	Text   string
	TextAt time.Time
	// At is when it was sent; zero while only its replacement (an edit) is
	// known.
	At       time.Time
	Status   string
	StatusAt time.Time
	// ErrorCode is the vendor's code when Status is failed.
	ErrorCode int
	GroupID   string

	// Changed says that it differs from what is stored.
	Changed bool
}

// MessageKey identifies a message before it has an ID.
type MessageKey struct{ BusinessNumber, WAMID string }

// Key returns what identifies the message.
func (m *Message) Key() MessageKey { return MessageKey{m.BusinessNumber, m.WAMID} }

// UnreportedText stands for the text of a message that was sent by another
// system on the same number, so that only its statuses are known.
const UnreportedText = "[Message sent by another system; WhatsApp does not report its text]"

// Body is the text as an account should show it, never empty.
func (m *Message) Body() string {
	if m.Text == "" {
		return UnreportedText
	}
	return m.Text
}

// SetText merges one report of the text: the newest wins, whether the
// original or an edit.
func (m *Message) SetText(text string, at time.Time) {
	text, at = Clean(text), at.UTC()
	if text == "" || at.Before(m.TextAt) || at.Equal(m.TextAt) && text <= m.Text {
		return
	}
	m.Changed = m.Changed || m.Text != text
	m.Text, m.TextAt = text, at
}

// rank orders the statuses: they only move up, and a failure is final.
var rank = map[string]int{"sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}

// KnownStatus reports whether crmsync knows what the status means. Others are
// kept as facts and change nothing.
func KnownStatus(status string) bool { return rank[status] > 0 }

// Advance merges one status. A lower one never overwrites a higher one.
func (m *Message) Advance(status string, at time.Time, errorCode int) {
	if rank[status] <= rank[m.Status] {
		return
	}
	m.Status, m.StatusAt, m.ErrorCode = status, at.UTC(), errorCode
	m.Changed = true
}
