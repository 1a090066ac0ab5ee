package mapping

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"crmsync/connectors/phone"
)

// lineKeys are what a line may say.
var lineKeys = []string{"field", "value", "direction", "write", "read", "options", "default", "when_empty", "max_length", "overflow", "required"}

// lineHints lead on what people look for in a line and is elsewhere.
var lineHints = map[string]string{
	"owner":     "whose value counts is said once for all accounts, under fields, such as email: {owner: zoho}",
	"match":     "by what people are found is said once for all accounts, under people, such as match: [phone, email]",
	"transform": "write: EXPRESSION says what is written, such as write: upper(value)",
	"template":  "value: EXPRESSION computes a value, such as value: \"first_name + ' ' + last_name\"",
	"type":      "the account knows its fields' types; those of your own contact fields stand under fields",
}

// line reads a line of an account's contact: the contact field's name, or that
// and how it is carried.
func (c *compiler) line(to, from *yaml.Node, m *Mapping) (l Line, ok bool) {
	if to.Value == "" || strings.ContainsFunc(to.Value, unicode.IsSpace) {
		c.at(to, "%q is not the name of an account's field: it is empty or has a blank", clip(to.Value))
		return l, false
	}
	keys := map[string]*yaml.Node{"field": from}
	faults := len(c.findings)
	if from.Kind == yaml.MappingNode {
		delete(keys, "field")
		c.each(from, "a field", func(key, value *yaml.Node) {
			switch {
			case lineHints[key.Value] != "":
				c.at(key, "a line has no %s: %s", key.Value, lineHints[key.Value])
			case !slices.Contains(lineKeys, key.Value):
				c.unknown(key, lineKeys, "there "+are(lineKeys))
			default:
				keys[key.Value] = value
			}
		})
	}
	l = Line{To: to.Value, Number: to.Line, Column: to.Column, Written: true, of: m}
	switch field, value := keys["field"], keys["value"]; {
	case len(c.findings) > faults:
		return l, false
	case field != nil && value != nil:
		c.at(value, "%s has a field or a value, not both; to change a field's value write: write: upper(value)", l.To)
		return l, false
	case value != nil:
		c.computedLine(&l, value, keys)
	case field == nil || field.Kind != yaml.ScalarNode || field.Value == "":
		c.at(from, "%s needs the name of a contact field, such as %s: first_name", to.Value, to.Value)
		return l, false
	default:
		c.fieldLine(&l, field, keys, m)
	}
	c.translation(&l, keys)
	c.gaps(&l, keys)
	return l, len(c.findings) == faults
}

// computedLine reads a line whose value follows from several fields.
func (c *compiler) computedLine(l *Line, value *yaml.Node, keys map[string]*yaml.Node) {
	l.plain = true
	for _, key := range []string{"direction", "write", "read"} {
		if node := keys[key]; node != nil {
			c.at(node, "a computed value is only written, as its expression says: leave %s out", key)
		}
	}
	if l.value = c.expression(value, c.contact); l.value != nil {
		l.Info = Info{Type: l.value.gives, Label: l.To}
		l.Theirs = l.Info
	}
}

// fieldLine reads which contact field a line carries, and in which direction.
func (c *compiler) fieldLine(l *Line, field *yaml.Node, keys map[string]*yaml.Node, m *Mapping) {
	info, known := m.Field(field.Value)
	if !known {
		hint := "see config/mapping.yaml for the contact fields, or make one of your own under fields"
		if near := nearest(field.Value, m.Fields()); near != "" {
			hint = "did you mean " + near + "?"
		}
		if _, swapped := m.Field(l.To); swapped {
			hint += " Left stands the account's field, right the contact's"
		}
		c.at(field, "there is no contact field %q; %s", clip(field.Value), hint)
		return
	}
	l.From, l.Info, l.Theirs, l.Read = field.Value, info, info, info.Shared
	oneWay := keys["write"] != nil && keys["read"] == nil
	direction := keys["direction"]
	if l.plain = direction == nil; l.plain {
		l.Read = l.Read && !oneWay
		return
	}
	switch word := c.word(direction, "the direction", "both", "to", "from"); {
	case word == "":
	case word != "to" && !info.Shared:
		c.at(direction, "%s follows from %s and is not read from an account; write to, or leave the direction out", l.From, source(m, l.From))
	case word != "to" && oneWay:
		c.at(direction, "what write makes of %s has to be undone when it is read: say how with read, or write direction: to", l.From)
	default:
		l.Written, l.Read = word != "from", word != "to"
	}
}

