package directory

import "maps"

// An Outcome is what a worker stores about one entity after a call.
type Outcome struct {
	Link Link
	// Before is the link as it was when the work was loaded.
	Before Link
	// Loaded is the version that was written.
	Loaded int64
}

// Over is the link to store when it is another by now than it was when the work
// was loaded, because the recorder has observed the record meanwhile. The fields
// that the call wrote take their values, every other stays as it is now. It
// reports false where the call was about a record that is not the entity's any
// more: there is nothing to store then.
func (o *Outcome) Over(now *Link) (link Link, store bool) {
	link = o.Link
	moved, found := now.RecordID != o.Before.RecordID, link.RecordID != o.Before.RecordID
	switch {
	case moved && !found && o.Before.RecordID != "" && link.State != Dead:
		return *now, false
	case moved && !found:
		link.RecordID, link.Shadow = now.RecordID, now.Shadow
		if link.Attempts == 0 {
			link.NextAttempt = now.NextAttempt // there is nothing to wait for
		}
	case found && (link.Shadow == nil || moved && link.RecordID != now.RecordID):
		// Another record, of which the call knows more.
	default:
		link.Shadow = o.written(now.Shadow)
	}
	return link, true
}

// written is a shadow with what the call has written.
func (o *Outcome) written(shadow map[string]string) map[string]string {
	after := make(map[string]string, len(shadow)+len(o.Link.Shadow))
	maps.Copy(after, shadow)
	for field, text := range o.Link.Shadow {
		if before, known := o.Before.Shadow[field]; !known || before != text {
			after[field] = text
		}
	}
	return after
}
