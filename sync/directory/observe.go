package directory

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phone"
	"crmsync/mapping"
)

// A Sighting is what an account's record showed when it was read.
type Sighting struct {
	// Lines are the account's lines of the mapping, Seen the values of their
	// fields in text form, by the account's names.
	Lines []mapping.Line
	Seen  map[string]string
	// Region is that of numbers without a country code (ISO 3166).
	Region string
	// At is when the record was last changed there, Fact and Account where
	// the news comes from.
	At            time.Time
	Fact, Account string
	// Revision is the mapping that Lines are of.
	Revision string

	line int // of Lines, the one that is looked at
}

// Observe merges what a record shows into the contact. Per field there are
// three versions: what the account was last told or last showed (the shadow),
// what it shows now, and the contact's own. Who differs from the shadow has
// changed it; if both have, that of the field's owner wins, whatever the clocks
// say, or else the newer one. It returns the shadow as it is
// now, so that what crmsync wrote itself is never taken for news, and what the
// account shows and should not is written again.
func (c *Contact) Observe(s Sighting, shadow map[string]string) map[string]string {
	after := make(map[string]string, len(shadow)+len(s.Lines))
	for name, text := range shadow {
		after[name] = text
	}
	ours := c.View()
	for _, l := range s.Lines {
		s.line = l.Number
		seen, read := s.Seen[l.To]
		if !read || !l.Read {
			continue
		}
		clean, valid := cleaned(l, seen, s.Region)
		if !valid {
			after[l.To] = KeptAs(seen) // theirs to mend; it is neither carried on nor written over
			continue
		}
		seen = clean
		was, told := shadow[l.To]
		told = told && !Kept(was)
		mine := ours[l.From]
		switch {
		case told && SameSeen(l.Info.Type, was, seen):
			// Nobody has touched it there.
		case Same(orNothing(mine), orNothing(seen), connectors.FieldType(l.Info.Type)) && l.Info.Type != mapping.Labels:
			after[l.To] = ShadowOf(mine)
			if l.Owner == s.Account && seen != "" && c.Fields[l.From].Text == seen {
				c.put(l.From, Value{Text: seen, At: later(c.Fields[l.From].At, s.At), Fact: s.Fact, Account: s.Account, Entered: true}, false)
			}
		case l.Info.Type == mapping.Labels:
			c.mergeLabels(l.From, was, seen, s)
			after[l.To] = ShadowOf(labelsOf(seen))
		default:
			after[l.To] = shadowOfText(seen)
			if c.yields(l, mine, told, was, seen, s) {
				c.take(l.From, seen, s)
			} else {
				c.Changed = true // so that ours is written there again
			}
		}
	}
	return after
}

// yields reports whether the contact's own value gives way to what the account
// shows.
func (c *Contact) yields(l mapping.Line, mine any, told bool, was, seen string, s Sighting) bool {
	own := ShadowOf(mine)
	switch {
	case own == "" && (!told || was == ""):
		return seen != "" // nobody has cleared it since
	case seen == "" && !told:
		return false // it has never been told, and is now
	case l.From == "consent" && own == "opted_out":
		// Somebody who knew of it has changed their mind; else it stands.
		return told && was == own
	case l.From == "consent" && seen == "opted_out":
		return true
	case told && own == was:
		return true // only they have changed it
	case l.Owner != "" && l.Owner == s.Account:
		return true
	case l.Owner != "" && l.Owner == c.Fields[l.From].Account:
		return false
	case !told && l.Info.Guess != "" && c.guessed(l.From):
		return true
	}
	return s.At.After(c.Fields[l.From].At)
}

// cleanEmail is an e-mail address as crmsync keeps it. It reports false for what
// is none.
func cleanEmail(text string) (clean string, valid bool) {
	text = strings.ToLower(strings.TrimSpace(connectors.Clean(text)))
	address, err := mail.ParseAddress(text)
	return text, err == nil && address.Address == text
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

// guessed reports whether nobody but WhatsApp has ever said what is in a field.
func (c *Contact) guessed(name string) bool { return !c.Fields[name].Entered }

// take sets a field to what an account shows.
func (c *Contact) take(name, text string, s Sighting) {
	v := Value{Text: text, At: s.At.UTC(), Fact: s.Fact, Account: s.Account, Entered: true, Revision: s.Revision, Line: s.line}
	c.Override(name, v)
	if name == "consent" {
		v.Text = TimeText(s.At)
		c.Override("consent_at", v)
	}
}

// mergeLabels adds the labels that have come there, and removes those that are
// gone.
func (c *Contact) mergeLabels(name, was, seen string, s Sighting) {
	before, now, mine := labelsOf(was), labelsOf(seen), labelsOf(c.Text(name))
	merged := slices.DeleteFunc(slices.Clone(mine), func(l string) bool { return slices.Contains(before, l) && !slices.Contains(now, l) })
	for _, l := range now {
		if !slices.Contains(before, l) && !slices.Contains(merged, l) {
			merged = append(merged, l)
		}
	}
	slices.Sort(merged)
	if text := strings.Join(merged, "\n"); text != c.Text(name) {
		c.take(name, text, s)
	}
}

// cleaned is a text as crmsync keeps it: numbers in E.164, addresses in lower
// case, names without needless space. It reports false for what is not of the
// field's type.
func cleaned(l mapping.Line, text, region string) (clean string, valid bool) {
	text = strings.TrimSpace(connectors.Clean(text))
	if text == "" {
		return "", true
	}
	switch {
	case l.From == "email":
		return cleanEmail(text)
	case l.Info.Type == mapping.Phone:
		text = phone.Normalize(text, region)
		return text, text != ""
	case l.Info.Type == mapping.Enum:
		return text, slices.Contains(l.Info.Options, text)
	case l.Info.Type == mapping.Text:
		text = strings.Join(strings.Fields(text), " ")
	}
	return text, true
}

// SameSeen reports whether an account shows what is in its shadow.
func SameSeen(t mapping.Type, was, seen string) bool {
	if t == mapping.Labels {
		a, b := labelsOf(was), labelsOf(seen)
		slices.Sort(a)
		slices.Sort(b)
		return slices.Equal(a, b)
	}
	if was == shadowOfText(seen) {
		return true
	}
	return was != "" && seen != "" && !strings.HasPrefix(was, "sha256:") && Same(was, seen, connectors.FieldType(t))
}

func shadowOfText(text string) string {
	if text == "" {
		return ""
	}
	return ShadowOf(text)
}

func labelsOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// orNothing is nil for an empty text.
func orNothing(v any) any {
	if v == "" {
		return nil
	}
	return v
}

// TextOf is the text form of a value as an account shows it.
func TextOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return TimeText(v)
	case []string:
		return strings.Join(v, "\n")
	}
	return fmt.Sprint(value)
}
