package directory

import (
	"strconv"
	"strings"

	"crmsync/connectors/phone"
	"crmsync/mapping"
)

// KeptText is the value that was seen and stays with the people who work in the
// account, empty if none was; long ones are digests, see [Digested].
func KeptText(shadow string) string {
	if !Kept(shadow) {
		return ""
	}
	return strings.TrimPrefix(shadow, KeptShadow)
}

// Digested reports whether a shadow holds a digest in place of a long text.
func Digested(shadow string) bool {
	return strings.HasPrefix(strings.TrimPrefix(shadow, KeptShadow), "sha256:")
}

// Fault says, without repeating it, why a value that a record shows is not of
// its field's type; empty if it is. A text may be a shadow's digest.
func Fault(l mapping.Line, text, region string) string {
	if Digested(text) {
		return "not " + kindOf(l) + ": it is longer than any"
	}
	if _, valid := cleaned(l, text, region); valid {
		return ""
	}
	if l.Translated() {
		return "not one of the values that line " + strconv.Itoa(l.Number) + " of the mapping reads"
	}
	if l.Info.Type == mapping.Phone && region == "" && !strings.HasPrefix(strings.TrimSpace(text), "+") && len(phone.Digits(text)) >= 7 {
		return "a phone number without its country; write it with + and the country, or set default_region"
	}
	return "not " + kindOf(l)
}

func kindOf(l mapping.Line) string {
	switch {
	case l.From == "email":
		return "an e-mail address"
	case l.Info.Type == mapping.Phone:
		return "a phone number"
	case l.Info.Type == mapping.Enum:
		return "one of " + strings.Join(l.Info.Options, ", ")
	}
	return "of the field's type"
}
