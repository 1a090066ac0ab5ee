package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// EventKind says what sort of thing has happened.
type EventKind string

// The kinds of events that rules wait for. One fact may be several: a button that
// somebody new presses is a message, a button and a new contact.
const (
	MessageEvent    EventKind = "message"
	StatusEvent     EventKind = "status"
	ButtonEvent     EventKind = "button"
	ListReplyEvent  EventKind = "list_reply"
	OptInEvent      EventKind = "opt_in"
	OptOutEvent     EventKind = "opt_out"
	NewContactEvent EventKind = "new_contact"
)

var eventKinds = []string{
	string(MessageEvent), string(StatusEvent), string(ButtonEvent), string(ListReplyEvent), string(OptInEvent), string(OptOutEvent), string(NewContactEvent),
}

// An Event is what has happened, as rules look at it.
type Event struct {
	// Kinds is all that it is.
	Kinds []EventKind
	// Account has reported it.
	Account string
	// Direction, Type and Text are the message's: in or out, the vendor's word such
	// as image, and what somebody has written, in which keywords are looked for.
	Direction, Type, Text string
	// Shown is what a person reads, such as "[Image] my cat"; empty is Text.
	Shown string
	// Reply is the id of the button or the line of a list.
	Reply string
	// Status is that of a status.
	Status string
	// At is when it happened.
	At time.Time
	// FirstContact reports whether it is the first message that the person has ever
	// sent, Length how many messages the conversation has: those of the 24 hours up
	// to this one, both ways. They are asked only where a rule needs it; nil is
	// false and 0.
	FirstContact func() bool
	Length       func() int
	// Turn returns a number for those who take turns under a name, one more each
	// time; nil is always the first.
	Turn func(of string) int
}

// A Rule is what the document does when something happens.
type Rule struct {
	Name string
	// Line is where it begins in the document.
	Line int

	kinds      []EventKind
	direction  string // of messages; empty for any
	conditions []condition
	actions    []action
	stop       bool
	// otherKind and otherWay are why an event is not one of its.
	otherKind, otherWay string
}

// A condition is one of a rule's. Why is one clause that says that it does not hold.
type condition struct {
	cost  int // those with the least are looked at first
	why   string
	holds func(x *firing) bool
}

// Rules are the document's, in its order. The caller does not change them.
func (m *Mapping) Rules() []Rule { return m.rules }

// readTeams reads the teams, each with its people.
func (c *compiler) readTeams(node *yaml.Node) map[string][]string {
	teams := map[string][]string{}
	c.each(node, "teams", func(name, people *yaml.Node) {
		teams[name.Value] = c.everybody(people, "a team")
	})
	return teams
}

// everybody reads a list of people.
func (c *compiler) everybody(node *yaml.Node, what string) (people []string) {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		c.at(node, "%s is a list of people, such as [anna@example.com, ben@example.com]", what)
		return nil
	}
	for _, n := range node.Content {
		person := c.somebody(n)
		if person != "" && slices.Contains(people, person) {
			c.at(n, "%s is there twice", clip(person))
		}
		people = append(people, person)
	}
	return people
}

// rule keys are what a rule may say.
var (
	ruleKeys = []string{"name", "when", "do", "stop"}
	whenKeys = []string{
		"event", "direction", "keyword", "status", "button", "field", "label", "not_label", "language", "country", "hours", "first_contact", "longer_than", "if",
	}
)

// eventNames are what expressions of rules may name beside the contact's fields,
// which they hide.
var eventNames = map[string]Type{
	"text": Text, "kind": Text, "direction": Text, "button": Text, "status": Text, "account": Text, "at": Time,
}

// value is what expressions of rules know of an event.
func (e *Event) value(name string) (v any, is bool) {
	switch name {
	case "text":
		return cmp.Or(e.Shown, e.Text), true
	case "kind":
		return e.Type, true
	case "direction":
		return e.Direction, true
	case "button":
		return e.Reply, true
	case "status":
		return e.Status, true
	case "account":
		return e.Account, true
	case "at":
		return e.At, true
	}
	return nil, false
}

