package connectors

import (
	"strings"
	"unicode/utf16"
)

// Clean makes text fit for every database and vendor: valid UTF-8 without
// NUL.
func Clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}

// Length counts as Java does, in which HubSpot and Zoho are written: in UTF-16
// units.
func Length(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// Cut shortens s to a [Length], the last character being an ellipsis then.
func Cut(s string, limit int) string {
	if len(s) <= limit || Length(s) <= limit {
		return s
	}
	n := 1
	for i, r := range s {
		if n += max(utf16.RuneLen(r), 1); n > limit {
			return s[:i] + "…"
		}
	}
	return s
}
