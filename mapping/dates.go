package mapping

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a container has no time zones of its own
	"unicode"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// datePatterns are the letters of Unicode's date patterns (UTS 35), longest first.
var datePatterns = []struct{ letters, layout string }{
	{"yyyy", "2006"},
	{"yy", "06"},
	{"MMMM", "January"},
	{"MMM", "Jan"},
	{"MM", "01"},
	{"M", "1"},
	{"EEEE", "Monday"},
	{"EEE", "Mon"},
	{"dd", "02"},
	{"d", "2"},
	{"HH", "15"},
	{"hh", "03"},
	{"h", "3"},
	{"mm", "04"},
	{"ss", "05"},
	{"SSS", "000"},
	{"a", "PM"},
	{"xxx", "-07:00"},
	{"XXX", "Z07:00"},
	{"zzz", "MST"},
}

var layouts sync.Map // of patterns, which the documents name

// layoutOf is Go's form of a date pattern such as dd.MM.yyyy HH:mm. Text stands in
// quotation marks.
func layoutOf(pattern string) (string, error) {
	if known, ok := layouts.Load(pattern); ok {
		return known.(string), nil
	}
	if len(pattern) > 64 {
		return "", errors.New("the date pattern is longer than 64 characters")
	}
	var b strings.Builder
	for rest := pattern; rest != ""; {
		if text, ok := strings.CutPrefix(rest, "'"); ok {
			quoted, after, closed := strings.Cut(text, "'")
			if !closed {
				return "", errors.New("a quotation mark in the date pattern is not closed")
			}
			if (time.Time{}).Format(quoted) != quoted {
				return "", fmt.Errorf("%q cannot stand in a date pattern; join it with +", quoted)
			}
			b.WriteString(quoted)
			rest = after
			continue
		}
		found := false
		for _, p := range datePatterns {
			if after, ok := strings.CutPrefix(rest, p.letters); ok {
				b.WriteString(p.layout)
				rest, found = after, true
				break
			}
		}
		if found {
			continue
		}
		if r := rune(rest[0]); unicode.IsLetter(r) || unicode.IsDigit(r) {
			return "", fmt.Errorf("%q is not a letter of date patterns, which are such as dd.MM.yyyy HH:mm", rest[:1])
		}
		b.WriteByte(rest[0])
		rest = rest[1:]
	}
	layouts.Store(pattern, b.String())
	return b.String(), nil
}

var zones sync.Map // by name

// zoneOf is the time zone of a name such as Europe/Rome.
func zoneOf(name string) (*time.Location, error) {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %q; they are such as Europe/Rome or UTC", clip(name))
	}
	zones.Store(name, zone)
	return zone, nil
}

// clip shortens what is repeated from a document.
func clip(s string) string { return cutAtWord(s, 60) }

func formatDate(at ref.Val, pattern, zone string) ref.Val {
	layout, err := layoutOf(pattern)
	if err != nil {
		return failure("%s", err)
	}
	in, err := zoneOf(zone)
	if err != nil {
		return failure("%s", err)
	}
	t, known := at.(types.Timestamp)
	if !known || t.IsZero() {
		return types.String("")
	}
	return types.String(t.In(in).Format(layout))
}

func parseDate(text, pattern, zone string) ref.Val {
	layout, err := layoutOf(pattern)
	if err != nil {
		return failure("%s", err)
	}
	in, err := zoneOf(zone)
	if err != nil {
		return failure("%s", err)
	}
	if text == "" {
		return types.Timestamp{}
	}
	t, err := time.ParseInLocation(layout, strings.TrimSpace(text), in)
	if err != nil {
		return failure("the text is no date of the form %s", pattern)
	}
	return types.Timestamp{Time: t.UTC()}
}