// readRules reads the document's rules.
func (c *compiler) readRules(node *yaml.Node, m *Mapping) {
	if node.Kind != yaml.SequenceNode {
		c.at(node, "rules are a list; each begins with - name:")
		return
	}
	names := maps.Clone(c.contact.names)
	maps.Copy(names, eventNames)
	c.event = newScope(c.tablesScope(), names)
	lines := map[string]int{}
	for _, n := range node.Content {
		named := len(m.receivers)
		r := c.rule(n, m)
		for i := range m.receivers[named:] {
			m.receivers[named+i].Rule = r.Name
		}
		if r.Name == "" {
			continue
		}
		if line, twice := lines[r.Name]; twice {
			c.at(n, "there is a rule %q already (line %d); each has a name of its own", clip(r.Name), line)
		}
		lines[r.Name] = r.Line
		m.rules = append(m.rules, r)
	}
}

func (c *compiler) rule(node *yaml.Node, m *Mapping) (r Rule) {
	r.Line = node.Line
	keys := c.keys(node, "a rule", ruleKeys)
	if keys == nil {
		return r
	}
	if keys["name"] == nil {
		c.at(node, "the rule has no name; write name: and a few words, by which it is known in logs and explanations")
	} else if r.Name = strings.TrimSpace(c.text(keys["name"], "the name of a rule")); len(r.Name) > 100 {
		c.at(keys["name"], "the name of a rule has at most 100 characters")
	}
	c.when(&r, keys["when"], m)
	if do := keys["do"]; do == nil {
		c.at(node, "the rule does nothing; write do: and a list, such as - add_label: complaint")
	} else {
		r.actions = c.actions(do, m)
	}
	if stop := keys["stop"]; stop != nil {
		r.stop = c.yes(stop, "stop")
	}
	return r
}

// keys are the values of a mapping node's keys, those that there are.
func (c *compiler) keys(node *yaml.Node, what string, allowed []string) map[string]*yaml.Node {
	keys := map[string]*yaml.Node{}
	if c.each(node, what, func(key, value *yaml.Node) {
		switch {
		case slices.Contains(allowed, key.Value):
			keys[key.Value] = value
		case what == "a rule" && slices.Contains(whenKeys, key.Value):
			c.at(key, "%s stands one step further in, under when: {%[1]s: …}", key.Value)
		case what == "a rule" && slices.Contains(actionKeys, key.Value):
			c.at(key, "%s stands one step further in, under do:, behind a dash", key.Value)
		default:
			c.unknown(key, allowed, "there "+are(allowed))
		}
	}) == nil {
		return nil
	}
	return keys
}

