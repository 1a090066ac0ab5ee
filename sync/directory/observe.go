package directory

import (
	"fmt"
	"net/mail"
	"slices"
	"strconv"
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
	// Was is the shadow as it was when the record was read, nil if that is not
	// known. Stale says that the record has been written to since. Sent is that
	// of [Link].
	Was   map[string]string
	Stale bool
	Sent  map[string][]string
	// Region is that of numbers without a country code (ISO 3166).
	Region string
	// Early says that it was read before anybody knew the record to be the
	// contact's: of the fields that were written since it says nothing.
	Early bool
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
// account shows and should not is written again. Of a field that was written
// after the record was read the shadow stays: it is the younger one. Where rules
// in two accounts change a field back and forth, the contact keeps one of the two
// values, and the other stays where it is.
func (c *Contact) Observe(s Sighting, shadow map[string]string) map[string]string {
	after := make(map[string]string, len(shadow)+len(s.Lines))
	for name, text := range shadow {
		after[name] = text
	}
	ours := c.View()
	for _, l := range s.Lines {
		s.line = l.Number
		seen, shown := s.Seen[l.To]
		if !shown || !l.Read {
			continue
		}
		now, known := shadow[l.To]
		if s.Early && known && !Kept(now) {
			continue
		}
		was, told := now, known
		base, based := s.Was[l.To]
		if s.Was != nil && s.Stale {
			was, told = base, based
		}
		latest := !s.Stale || was == now
		show := func(text string) {
			if latest {
				after[l.To] = text
			}
		}
		clean, valid := cleaned(l, seen, s.Region)
		mine, _, _ := l.Writes(ours)
		if !valid {
			switch word := trimmed(seen); {
			case known && !Kept(now) && SameSeen(l.Theirs.Type, now, word), based && !Kept(base) && SameSeen(l.Theirs.Type, base, word):
				// It is what was written there, though it cannot be read back.
			case Sent(s.Sent, l, word), ShadowOf(mine) == ShadowOf(word):
				show(SeenAs(l, word))
			default:
				show(KeptAs(seen)) // theirs to mend; it is neither carried on nor written over
			}
			continue
		}
		seen = clean
		here, _ := read(l, seen, s.Region)
		told = told && !Kept(was)
		switch {
		case known && !Kept(now) && SameSeen(l.Theirs.Type, now, seen), based && !Kept(base) && SameSeen(l.Theirs.Type, base, seen):
			// Nobody has touched it there.
		case l.Info.Guess == "name" && c.standsIn(here):
			show(SeenAs(l, seen))
			if own := ShadowOf(mine); own != "" && own != ShadowOf(seen) {
				c.Changed, c.Dirty = true, true
			}
		case Sent(s.Sent, l, seen):
			show(SeenAs(l, seen))
		case Same(orNothing(mine), orNothing(seen), connectors.FieldType(l.Theirs.Type)) && l.Info.Type != mapping.Labels:
			if own := ShadowOf(mine); Digested(own) && own != SeenAs(l, seen) {
				show(CutTo(own, SeenAs(l, seen))) // else it would be news again
			} else {
				show(own)
			}
			if l.Owner == s.Account && seen != "" && c.Fields[l.From].Text == here {
				c.put(l.From, Value{Text: here, At: later(c.Fields[l.From].At, s.At), Fact: s.Fact, Account: s.Account, Entered: true}, false)
			}
		case l.Info.Type == mapping.Labels:
			if !told {
				was = ""
			}
			show(SeenAs(l, seen))
			if !c.mergeLabels(l.From, WithSent(l, was, s.Sent, seen), seen, s) {
				show(KeptAs(seen))
			}
		default:
			show(SeenAs(l, seen))
			switch {
			case !c.yields(l, mine, told, Told(was), here, s):
				c.Changed, c.Dirty = true, true // so that ours is written there again
			case c.turns(l.From, here, s) > mostTurns && here != "opted_out":
				show(KeptAs(seen))
			default:
				c.keepTogether(l.From, ours, s)
				c.take(l.From, here, s)
			}
		}
	}
	return after
}

// yields reports whether the contact's own value, which is mine in the account's
// form, gives way to what the account shows, which is seen in the contact's.
func (c *Contact) yields(l mapping.Line, mine any, told bool, was, seen string, s Sighting) bool {
	own := ShadowOf(mine)
	knew, _ := l.Reads(was)
	if !l.Written {
		was = knew // mine is in the contact's form, too
	}
	switch {
	case own == "" && (!told || was == "") && !c.Fields[l.From].Entered:
		return seen != "" // nobody has emptied it
	case seen == "" && !told:
		return false // it has never been told, and is now
	case l.From == "consent" && c.Text("consent") == "opted_out":
		// Somebody who knew of it has changed it since; else it stands.
		return told && knew == "opted_out" && seen != "" && s.At.After(c.Fields[l.From].At)
	case l.From == "consent" && seen == "opted_out":
		return true
	case told && own == was && l.From != "consent":
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

// keepTogether holds on to the other part of a name of which people have entered
// one: it would follow WhatsApp else, or be nobody's.
func (c *Contact) keepTogether(name string, ours map[string]any, s Sighting) {
	parts := []string{"first_name", "last_name"}
	if !slices.Contains(parts, name) {
		return
	}
	for _, part := range parts {
		if _, known := c.Fields[part]; known || part == name {
			continue
		}
		c.put(part, Value{Text: TextOf(ours[part]), Fact: s.Fact, Account: s.Account}, false)
	}
}

// standsIn reports whether a name is what stands for one that is not known: the
// number, which some accounts want in the place of a last name.
func (c *Contact) standsIn(name string) bool {
	return name != "" && slices.Contains([]string{c.Text("phone"), c.Text("wa_id"), c.Text("user_id"), c.Text("username")}, name)
}

// guessed reports whether nobody but WhatsApp has ever said what is in a field.
func (c *Contact) guessed(name string) bool { return !c.Fields[name].Entered }

const (
	// mostTurns is how often two accounts may give a field their values in turn,
	// each within turnsWithin of the other. Rules that work in both would do so
	// for ever, and people do not.
	mostTurns   = 3
	turnsWithin = 10 * time.Minute
)

// turns is how often accounts will have given a field two values in turn, once it
// has this one: 0 for a value that is not the one before last.
func (c *Contact) turns(name, text string, s Sighting) int {
	old := c.Fields[name]
	if old.Account == s.Account || old.Before != ShadowOf(text) || s.At.Sub(old.At) > turnsWithin {
		return 0
	}
	return old.Turns + 1
}

// take sets a field to what an account shows.
func (c *Contact) take(name, text string, s Sighting) {
	turns := c.turns(name, text, s)
	if old, known := c.Fields[name]; known && !old.Entered {
		if _, remembered := c.Fields[said+name]; !remembered && mapping.Contact[name].Shared {
			c.put(said+name, old, false) // WhatsApp's, from before that was kept apart
		}
	}
	v := Value{Text: text, At: s.At.UTC(), Fact: s.Fact, Account: s.Account, Entered: true, Revision: s.Revision, Line: s.line, Turns: turns}
	if old := c.Fields[name]; old.Entered && old.Account != s.Account {
		v.Before = ShadowOf(old.Text)
	}
	c.Override(name, v)
	if name == "consent" {
		v.Text = TimeText(s.At)
		c.Override("consent_at", v)
	}
}

// mergeLabels adds the labels that have come there, and removes those that are
// gone. It reports false where another account has done the opposite too often.
func (c *Contact) mergeLabels(name, was, seen string, s Sighting) bool {
	before, now, mine := labelsOf(was), labelsOf(seen), labelsOf(c.Text(name))
	merged := slices.DeleteFunc(slices.Clone(mine), func(l string) bool { return slices.Contains(before, l) && !slices.Contains(now, l) })
	for _, l := range now {
		if !slices.Contains(before, l) && !slices.Contains(merged, l) {
			merged = append(merged, l)
		}
	}
	slices.Sort(merged)
	text := strings.Join(merged, "\n")
	if text == c.Text(name) {
		return true
	}
	if c.turns(name, text, s) > mostTurns {
		return false
	}
	c.take(name, text, s)
	return true
}

// cleaned is what an account shows, in the account's form as crmsync keeps it. It
// reports false for what is not of the field's type.
func cleaned(l mapping.Line, text, region string) (clean string, valid bool) {
	if !l.Translated() {
		return read(l, text, region)
	}
	_, valid = read(l, text, region)
	return trimmed(text), valid
}

func trimmed(text string) string { return strings.TrimSpace(connectors.Clean(text)) }

// read is what an account shows, in the contact's form as crmsync keeps it:
// numbers in E.164, addresses in lower case, names without needless space. It
// reports false for what is not of the field's type.
func read(l mapping.Line, text, region string) (clean string, valid bool) {
	text, valid = l.Reads(trimmed(text))
	if text == "" || !valid {
		return "", valid
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
	case l.Info.Type == mapping.Number, l.Info.Type == mapping.Decimal, l.Info.Type == mapping.Bool, l.Info.Type == mapping.Time:
		_, valid = mapping.Typed(l.Info.Type, text)
	}
	return text, valid
}

// NamesSomebody reports whether a record has a number by which its person is
// known, or an e-mail address where that counts. seen is what it shows in a field.
func NamesSomebody(lines []mapping.Line, seen func(field string) string, region string, byEmail bool) bool {
	return slices.ContainsFunc(lines, func(l mapping.Line) bool {
		text, _ := l.Reads(seen(l.To))
		switch {
		case l.From == "phone":
			return phone.Normalize(text, region) != ""
		case l.From == "email" && byEmail:
			_, is := EmailKey(text)
			return is
		}
		return false
	})
}

// SameSeen reports whether an account shows what is in its shadow.
func SameSeen(t mapping.Type, was, seen string) bool {
	was = shownOf(was)
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

// Sent reports whether a value is one of those that were sent to the field.
func Sent(sent map[string][]string, l mapping.Line, seen string) bool {
	return slices.ContainsFunc(sent[l.To], func(was string) bool { return SameSeen(l.Theirs.Type, was, seen) })
}

// SeenAs is the form in a shadow of what a field shows.
func SeenAs(l mapping.Line, seen string) string {
	if l.Info.Type == mapping.Labels {
		return ShadowOf(labelsOf(seen))
	}
	return shadowOfText(seen)
}

// WithSent is what a field is known to have shown, with what was sent to it and
// may be there, as far as it shows that.
func WithSent(l mapping.Line, was string, sent map[string][]string, seen string) string {
	if Sent(sent, l, seen) {
		return SeenAs(l, seen)
	}
	if l.Info.Type != mapping.Labels || Kept(was) {
		return was
	}
	labels := labelsOf(was)
	for _, set := range sent[l.To] {
		for _, label := range labelsOf(set) {
			if slices.Contains(labelsOf(seen), label) && !slices.Contains(labels, label) {
				labels = append(labels, label)
			}
		}
	}
	return ShadowOf(labels)
}

// Shows reports whether a field of an account shows what its shadow says, in the
// account's own way.
func Shows(l mapping.Line, shadow map[string]string, seen, region string) bool {
	was, told := shadow[l.To]
	if told && was == shadowOfText(seen) {
		return true // to the letter, as nearly all do
	}
	clean, valid := cleaned(l, seen, region)
	switch {
	case !valid:
		return was == KeptAs(seen) || told && !Kept(was) && SameSeen(l.Theirs.Type, was, trimmed(seen))
	case Kept(was):
		return was == KeptAs(seen) && !l.Translated() // which the mapping may read by now
	}
	return told && SameSeen(l.Theirs.Type, was, clean)
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
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}
