package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Finding is one fault of a document. Line is 0 for what has no place in it.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Problem string `json:"problem"`
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Problem
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Problem)
}

// Findings are all faults of a document, in its order.
type Findings []Finding

func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Compile reads a mapping document. file is its name for findings. The error,
// if any, is of type [Findings].
func Compile(file string, source []byte) (*Mapping, error) {
	c := compiler{file: file, source: string(source), tables: map[string]map[string]string{}}
	m := &Mapping{
		revision: RevisionOf(source), accounts: map[string][]Line{}, onDelete: map[string]OnDelete{}, merges: map[string]bool{}, tasks: map[string]bool{},
		fields: map[string]Info{}, computed: map[string]*computed{}, messages: map[string]logging{},
	}
	if doc := c.parse(source); doc != nil {
		c.document(doc, m)
	}
	if len(c.findings) == 0 {
		return m, nil
	}
	slices.SortStableFunc(c.findings, func(x, y Finding) int { return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column)) })
	if n := len(c.findings); n > maxFindings {
		c.findings = c.findings[:maxFindings]
		c.found(c.findings[maxFindings-1].Line, 1, "and %d more findings", n-maxFindings)
	}
	return nil, c.findings
}

type compiler struct {
	file        string
	source      string
	findings    Findings
	expressions int // so far
	tables      map[string]map[string]string
	// contact has the contact's fields, and those are what expressions may name.
	contact *scope
	// event has what rules may name beside.
	event *scope
	teams map[string][]string
	hours map[string]*hours
	named []PersonUse
}

func (c *compiler) found(line, column int, format string, args ...any) {
	c.findings = append(c.findings, Finding{c.file, line, column, fmt.Sprintf(format, args...)})
}

func (c *compiler) at(n *yaml.Node, format string, args ...any) {
	c.found(n.Line, n.Column, format, args...)
}

func (c *compiler) document(doc *yaml.Node, m *Mapping) {
	sections := c.keys(doc, "the document", []string{"version", "tables", "fields", "people", "accounts", "teams", "hours", "rules"})
	if sections == nil {
		return
	}
	if v := sections["version"]; v == nil {
		c.found(1, 1, "version is missing; write version: 1")
	} else if v.Value != "1" {
		c.at(v, "version is not 1, and this program understands version 1 only")
	}
	if tables := sections["tables"]; tables != nil {
		c.readTables(tables)
	}
	var owners []ownership
	if fields := sections["fields"]; fields != nil {
		owners = c.fields(fields, m)
	}
	c.compute(m)
	if people := sections["people"]; people != nil {
		m.people = c.whoIsWho(people)
	}
	if accounts := sections["accounts"]; accounts != nil {
		c.each(accounts, "accounts", func(name, account *yaml.Node) { c.account(name.Value, account, m) })
	}
	c.own(owners, m)
	if teams := sections["teams"]; teams != nil {
		c.teams = c.readTeams(teams)
	}
	if hours := sections["hours"]; hours != nil {
		c.hours = c.readHours(hours)
	}
	if rules := sections["rules"]; rules != nil {
		c.readRules(rules, m)
	}
	m.named = c.named
	if len(c.findings) == 0 && len(m.accounts) == 0 {
		c.found(1, 1, "there are no accounts, so nothing would be written; see config/mapping.yaml")
	}
}

func (c *compiler) account(name string, node *yaml.Node, m *Mapping) {
	m.accounts[name] = nil
	c.each(node, "an account", func(key, value *yaml.Node) {
		switch key.Value {
		case "contact":
			c.each(value, "contact", func(to, from *yaml.Node) {
				if l, ok := c.line(to, from, m); ok {
					m.accounts[name] = c.add(m.accounts[name], l, from)
				}
			})
		case "message":
			m.messages[name] = c.message(value)
		case "duplicates":
			m.merges[name] = c.duplicates(value)
		case "on_delete":
			m.onDelete[name] = c.onDelete(value)
		default:
			keys := []string{"contact", "message", "duplicates", "on_delete"}
			hint := "there " + are(keys)
			if value.Kind == yaml.ScalarNode {
				hint += "; fields stand one step further in, under contact:"
			}
			c.unknown(key, keys, hint)
		}
	})
}

// each calls f for each key of a mapping node and returns the keys seen, nil
// if the node is no mapping.
func (c *compiler) each(node *yaml.Node, what string, f func(key, value *yaml.Node)) map[string]bool {
	switch {
	case node.Kind == yaml.MappingNode:
	case node.Tag == "!!null":
		c.at(node, "there is nothing under %s; is what follows indented further than it?", what)
		return nil
	case node.Kind == yaml.SequenceNode:
		c.at(node, "%s must hold lines of the form key: value, without dashes or [ ]", what)
		return nil
	case strings.ContainsRune(node.Value, '\u00a0'):
		c.at(node, "there is a no-break space here, as word processors and web pages have them; replace it by a blank")
		return nil
	case strings.Contains(node.Value, ":"):
		c.at(node, "%s must hold lines of the form key: value; after the colon there must be a blank", what)
		return nil
	default:
		c.at(node, "%s must hold lines of the form key: value", what)
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			c.at(key, "a key must be a plain word")
			continue
		case seen[key.Value]:
			c.at(key, "%s is there twice; keep one of the lines", clip(key.Value))
			continue
		}
		seen[key.Value] = true
		f(key, value)
	}
	return seen
}

// text is a node's text, a finding if it has none.
func (c *compiler) text(node *yaml.Node, what string) string {
	if node.Kind != yaml.ScalarNode || node.Value == "" || node.Tag == "!!null" {
		c.at(node, "%s must be a text", what)
		return ""
	}
	return node.Value
}

// texts are those of a list.
func (c *compiler) texts(node *yaml.Node, what string) (list []string) {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		c.at(node, "%s must be a list, such as [gold, silver]", what)
		return nil
	}
	for _, n := range node.Content {
		text := c.text(n, "each of "+what)
		if text != "" && slices.Contains(list, text) {
			c.at(n, "%s is there twice", clip(text))
		}
		list = append(list, text)
	}
	return list
}

// unknown reports a word that is none of names: the nearest, else a hint.
func (c *compiler) unknown(node *yaml.Node, names []string, hint string) {
	if near := nearest(node.Value, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	c.at(node, "there is no %q; %s", clip(node.Value), hint)
}