// when reads on which events a rule fires.
func (c *compiler) when(r *Rule, node *yaml.Node, m *Mapping) {
	keys := map[string]*yaml.Node{}
	if node != nil {
		if keys = c.keys(node, "when", whenKeys); keys == nil {
			return
		}
	}
	c.whichEvents(r, keys)
	r.otherKind = "the event is no " + list(textOfKinds(r.kinds), "or")
	is := func(cost int, why string, holds func(x *firing) bool) {
		r.conditions = append(r.conditions, condition{cost, why, holds})
	}
	if n := keys["status"]; n != nil {
		words := c.wordsOf(n, "status", Contact["last_status"].Options)
		is(1, "the status is another", func(x *firing) bool { return slices.Contains(words, x.event.Status) })
	}
	if n := keys["button"]; n != nil {
		buttons := c.foldedOf(n, "button")
		is(2, "it is another button", func(x *firing) bool {
			return slices.Contains(buttons, x.text()) || x.event.Reply != "" && slices.Contains(buttons, folded(x.event.Reply))
		})
	}
	if n := keys["field"]; n != nil {
		c.each(n, "field", func(name, value *yaml.Node) { c.fieldIs(r, name, name.Value, value, m) })
	}
	for _, name := range []string{"language", "country"} {
		if n := keys[name]; n != nil {
			c.fieldIs(r, n, name, n, m)
		}
	}
	if n := keys["label"]; n != nil {
		labels := c.textsOfSome(n, "label")
		is(1, "the contact has no label "+list(labels, "or"), func(x *firing) bool { return x.hasLabel(labels) })
	}
	if n := keys["not_label"]; n != nil {
		labels := c.textsOfSome(n, "not_label")
		is(1, "the contact has a label "+list(labels, "or"), func(x *firing) bool { return !x.hasLabel(labels) })
	}
	if n := keys["hours"]; n != nil {
		c.whichHours(is, n)
	}
	if n := keys["keyword"]; n != nil {
		words := c.textsOfSome(n, "keyword")
		for i, word := range words {
			if word != "" && folded(word) == "" {
				c.at(c.some(n, "keyword")[i], "%q has no letter, digit or sign to look for", clip(word))
			}
		}
		rule := m.keywords.add(words)
		is(3, "no keyword is in the text", func(x *firing) bool { return x.hasKeyword(rule) })
	}
	if n := keys["if"]; n != nil {
		if e := c.expression(n, c.event, Bool); e != nil {
			is(4, "what if says does not hold", func(x *firing) bool { return x.is(e) })
		}
	}
	if n := keys["first_contact"]; n != nil {
		want := c.yes(n, "first_contact")
		why := map[bool]string{true: "it is not the person's first message", false: "it is the person's first message"}[want]
		is(5, why, func(x *firing) bool { return (x.event.FirstContact != nil && x.event.FirstContact()) == want })
	}
	if n := keys["longer_than"]; n != nil {
		most := c.number(n, "longer_than", 1, 10_000)
		is(5, "the conversation is not longer", func(x *firing) bool { return x.event.Length != nil && x.event.Length() > most })
	}
	slices.SortStableFunc(r.conditions, func(a, b condition) int { return a.cost - b.cost })
}

// whichEvents reads which events a rule waits for, and finds conditions that none of
// them can meet.
func (c *compiler) whichEvents(r *Rule, keys map[string]*yaml.Node) {
	switch n := keys["event"]; {
	case n != nil:
		for _, word := range c.wordsOf(n, "event", eventKinds) {
			r.kinds = append(r.kinds, EventKind(word))
		}
		if len(r.kinds) == 0 {
			return // it has been said what is wrong
		}
	case keys["status"] != nil:
		r.kinds = []EventKind{StatusEvent}
	case keys["button"] != nil:
		r.kinds = []EventKind{ButtonEvent, ListReplyEvent}
	default:
		r.kinds = []EventKind{MessageEvent}
	}
	has := func(kinds ...EventKind) bool {
		return slices.ContainsFunc(r.kinds, func(k EventKind) bool { return slices.Contains(kinds, k) })
	}
	never := func(key string, kinds ...EventKind) {
		if n := keys[key]; n != nil && !has(kinds...) {
			c.at(n, "%s never holds for event: %s; it is about %s", key, list(textOfKinds(r.kinds), "or"), list(textOfKinds(kinds), "or"))
		}
	}
	withText := []EventKind{MessageEvent, ButtonEvent, ListReplyEvent, OptInEvent, OptOutEvent, NewContactEvent}
	never("status", StatusEvent)
	never("button", ButtonEvent, ListReplyEvent)
	never("direction", MessageEvent)
	never("keyword", withText...)
	never("first_contact", withText...)
	never("longer_than", withText...)
	r.direction = "in"
	if n := keys["direction"]; n != nil {
		if r.direction = c.word(n, "direction", "in", "out", "any"); r.direction == "any" {
			r.direction = ""
		}
	}
	r.otherWay = map[string]string{"in": "the message was not received", "out": "the message was not sent"}[r.direction]
	if n := keys["first_contact"]; n != nil && r.direction == "out" && !has(withText[1:]...) {
		c.at(n, "first_contact is about messages received, and direction is out")
	}
}

