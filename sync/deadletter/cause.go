package deadletter

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

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

// String is the cause in the vendor's words, such as "INVALID_DATA on Mobile".
func (c Cause) String() string {
	text := cmp.Or(c.Code, string(c.Class))
	if c.Field != "" {
		text += " on " + c.Field
	}
	return text
}

// ParseCause takes what [Cause.String] returns, or only a code, apart.
func ParseCause(text string) (code, field string) {
	code, field, _ = strings.Cut(text, " on ")
	return strings.TrimSpace(code), strings.TrimSpace(field)
}

// A Group is the letters of one cause.
type Group struct {
	ID string `json:"group"`
	// Title is the cause in a few words.
	Title string `json:"cause"`
	Cause
	// Letters is how many there are, CreatedAt when the first failed and DueAt
	// when the first must have been settled.
	Letters   int64     `json:"letters"`
	CreatedAt time.Time `json:"created_at"`
	DueAt     time.Time `json:"due_at"`
	// Example is the letter that is due first.
	Example string `json:"example"`
}

// Groups are letters by their causes, the largest group first.
func Groups(letters []Letter) []Group {
	groups := []Group{}
	at := map[Cause]int{}
	for i := range letters {
		l := &letters[i]
		cause := l.Cause()
		n, known := at[cause]
		if !known {
			n = len(groups)
			at[cause] = n
			groups = append(groups, Group{ID: cause.Group(), Title: cause.String(), Cause: cause, CreatedAt: l.CreatedAt, DueAt: l.DueAt, Example: l.ID})
		}
		g := &groups[n]
		g.Letters++
		if l.CreatedAt.Before(g.CreatedAt) {
			g.CreatedAt = l.CreatedAt
		}
		if l.DueAt.Before(g.DueAt) {
			g.DueAt, g.Example = l.DueAt, l.ID
		}
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return groups
}
