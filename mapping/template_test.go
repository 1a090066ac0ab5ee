package mapping

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

func TestATemplate(t *testing.T) {
	t.Parallel()
	view := map[string]any{
		"first_name": "Ada", "unread_count": int64(7), "labels": []string{"lead", "vip"},
		"last_message_at": time.Date(2026, 11, 21, 22, 30, 0, 0, time.UTC),
	}
	tests := map[string]struct{ text, want, problem string }{
		"a text":                      {text: "Hello, 世界", want: "Hello, 世界"},
		"a value":                     {text: "Hello ${first_name}!", want: "Hello Ada!"},
		"several":                     {text: "${first_name}${unread_count}", want: "Ada7"},
		"a list":                      {text: "${labels}", want: "lead, vip"},
		"a time":                      {text: "${last_message_at}", want: "2026-11-21T22:30:00Z"},
		"yes or no":                   {text: "${unread_count > 3}", want: "yes"},
		"what is empty":               {text: "<${email}>", want: "<>"},
		"a brace in a text":           {text: "${'{a}' + first_name}", want: "{a}Ada"},
		"a quotation mark in a text":  {text: `${'it\'s }' + first_name}`, want: "it's }Ada"},
		"no expression":               {text: "$${first_name} costs $5 {net}", want: "${first_name} costs $5 {net}"},
		"an expression that has none": {text: "x ${} y", problem: "m.yaml:1:1: there is nothing in ${}"},
		"one that is not closed":      {text: "x ${first_name", problem: "a ${ is not closed"},
		"a misspelt field":            {text: "x ${frst_name} y", problem: `m.yaml:1:5: there is no "frst_name"; did you mean first_name?`},
		"nothing":                     {text: "''", problem: "this must be a text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc yaml.Node
			if err := yaml.Load([]byte(tt.text), &doc); err != nil {
				t.Fatal(err)
			}
			m := &Mapping{}
			c := compiler{file: "m.yaml"}
			c.compute(m)
			tpl := c.template(doc.Content[0], c.contact)
			if tt.problem != "" {
				if tpl != nil || !strings.Contains(c.findings.Error(), tt.problem) {
					t.Errorf("findings %v, want %q", c.findings, tt.problem)
				}
				return
			}
			if len(c.findings) > 0 {
				t.Fatal(c.findings)
			}
			if got, err := tpl.eval(&values{m: m, view: view}); err != nil || got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
	long := &template{texts: []string{"", ""}, values: []*expression{nil}}
	c := compiler{file: "m.yaml"}
	m := &Mapping{}
	c.compute(m)
	long.values[0] = c.expression(&yaml.Node{Kind: yaml.ScalarNode, Value: "first_name"}, c.contact)
	if _, err := long.eval(&values{m: m, view: map[string]any{"first_name": strings.Repeat("x", maxText+1)}}); err == nil {
		t.Error("a text of any length is given back")
	}
}
