package mapping

import (
	"maps"
	"slices"

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

// ownership is what a document says of a field's owner.
type ownership struct {
	field string
	owner *yaml.Node
}

// fields reads whose value of a field counts.
func (c *compiler) fields(node *yaml.Node) (owners []ownership) {
	c.each(node, "fields", func(field, rules *yaml.Node) {
		info, known := Contact[field.Value]
		if !known {
			c.unknown(field, slices.Sorted(maps.Keys(Contact)), "see config/mapping.yaml")
			return
		}
		c.each(rules, field.Value, func(key, value *yaml.Node) {
			switch {
			case key.Value != "owner":
				c.unknown(key, []string{"owner"}, "there is owner")
			case !info.Shared:
				c.at(key, "%s follows from WhatsApp and has no owner; owners are for what people enter", field.Value)
			case info.Type == Labels:
				c.at(key, "%s has no owner: what is added or removed in one account is added or removed in all", field.Value)
			case value.Kind != yaml.ScalarNode || value.Value == "":
				c.at(value, "the owner is the name of an account, or newest")
			case value.Value != "newest":
				owners = append(owners, ownership{field.Value, value})
			}
		})
	})
	return owners
}

// own tells the lines who owns their fields.
func (c *compiler) own(owners []ownership, m *Mapping) {
	for _, o := range owners {
		lines, known := m.accounts[o.owner.Value]
		if !known {
			names := m.Accounts()
			hint := "owners are " + list(append(names, "newest"), "and")
			c.unknown(o.owner, append(names, "newest"), hint)
			continue
		}
		if !slices.ContainsFunc(lines, func(l Line) bool { return l.From == o.field && l.Read }) {
			c.at(o.owner, "%s cannot own %s: none of its lines reads it", o.owner.Value, o.field)
			continue
		}
		for _, lines := range m.accounts {
			for i := range lines {
				if lines[i].From == o.field {
					lines[i].Owner = o.owner.Value
				}
			}
		}
	}
}

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
