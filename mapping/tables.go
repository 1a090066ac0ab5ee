package mapping

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// readTables reads the tables that expressions look values up in.
func (c *compiler) readTables(node *yaml.Node) {
	c.each(node, "tables", func(name, rows *yaml.Node) {
		if !fieldName.MatchString(name.Value) {
			c.at(name, "%q is no name for a table: small letters, digits and _, at most 40, beginning with a letter", clip(name.Value))
			return
		}
		table := map[string]string{}
		c.each(rows, name.Value, func(key, value *yaml.Node) { table[key.Value] = c.text(value, "a value of "+name.Value) })
		c.tables[name.Value] = table
	})
}

// tablesScope is the language with the document's tables.
func (c *compiler) tablesScope() *scope {
	env, err := base().Extend(tableFunction(c.tables))
	if err != nil {
		panic("mapping: " + err.Error()) // lookup is declared once
	}
	return &scope{env: env, names: map[string]Type{}}
}

// table says that there is no such table.
func (c *compiler) table(name string) error {
	if _, known := c.tables[name]; known {
		return nil
	}
	names := slices.Sorted(maps.Keys(c.tables))
	switch near := nearest(name, names); {
	case near != "":
		return fmt.Errorf("there is no table %q; did you mean %s?", clip(name), near)
	case len(names) > 0:
		return fmt.Errorf("there is no table %q; there %s", clip(name), are(names))
	}
	return fmt.Errorf("there is no table %q; the document has none: tables: {%s: {key: value}}", clip(name), clip(name))
}
