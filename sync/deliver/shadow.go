package deliver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// difference returns the fields whose value differs from the shadow, and the
// shadow as it is once they are written.
func difference(fields map[string]any, shadow map[string]string) (diff map[string]any, after map[string]string) {
	diff = map[string]any{}
	after = maps.Clone(shadow)
	if after == nil {
		after = make(map[string]string, len(fields)+1)
	}
	for name, value := range fields {
		text := shadowOf(value)
		if value == nil && shadow[name] == "" {
			continue // nothing of ours to clear
		}
		if old, known := shadow[name]; known && (old == text || old == keptShadow) {
			continue
		}
		diff[name] = value
		after[name] = text
	}
	return diff, after
}

// keptShadow stands for a value that belongs to the people who work in the
// account: it is not compared and not written. No value looks like it.
const keptShadow = "\x00kept"

// shadowOf is a value's form in a shadow. Long texts are kept as a digest:
// enough to see that they differ.
func shadowOf(value any) string {
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
		text = strings.Join(labels, "\n")
	default:
		text = fmt.Sprint(v)
	}
	if len(text) <= 64 {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}
