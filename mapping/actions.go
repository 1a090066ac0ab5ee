package mapping

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// ActionKind says what a rule does.
type ActionKind string

// What rules do.
const (
	// SetAction gives the field Field the value Value, in text form; empty for none.
	SetAction ActionKind = "set"
	// AddLabelAction and RemoveLabelAction are about the label Value.
	AddLabelAction    ActionKind = "add_label"
	RemoveLabelAction ActionKind = "remove_label"
	// AssignAction gives the field owner the value Value.
	AssignAction ActionKind = "assign"
	// TaskAction makes a task in the account Account for To, empty for whoever owns
	// the contact there, with Title, Text, Due and Priority.
	TaskAction ActionKind = "task"
	// NotifyAction tells the receiver To the text Text.
	NotifyAction ActionKind = "notify"
	// ReplyAction asks the receiver To to send the person the template Template in
	// Language, with Parameters.
	ReplyAction ActionKind = "reply"
)

// An Action is what a rule does, with the values of an event.
type Action struct {
	Kind ActionKind
	// Line is where the document says so.
	Line int

	Field, Value       string
	To                 string
	Account            string
	Title, Text        string
	Due                time.Duration
	Priority           string
	Template, Language string
	Parameters         []string

	// Problem is why it cannot be carried out; empty if it can. It is one clause
	// without the contact's values.
	Problem string
}

// An action is a compiled one. It fills in the Action that it makes; the error
// holds none of the contact's values. It reports false where there is nothing to do.
type action struct {
	kind ActionKind
	line int
	fill func(x *firing, a *Action) (do bool, err error)
}

var actionKeys = []string{"set", "add_label", "remove_label", "assign", "priority", "task", "notify", "reply"}

// actions reads what a rule does.
func (c *compiler) actions(node *yaml.Node, m *Mapping) (all []action) {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		c.at(node, "do is a list of what to do, such as - add_label: complaint")
		return nil
	}
	for _, n := range node.Content {
		first := len(c.findings)
		var keys []string
		c.each(n, "each of do", func(key, value *yaml.Node) {
			if keys = append(keys, key.Value); len(keys) > 1 {
				c.at(key, "%s stands beside %s; each has a line of its own that begins with -", clip(key.Value), clip(keys[0]))
				return
			}
			all = append(all, c.action(key, value, m)...)
		})
		if len(keys) == 0 && len(c.findings) == first {
			c.at(n, "there is nothing to do here; write such as - add_label: complaint")
		}
	}
	return all
}

func (c *compiler) action(key, value *yaml.Node, m *Mapping) []action {
	one := func(kind ActionKind, fill func(x *firing, a *Action) (bool, error)) []action {
		return []action{{kind, key.Line, fill}}
	}
	switch key.Value {
	case "set":
		var all []action
		if c.each(value, "set", func(name, value *yaml.Node) { all = append(all, c.set(name, value, m)...) }) != nil && len(value.Content) == 0 {
			c.at(value, "set names fields with their values, such as {segment: gold}")
		}
		return all
	case "priority":
		info, known := m.Field("priority")
		if !known || !info.Shared {
			c.at(key, "the field priority cannot be set")
			return nil
		}
		return c.setting(key, "priority", info, value)
	case "add_label", "remove_label":
		kind := ActionKind(key.Value)
		var all []action
		for _, n := range c.some(value, key.Value) {
			label := c.template(n, c.event)
			if label == nil {
				continue
			}
			all = append(all, one(kind, func(x *firing, a *Action) (bool, error) { return x.label(kind == AddLabelAction, label, a) })...)
		}
		return all
	case "assign":
		if fill := c.assign(value, m); fill != nil {
			return one(AssignAction, fill)
		}
	case "task":
		if fill := c.task(value, m); fill != nil {
			return one(TaskAction, fill)
		}
	case "notify":
		return one(NotifyAction, c.notify(value, m))
	case "reply":
		return one(ReplyAction, c.reply(value, m))
	default:
		c.unknown(key, actionKeys, "there "+are(actionKeys))
	}
	return nil
}

// set reads which value a field gets.
func (c *compiler) set(name, value *yaml.Node, m *Mapping) []action {
	info, known := m.Field(name.Value)
	switch {
	case !known:
		c.unknown(name, m.Fields(), "make a field of your own under fields, such as "+clip(name.Value)+": {type: text}")
	case m.computed[name.Value] != nil:
		c.at(name, "%s follows from other fields and cannot be set", name.Value)
	case info.Type == Owner:
		c.at(name, "for the owner write - assign: anna@example.com")
	case info.Type == Labels:
		c.at(name, "for labels write - add_label: NAME, or - remove_label: NAME")
	case name.Value == "phone":
		c.at(name, "the number says who the contact is in WhatsApp; a rule cannot set it")
	case !info.Shared:
		c.at(name, "%s follows from WhatsApp and cannot be set", name.Value)
	default:
		return c.setting(name, name.Value, info, value)
	}
	return nil
}

