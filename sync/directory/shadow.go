package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"crmsync/connectors"
)

// KeptShadow stands for a value that belongs to the people who work in the
// account: it is not compared and not written. No value looks like it.
const KeptShadow = "\x00kept"

// KeptAs stands for such a value that has been seen.
func KeptAs(text string) string { return KeptShadow + shadowOfText(text) }

// Kept reports whether a shadow stands for such a value.
func Kept(shadow string) bool { return strings.HasPrefix(shadow, KeptShadow) }

// cutShadow begins a shadow of two texts; see [CutTo].
const cutShadow = "\x00cut\x00"

// CutTo is the shadow of a long text that an account shows cut to its length: what
// it was told, and what it shows of that.
func CutTo(told, shows string) string { return cutShadow + told + "\x00" + shows }

// Told is what an account was told, by a shadow.
func Told(shadow string) string {
	if both, cut := strings.CutPrefix(shadow, cutShadow); cut {
		told, _, _ := strings.Cut(both, "\x00")
		return told
	}
	return shadow
}

// shownOf is what an account showed, by a shadow.
func shownOf(shadow string) string {
	if both, cut := strings.CutPrefix(shadow, cutShadow); cut {
		_, shows, _ := strings.Cut(both, "\x00")
		return shows
	}
	return shadow
}

// ShadowOf is a value's form in a shadow. Long texts are kept as a digest:
// enough to see that they differ.
func ShadowOf(value any) string {
	var text string
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		text = v
	case time.Time:
		text = v.UTC().Format(time.RFC3339Nano)
	case []string:
		labels := slices.Clone(v)
		slices.Sort(labels)
		return strings.Join(labels, "\n") // whole, to see which has come or gone
	default:
		text = TextOf(v)
	}
	if len(text) <= 64 {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Same reports whether an account shows a value, in its own way: to the second,
// cut to its length, with labels of its own.
func Same(want, got any, kind connectors.FieldType) bool {
	if want == nil || got == nil {
		return ShadowOf(want) == ShadowOf(got)
	}
	switch w := want.(type) {
	case time.Time:
		g, ok := got.(time.Time)
		if text, is := got.(string); is {
			shown, err := time.Parse(time.RFC3339Nano, text)
			g, ok = shown, err == nil
		}
		return ok && w.Sub(g).Abs() <= time.Second
	case []string:
		g, ok := got.([]string)
		return ok && !slices.ContainsFunc(w, func(label string) bool { return !slices.Contains(g, label) })
	case string:
		return kind == connectors.TypeOwner && strings.Contains(w, "@") || sameText(w, fmt.Sprint(got), kind)
	}
	return TextOf(want) == TextOf(got)
}

// sameText compares texts without the space around and between words, and
// numbers by their digits.
func sameText(want, got string, kind connectors.FieldType) bool {
	if kind == connectors.TypePhone {
		digits := func(text string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsDigit(r) {
					return r
				}
				return -1
			}, text)
		}
		return digits(want) == digits(got)
	}
	const cut = 40 // no vendor cuts texts that are shorter
	want, got = strings.Join(strings.Fields(want), " "), strings.Join(strings.Fields(got), " ")
	start := strings.TrimSpace(strings.TrimRight(got, "…."))
	return want == got || len(start) >= cut && strings.HasPrefix(want, start)
}
