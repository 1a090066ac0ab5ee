package mapping

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"go.yaml.in/yaml/v4"
)

// fieldName is what a field of a document's own may be called.
var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// taken are names with a meaning of their own in expressions.
var taken = []string{"value", "in", "true", "false", "null", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}

// ownTypes are the types of a document's own fields.
var ownTypes = map[string]Type{"text": Text, "long_text": Long, "number": Number, "decimal": Decimal, "bool": Bool, "time": Time, "enum": Enum}

// A computed field follows from others.
type computed struct {
	node  *yaml.Node
	value *expression
}

// ownership is what a document says of a field's owner.
type ownership struct {
	field string
	owner *yaml.Node
}

// fields reads what is said of contact fields: whose value counts, and which
// fields of its own the document has.
func (c *compiler) fields(node *yaml.Node, m *Mapping) (owners []ownership) {
	c.each(node, "fields", func(field, rules *yaml.Node) {
		_, known := Contact[field.Value]
		allowed := []string{"owner"}
		if !known {
			allowed = []string{"type", "value", "label", "options", "owner"}
		}
		keys := c.keys(rules, field.Value, allowed)
		if !known && !c.declare(field, keys, m) {
			return
		}
		info, _ := m.Field(field.Value)
		switch owner := keys["owner"]; {
		case owner == nil:
		case keys["value"] != nil:
			c.at(owner, "%s follows from other fields and has no owner", field.Value)
		case !info.Shared:
			c.at(keyOf(rules, "owner"), "%s follows from WhatsApp and has no owner; owners are for what people enter", field.Value)
		case info.Type == Labels:
			c.at(keyOf(rules, "owner"), "%s has no owner: what is added or removed in one account is added or removed in all", field.Value)
		case owner.Kind != yaml.ScalarNode || owner.Value == "":
			c.at(owner, "the owner is the name of an account, or newest")
		case owner.Value != "newest":
			owners = append(owners, ownership{field.Value, owner})
		}
	})
	return owners
}

// keyOf is the node of a key.
func keyOf(node *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i]
		}
	}
	return node
}

func are(names []string) string {
	if len(names) == 1 {
		return "is " + names[0]
	}
	return "are " + list(names, "and")
}

// declare reads a field of the document's own.
func (c *compiler) declare(field *yaml.Node, keys map[string]*yaml.Node, m *Mapping) bool {
	name := field.Value
	info := Info{Type: Text, Label: name, Shared: keys["value"] == nil}
	if nearest(name, slices.Sorted(maps.Keys(Contact))) == "" {
		m.fields[name] = info // whatever is wrong with it, so that this is said once
	}
	switch {
	case keys["type"] == nil && keys["value"] == nil:
		c.unknown(field, slices.Sorted(maps.Keys(Contact)), "a field of your own needs a type, such as "+name+": {type: text}")
		return false
	case !fieldName.MatchString(name):
		c.at(field, "%q is no name for a field: small letters, digits and _, at most 40, beginning with a letter", clip(name))
		return false
	case slices.Contains(taken, name):
		c.at(field, "%s means something else in expressions; give the field another name", name)
		return false
	}
	if typ := keys["type"]; typ != nil {
		words := slices.Sorted(maps.Keys(ownTypes))
		word := c.word(typ, "the type", words...)
		if word == "" {
			return false
		}
		info.Type = ownTypes[word]
	}
	if label := keys["label"]; label != nil {
		info.Label = c.text(label, "the label")
	}
	if options := keys["options"]; options != nil {
		info.Options = c.texts(options, "options")
		if info.Type != Enum {
			c.at(options, "only a field of type enum has options")
		}
	} else if info.Type == Enum {
		c.at(field, "%s is of type enum and needs its options, such as options: [gold, silver]", name)
	}
	m.fields[name] = info
	if keys["value"] != nil {
		m.computed[name] = &computed{node: keys["value"]}
	}
	return true
}

// maxComputed is the most computed fields that a document may have.
const maxComputed = 200

// compute compiles the computed fields, each after those that it follows from.
func (c *compiler) compute(m *Mapping) {
	names, unknown := map[string]Type{}, map[string]Type{}
	for name, info := range allFields(m.fields) {
		switch {
		case !fieldName.MatchString(name), slices.Contains(taken, name):
		case m.computed[name] != nil:
			unknown[name] = info.Type
		default:
			names[name] = info.Type
		}
	}
	c.contact = newScope(c.tablesScope(), names)
	all := slices.Sorted(maps.Keys(m.computed))
	if len(all) > maxComputed {
		c.at(m.computed[all[0]].node, "there are more than %d computed fields", maxComputed)
		c.contact = newScope(c.contact, unknown)
		return
	}
	follows := map[string][]string{}
	for _, name := range all {
		follows[name] = slices.DeleteFunc(c.mentions(m.computed[name].node), func(other string) bool { return m.computed[other] == nil })
	}
	if c.circles(all, follows, m) {
		c.contact = newScope(c.contact, unknown)
		return
	}
	for len(all) > 0 {
		ready := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
			return slices.ContainsFunc(follows[name], func(other string) bool { return slices.Contains(all, other) })
		})
		types := map[string]Type{}
		for _, name := range ready {
			field, info := m.computed[name], m.fields[name]
			var want []Type
			if info.Type != Text {
				want = []Type{kindOf(info.Type)}
			}
			if field.value = c.expression(field.node, c.contact, want...); field.value != nil && info.Type == Text {
				info.Type = field.value.gives
				m.fields[name] = info
			}
			types[name] = info.Type
		}
		c.contact = newScope(c.contact, types)
		all = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(ready, name) })
	}
}

// circles finds computed fields that follow from themselves.
func (c *compiler) circles(all []string, follows map[string][]string, m *Mapping) (found bool) {
	var path []string
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if i := slices.Index(path, name); i >= 0 {
			c.at(m.computed[name].node, "%s follows from itself: %s", name, strings.Join(append(slices.Clone(path[i:]), name), " from "))
			found = true
			return
		}
		if done[name] {
			return
		}
		path = append(path, name)
		for _, other := range follows[name] {
			visit(other)
		}
		path = path[:len(path)-1]
		done[name] = true
	}
	for _, name := range all {
		visit(name)
	}
	return found
}

// kindOf is what an expression has to give for a field.
func kindOf(t Type) Type {
	switch t {
	case Long, Phone, Enum, Owner:
		return Text
	default:
		return t
	}
}

// mentions are the names in an expression, which may be wrong otherwise.
func (c *compiler) mentions(node *yaml.Node) (names []string) {
	if len(node.Value) > maxExpression {
		return nil
	}
	parsed, issues := c.contact.env.Parse(node.Value)
	if issues.Err() != nil {
		return nil
	}
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.IdentKind {
			names = append(names, x.AsIdent())
		}
	}))
	return names
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

// Field describes a contact field: one of crmsync's own, or of the document's.
func (m *Mapping) Field(name string) (Info, bool) {
	if info, own := m.fields[name]; own {
		return info, true
	}
	info, known := Contact[name]
	return info, known
}

// Fields are the names of all contact fields, sorted.
func (m *Mapping) Fields() []string {
	return slices.Sorted(maps.Keys(allFields(m.fields)))
}

func allFields(own map[string]Info) map[string]Info {
	all := maps.Clone(Contact)
	maps.Copy(all, own)
	return all
}
