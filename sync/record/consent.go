package record

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// Words are those by which people opt out and in again.
type Words struct{ Stop, Start []string }

// wish takes in what somebody wants who writes one of the words and nothing else.
func (b *batch) wish(c *directory.Contact, f *directory.Fact) {
	if b.words == nil || f.Message.Direction != connectors.In {
		return
	}
	words, text := b.words(), plain(f.Message.Text)
	is := func(word string) bool { return plain(word) == text }
	switch {
	case text == "":
	case slices.ContainsFunc(words.Stop, is):
		optOut(c, f)
	case slices.ContainsFunc(words.Start, is):
		consent := "transactional"
		if c.Text("consent") == "marketing" {
			consent = "marketing" // which is more
		}
		agreeTo(c, f, consent)
	}
}

// plain is a short text without capitals, accents and what stands around it;
// empty for a long one.
func plain(text string) string {
	const longest = 200 // no word is as long
	if len(text) > longest {
		return ""
	}
	text = strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
	return strings.Join(strings.Fields(text), " ")
}

// reported is how long after an event WhatsApp goes on reporting it. What is older
// is from a history that is taken in later.
const reported = 7 * 24 * time.Hour

// optOut notes that somebody wants no more messages. It takes the place of what
// people have entered, who have not known of it; but what is from a history does
// not take that of a younger choice.
func optOut(c *directory.Contact, f *directory.Fact) {
	overRules(c, f)
	v := directory.Value{Text: "opted_out", At: f.When(), Fact: f.ID, Account: f.Account}
	if !c.Fields["consent"].Entered || f.ReceivedAt.Sub(v.At) > reported {
		c.Set("consent", v)
		c.Set("consent_at", directory.Value{Text: directory.TimeText(v.At), At: v.At, Fact: f.ID, Account: f.Account})
		return
	}
	c.Override("consent", v)
	at := c.Fields["consent"].At
	c.Set("consent_at", directory.Value{Text: directory.TimeText(at), At: at, Fact: f.ID, Account: f.Account})
}

// overRules makes way for what somebody wants who says so after a rule has set it, by
// arrival: a rule's time is that of our clock, the other is WhatsApp's.
func overRules(c *directory.Contact, f *directory.Fact) {
	if live(f) {
		c.Unrule("consent", "consent_at")
	}
}

// agreeTo notes what somebody wants, unless they have changed their mind since.
func agreeTo(c *directory.Contact, f *directory.Fact, consent string) {
	overRules(c, f)
	at := f.When()
	c.Set("consent", directory.Value{Text: consent, At: at, Fact: f.ID, Account: f.Account})
	c.Set("consent_at", directory.Value{Text: directory.TimeText(at), At: at, Fact: f.ID, Account: f.Account})
}
