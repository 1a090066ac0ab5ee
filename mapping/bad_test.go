package mapping_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each document has one fault, or a few, and is named after it. Beside it stands
// what an admin is told.
func TestBadDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d bad documents, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mapping.Compile(filepath.Base(file), source)
			found, ok := errors.AsType[mapping.Findings](err)
			if !ok || m != nil {
				t.Fatalf("mapping %v, findings %v", m, err)
			}
			got := found.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("findings:\n%swant:\n%s", got, want)
			}
		})
	}
}

// However large or mean a document is, the finding is there within a second and
// 100 MB.
func TestABadDocumentTakesLittle(t *testing.T) {
	tests := map[string]string{
		"10 MB of lines":         "version: 1\n" + strings.Repeat("# padding, padding, padding\n", 10<<20/28),
		"256 KB of lines":        "version: 1\naccounts:\n  a:\n    contact:\n" + numbered("      f%d: phne\n", 12_000),
		"256 KB of expressions":  "version: 1\naccounts:\n  a:\n    contact:\n" + numbered("      f%d: {value: upper(x)}\n", 9_000),
		"many good expressions":  "version: 1\naccounts:\n  a:\n    contact:\n" + numbered("      f%d: {value: upper(first_name + last_name)}\n", 5_000),
		"a field of many fields": "version: 1\nfields:\n" + numbered("  f%d: {value: first_name + f1}\n", 6_000) + "accounts: {a: {contact: {x: phone}}}\n",
		"a chain of fields":      "version: 1\nfields:\n  f0: {type: text}\n" + chain(900) + "accounts: {a: {contact: {x: phone}}}\n",
		"a circle of 6,000":      "version: 1\nfields:\n" + chain(6_000) + "  f0: {value: f6000}\naccounts: {a: {contact: {x: phone}}}\n",
		"256 KB of brackets":     strings.Repeat("[", 250_000),
		"256 KB of keys":         strings.Repeat("? ", 120_000),
		"256 KB of anchors":      "version: 1\na: [" + numbered("&a%d x, ", 20_000) + "]\n",
		"one long line":          "version: 1\naccounts: {a: {contact: {x: \"" + strings.Repeat("x", 250_000) + "\"}}}\n",
		"a pattern that repeats": "version: 1\naccounts: {a: {contact: {x: {value: \"find(name, '((a{1,1000}){1,1000}){1,1000}')\"}}}}\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err := mapping.Compile("m.yaml", []byte(text))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it is not refused")
			}
			t.Logf("%v, %d MB in all, %d findings: %.200s", took, (after.TotalAlloc-before.TotalAlloc)>>20, bytes.Count([]byte(err.Error()), []byte("\n"))+1, err)
			if took > slowest || after.Sys > 500<<20 {
				t.Errorf("it took %v and %d MB", took, (after.TotalAlloc-before.TotalAlloc)>>20)
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "  f%d: {value: f%d}\n", i, i-1)
	}
	return b.String()
}
