package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v4"
)

// A refusal is a place where the file does not fit the configuration. What
// would have been there is not looked at again.
type refusal struct {
	line, column int
	// key says that a key was refused and not a value: one that is there twice,
	// or one that is unknown and may be a misspelt one.
	key, twice bool
	meant      string
}

// among reports whether the refused key is one of a node's.
func (r refusal) among(node *yaml.Node) bool {
	for k := 0; node.Kind == yaml.MappingNode && k < len(node.Content); k += 2 {
		if key := node.Content[k]; key.Line == r.line && key.Column == r.column {
			return true
		}
	}
	return false
}

// yaml reads the file and reports whether there is anything to look at.
func (p *parser) yaml(source []byte) bool {
	if len(source) > maxSize {
		p.found(1, 1, "the file is larger than 1 MB")
		return false
	}
	var doc yaml.Node
	if err := yaml.Load(source, &doc); err != nil {
		p.faults(err)
		return false
	}
	if len(doc.Content) > 0 {
		p.root = doc.Content[0]
	}
	err := yaml.Load(source, p.config, yaml.WithKnownFields())
	if err == nil {
		return true
	}
	if _, list := p.node("accounts"); list != nil && len(list.Content) != len(p.config.Accounts) {
		// What is no account was left out, and the others have moved up.
		p.config.Accounts = nil
		p.refusals = append(p.refusals, refusal{line: list.Line, column: list.Column})
	}
	if _, list := p.node("notify"); list != nil && len(list.Content) != len(p.config.Notify) {
		p.config.Notify = nil
		p.refusals = append(p.refusals, refusal{line: list.Line, column: list.Column})
	}
	return p.faults(err)
}

var (
	unknownField = regexp.MustCompile(`(?s)^field (.+) not found in type (\S+)$`)
	wrongType    = regexp.MustCompile(`(?s)^cannot construct (!!\w+).* into (\S+)( \(TextUnmarshaler\))?$`)
)

// faults reports what the YAML library objects to, in our words, and whether
// it read the rest.
func (p *parser) faults(err error) bool {
	all, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		if one, ok := errors.AsType[*yaml.LoadError](err); ok {
			p.found(max(1, one.Mark.Line), max(1, one.Mark.Column), "%s", strings.TrimPrefix(one.Message, "yaml: "))
		} else {
			p.found(1, 1, "this is not a YAML document: %v", err)
		}
		return false
	}
	for _, e := range all.Errors {
		at := refusal{line: max(1, e.Mark.Line), column: max(1, e.Mark.Column)}
		text := strings.TrimPrefix(e.Message, "yaml: ")
		if m := unknownField.FindStringSubmatch(text); m != nil {
			at.key, at.meant = true, suggestion(m[1], m[2])
			text = fmt.Sprintf("there is no key %q here", m[1])
			if at.meant != "" {
				text += "; did you mean " + at.meant + "?"
			}
		} else if m := wrongType.FindStringSubmatch(text); m != nil {
			text = expectation(m[1], m[2])
		} else if strings.Contains(text, "already defined") {
			at.key, at.twice = true, true
		}
		p.refusals = append(p.refusals, at)
		p.found(at.line, at.column, "%s", text)
	}
	return true
}

// expectation says what belongs where a value of a YAML type cannot be.
func expectation(tag, typeName string) string {
	wanted := map[string]string{
		"string": "a text", "config.Secret": "a text", "[]string": "a list such as [a, b]",
		"int": "a whole number", "bool": "true or false", "config.Size": "a size such as 10GiB",
		"config.Duration": "a duration such as 3.5s", "[]config.Duration": "a list of durations such as [1s, 30s]",
		"[]config.Notify":  "a list of receivers, each with a - before its url",
		"[]config.Account": "a list of accounts, each with a - before its name",
	}[typeName]
	is := map[string]string{
		"!!str": "a text", "!!int": "this number", "!!float": "this number", "!!bool": "true or false",
		"!!seq": "a list", "!!map": "a list of settings",
	}[tag]
	return cmp.Or(wanted, "a list of settings (key: value)") + " is expected here, not " + cmp.Or(is, "this")
}

// suggestion names the key of a type that is nearest to a misspelt one.
func suggestion(key, typeName string) string {
	types := map[string]reflect.Type{}
	for _, v := range []any{Config{}, Log{}, Database{}, NATS{}, TLS{}, Retry{}, Retention{}, Notify{}, Account{}, Quota{}} {
		t := reflect.TypeOf(v)
		types[t.String()] = t
	}
	t, known := types[typeName]
	if !known {
		return ""
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		names = append(names, name)
	}
	return nearest(key, names, 2)
}

// nearest returns the name that differs least from a misspelt one, by at most
// so many letters; empty if there is none.
func nearest(word string, names []string, within int) (best string) {
	for _, name := range names {
		if d := levenshtein.ComputeDistance(word, name); d <= within {
			best, within = name, d-1
		}
	}
	return best
}

// at reports a fault of the value under a path of keys and list indexes.
// Nothing is said about what was refused before.
func (p *parser) at(path []string, format string, args ...any) {
	if p.variables[p.variable(path...)] || p.environ[p.variable(path...)] == "" && p.refused(path) {
		return
	}
	p.findings = append(p.findings, p.finding(path, format, args...))
}

// finding is about the value under a path: in the environment if it comes from
// there, else where the file has it, else at its nearest parent there.
func (p *parser) finding(path []string, format string, args ...any) Finding {
	problem := fmt.Sprintf(format, args...)
	for _, variable := range []string{p.variable(path...), p.variable(path...) + "_FILE"} {
		if p.environ[variable] != "" {
			return Finding{File: "environment", Problem: variable + ": " + problem}
		}
	}
	for n := len(path); n > 0; n-- {
		if begin, _ := p.node(path[:n]...); begin != nil {
			return Finding{p.file, begin.Line, begin.Column, problem}
		}
	}
	return Finding{File: p.file, Problem: problem}
}

// refused reports whether the value under a path was refused, or what it lies
// in, or a key that may be a misspelt one of the path's.
func (p *parser) refused(path []string) bool {
	node := p.root
	for i := 0; node != nil && len(p.refusals) > 0; i++ {
		for _, r := range p.refusals {
			switch {
			case !r.key && r.line == node.Line && r.column == node.Column:
				return true
			case r.key && (r.twice || i < len(path) && r.meant == path[i]) && r.among(node):
				return true
			}
		}
		if i == len(path) {
			return false
		}
		_, node = child(node, path[i])
	}
	return false
}

// given reports whether the value under a path is set at all.
func (p *parser) given(path ...string) bool {
	if p.environ[p.variable(path...)] != "" {
		return true
	}
	_, node := p.node(path...)
	return node != nil && node.Tag != "!!null"
}

// node returns what the file has under a path, and where it begins.
func (p *parser) node(path ...string) (begin, value *yaml.Node) {
	value = p.root
	for _, step := range path {
		if value == nil {
			return nil, nil
		}
		begin, value = child(value, step)
	}
	return begin, value
}

// child returns the node under a key or list index, and where it begins.
func child(node *yaml.Node, step string) (begin, value *yaml.Node) {
	if node.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(step)
		if err != nil || i >= len(node.Content) {
			return nil, nil
		}
		return node.Content[i], node.Content[i]
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}
