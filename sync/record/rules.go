package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// ruledWithin is how old an event may be when it arrives for rules to act upon it.
const ruledWithin = 24 * time.Hour

// A Fired is a rule that has fired.
type Fired struct {
	Rule string
	// Account has reported the event.
	Account string
	// Problems are why some of it could not be carried out, with the line.
	Problems []string
}

// An occurrence is what rules look at, once all that was reported is merged.
type occurrence struct {
	fact    *directory.Fact
	contact *directory.Contact
	message *directory.Message // nil for a preference
	kinds   []mapping.EventKind
}

// live reports whether a fact is news: not from a history, and not of an event that
// was a day old when it arrived.
func live(f *directory.Fact) bool {
	if f.Message != nil && f.Message.History {
		return false
	}
	return f.ReceivedAt.Sub(f.When()) <= ruledWithin
}

// occurs notes that something has happened.
func (b *batch) occurs(f *directory.Fact, c *directory.Contact, m *directory.Message, kinds ...mapping.EventKind) {
	if c == nil || !live(f) || len(b.mapping.Rules()) == 0 {
		return
	}
	if b.fresh[c] == f {
		kinds = append(kinds, mapping.NewContactEvent)
	}
	if len(kinds) > 0 {
		b.occurrences = append(b.occurrences, occurrence{f, c, m, kinds})
	}
}

// kindsOf are the kinds of events that a message is. A reaction is none: nobody is
// answered for a thumbs up.
func kindsOf(f *directory.Fact) []mapping.EventKind {
	m := f.Message
	if f.Type == "reaction" {
		return nil
	}
	kinds := []mapping.EventKind{mapping.MessageEvent}
	if m.Reply != nil && m.Direction == connectors.In {
		switch m.Reply.Kind {
		case connectors.ButtonReply:
			kinds = append(kinds, mapping.ButtonEvent)
		case connectors.ListReply:
			kinds = append(kinds, mapping.ListReplyEvent)
		}
	}
	return kinds
}

// wordsOf is what a person has written of a message: without what stands there in
// place of a picture, a place or what was deleted.
func wordsOf(said *connectors.Message, m *directory.Message) string {
	switch {
	case said == nil: // a status
		return m.Text
	case m.TextRank == directory.RevokedText:
		return ""
	case said.Rendered:
		return connectors.Clean(said.Said)
	}
	return m.Text
}

// choice is the event of a consent that has changed; nil if it has not.
func choice(before, after string) []mapping.EventKind {
	switch {
	case before == after:
		return nil
	case after == "opted_out":
		return []mapping.EventKind{mapping.OptOutEvent}
	}
	return []mapping.EventKind{mapping.OptInEvent}
}

// fire lets the rules act upon what has happened, each time once: a fact that was
// recorded before is not among the batch's.
func (b *batch) fire() error {
	for _, o := range b.occurrences {
		if err := b.fireOne(o); err != nil {
			return err
		}
	}
	if err := b.tx.SaveNotices(b.notices); err != nil {
		return err
	}
	return b.tx.SaveTasks(b.tasks)
}

func (b *batch) fireOne(o occurrence) error {
	if o.contact.Erased.Is() {
		return nil
	}
	f := o.fact
	e := mapping.Event{Kinds: o.kinds, Account: f.Account, At: f.When()}
	var failed error
	e.Turn = func(of string) int {
		n, err := b.tx.Turn(of)
		if err != nil {
			failed = err
		}
		return n
	}
	if m := o.message; m != nil {
		e.Direction, e.Type, e.Text, e.Shown = string(m.Direction), m.Type, wordsOf(f.Message, m), m.Text
		var standing *directory.Standing
		stands := func() directory.Standing {
			if standing == nil {
				s, err := b.tx.Standing(m.ID)
				if err != nil {
					failed = err
				}
				standing = &s
			}
			return *standing
		}
		e.Length = func() int { return stands().Length }
		e.FirstContact = func() bool { return m.Direction == connectors.In && stands().First }
	}
	if f.Message != nil && f.Message.Reply != nil {
		e.Reply = f.Message.Reply.ID
	}
	if f.Status != nil {
		e.Status = f.Status.Status
	}
	fired, trace := b.mapping.Fire(e, o.contact.View())
	if failed != nil {
		return failed
	}
	if b.looked != nil {
		b.looked(o.contact.ID, f, fired, trace)
	}
	for _, rule := range fired {
		b.carryOutRule(o, rule)
	}
	return nil
}

// carryOutRule does what a rule says.
func (b *batch) carryOutRule(o occurrence, rule mapping.Fired) {
	f, c := o.fact, o.contact
	done := Fired{Rule: rule.Rule, Account: f.Account}
	for i, a := range rule.Actions {
		why := directory.Cause{Fact: f, Rule: rule.Rule, Revision: b.mapping.Revision(), Line: a.Line}
		id := connectors.Digest(fmt.Appendf(nil, "%s\n%s\n%d", f.ID, rule.Rule, i))[:32]
		problem := a.Problem
		switch {
		case problem != "":
		case a.Kind == mapping.SetAction, a.Kind == mapping.AssignAction:
			if err := c.Give(a.Field, a.Value, why); err != nil {
				problem = err.Error()
			}
		case a.Kind == mapping.AddLabelAction, a.Kind == mapping.RemoveLabelAction:
			c.Label(a.Value, a.Kind == mapping.AddLabelAction, why)
		case a.Kind == mapping.TaskAction && !slices.Contains(b.deliverTo(f.Account), a.Account):
			problem = "nothing of " + f.Account + " goes to account " + a.Account
		case a.Kind == mapping.TaskAction:
			b.tasks = append(b.tasks, taskOf(f, c, a, rule.Rule, id))
			b.tasked[id] = f
		default:
			b.notices = append(b.notices, noticeOf(f, c, a, rule.Rule, id))
		}
		if problem != "" {
			done.Problems = append(done.Problems, fmt.Sprintf("line %d: %s: %s", a.Line, a.Kind, problem))
		}
	}
	b.fired = append(b.fired, done)
}

func taskOf(f *directory.Fact, c *directory.Contact, a mapping.Action, rule, key string) *directory.Task {
	title := strings.Join(strings.Fields(connectors.Clean(a.Title)), " ")
	t := &directory.Task{
		ContactID: c.ID, Key: key, Rule: rule, Account: a.Account, Title: cmp.Or(title, rule), Text: connectors.Clean(a.Text), Owner: a.To, Priority: a.Priority, At: f.When(),
	}
	if a.Due > 0 {
		t.Due = f.ReceivedAt.Add(a.Due).UTC()
	}
	return t
}

func noticeOf(f *directory.Fact, c *directory.Contact, a mapping.Action, rule, id string) directory.Notice {
	n := directory.Notice{ID: id, Receiver: a.To, CreatedAt: f.ReceivedAt, Message: directory.NoticeMessage{
		Event: directory.RuleNotice, ID: id, Rule: rule, ContactID: c.ID, At: f.When(), Text: a.Text,
	}}
	if m := &n.Message; a.Kind == mapping.ReplyAction {
		m.Event, m.Template, m.Language, m.Parameters = directory.TemplateReply, a.Template, a.Language, a.Parameters
		m.Phone, m.WAID, m.UserID, m.BusinessNumber = c.Text("phone"), c.Text("wa_id"), c.Text("user_id"), f.BusinessNumber
		m.Consent = c.Text("consent")
	}
	return n
}
