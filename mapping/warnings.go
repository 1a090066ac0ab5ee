package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Warnings are what is allowed and probably not meant, in the document's order.
func (m *Mapping) Warnings(file string) Findings {
	var all Findings
	warn := func(l *Line, format string, args ...any) {
		all = append(all, Finding{file, l.Number, l.Column, fmt.Sprintf(format, args...)})
	}
	for _, account := range slices.Sorted(maps.Keys(m.accounts)) {
		lines := m.accounts[account]
		for i := range lines {
			l := &lines[i]
			m.unanswered(l, warn)
			m.opposites(l, warn)
		}
	}
	slices.SortStableFunc(all, func(x, y Finding) int { return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column)) })
	return all
}

// unanswered finds values of a contact field for which a line has no option.
func (m *Mapping) unanswered(l *Line, warn func(l *Line, format string, args ...any)) {
	if l.options == nil || !l.Written {
		return
	}
	if _, has := l.options["opted_out"]; l.From == "consent" && !has && l.other != "" {
		warn(l, "who has opted out is shown as %q like others, so nobody there sees it; write an option for opted_out", l.other)
	}
	if l.other != "" {
		return
	}
	var lacking []string
	for _, o := range l.Info.Options {
		if _, has := l.options[o]; !has {
			lacking = append(lacking, o)
		}
	}
	switch {
	case len(lacking) > 0:
		warn(l, "%s may be %s too, and a contact for whose value there is no option is not written; add it, or one for \"*\"", l.From, list(lacking, "or"))
	case len(l.Info.Options) == 0:
		warn(l, "a contact whose %s is none of %s is not written; add an option for \"*\" unless that is meant", l.From, list(slices.Sorted(maps.Keys(l.options)), "or"))
	}
}

// samples are values on which it is tried whether what a line writes is read as
// what it was.
var samples = map[Type][]string{
	Text:   {"Ada", "de la Cruz", "O'Brien-Smith", "Zoë", "王小明", "VON NEUMANN", "x"},
	Long:   {"A text.", "Two lines\nof it"},
	Phone:  {"+393331234567", "+16315551234", "+886912345678"},
	Number: {"0", "7", "-12", "100000"},
	Bool:   {"true", "false"},
	Time:   {"2026-03-29T00:30:00Z", "2026-11-21T22:30:15Z"},
}

// fieldSamples are those of fields that hold something special.
var fieldSamples = map[string][]string{
	"email":    {"ada@example.com", "ada.king@example.co.uk"},
	"language": {"it", "en", "zh-TW"}, "country": {"IT", "US", "Italy"},
}

// opposites tries whether what is written and read again comes to an end: one value
// is enough to change a field for ever.
func (m *Mapping) opposites(l *Line, warn func(l *Line, format string, args ...any)) {
	if l.read == nil || !l.Read || !l.Written {
		return
	}
	values := samples[l.Info.Type]
	if own := fieldSamples[l.From]; own != nil {
		values = own
	}
	if len(l.Info.Options) > 0 {
		values = l.Info.Options
	}
	var changed []string
	for _, text := range values {
		once, err := m.around(l, text)
		if err != nil {
			warn(l, "write and read of %s do not fit: %q is written and cannot be read again (%s)", l.From, text, err)
			return
		}
		if twice, err := m.around(l, once); err != nil || twice != once {
			warn(l, "write and read of %s change a value each time: %q becomes %q and then %q; crmsync and the account would change it back and forth", l.From, text, once, twice)
			return
		}
		if once != text {
			changed = append(changed, fmt.Sprintf("%q comes back as %q", text, once))
		}
	}
	if len(changed) > 0 {
		warn(l, "read does not undo write: %s; such a value changes everywhere once somebody edits the record there", strings.Join(changed[:min(len(changed), 2)], ", "))
	}
}

// around is a value, in text form, after it was written to the account and read.
func (m *Mapping) around(l *Line, text string) (string, error) {
	v, ok := Typed(l.Info.Type, text)
	if !ok {
		return "", fmt.Errorf("it is not %s any more", nameOf(l.Info.Type))
	}
	view := map[string]any{l.From: v}
	if _, own := m.fields[l.From]; own {
		view[l.From] = text
	}
	written, known, err := l.Writes(view)
	if err != nil {
		return "", err
	}
	if !known || written == nil {
		return "", nil
	}
	shown := textOf(written)
	if at, is := written.(time.Time); is {
		shown = at.UTC().Format(time.RFC3339)
	}
	read, ok := l.Reads(shown)
	if !ok {
		return "", fmt.Errorf("the account's %s means nothing here", l.To)
	}
	return read, nil
}
