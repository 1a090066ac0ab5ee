// Package example reads and writes examples of what a mapping does: a contact or
// a webhook, and what is written of it. It does no I/O.
package example

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v4"

	"crmsync/mapping"
)

// maxSize is the largest file accepted. Meta sends webhooks of up to 3 MB.
const maxSize = 4 << 20

// An Example says what is written of one contact.
type Example struct {
	// About is a sentence for people; may be empty.
	About string
	// Contact are the contact's fields by crmsync's own names, typed as a mapping
	// sees them, nil for one that is known to be empty. It is nil where the
	// example has a webhook.
	Contact map[string]any
	// Payload is a webhook, PayloadFile the name of a file that holds one,
	// relative to the example.
	Payload     []byte
	PayloadFile string
	// Exact says that nothing else is written than what the example names.
	Exact bool
	// Accounts are what is expected, in the order of the document.
	Accounts []Account

	file    string
	subject *yaml.Node
}

// An Account is what is expected in an account.
type Account struct {
	Name   string
	Fields []Field
	// Absent are fields that are not written, Refused those because of which the
	// contact cannot be.
	Absent, Refused []Field
	// Messages are the texts of all that are logged of a webhook, nil if nothing is
	// expected of them.
	Messages []Field

	at *yaml.Node
}

// A Field is a field that an example names, and the value that is expected of it.
type Field struct {
	Name string
	at   *yaml.Node
}

// Read reads an example of a mapping. file is its name for findings. The error, if
// any, is of type [mapping.Findings].
func Read(file string, source []byte, m *mapping.Mapping) (*Example, error) {
	r := reader{file: file, mapping: m}
	if len(source) > maxSize {
		r.found(1, 1, "the file is larger than 4 MB; an example is about one contact")
		return nil, r.findings
	}
	if len(bytes.TrimSpace(source)) == 0 {
		r.found(1, 1, "the example is empty; it has a contact or a payload, and what is expected")
		return nil, r.findings
	}
	var doc yaml.Node
	if err := yaml.Load(source, &doc); err != nil {
		r.syntax(err)
		return nil, r.findings
	}
	e := &Example{file: file}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		r.found(1, 1, "not a YAML document")
		return nil, r.findings
	}
	r.document(doc.Content[0], e)
	if len(r.findings) > 0 {
		return nil, r.findings
	}
	return e, nil
}

type reader struct {
	file     string
	mapping  *mapping.Mapping
	findings mapping.Findings
}

func (r *reader) found(line, column int, format string, args ...any) {
	r.findings = append(r.findings, mapping.Finding{File: r.file, Line: line, Column: column, Problem: fmt.Sprintf(format, args...)})
}

func (r *reader) at(n *yaml.Node, format string, args ...any) {
	r.found(n.Line, n.Column, format, args...)
}

func (r *reader) syntax(err error) {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		r.found(max(1, e.Mark.Line), max(1, e.Mark.Column), "not a YAML document: %s", e.Message)
		return
	}
	r.found(1, 1, "not a YAML document: %v", err)
}

// keys are those of an example.
var keys = []string{"about", "contact", "payload", "expect", "absent", "refused", "messages", "exact"}

func (r *reader) document(root *yaml.Node, e *Example) {
	r.each(root, "an example", func(key, value *yaml.Node) {
		switch key.Value {
		case "about":
			e.About = r.text(value, "about")
		case "contact":
			r.subject(key, e)
			e.Contact = r.contact(value)
		case "payload":
			r.subject(key, e)
			r.payload(value, e)
		case "expect":
			r.accounts(value, e, "expect", func(a *Account, node *yaml.Node) { a.Fields = r.values(node) })
		case "absent":
			r.accounts(value, e, "absent", func(a *Account, node *yaml.Node) { a.Absent = r.names(node, "absent") })
		case "refused":
			r.accounts(value, e, "refused", func(a *Account, node *yaml.Node) { a.Refused = r.names(node, "refused") })
		case "messages":
			r.accounts(value, e, "messages", func(a *Account, node *yaml.Node) { a.Messages = r.names(node, "messages") })
		case "exact":
			if e.Exact = value.Value == "true"; !e.Exact && value.Value != "false" {
				r.at(value, "exact is true or false")
			}
		default:
			r.at(key, "there is no %q; %s", key.Value, hint(key.Value, keys, "there are about, contact, payload, expect, absent, refused, messages and exact"))
		}
	})
	switch {
	case len(r.findings) > 0:
	case e.subject == nil:
		r.at(root, "the example has neither a contact nor a payload; one of them is what it is about")
	case len(e.Accounts) == 0:
		r.at(root, "nothing is expected, so nothing is tested; write for instance expect: {hubspot: {firstname: Ada}}")
	}
}

// subject notes what an example is about, which is one thing.
func (r *reader) subject(key *yaml.Node, e *Example) {
	if e.subject != nil {
		r.at(key, "an example has a contact or a payload, not both")
	}
	e.subject = key
}

