package mapping

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// line reads a line of an account's contact: the contact field's name, or that
// and a direction.
func (c *compiler) line(to, from *yaml.Node) (l Line, ok bool) {
	if to.Value == "" || strings.ContainsFunc(to.Value, unicode.IsSpace) {
		c.at(to, "%q is not the name of an account's field: it is empty or has a blank", to.Value)
		return l, false
	}
	field, direction := from, (*yaml.Node)(nil)
	if from.Kind == yaml.MappingNode {
		field = nil
		faults := len(c.findings)
		c.each(from, "a field", func(key, value *yaml.Node) {
			switch key.Value {
			case "field":
				field = value
			case "direction":
				direction = value
			default:
				c.unknown(key, []string{"field", "direction"}, "there are field and direction")
			}
		})
		if len(c.findings) > faults {
			return l, false
		}
	}
	if field == nil || field.Kind != yaml.ScalarNode || field.Value == "" {
		c.at(from, "%s needs the name of a contact field, such as %s: first_name", to.Value, to.Value)
		return l, false
	}
	info, known := Contact[field.Value]
	if !known {
		c.unknown(field, slices.Sorted(maps.Keys(Contact)), "see config/mapping.yaml")
		return l, false
	}
	l = Line{To: to.Value, From: field.Value, Info: info, Number: to.Line, Written: true, Read: info.Shared}
	if l.plain = direction == nil; l.plain {
		return l, true
	}
	switch word := c.word(direction, "the direction", "both", "to", "from"); {
	case word == "":
		return l, false
	case word != "to" && !info.Shared:
		c.at(direction, "%s follows from WhatsApp and is not read from an account; write to, or leave the direction out", l.From)
		return l, false
	default:
		l.Written, l.Read = word != "from", word != "to"
	}
	return l, true
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

// list is words as a sentence has them.
func list(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}
