package deadletter

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Field is one field that an attempt would have written, without its value.
type Field struct {
	// Name is the account's field, From crmsync's own, where there is one.
	Name  string `json:"name"`
	From  string `json:"from,omitempty"`
	Shape string `json:"shape"`
}

// A Word is a value that says nothing about anybody, such as a status: its
// shape is itself.
type Word string

// Shape describes a value without giving it away, such as "text, 14
// characters".
func Shape(value any) string {
	switch v := value.(type) {
	case nil:
		return "cleared"
	case Word:
		return cmp.Or(string(v), "empty")
	case string:
		return textShape(v)
	case bool:
		return fmt.Sprint(v)
	case time.Time:
		return "time " + v.UTC().Format(time.RFC3339)
	case []string:
		return count(len(v), "label")
	case []byte:
		return count(len(v), "byte")
	}
	return "number, " + count(len(strings.TrimLeft(fmt.Sprint(value), "-")), "digit")
}

func textShape(text string) string {
	if text == "" {
		return "empty"
	}
	shape := "text, " + count(utf8.RuneCountInString(text), "character")
	if lines := strings.Count(text, "\n"); lines > 0 {
		shape += ", " + count(lines+1, "line")
	}
	return shape
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
