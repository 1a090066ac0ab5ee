package app

import (
	"slices"
	"strings"
	"testing"
)

func TestTheLinesThatDiffer(t *testing.T) {
	for name, tt := range map[string]struct{ before, after, want string }{
		"nothing":            {"a\nb\n", "a\nb\n", ""},
		"one changed":        {"a\nb\nc\nd\n", "a\nx\nc\nd\n", "  a|- b|+ x|  c|  d"},
		"one more":           {"a\nb\n", "a\nb\nc\n", "  a|  b|+ c"},
		"one less":           {"a\nb\nc\n", "a\nc\n", "  a|- b|  c"},
		"two swapped":        {"a\nb\n", "b\na\n", "- a|  b|+ a"},
		"far apart":          {"1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n", "- 1|+ x|  2|  3|  …|  6|  7|- 8|+ y"},
		"there was none":     {"", "a\n", "+ a"},
		"no newline in it":   {"a", "b", "- a|+ b"},
		"only at the bottom": {"1\n2\n3\n4\n", "1\n2\n3\n5\n", "  …|  2|  3|- 4|+ 5"},
	} {
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, "|")
		}
		if got := LineDiff([]byte(tt.before), []byte(tt.after)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