// setting gives a field a value: a text with values in it, or one of the field's
// type.
func (c *compiler) setting(at *yaml.Node, name string, info Info, node *yaml.Node) []action {
	give := func(value func(x *firing) (string, error)) []action {
		return []action{{SetAction, at.Line, func(x *firing, a *Action) (do bool, err error) {
			a.Field = name
			if a.Value, err = value(x); err != nil {
				return false, err
			}
			text, problem := literal(info, strings.TrimSpace(a.Value))
			if problem != "" {
				return false, errors.New("the value is none of " + name + "'s")
			}
			a.Value = text
			x.set(name, text)
			return true, nil
		}}}
	}
	if node.Kind == yaml.ScalarNode && (node.Value == "" || node.Tag == "!!null") {
		return give(func(*firing) (string, error) { return "", nil }) // it is emptied
	}
	t := c.template(node, c.event)
	switch {
	case t == nil:
		return nil
	case len(t.values) == 0:
		text, problem := literal(info, t.texts[0])
		if problem != "" {
			c.at(node, "%s %s", name, problem)
			return nil
		}
		return give(func(*firing) (string, error) { return text, nil })
	case kindOf(info.Type) == Text:
		return give(func(x *firing) (string, error) { return t.eval(&x.values) })
	case len(t.values) > 1 || t.texts[0]+t.texts[1] != "":
		c.at(node, "%s holds %s, and not text with something else; write ${…} alone", name, nameOf(kindOf(info.Type)))
	case t.values[0].gives != kindOf(info.Type):
		c.at(node, "the expression gives %s; %s holds %s", nameOf(t.values[0].gives), name, nameOf(kindOf(info.Type)))
	default:
		return give(func(x *firing) (string, error) {
			v, err := t.values[0].eval(&x.values)
			return textOf(orNothing(v)), err
		})
	}
	return nil
}

// An assignee says to whom something goes.
type assignee struct {
	people []string
	// turns is the name under which several people take turns.
	turns string
	// field holds the person, otherwise is who it is where the field is empty.
	field     string
	otherwise *assignee
}

func (w *assignee) who(x *firing) string {
	if w == nil {
		return ""
	}
	if w.field != "" {
		v, _, err := x.values.field(w.field)
		if person := strings.TrimSpace(textOf(v)); err == nil && person != "" {
			return person
		}
		return w.otherwise.who(x)
	}
	if len(w.people) == 1 || x.event.Turn == nil {
		return w.people[0]
	}
	return w.people[x.turn(w.turns)%len(w.people)]
}

// assign reads to whom a contact is given.
func (c *compiler) assign(node *yaml.Node, m *Mapping) func(x *firing, a *Action) (bool, error) {
	keep := false
	if n := valueOf(node, "unless_owned"); n != nil {
		keep = c.yes(n, "unless_owned")
	}
	to := c.assignee(node, m, "unless_owned")
	if to == nil {
		return nil
	}
	return func(x *firing, a *Action) (bool, error) {
		a.Field = "owner"
		if owner, _, _ := x.values.field("owner"); keep && owner != nil {
			return false, nil
		}
		if a.Value = to.who(x); a.Value == "" {
			return false, errors.New("nobody is named in " + to.field)
		}
		x.set("owner", a.Value)
		return true, nil
	}
}

