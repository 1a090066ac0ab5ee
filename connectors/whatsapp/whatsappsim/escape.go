package whatsappsim

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape returns a JSON document in the form that Meta puts on the wire and
// signs: ASCII only, everything else as lowercase \uXXXX, beyond the basic
// plane as a surrogate pair. Cloud API guide: the signature is generated from
// the escaped Unicode form of the payload, with lowercase hex digits.
//
// With wide it also writes / as \/ and < % @ as \u003C \u0025 \u0040, which
// older Graph wording lists. A receiver that hashes the raw bytes sees no
// difference.
func Escape(doc []byte, wide bool) []byte {
	out := make([]byte, 0, len(doc)+len(doc)/8)
	escaped := false // the byte before was an unpaired backslash
	for i := 0; i < len(doc); {
		c := doc[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(doc[i:])
			i += size
			escaped = false
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
				continue
			}
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		i++
		switch {
		case wide && c == '/' && !escaped:
			out = append(out, '\\', '/')
		case wide && (c == '<' || c == '%' || c == '@'):
			out = fmt.Appendf(out, `\u%04X`, c)
		default:
			out = append(out, c)
		}
		escaped = c == '\\' && !escaped
	}
	return out
}

// Sign returns the value of X-Hub-Signature-256 for exactly these bytes.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// encode is json.Marshal without the HTML escapes, which Meta does not use.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // own types only
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