// whichHours reads within or outside of which hours a rule fires.
func (c *compiler) whichHours(is func(cost int, why string, holds func(x *firing) bool), node *yaml.Node) {
	name, outside := node, false
	if node.Kind == yaml.MappingNode {
		keys := c.keys(node, "hours", []string{"outside"})
		if keys != nil && len(node.Content) == 0 {
			c.at(node, "hours are the name of some, or {outside: NAME}")
		}
		if keys["outside"] == nil {
			return
		}
		name, outside = keys["outside"], true
	}
	h, ok := named(c, name, "hours", "hours: {office: {zone: Europe/Rome, mon-fri: \"09:00-18:00\"}}", c.hours)
	if !ok {
		return
	}
	why := "it is outside hours " + name.Value
	if outside {
		why = "it is within hours " + name.Value
	}
	is(1, why, func(x *firing) bool { return h.open(x.event.At) != outside })
}

// fieldIs reads which values a field has to have; at is where it is named.
func (c *compiler) fieldIs(r *Rule, at *yaml.Node, name string, value *yaml.Node, m *Mapping) {
	info, known := m.Field(name)
	switch {
	case !known:
		c.unknown(at, m.Fields(), "see config/mapping.yaml for the contact fields, or make one of your own under fields")
		return
	case info.Type == Labels:
		c.at(at, "for labels write label: NAME, or not_label: NAME")
		return
	case info.Type == Time:
		c.at(at, "%s is a time, which nothing equals; compare it with if, such as if: \"%s < timestamp('2026-01-01T00:00:00Z')\"", name, name)
		return
	}
	var wanted []string
	for _, n := range c.some(value, name) {
		text, problem := literal(info, n.Value)
		if problem != "" {
			c.at(n, "%s %s", name, problem)
		}
		wanted = append(wanted, text)
	}
	tag := name == "language"
	r.conditions = append(r.conditions, condition{1, "field " + name + " is another", func(x *firing) bool {
		v, _, err := x.values.field(name)
		if err != nil {
			return false
		}
		text := textOf(v)
		return slices.ContainsFunc(wanted, func(w string) bool {
			if tag && w != "" && len(text) > len(w) && (text[len(w)] == '-' || text[len(w)] == '_') {
				return strings.EqualFold(text[:len(w)], w) // it is also it_IT
			}
			return strings.EqualFold(text, w)
		})
	}})
}

// literal is the text form of a value of a field, which a document writes out, or
// what is wrong with it.
func literal(info Info, text string) (clean, problem string) {
	switch {
	case text == "":
	case len(info.Options) > 0 && !slices.Contains(info.Options, text):
		if near := nearest(text, info.Options); near != "" {
			return "", "has no option \"" + clip(text) + "\"; did you mean " + near + "?"
		}
		return "", "has no option \"" + clip(text) + "\"; it is " + list(info.Options, "or")
	case info.Type == Bool:
		switch strings.ToLower(text) {
		case "yes", "true":
			return "true", ""
		case "no", "false":
			return "false", ""
		}
		return "", "is yes or no"
	case kindOf(info.Type) != Text:
		v, ok := Typed(info.Type, text)
		if !ok {
			return "", "is " + nameOf(kindOf(info.Type)) + map[Type]string{Time: " such as 2026-11-21T09:00:00Z"}[info.Type]
		}
		return textOf(v), ""
	}
	return text, ""
}

// wordsOf are words out of a list of possible ones.
func (c *compiler) wordsOf(node *yaml.Node, what string, possible []string) (words []string) {
	for _, n := range c.some(node, what) {
		if word := c.word(n, what, possible...); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// textsOfSome are the texts of a list, or the one that stands for a list of one.
func (c *compiler) textsOfSome(node *yaml.Node, what string) (texts []string) {
	for _, n := range c.some(node, what) {
		texts = append(texts, c.text(n, what))
	}
	return texts
}

func (c *compiler) foldedOf(node *yaml.Node, what string) (texts []string) {
	for _, text := range c.textsOfSome(node, what) {
		texts = append(texts, folded(text))
	}
	return texts
}

func textOfKinds(kinds []EventKind) []string {
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = string(k)
	}
	return texts
}