// assignee reads a person, or how one is found.
func (c *compiler) assignee(node *yaml.Node, m *Mapping, beside ...string) *assignee {
	if node.Kind == yaml.ScalarNode {
		if person := c.somebody(node); person != "" {
			return &assignee{people: []string{person}}
		}
		return nil
	}
	ways := []string{"owner", "team", "round_robin", "field"}
	keys := c.keys(node, "the person", slices.Concat(ways, []string{"otherwise"}, beside))
	if keys == nil {
		return nil
	}
	var to *assignee
	given := 0
	faults := len(c.findings)
	for _, way := range ways {
		n := keys[way]
		if n == nil {
			continue
		}
		if given++; given > 1 {
			c.at(n, "%s stands beside another way of saying who; keep one of %s", way, list(ways, "and"))
			continue
		}
		switch way {
		case "owner":
			to = &assignee{people: []string{c.somebody(n)}}
		case "team":
			if people, ok := named(c, n, "team", "teams: {support: [anna@example.com, ben@example.com]}", c.teams); ok {
				to = &assignee{people: people, turns: "team " + n.Value}
			}
		case "round_robin":
			people := c.everybody(n, "round_robin")
			to = &assignee{people: people, turns: "list " + strings.Join(people, " ")}
		case "field":
			to = c.inField(n, m)
		}
	}
	if otherwise := keys["otherwise"]; otherwise != nil {
		if keys["field"] == nil {
			c.at(otherwise, "otherwise says who it is where a field is empty, and no field is named")
		} else if to != nil {
			to.otherwise = c.assignee(otherwise, m)
		}
	}
	if given == 0 {
		c.at(node, "it has to be said who: an e-mail address, or one of %s", list(ways, "and"))
	}
	if len(c.findings) > faults || to == nil || to.field == "" && len(to.people) == 0 {
		return nil
	}
	return to
}

// inField reads which field names a person.
func (c *compiler) inField(node *yaml.Node, m *Mapping) *assignee {
	info, known := m.Field(node.Value)
	switch {
	case !known:
		c.unknown(node, m.Fields(), "make a field of your own under fields, such as "+clip(node.Value)+": {type: text}")
	case kindOf(info.Type) != Text:
		c.at(node, "%s holds %s and names nobody", node.Value, nameOf(kindOf(info.Type)))
	default:
		return &assignee{field: node.Value}
	}
	return nil
}

