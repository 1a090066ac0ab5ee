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
		if old, known := shadow[name]; known && (directory.Told(old) == text || directory.Kept(old)) {
			continue
		}
		diff[name] = value
		after[name] = text
	}
	return diff, after
}

// changed is the difference between a contact's fields and its record. What was sent
// to a field by a call whose outcome is not known may be there or not, so that such
// a field is written again, also to what it was before.
func changed(fields map[string]any, link *directory.Link) (diff map[string]any, after map[string]string) {
	if len(link.Sent) == 0 {
		return difference(fields, link.Shadow)
	}
	const unsure = "\x00unsure" // no value looks like it
	shadow := maps.Clone(link.Shadow)
	if shadow == nil {
		shadow = map[string]string{}
	}
	for name := range link.Sent {
		if !directory.Kept(shadow[name]) {
			shadow[name] = unsure
		}
	}
	diff, after = difference(fields, shadow)
	for name, text := range after {
		if text != unsure {
			continue
		}
		delete(after, name)
		if was, told := link.Shadow[name]; told {
			after[name] = was
		}
	}
	return diff, after
}
