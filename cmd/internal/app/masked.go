package app

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"crmsync/mapping"
	"crmsync/sync/directory"
)

// shown is a value of an account's field for an example: in text form, masked
// unless values were asked for.
func (d *differ) shown(field, account string, value any) string {
	text := directory.TextOf(value)
	if directory.Digested(text) {
		return "(a long text)"
	}
	if d.values || public(field, account, text, value, d.mapping, d.next) {
		return text
	}
	return masked(text)
}

// public reports whether a value says nothing about who somebody is: one of a
// list, yes or no, or a time.
func public(field, account, text string, value any, mappings ...*mapping.Mapping) bool {
	switch value.(type) {
	case bool, time.Time:
		return true
	}
	for _, m := range mappings {
		for _, l := range m.Lines(account) {
			if l.To != field {
				continue
			}
			if l.Theirs.Type == mapping.Time || l.Theirs.Type == mapping.Enum && slices.Contains(l.Theirs.Options, text) {
				return true
			}
		}
	}
	return false
}

// masked has the form of a text and not what it says: letters become x and X,
// digits 9. Of a long one it is the beginning.
func masked(text string) string {
	const most = 60
	runes := []rune(text)
	tail := ""
	if len(runes) > most {
		runes, tail = runes[:most], "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsUpper(r), unicode.IsTitle(r):
			return 'X'
		case unicode.IsDigit(r), unicode.IsNumber(r):
			return '9'
		case unicode.IsLetter(r), unicode.IsMark(r):
			return 'x'
		}
		return r
	}, string(runes)) + tail
}
