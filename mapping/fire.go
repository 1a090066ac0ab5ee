package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fired is a rule that has fired.
type Fired struct {
	Rule string
	// Line is where the rule begins in the document.
	Line int
	// Actions are what it does, in order, with their values. Those with a Problem
	// cannot be carried out.
	Actions []Action
}

// Looked says of a rule that was looked at whether it has fired, and if not, which
// condition did not hold, in one clause without the contact's values.
type Looked struct {
	Rule  string
	Line  int
	Fired bool
	Why   string
}

// Fire returns which rules an event fires, in the order of the document, and of each
// rule looked at whether it did. The view is the contact's (values by field name;
// those of the document's own fields in text form) and is not changed; a rule sees
// what those before it have done.
func (m *Mapping) Fire(e Event, view map[string]any) (fired []Fired, trace []Looked) {
	if len(m.rules) == 0 {
		return nil, nil
	}
	x := &firing{m: m, event: &e, values: values{m: m, view: view}}
	x.values.event = &e
	trace = make([]Looked, 0, len(m.rules))
	for i := range m.rules {
		r := &m.rules[i]
		why := x.why(r)
		trace = append(trace, Looked{Rule: r.Name, Line: r.Line, Fired: why == "", Why: why})
		if why != "" {
			continue
		}
		f := Fired{Rule: r.Name, Line: r.Line}
		for _, do := range r.actions {
			a := Action{Kind: do.kind, Line: do.line}
			is, err := do.fill(x, &a)
			if err != nil {
				a = Action{Kind: a.Kind, Line: a.Line, Field: a.Field, Problem: err.Error()}
			}
			if is || err != nil {
				f.Actions = append(f.Actions, a)
			}
		}
		fired = append(fired, f)
		if r.stop {
			break
		}
	}
	return fired, trace
}

// firing is an event while rules look at it.
type firing struct {
	m      *Mapping
	event  *Event
	values values
	// problem is why the last expression could not be computed.
	problem string
	turns   map[string]int // that were taken

	isFolded bool
	folded   string
	matched  []bool // of the rules with keywords
}

// why says which condition of a rule does not hold, empty if it fires.
func (x *firing) why(r *Rule) string {
	is := false
	for _, k := range x.event.Kinds {
		if !slices.Contains(r.kinds, k) {
			continue
		}
		if k != MessageEvent || r.direction == "" || r.direction == x.event.Direction {
			is = true
			break
		}
		if len(r.kinds) == 1 {
			return r.otherWay
		}
	}
	if !is {
		return r.otherKind
	}
	x.problem = ""
	for i := range r.conditions {
		if c := &r.conditions[i]; !c.holds(x) {
			if x.problem != "" {
				return "if cannot be computed: " + x.problem
			}
			return c.why
		}
	}
	return ""
}

// turn is the event's turn under a name: whatever it gives to the next one of a team
// goes to the same person.
func (x *firing) turn(of string) int {
	n, taken := x.turns[of]
	if !taken {
		if x.turns == nil {
			x.turns = map[string]int{}
		}
		n = x.event.Turn(of)
		x.turns[of] = n
	}
	return n
}

// text is the event's text as words are compared.
func (x *firing) text() string {
	if !x.isFolded {
		x.folded, x.isFolded = folded(x.event.Text), true
	}
	return x.folded
}

func (x *firing) hasKeyword(rule int) bool {
	if x.event.Text == "" {
		return false
	}
	if x.matched == nil {
		x.matched = x.m.keywords.in(x.text())
	}
	return x.matched[rule]
}

func (x *firing) labels() []string {
	v, _, _ := x.values.field("labels")
	labels, _ := v.([]string)
	return labels
}

func (x *firing) hasLabel(any []string) bool {
	return slices.ContainsFunc(x.labels(), func(l string) bool {
		return slices.ContainsFunc(any, func(wanted string) bool { return strings.EqualFold(l, wanted) })
	})
}

// is computes a condition. One that cannot be computed does not hold.
func (x *firing) is(e *expression) bool {
	v, err := e.eval(&x.values)
	if err != nil {
		x.problem = err.Error()
		return false
	}
	return v == true
}

// set changes what later rules see.
func (x *firing) set(name string, value any) {
	if x.values.done == nil {
		x.values.done = map[string]any{}
	}
	x.values.known = nil                                               // what follows from others may be another now
	if text, is := value.(string); is && x.m.fields[name].Type == "" { // own ones are in text form
		value, _ = Typed(Contact[name].Type, text)
	}
	x.values.done[name] = orNothing(value)
}

// longestLabel is in characters.
const longestLabel = 100

// label adds a label or removes it. It reports false where that changes nothing.
func (x *firing) label(add bool, name *template, a *Action) (bool, error) {
	label, err := name.eval(&x.values)
	if err != nil {
		return false, err
	}
	if label = strings.Join(strings.Fields(label), " "); label == "" {
		return false, nil
	}
	if utf8.RuneCountInString(label) > longestLabel {
		return false, fmt.Errorf("a label became longer than %d characters", longestLabel)
	}
	a.Field, a.Value = "labels", label
	now := x.labels()
	at := slices.IndexFunc(now, func(l string) bool { return strings.EqualFold(l, label) })
	switch {
	case add == (at >= 0):
		return false, nil
	case add:
		x.set("labels", append(slices.Clone(now), label))
	default:
		a.Value = now[at]
		x.set("labels", slices.Delete(slices.Clone(now), at, at+1))
	}
	return true, nil
}
