package whatsapp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"crmsync/connectors"
)

const maxKey = 200

// keyOf joins what identifies a fact. Parts that would make the key too long,
// ambiguous or unprintable are replaced by a digest of them all.
func keyOf(kind string, parts ...string) string {
	key := kind + ":" + strings.Join(parts, ":")
	plain := len(key) <= maxKey
	for _, p := range parts {
		for i := 0; i < len(p) && plain; i++ {
			plain = p[i] > ' ' && p[i] < 0x7f && p[i] != ':'
		}
	}
	if plain {
		return key
	}
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return kind + ":sha256:" + hex.EncodeToString(h.Sum(nil))
}

// digestOf identifies an element that has no id of its own by its content,
// whatever the white space between.
func digestOf(v []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, v) == nil {
		v = compact.Bytes()
	}
	return connectors.Digest(v)
}
