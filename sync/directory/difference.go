package directory

import (
	"maps"

	"crmsync/connectors"
	"crmsync/mapping"
)

// A Difference is a field in which an account shows something else than it last
// did, and what comes of it.
type Difference struct {
	// Field is the account's name of it.
	Field string
	// Ours and Theirs are the values in text form.
	Ours, Theirs string
	Effect       Effect
	// Conflict says that it has been changed on both sides.
	Conflict bool
}

// An Effect is what comes of a difference.
type Effect string

// The effects of differences.
const (
	// Taken over: the contact has the account's value from then on.
	Taken Effect = "taken over"
	// Written back: the account is to show the contact's value again.
	WrittenBack Effect = "written back"
	// Left alone: the value cannot be one of the field's, and is neither
	// carried on nor written over.
	LeftAlone Effect = "left alone"
	// Agreeing: both have come to the same value by themselves.
	Agreeing Effect = "same on both sides"
)

// Differences says what [Contact.Observe] would do, and does nothing.
func (c *Contact) Differences(s Sighting, shadow map[string]string) []Difference {
	seen := *c
	seen.Fields = maps.Clone(c.Fields)
	after := seen.Observe(s, shadow)
	before, now := c.View(), seen.View()
	written := func(l mapping.Line, view map[string]any) any { v, _, _ := l.Writes(view); return v }
	var list []Difference
	for _, l := range s.Lines {
		theirs, read := s.Seen[l.To]
		if !read || !l.Info.Shared {
			continue
		}
		was, told := shadow[l.To]
		ours := written(l, before)
		mine := ShadowOf(ours)
		d := Difference{Field: l.To, Ours: TextOf(ours), Theirs: theirs}
		switch is := after[l.To]; {
		case told && was == is:
			continue
		case Kept(is):
			d.Effect = LeftAlone
		case ShadowOf(written(l, now)) != mine:
			d.Effect = Taken
		case agrees(l, is, mine):
			d.Effect = Agreeing
		default:
			d.Effect = WrittenBack
		}
		d.Conflict = told && !Kept(was) && mine != Told(was) && d.Effect != Agreeing && d.Effect != LeftAlone
		list = append(list, d)
	}
	return list
}

// agrees reports whether what an account shows is what the contact has.
func agrees(l mapping.Line, shown, mine string) bool {
	return SameSeen(l.Theirs.Type, mine, shown) || Same(orNothing(mine), orNothing(shown), connectors.FieldType(l.Theirs.Type)) && l.Info.Type != mapping.Labels
}