func source(m *Mapping, field string) string {
	if m.computed[field] != nil {
		return "other fields"
	}
	return "WhatsApp"
}

// translation reads how the account's form of a value differs from the contact's.
func (c *compiler) translation(l *Line, keys map[string]*yaml.Node) {
	write, read, options := keys["write"], keys["read"], keys["options"]
	if l.Info.Type == "" || write == nil && read == nil && options == nil {
		return
	}
	if options != nil && (write != nil || read != nil) {
		c.at(options, "%s has options, or write and read, not both; lookup(…) finds a value in a table", l.To)
		return
	}
	if l.Info.Type == Labels {
		c.at(cmp.Or(options, write, read), "labels are a set and are carried as they are; for one value of them write: value: \"'vip' in labels ? 'VIP' : ''\"")
		return
	}
	if options != nil {
		c.options(l, options)
		return
	}
	if write != nil {
		in := newScope(c.contact, map[string]Type{"value": kindOf(l.Info.Type)})
		if l.write = c.expression(write, in); l.write != nil {
			l.Theirs = Info{Type: l.write.gives, Label: l.Info.Label}
			if l.Theirs.Type == Text && (l.Info.Type == Long || l.Info.Type == Owner) {
				l.Theirs.Type = l.Info.Type
			}
		}
	}
	if read == nil || l.Theirs.Type == "" {
		return
	}
	if !l.Info.Shared {
		c.at(read, "%s is not read from an account, as it does not belong to its people; leave read out", l.From)
		return
	}
	in := newScope(c.tablesScope(), map[string]Type{"value": kindOf(l.Theirs.Type)})
	l.read = c.expression(read, in, kindOf(l.Info.Type))
}

// options reads which of the account's options stands for which value.
func (c *compiler) options(l *Line, node *yaml.Node) {
	l.options, l.back = map[string]string{}, map[string]string{}
	first := map[string]string{}
	l.Theirs = Info{Type: Enum, Label: l.Info.Label}
	c.each(node, "options", func(key, value *yaml.Node) {
		ours, theirs := key.Value, c.text(value, "an option of "+l.To)
		switch {
		case theirs == "":
			return
		case ours == "*":
			l.other = theirs
		case len(l.Info.Options) > 0 && !slices.Contains(l.Info.Options, ours):
			c.unknown(key, l.Info.Options, l.From+" is "+list(l.Info.Options, "or"))
			return
		default:
			l.options[ours] = theirs
		}
		if was, twice := first[theirs]; twice && l.Read && ours != "*" {
			c.at(value, "%q stands for %q already, so nobody knows what it means when it is read; write direction: to, or another option", clip(theirs), clip(was))
			return
		}
		if !slices.Contains(l.Theirs.Options, theirs) {
			l.Theirs.Options = append(l.Theirs.Options, theirs)
		}
		if ours != "*" {
			first[theirs], l.back[theirs] = ours, ours
		}
	})
	switch {
	case node.Kind == yaml.MappingNode && len(node.Content) == 0:
		c.at(node, "there are no options; write such as options: {it: Italian}")
	case l.other != "" && l.Read && first[l.other] != "":
		c.at(node, "%q stands for %q and for all that has no option, so nobody knows what it means when it is read; write direction: to, or another option", clip(l.other), clip(first[l.other]))
	}
}

