package directory

import (
	"cmp"
	"strconv"
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
	Text     string
	TextAt   time.Time
	TextRank TextRank
	// At is when it was sent; zero while only its replacement (an edit) is
	// known.
	At       time.Time
	Status   string
	StatusAt time.Time
	// ErrorCode is the vendor's code when Status is failed.
	ErrorCode int
	GroupID   string
	// Erased says that it was an erased person's: only that there was one is
	// known of it.
	Erased bool

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

// TextRank orders texts of the same time, which WhatsApp tells in seconds.
type TextRank int

// The ranks of texts, lowest first.
const (
	OriginalText TextRank = iota
	EditedText
	RevokedText
)

// SetText merges one report of the text: the newest wins, whether the
// original or an edit.
func (m *Message) SetText(text string, at time.Time, rank TextRank) {
	text, at = connectors.Clean(text), at.UTC()
	if text == "" || cmp.Or(at.Compare(m.TextAt), cmp.Compare(rank, m.TextRank), cmp.Compare(text, m.Text)) <= 0 {
		return
	}
	m.Changed = m.Changed || m.Text != text || !m.TextAt.Equal(at) || m.TextRank != rank
	m.Text, m.TextAt, m.TextRank = text, at, rank
}

// rank orders the statuses: they only move up, and a failure is final.
var rank = map[string]int{"sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}

// KnownStatus reports whether crmsync knows what the status means. Others are
// kept as facts and change nothing.
func KnownStatus(status string) bool { return rank[status] > 0 }

// Advance merges one status and reports whether the message has it now. A lower
// one never overwrites a higher one.
func (m *Message) Advance(status string, at time.Time, errorCode int) bool {
	if rank[status] <= rank[m.Status] {
		return false
	}
	m.Status, m.StatusAt, m.ErrorCode = status, at.UTC(), errorCode
	m.Changed = true
	return true
}

// SetAt merges one report of when the message was sent. What a message says of
// itself is surer than what its statuses suggest, and of those the earliest is
// the nearest.
func (m *Message) SetAt(at time.Time, fromStatus bool) {
	at = at.UTC().Truncate(time.Millisecond)
	if fromStatus && (m.Type != "" || !m.At.IsZero() && !at.Before(m.At)) || m.At.Equal(at) {
		return
	}
	m.At, m.Changed = at, true
}

// A Conversation sums up the messages with one contact.
type Conversation struct {
	// FirstIn and FirstOut are when the first messages were sent, zero if
	// none was.
	FirstIn, FirstOut time.Time
	// LastIn and LastOut are the newest messages, nil if there is none.
	LastIn, LastOut *Message
	// Unanswered counts the inbound messages after the last outbound one.
	Unanswered int
}

// excerpt is as much of a text as fits a CRM's field: 1,000 characters.
func excerpt(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == most {
			return text[:i] + "…"
		}
	}
	return text
}

// SumUp derives the contact's fields that follow from its messages.
func (c *Contact) SumUp(talk Conversation) {
	last := talk.LastIn
	if last == nil || talk.LastOut != nil && talk.LastOut.At.After(last.At) {
		last = talk.LastOut
	}
	if last == nil {
		return
	}
	derive := func(name, text string) { c.Derive(name, text, last.At) }
	derive("last_message_at", TimeText(last.At))
	derive("last_message_text", excerpt(last.Body()))
	derive("last_message_direction", string(last.Direction))
	derive("unread_count", strconv.Itoa(talk.Unanswered))
	first := talk.FirstIn
	if first.IsZero() || !talk.FirstOut.IsZero() && talk.FirstOut.Before(first) {
		first = talk.FirstOut
	}
	derive("first_message_at", TimeText(first))
	if !talk.FirstIn.IsZero() {
		derive("first_inbound_at", TimeText(talk.FirstIn))
	}
	if talk.LastIn != nil {
		derive("last_inbound_at", TimeText(talk.LastIn.At))
	}
	if talk.LastOut == nil {
		return
	}
	derive("last_outbound_at", TimeText(talk.LastOut.At))
	if talk.LastOut.Status != "" {
		derive("last_status", talk.LastOut.Status)
		derive("last_status_at", TimeText(talk.LastOut.StatusAt))
	}
}