// valueOf is the value of a mapping node's key, nil if there is none.
func valueOf(node *yaml.Node, key string) *yaml.Node {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// A PersonUse is where the document names somebody who works with the contacts: in a
// team, or in a rule.
type PersonUse struct {
	// Person is an e-mail address or an id.
	Person string
	// Line and Column are where.
	Line, Column int
}

// Named are all places where the document names somebody, in its order but for the
// teams, which come first.
func (m *Mapping) Named() []PersonUse { return m.named }

// somebody reads a person: an e-mail address, or an id in the CRMs.
func (c *compiler) somebody(node *yaml.Node) string {
	person := c.text(node, "a person")
	if person == "" {
		return ""
	}
	c.named = append(c.named, PersonUse{Person: person, Line: node.Line, Column: node.Column})
	address, err := mail.ParseAddress(person)
	switch _, team := c.teams[person]; {
	case err == nil && address.Address == person:
	case team:
		c.at(node, "%s is a team; write {team: %s}", clip(person), clip(person))
	case strings.Contains(person, "@"), strings.ContainsFunc(person, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' }):
		c.at(node, "%q is nobody; people are known by their e-mail address in the CRMs, such as anna@example.com, or by their id there", clip(person))
	case !strings.ContainsFunc(person, unicode.IsDigit):
		c.at(node, "%q is neither an e-mail address nor an id; people are such as anna@example.com, and a team is {team: NAME}", clip(person))
	}
	return person
}

var priorities = []string{"low", "normal", "high"}

// task reads a task.
func (c *compiler) task(node *yaml.Node, m *Mapping) func(x *firing, a *Action) (bool, error) {
	keys := c.keys(node, "a task", []string{"title", "text", "due", "to", "priority", "account"})
	if keys == nil {
		return nil
	}
	if keys["title"] == nil {
		c.at(node, "the task has no title; write title: and what to do, such as \"Call ${name}\"")
	}
	title, text := c.templateOf(keys["title"]), c.templateOf(keys["text"])
	priority, due := "normal", time.Duration(0)
	if n := keys["priority"]; n != nil {
		priority = c.word(n, "the priority", priorities...)
	}
	if n := keys["due"]; n != nil {
		due = c.duration(n, "due")
	}
	account := c.taskAccount(node, keys["account"], m)
	var to *assignee
	if n := keys["to"]; n != nil && n.Kind == yaml.ScalarNode && n.Value == "owner" {
		to = &assignee{field: "owner"}
	} else if n != nil {
		to = c.assignee(n, m)
	}
	return func(x *firing, a *Action) (bool, error) {
		a.Account, a.Priority, a.Due, a.To = account, priority, due, to.who(x)
		return x.texts([]*template{title, text}, &a.Title, &a.Text)
	}
}

// taskAccount reads in which account a task is: one team does it, so with several
// accounts one has to be named.
func (c *compiler) taskAccount(task, node *yaml.Node, m *Mapping) string {
	names, account := m.Accounts(), ""
	switch {
	case node == nil && len(names) == 1:
		account = names[0]
	case node == nil && len(names) > 1:
		c.at(task, "the task does not say in which account it is; write account: and one of %s", list(names, "or"))
	case node != nil && !slices.Contains(names, node.Value):
		c.unknown(node, names, "the document has "+list(names, "and"))
	case node != nil:
		account = node.Value
	}
	m.tasks[account] = true
	return account
}

// notify reads whom to tell what.
func (c *compiler) notify(node *yaml.Node, m *Mapping) func(x *firing, a *Action) (bool, error) {
	keys := c.keys(node, "notify", []string{"to", "text"})
	to := c.receiver(node, keys, false, m)
	if keys != nil && keys["text"] == nil {
		c.at(node, "it has to be said what to tell: text: \"Complaint: ${name}\"")
	}
	text := c.templateOf(keys["text"])
	return func(x *firing, a *Action) (bool, error) {
		a.To = to
		_, err := x.texts([]*template{text}, &a.Text)
		if err == nil && strings.TrimSpace(a.Text) == "" {
			err = errors.New("the text is empty") // no chat takes that
		}
		return err == nil, err
	}
}

// reply reads which template somebody is asked to send.
func (c *compiler) reply(node *yaml.Node, m *Mapping) func(x *firing, a *Action) (bool, error) {
	keys := c.keys(node, "reply", []string{"template", "language", "parameters", "to", "even_opted_out"})
	to := c.receiver(node, keys, true, m)
	if keys != nil && keys["template"] == nil {
		c.at(node, "it has to be said which template, such as template: complaint_received")
	}
	name, language := c.templateOf(keys["template"]), c.templateOf(keys["language"])
	var parameters []*template
	if n := keys["parameters"]; n != nil {
		for _, p := range c.some(n, "parameters") {
			parameters = append(parameters, c.templateOf(p))
		}
	}
	always := false
	if n := keys["even_opted_out"]; n != nil {
		always = c.yes(n, "even_opted_out")
	}
	return func(x *firing, a *Action) (bool, error) {
		a.To = to
		if consent, _, _ := x.values.field("consent"); consent == "opted_out" && !always {
			return false, errors.New("the person has opted out")
		}
		if _, err := x.texts([]*template{name, language}, &a.Template, &a.Language); err != nil {
			return false, err
		}
		if language == nil {
			v, _, _ := x.values.field("language")
			a.Language = textOf(v)
		}
		a.Parameters = make([]string, len(parameters))
		for i, p := range parameters {
			if _, err := x.texts([]*template{p}, &a.Parameters[i]); err != nil {
				return false, err
			}
		}
		return true, nil
	}
}

// A ReceiverUse is where the document names a receiver, whose address is in the
// configuration.
type ReceiverUse struct {
	Name string
	Rule string
	// Line and Column are where.
	Line, Column int
	// Reply says that it is asked to send a template.
	Reply bool
}

// Receivers are all places where the document's rules name receivers.
func (m *Mapping) Receivers() []ReceiverUse { return m.receivers }

func (c *compiler) receiver(node *yaml.Node, keys map[string]*yaml.Node, reply bool, m *Mapping) string {
	to := keys["to"]
	if to == nil {
		if keys != nil {
			c.at(node, "it has to be said to whom: to: and the name of a receiver, which has its address in crmsync.yaml under notify")
		}
		return ""
	}
	name := c.text(to, "the receiver")
	m.receivers = append(m.receivers, ReceiverUse{Name: name, Line: to.Line, Column: to.Column, Reply: reply})
	return name
}

// templateOf is the template of a node that need not be there.
func (c *compiler) templateOf(node *yaml.Node) *template {
	if node == nil {
		return nil
	}
	return c.template(node, c.event)
}

var durationText = regexp.MustCompile(`^([0-9]{1,4}) ?(m|min|h|d)$`)

// duration is one such as 30m, 4h or 2d.
func (c *compiler) duration(node *yaml.Node, what string) time.Duration {
	m := durationText.FindStringSubmatch(node.Value)
	if node.Kind != yaml.ScalarNode || m == nil {
		c.at(node, "%s is a time such as 30m, 4h or 2d", what)
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits
	return time.Duration(n) * map[string]time.Duration{"m": time.Minute, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
}

// texts fills texts from templates, nil ones with nothing.
func (x *firing) texts(templates []*template, into ...*string) (do bool, err error) {
	for i, t := range templates {
		if t == nil {
			continue
		}
		if *into[i], err = t.eval(&x.values); err != nil {
			return false, fmt.Errorf("a text: %w", err)
		}
	}
	return true, nil
}