// gaps reads what becomes of values that are missing or too long.
func (c *compiler) gaps(l *Line, keys map[string]*yaml.Node) {
	text := kindOf(l.Theirs.Type) == Text
	if node := keys["default"]; node != nil {
		word := c.text(node, "the default")
		v, ok := Typed(kindOf(l.Theirs.Type), word)
		switch {
		case word == "" || l.Theirs.Type == "":
		case l.Theirs.Type == Labels, !ok:
			c.at(node, "the default of %s must be %s", l.To, nameOf(kindOf(l.Theirs.Type)))
		case l.Theirs.Type == Phone && phone.Normalize(word, "") == "":
			c.at(node, "the default of %s must be a phone number with its country, such as +39333…", l.To)
		default:
			l.otherwise = v
			if l.From == "consent" && word == "marketing" {
				c.at(node, "a default stands for people who have said nothing, and nobody agrees to marketing by saying nothing")
			}
			if l.Theirs.Type == Enum && !slices.Contains(l.Theirs.Options, word) {
				l.Theirs.Options = append(slices.Clone(l.Theirs.Options), word)
			}
		}
	}
	if node := keys["when_empty"]; node != nil {
		l.keepEmpty = c.word(node, "when_empty", "clear", "keep") == "keep"
		if l.otherwise != nil {
			c.at(node, "%s has a default, so it is never empty; leave one of the two out", l.To)
		}
	}
	if node := keys["max_length"]; node != nil {
		l.most = c.number(node, "max_length", 1, 65_000)
		if t := l.Theirs.Type; t != "" && t != Text && t != Long {
			c.at(node, "only texts are cut; %s holds %s", l.To, map[bool]string{true: "one of several words, or a number", false: nameOf(t)}[text])
		}
	}
	if node := keys["overflow"]; node != nil {
		l.refuseLong = c.word(node, "overflow", "cut", "refuse") == "refuse"
		if keys["max_length"] == nil {
			c.at(node, "overflow says what becomes of longer texts than max_length; that is missing")
		}
	}
	if node := keys["required"]; node != nil {
		l.required = c.yes(node, "required")
	}
	for _, key := range []string{"default", "when_empty", "max_length", "overflow", "required"} {
		if keys[key] != nil && !l.Written {
			c.at(keys[key], "%s is only read, and %s is about writing", l.To, key)
		}
	}
}

// add adds a line to an account's. Of several lines of one contact field only one
// is read: the first, or the one that says so.
func (c *compiler) add(lines []Line, l Line, at *yaml.Node) []Line {
	i := slices.IndexFunc(lines, func(o Line) bool { return o.From == l.From && o.Read && l.Read })
	switch {
	case i < 0:
	case l.plain:
		l.Read = false
	case !lines[i].plain:
		c.at(at, "%s is read from %s already (line %d); of two fields nobody knows which is right: write %s: {field: %s, direction: to}",
			l.From, lines[i].To, lines[i].Number, l.To, l.From)
		return lines
	default:
		lines[i].Read = false
	}
	return append(lines, l)
}

// word returns the word that a node holds, empty if it is none of those that it
// may hold.
func (c *compiler) word(node *yaml.Node, what string, words ...string) string {
	if node.Kind == yaml.ScalarNode && slices.Contains(words, node.Value) {
		return node.Value
	}
	hint := list(words, "or")
	if near := nearest(node.Value, words); node.Kind == yaml.ScalarNode && near != "" {
		hint += "; did you mean " + near + "?"
	}
	c.at(node, "%s is %s", what, hint)
	return ""
}

// number is a whole number between two.
func (c *compiler) number(node *yaml.Node, what string, least, most int) int {
	n, err := strconv.Atoi(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil || n < least || n > most {
		c.at(node, "%s must be a whole number between %d and %d", what, least, most)
	}
	return n
}

// yes reads yes or no.
func (c *compiler) yes(node *yaml.Node, what string) bool {
	return slices.Contains([]string{"true", "yes"}, c.word(node, what, "true", "false", "yes", "no"))
}

// list is words as a sentence has them.
func list(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}
