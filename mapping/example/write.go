package example

import (
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"crmsync/mapping"
)

// Write writes an example of a contact and of what a mapping makes of it, account
// by account. order is the contact's fields in the order in which they are
// written.
func Write(about string, contact map[string]any, order []string, m *mapping.Mapping, got map[string]Translation) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	add(root, "about", value(about))
	fields := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range order {
		add(fields, name, value(contact[name]))
	}
	add(root, "contact", fields)
	expect, refused := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.MappingNode}
	for _, account := range slices.Sorted(maps.Keys(got)) {
		if list := got[account].Refused; len(list) > 0 {
			names := make([]string, len(list))
			for i := range list {
				names[i] = list[i].Line.To
			}
			add(refused, account, value(names))
			continue
		}
		lines := &yaml.Node{Kind: yaml.MappingNode}
		for _, l := range m.Lines(account) {
			if v, written := got[account].Fields[l.To]; written {
				add(lines, l.To, value(v))
			}
		}
		add(expect, account, lines)
	}
	if len(expect.Content) > 0 {
		add(root, "expect", expect)
	}
	if len(refused.Content) > 0 {
		add(root, "refused", refused)
	}
	return yaml.Dump(root, yaml.WithIndent(2), yaml.WithLineWidth(-1))
}

func add(node *yaml.Node, key string, v *yaml.Node) {
	node.Content = append(node.Content, value(key), v)
}

// value is a value as a node, written so that it is read again as it is.
func value(v any) *yaml.Node {
	n := &yaml.Node{}
	switch v := v.(type) {
	case time.Time:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!timestamp", v.UTC().Format(time.RFC3339Nano)
	case []string:
		n.Kind, n.Style = yaml.SequenceNode, yaml.FlowStyle
		for _, text := range v {
			n.Content = append(n.Content, value(text))
		}
	case string:
		n.SetString(v)
	default:
		_ = n.Encode(v) // nil, bool and numbers
	}
	return n
}
