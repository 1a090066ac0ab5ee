package mapping_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"crmsync/mapping"
)

var exampleRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^`\n].*\\|$|^\\| `([^`]+)` \\| `.*[^`] \\|$")

// Every example in the manual's tables of rules compiles, below its document, and
// each key is there.
func TestTheManualOfRules(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut("\n"+string(manual), "\n## Rules\n")
	whens, dos, found := strings.Cut(rules, "\n### Do\n")
	if !found {
		t.Fatal("the manual has no tables of rules")
	}
	document := ""
	for _, b := range block.FindAllStringSubmatch(rules, -1) {
		if b[1] == "rules.yaml" {
			document = b[2]
		}
	}
	if _, err := mapping.Compile("rules.yaml", []byte(document)); err != nil {
		t.Fatal(err)
	}
	dos, _, _ = strings.Cut(dos, "\n### ")
	seen := map[string]bool{}
	for _, part := range []struct{ table, before, after string }{
		{whens, "    when: {", "}\n    do: [add_label: x]\n"}, {dos, "    do:\n      - ", "\n"},
	} {
		rows := exampleRow.FindAllStringSubmatch(part.table, -1)
		if len(rows) < 12 {
			t.Errorf("%d rows", len(rows))
		}
		for _, row := range rows {
			example := row[1] + row[2]
			key, _, _ := strings.Cut(example, ":")
			seen[key] = true
			if _, err := mapping.Compile("m.yaml", []byte(document+"  - name: row\n"+part.before+example+part.after)); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
	for _, key := range mapping.RuleKeys() {
		if !seen[key] {
			t.Errorf("the manual has no example of %s", key)
		}
	}
}
