package deliver

import (
	"maps"

	"crmsync/sync/directory"
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
		text := directory.ShadowOf(value)
		if value == nil && shadow[name] == "" {
			continue // nothing of ours to clear
		}
		if old, known := shadow[name]; known && (old == text || directory.Kept(old)) {
			continue
		}
		diff[name] = value
		after[name] = text
	}
	return diff, after
}
