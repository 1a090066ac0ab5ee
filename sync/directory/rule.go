package directory

import (
	"errors"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
)

// A Cause is what a rule has acted upon, and where the mapping says so.
type Cause struct {
	Fact     *Fact
	Rule     string
	Revision string
	Line     int
}

func (why Cause) value(text string) Value {
	return Value{
		Text: text, At: why.Fact.ReceivedAt.UTC(), Fact: why.Fact.ID, Account: why.Fact.Account,
		Entered: true, Revision: why.Revision, Line: why.Line, Rule: why.Rule,
	}
}

// ErrOptedOut is why a rule does not change what somebody has asked for.
var ErrOptedOut = errors.New("the contact has opted out, and a rule does not change that")

// Give sets a field to a rule's value, as if a person had entered it when the fact
// arrived: what somebody has entered since stays. What the same fact has given before
// gives way. Errors do not hold the value.
func (c *Contact) Give(name, text string, why Cause) error {
	clean, err := given(name, text)
	if err != nil {
		return err
	}
	old, known := c.Fields[name]
	switch {
	case known && old.Text == clean && (old.Entered || !mapping.Contact[name].Shared):
		return nil
	case name == "consent" && old.Text == "opted_out":
		return ErrOptedOut
	case !known && clean == "":
		return nil
	}
	ours := c.View()
	if _, remembered := c.Fields[said+name]; known && !old.Entered && !remembered && mapping.Contact[name].Shared {
		c.put(said+name, old, false) // WhatsApp's
	}
	v := why.value(clean)
	if old.Fact == v.Fact || old.Rule != "" && old.At.Sub(v.At) < time.Millisecond || name == "owner" { // else the order would be the ids'
		c.Override(name, v)
	} else {
		c.Set(name, v)
	}
	c.keepTogether(name, ours, Sighting{Fact: v.Fact, Account: v.Account})
	if name == "consent" && c.Fields[name].Rule == why.Rule {
		v.Text = TimeText(v.At)
		c.Override("consent_at", v)
	}
	return nil
}

// Unrule takes away what rules have given fields, for what is to take its place
// whatever the clocks say.
func (c *Contact) Unrule(names ...string) {
	for _, name := range names {
		if c.Fields[name].Rule != "" {
			delete(c.Fields, name)
			c.Dirty = true
		}
	}
}

// given is a rule's value as crmsync keeps it.
func given(name, text string) (clean string, err error) {
	text = strings.TrimSpace(connectors.Clean(text))
	if _, own := mapping.Contact[name]; own {
		if name == "email" {
			text = strings.ToLower(text)
		}
		if _, err := Editing(name, text); err != nil {
			return "", err
		}
		return text, nil
	}
	if connectors.Length(text) > longest[mapping.Long] {
		return "", errors.New(name + " became longer than 1000 characters")
	}
	return text, nil
}

// Label adds a label to the contact or removes it.
func (c *Contact) Label(label string, add bool, why Cause) {
	labels := labelsOf(c.Text("labels"))
	same := func(l string) bool { return strings.EqualFold(l, label) }
	if label = connectors.Clean(label); add == slices.ContainsFunc(labels, same) {
		return
	}
	if add {
		labels = append(labels, label)
	} else {
		labels = slices.DeleteFunc(labels, same)
	}
	slices.Sort(labels)
	c.Override("labels", why.value(strings.Join(labels, "\n")))
}

// A Notice is what a receiver is to hear because a rule says so: a debt, which is
// told at least once.
type Notice struct {
	// ID is the same however often it is told.
	ID       string
	Receiver string
	Message  NoticeMessage
	// CreatedAt is since when it is owed, Attempts how often it was tried.
	CreatedAt time.Time
	Attempts  int
}

// What a notice is.
const (
	// RuleNotice has a text for people.
	RuleNotice = "rule"
	// TemplateReply asks the system that sends messages to send a template.
	TemplateReply = "template_reply"
)

// A NoticeMessage is what the receiver is told.
type NoticeMessage struct {
	Event     string    `json:"event"`
	ID        string    `json:"id"`
	Rule      string    `json:"rule"`
	ContactID int64     `json:"contact"`
	At        time.Time `json:"at"`
	// Text is that of a rule's notice.
	Text string `json:"text,omitempty"`
	// The others are those of a template reply: whom to send it from which of the
	// business's numbers.
	Phone          string   `json:"phone,omitempty"`
	WAID           string   `json:"wa_id,omitempty"`
	UserID         string   `json:"user_id,omitempty"`
	BusinessNumber string   `json:"business_number,omitempty"`
	Template       string   `json:"template,omitempty"`
	Language       string   `json:"language,omitempty"`
	Parameters     []string `json:"parameters,omitempty"`
	// Consent is what the person has agreed to.
	Consent string `json:"consent,omitempty"`
}

// A Task is what somebody is to do about a contact because a rule says so.
type Task struct {
	ID        int64
	ContactID int64
	// Key is that of the fact, the rule and the place in it: the same task is made
	// once.
	Key  string
	Rule string
	// Account is where somebody is to do it.
	Account string
	// Owner is an e-mail address or an id, empty for whoever owns the contact there.
	Title, Text, Owner string
	// Due is zero for no time, Priority low, normal or high.
	Due      time.Time
	Priority string
	At       time.Time
}

// Standing is where a message stands in its conversation.
type Standing struct {
	// Reactions are no messages here.
	//
	// Length is how many messages there were in the 24 hours up to this one, both
	// ways, First that none from the person was recorded before it.
	Length int
	First  bool
}
