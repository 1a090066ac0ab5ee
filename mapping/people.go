package mapping

import (
	"go.yaml.in/yaml/v4"
)

// People says when two are one person.
type People struct {
	// ByEmail says that who has the same e-mail address is the same person, as
	// who has the same phone number is.
	ByEmail bool
	// ByName says that records with the same phone number or address and
	// different full names are different people.
	ByName bool
}

// People returns the document's rules of who is who.
func (m *Mapping) People() People { return m.people }

// OnDelete says what follows when somebody deletes a contact's record in an
// account.
type OnDelete string

// What may follow.
const (
	// Unlink leaves it at that, until there is a message from or to the person.
	Unlink OnDelete = "unlink"
	// Recreate brings the person back at once.
	Recreate OnDelete = "recreate"
	// Erase forgets the person here and deletes their records in all accounts.
	Erase OnDelete = "erase"
)

// OnDelete returns an account's rule.
func (m *Mapping) OnDelete(account string) OnDelete {
	if rule, stated := m.onDelete[account]; stated {
		return rule
	}
	return Unlink
}

// Merges reports whether an account's duplicates are merged, and not only
// listed.
func (m *Mapping) Merges(account string) bool { return m.merges[account] }

// whoIsWho reads when two are one person.
func (c *compiler) whoIsWho(node *yaml.Node) (p People) {
	c.each(node, "people", func(key, value *yaml.Node) {
		switch key.Value {
		case "match":
			p.ByEmail = c.match(value)
		case "same_phone":
			p.ByName = c.word(value, "same_phone", "same_person", "by_name") == "by_name"
		default:
			c.unknown(key, []string{"match", "same_phone"}, "there are match and same_phone")
		}
	})
	return p
}

// match reads by what people are known.
func (c *compiler) match(node *yaml.Node) (byEmail bool) {
	if node.Kind != yaml.SequenceNode {
		c.at(node, "match is [phone] or [phone, email]")
		return false
	}
	seen := map[string]bool{}
	for _, n := range node.Content {
		seen[c.word(n, "a name in match", "phone", "email")] = true
	}
	if !seen["phone"] && !seen[""] {
		c.at(node, "match is [phone] or [phone, email]: without the phone number nobody would be found")
	}
	return seen["email"]
}

// duplicates reads whether several records of one person in an account are merged.
func (c *compiler) duplicates(node *yaml.Node) (merge bool) {
	return c.word(node, "duplicates", "report", "merge") == "merge"
}

// onDelete reads what follows when a record is deleted.
func (c *compiler) onDelete(node *yaml.Node) OnDelete {
	return OnDelete(c.word(node, "on_delete", "unlink", "recreate", "erase"))
}
