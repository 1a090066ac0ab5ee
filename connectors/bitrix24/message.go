package bitrix24

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/journal"
)

type note = journal.Note

// A carrier is what messages are written as.
type carrier interface {
	find(ctx context.Context, l *logging, notes []*note)
	create(ctx context.Context, l *logging, notes []*note)
	update(ctx context.Context, l *logging, notes []*note)
}

// A logging is one call about messages.
type logging struct {
	client  *Client
	results []connectors.Result
}

func (l *logging) give(n *note, res connectors.Result) {
	n.Give(l.results, res)
}

func (l *logging) fail(n *note, err *connectors.Error) { l.give(n, connectors.Result{Err: err}) }

// eachMessage does one of the three things to messages, in the order in which
// they were sent: timelines show them in the order in which they are written.
func (c *Client) eachMessage(ctx context.Context, changes []connectors.MessageChange, do func(carrier, context.Context, *logging, []*note)) []connectors.Result {
	l := logging{client: c, results: make([]connectors.Result, len(changes))}
	notes := journal.Of(changes, l.results)
	slices.SortStableFunc(notes, func(a, b *note) int { return a.At.Compare(b.At) })
	var as carrier = comments{}
	if c.tokens != nil {
		as = activities{}
	}
	do(as, ctx, &l, notes)
	return l.results
}

// placed are the notes whose contact is in Bitrix24; the others fail.
func (l *logging) placed(notes []*note) []*note {
	return slices.DeleteFunc(slices.Clone(notes), func(n *note) bool {
		if isID(n.ContactRecordID) {
			return false
		}
		l.fail(n, &connectors.Error{Class: connectors.Conflict, Code: "NO_CONTACT", Reason: "the message's contact is not in Bitrix24 yet"})
		return true
	})
}

func notThere() *connectors.Error {
	return &connectors.Error{Class: connectors.Conflict, Code: codeGone, Reason: "the message is not in Bitrix24 any more"}
}

const (
	markerStart = "— WhatsApp "
	markerDot   = " · "

	// maxText is how many characters of a message are written.
	maxText = 20_000
	// maxComment is how many a comment of several messages may have.
	maxComment = 30_000
)

// marker is the last line of a message:
// "— WhatsApp in · 2026-11-20T09:00:00Z · delivered · wamid.X". The time is in
// it because that of a comment cannot be set (Bitrix24: timeline comments).
func marker(ch *connectors.MessageChange) string {
	at := ch.At
	if at.IsZero() {
		at = time.Now()
	}
	parts := []string{ch.Word(string(ch.Direction)), at.UTC().Format(time.RFC3339)}
	if ch.Status != "" {
		parts = append(parts, ch.Word(ch.Status))
	}
	return markerStart + strings.Join(append(parts, ch.WAMID), markerDot)
}

// marked is the wamid of the message that a line is the marker of, or empty.
func marked(line string) string {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), markerStart)
	if !ok || strings.HasPrefix(strings.TrimSpace(line), fileMarker) {
		return ""
	}
	i := strings.LastIndex(rest, markerDot)
	if i < 0 {
		return ""
	}
	return strings.TrimSpace(rest[i+len(markerDot):])
}

// block is a message as it stands in a comment.
func block(ch *connectors.MessageChange) string {
	return harmless(cut(ch.Text, maxText)) + "\n\n" + marker(ch)
}

// harmless is a text as it stands in a comment. A line that could be taken for a
// marker gets another dash.
func harmless(text string) string {
	lines := strings.Split(newlines(text), "\n")
	for i, l := range lines {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, strings.TrimSpace(markerStart)) {
			lines[i] = strings.Replace(l, "—", "–", 1)
		}
	}
	return escape(strings.Join(lines, "\n"))
}

func newlines(s string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
}

// A piece is a part of a comment: a message, or with an empty wamid what
// somebody has written behind the last.
type piece struct{ wamid, text string }

// pieces takes a comment apart.
func pieces(text string) []piece {
	var all []piece
	var lines []string
	end := func(wamid string) {
		if t := strings.Trim(strings.Join(lines, "\n"), "\n"); t != "" {
			all = append(all, piece{wamid, t})
		}
		lines = nil
	}
	for l := range strings.SplitSeq(newlines(text), "\n") {
		lines = append(lines, l)
		if wamid := marked(l); wamid != "" {
			end(wamid)
		}
	}
	end("")
	return all
}

// together puts pieces into one comment.
func together(all []piece) string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.text
	}
	return strings.Join(texts, "\n\n")
}

// commentOf takes apart the id of a message: a comment's, or where that holds
// several messages "comment#wamid".
func commentOf(recordID string) (id string, several bool) {
	id, _, several = strings.Cut(recordID, "#")
	return id, several
}

func severalID(id, wamid string) string { return id + "#" + wamid }

// byContact groups notes, contacts in the order of their first.
func byContact(notes []*note) [][]*note {
	var groups [][]*note
	at := map[string]int{}
	for _, n := range notes {
		i, ok := at[n.ContactRecordID]
		if !ok {
			i = len(groups)
			at[n.ContactRecordID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], n)
	}
	return groups
}

// oldest is when the first of the notes was sent.
func oldest(notes []*note) time.Time {
	return slices.MinFunc(notes, func(a, b *note) int { return cmp.Or(a.At.Compare(b.At), 0) }).At
}
