package connectors

import "strings"

// Clean makes text fit for every database and vendor: valid UTF-8 without
// NUL.
func Clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}
