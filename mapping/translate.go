package mapping

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// A Refusal is why a contact cannot be written as a line wants it.
type Refusal struct {
	Line Line
	// Reason is one clause for the operator, without the value.
	Reason string
	// Missing says that the line requires a value and there is none.
	Missing bool
}

// Translate returns the fields to write to an account for a contact's view
// (values by field name; those of the document's own fields in text form). What the
// contact does not know is left out, and nil for what is to be emptied. Unless
// refused is empty the contact cannot be written.
func (m *Mapping) Translate(account string, view map[string]any) (fields map[string]any, refused []Refusal) {
	lines := m.accounts[account]
	fields = make(map[string]any, len(lines))
	known := values{m: m, view: view}
	for i := range lines {
		l := &lines[i]
		if !l.Written {
			continue
		}
		v, is, err := l.there(&known)
		switch {
		case err != nil:
			refused = append(refused, Refusal{*l, err.Error(), errors.Is(err, errMissing)})
		case is:
			fields[l.To] = v
		}
	}
	return fields, refused
}

// A Computed is a value that follows from others: of a field of the document's own,
// or of a line of an account.
type Computed struct {
	// Name is that of the field, else of the account's.
	Name, Label string
	// Number is the line in the document.
	Number int
	Value  any
	// Err is why there is none.
	Err error
}

// Compute returns the document's computed fields, by name, for a contact's view.
func (m *Mapping) Compute(view map[string]any) []Computed {
	known := values{m: m, view: view}
	var all []Computed
	for _, name := range slices.Sorted(maps.Keys(m.computed)) {
		v, _, err := known.field(name)
		all = append(all, Computed{Name: name, Label: m.fields[name].Label, Number: m.computed[name].node.Line, Value: v, Err: err})
	}
	return all
}

// Writes is what the line writes of a contact's view; see [Mapping.Translate].
// known is false if it leaves the field alone.
func (l *Line) Writes(view map[string]any) (v any, known bool, err error) {
	return l.there(&values{m: l.of, view: view})
}

// Translated reports whether the account's field holds another form of the
// contact's value.
func (l *Line) Translated() bool { return l.write != nil || l.read != nil || l.options != nil }

// Reads is the contact's form of what the account's field shows, both as text. It
// reports false for what has none.
func (l *Line) Reads(shown string) (text string, ok bool) {
	switch {
	case shown == "" || !l.Translated():
		return shown, true
	case l.options != nil:
		text, ok = l.back[shown]
		return text, ok
	case l.read == nil:
		return "", false
	}
	v, ok := Typed(l.Theirs.Type, shown)
	if !ok {
		return "", false
	}
	got, err := l.read.eval(&values{m: l.of, value: v})
	if err != nil {
		return "", false
	}
	return textOf(got), true
}

var errMissing = errors.New("which the mapping requires")

func (l *Line) there(known *values) (v any, is bool, err error) {
	if l.value != nil {
		v, err = l.value.eval(known)
		is = true
	} else {
		v, is, err = known.field(l.From)
	}
	if v = orNothing(v); err == nil && v != nil && l.write != nil {
		known.value = v
		v, err = l.write.eval(known)
		v = orNothing(v)
	}
	if err == nil && v != nil && l.options != nil {
		v, err = l.option(v)
	}
	if err != nil {
		return nil, false, err
	}
	if v == nil {
		switch {
		case l.otherwise != nil:
			v, is = l.otherwise, true
		case l.required:
			return nil, false, fmt.Errorf("the contact has nothing for %s, %w", l.To, errMissing)
		case l.keepEmpty:
			is = false
		}
	}
	if text, isText := v.(string); isText && l.most > 0 && utf8.RuneCountInString(text) > l.most {
		if l.refuseLong {
			return nil, false, fmt.Errorf("the value for %s is longer than %d characters", l.To, l.most)
		}
		v = cutAtWord(text, l.most)
	}
	return v, is, nil
}

// option is the account's word for a value.
func (l *Line) option(v any) (any, error) {
	if word, known := l.options[textOf(v)]; known {
		return orNothing(word), nil
	}
	if l.other != "" {
		return l.other, nil
	}
	return nil, fmt.Errorf("the options of %s have none for the contact's value; add it, or one for \"*\"", l.To)
}

// orNothing is nil for what is empty. An empty list is a set of nothing.
func orNothing(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case time.Time:
		if v.IsZero() {
			return nil
		}
	}
	return v
}

// values are a contact's, as expressions see them.
type values struct {
	m     *Mapping
	view  map[string]any
	value any            // of the line that is looked at
	known map[string]any // computed ones
	more  map[string]any // of what else there is, beside the contact
	event *Event         // that rules look at
	done  map[string]any // what they have done, as the view has it
}

var _ cel.Activation = (*values)(nil)

// Parent is there is none.
func (v *values) Parent() cel.Activation { return nil }

// ResolveName returns the value of a name. Expressions know no absent ones: what the
// contact has not is empty.
func (v *values) ResolveName(name string) (any, bool) {
	if name == "value" && v.value != nil {
		return v.value, true
	}
	if value, is := v.more[name]; is {
		return value, true
	}
	if v.event != nil {
		if value, is := v.event.value(name); is {
			return value, true
		}
	}
	value, _, err := v.field(name)
	if err != nil {
		return types.WrapErr(&functionError{err.Error()}), true
	}
	if value != nil {
		return value, true
	}
	info, known := v.m.Field(name)
	if info.Type == Time {
		return types.NewUnknown(0, nil), true // what follows from it is not known either
	}
	return empty[kindOf(info.Type)], known
}

var empty = map[Type]any{Text: "", Number: int64(0), Decimal: float64(0), Bool: false, Labels: []string{}}

// field is a contact field's value; nil if it is empty, and known is false if that is
// only not known.
func (v *values) field(name string) (value any, known bool, err error) {
	if f, is := v.m.computed[name]; is {
		if value, done := v.known[name]; done {
			return value, true, nil
		}
		value, err := f.value.eval(v)
		if err != nil {
			return nil, true, fmt.Errorf("%s: %w", name, err)
		}
		if v.known == nil {
			v.known = make(map[string]any, len(v.m.computed))
		}
		value = orNothing(value)
		v.known[name] = value
		return value, true, nil
	}
	if value, known = v.done[name]; !known {
		value, known = v.view[name]
	}
	info, own := v.m.fields[name]
	if text, is := value.(string); own && is && text == "" {
		value = nil
	} else if own && is {
		if value, is = Typed(info.Type, text); !is {
			return nil, false, nil
		}
		value = orNothing(value)
	}
	return value, known, nil
}

// Typed is the value of a text form: RFC 3339 for times, decimal for numbers, one
// line per label.
func Typed(t Type, text string) (any, bool) {
	switch t {
	case Number:
		n, err := strconv.ParseInt(strings.TrimSuffix(text, ".0"), 10, 64)
		return n, err == nil
	case Decimal:
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	case Bool:
		b, err := strconv.ParseBool(text)
		return b, err == nil
	case Time:
		at, err := time.Parse(time.RFC3339Nano, text)
		return at, err == nil
	case Labels:
		if text == "" {
			return []string{}, true
		}
		return strings.Split(text, "\n"), true
	default:
		return text, true
	}
}

// textOf is the text form of a value.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []string:
		return strings.Join(slices.Sorted(slices.Values(v)), "\n")
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