// each calls f for each key of a node.
func (r *reader) each(node *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		r.at(node, "%s is a list of key: value lines", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.at(key, "a key is a plain word")
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			r.at(value, "anchors and aliases are not used in examples; write the lines out")
		case seen[key.Value]:
			r.at(key, "%s is there twice; keep one of the lines", key.Value)
		default:
			seen[key.Value] = true
			f(key, value)
		}
	}
}

func (r *reader) text(node *yaml.Node, what string) string {
	if node.Kind != yaml.ScalarNode {
		r.at(node, "%s is a text", what)
	}
	return node.Value
}

// accounts calls f for each account that a part of an example names.
func (r *reader) accounts(node *yaml.Node, e *Example, what string, f func(a *Account, node *yaml.Node)) {
	r.each(node, what, func(name, value *yaml.Node) {
		i := slices.IndexFunc(e.Accounts, func(a Account) bool { return a.Name == name.Value })
		if i < 0 {
			i = len(e.Accounts)
			e.Accounts = append(e.Accounts, Account{Name: name.Value, at: name})
		}
		f(&e.Accounts[i], value)
	})
}

// values reads the fields that are expected, with their values.
func (r *reader) values(node *yaml.Node) (fields []Field) {
	r.each(node, "what is expected in an account", func(key, value *yaml.Node) {
		if value.Kind != yaml.ScalarNode && (value.Kind != yaml.SequenceNode || !scalars(value)) {
			r.at(value, "the value of %s is a text, a number or a list of texts", key.Value)
			return
		}
		fields = append(fields, Field{key.Value, value})
	})
	return fields
}

// names reads a list of fields.
func (r *reader) names(node *yaml.Node, what string) (fields []Field) {
	if node.Kind != yaml.SequenceNode || !scalars(node) {
		r.at(node, "%s has a list for each account, such as %s: {hubspot: [%s]}", what, what, map[bool]string{true: "Hello!", false: "email"}[what == "messages"])
		return nil
	}
	for _, n := range node.Content {
		fields = append(fields, Field{n.Value, n})
	}
	return fields
}

func scalars(list *yaml.Node) bool {
	return !slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode })
}

// contact reads a contact's fields.
func (r *reader) contact(node *yaml.Node) map[string]any {
	fields := map[string]any{}
	r.each(node, "contact", func(key, value *yaml.Node) {
		info, known := r.mapping.Field(key.Value)
		if !known {
			r.at(key, "there is no contact field %q; %s", key.Value, hint(key.Value, r.mapping.Fields(), "the fields are those on the right of a mapping"))
			return
		}
		v, problem := typed(info, value)
		if problem != "" {
			r.at(value, "%s is %s", key.Value, problem)
			return
		}
		fields[key.Value] = v
	})
	return fields
}

// typed is a node as a value of a contact field. The problem is what it ought to
// be.
func typed(info mapping.Info, node *yaml.Node) (v any, problem string) {
	if null(node) {
		return nil, ""
	}
	if info.Type == mapping.Labels {
		if node.Kind != yaml.SequenceNode || !scalars(node) {
			return nil, "a list of labels, such as [vip, new]"
		}
		labels := make([]string, len(node.Content))
		for i, n := range node.Content {
			labels[i] = n.Value
		}
		return labels, ""
	}
	if node.Kind != yaml.ScalarNode {
		return nil, "one value"
	}
	if info.Type == mapping.Enum && !slices.Contains(info.Options, node.Value) {
		return nil, "one of " + strings.Join(info.Options, ", ")
	}
	v, ok := mapping.Typed(info.Type, node.Value)
	if !ok {
		return nil, form(info.Type)
	}
	return v, ""
}

// form says how values of a type are written.
func form(t mapping.Type) string {
	switch t {
	case mapping.Number:
		return "a number"
	case mapping.Time:
		return "a time such as 2026-11-22T09:30:00Z"
	case mapping.Bool:
		return "true or false"
	}
	return "a text"
}

func null(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// payload reads a webhook: written out as YAML or JSON, or the name of a file.
func (r *reader) payload(node *yaml.Node, e *Example) {
	if node.Kind == yaml.ScalarNode {
		switch text := strings.TrimSpace(node.Value); {
		case text == "":
			r.at(node, "payload is a webhook, or the name of a file that holds one")
		case strings.HasPrefix(text, "{"):
			e.Payload = []byte(text)
		default:
			e.PayloadFile = text
		}
		return
	}
	var v any
	err := node.Decode(&v)
	if err == nil {
		e.Payload, err = json.Marshal(v)
	}
	if err != nil {
		r.at(node, "payload cannot be read as JSON")
	}
}

// hint says which of the names was meant, else what there is.
func hint(word string, names []string, otherwise string) string {
	best, bestDistance := "", 3
	for _, n := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(n)); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	if best == "" {
		return otherwise
	}
	return "did you mean " + best + "?"
}

// Finding is something about what the example is about, such as a webhook that
// cannot be read.
func (e *Example) Finding(problem string) mapping.Finding {
	return mapping.Finding{File: e.file, Line: e.subject.Line, Column: e.subject.Column, Problem: problem}
}
