package mapping_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"crmsync/mapping"
)

var (
	block = regexp.MustCompile("(?ms)^```yaml ([a-z.]+)\n(.*?)^```$")
	row   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]*)` \\|$")
)

// Every document in the manual compiles, or is there for its faults, and every
// expression gives what is said of it. Each function is there.
func TestTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	view := map[string]any{}
	documents := 0
	for _, b := range block.FindAllSubmatch(manual, -1) {
		name, source := string(b[1]), b[2]
		if name == "ada" {
			if err := yaml.Load(source, &view); err != nil {
				t.Fatal(err)
			}
			continue
		}
		documents++
		if m, err := mapping.Compile(name, source); (err == nil) == (name == "slip.yaml") {
			t.Errorf("%s: mapping %v, %v", name, m != nil, err)
		}
	}
	for name, v := range view {
		switch v := v.(type) {
		case int:
			view[name] = int64(v)
		case []any:
			labels := make([]string, len(v))
			for i := range v {
				labels[i] = fmt.Sprint(v[i])
			}
			view[name] = labels
		case string:
			if at, err := time.Parse(time.RFC3339, v); err == nil {
				view[name] = at
			}
		}
	}
	rows := row.FindAllSubmatch(manual, -1)
	for _, r := range rows {
		expression, want := string(r[1]), string(r[2])
		m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: {value: "+fmt.Sprintf("%q", expression)+"}}}}\n"))
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		fields, refused := m.Translate("crm", view)
		got := fmt.Sprint(fields["x"])
		if at, is := fields["x"].(time.Time); is {
			got = at.Format(time.RFC3339)
		}
		if got != want || len(refused) > 0 {
			t.Errorf("%s gives %q (refused %v), and the manual says %q", expression, got, refused, want)
		}
	}
	if documents < 6 || len(rows) < 30 {
		t.Errorf("%d documents and %d expressions in the manual", documents, len(rows))
	}
	for _, name := range mapping.Functions() {
		if !strings.Contains(string(manual), name+"(") {
			t.Errorf("the manual lacks %s", name)
		}
	}
}
