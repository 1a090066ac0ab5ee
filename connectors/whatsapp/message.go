package whatsapp

import (
	"strings"

	"crmsync/connectors"
)

// message reads a message that was received or, in the fields of echoes, sent
// with the WhatsApp Business app. The field decides the direction, not the
// sender's number.
func (c *change) message(p part) (connectors.Fact, *contact) {
	switch c.field {
	case "smb_message_echoes", "message_echoes":
		return c.read(p, connectors.Out, who(p, "to", "to_user_id", "to_parent_user_id"))
	case "history":
		return c.past(p, "")
	}
	return c.read(p, connectors.In, sender(p))
}

func sender(p part) connectors.Person {
	return who(p, "from", "from_user_id", "from_parent_user_id")
}

// past reads a message of a thread of the history. Thread is the other
// person's id, if it is known.
func (c *change) past(p part, thread string) (connectors.Fact, *contact) {
	from, to := sender(p), who(p, "to", "to_user_id", "to_parent_user_id")
	var other connectors.Person
	other.WAID, other.UserID = idOf(thread)
	direction := connectors.In
	switch {
	case c.isBusiness(from):
		direction = connectors.Out
	case c.isBusiness(to), same(from, other):
	case same(to, other), c.phone != "" && from.WAID != "" && (to.WAID != "" || other.WAID != ""):
		// From neither the thread's person nor, as displayed, the business:
		// the business under another form of its number.
		direction = connectors.Out
	}
	person := from
	if direction == connectors.Out {
		person = to
	}
	if nobody(person) {
		person = other
	}
	f, about := c.read(p, direction, person)
	if f.Message != nil {
		f.Message.History = true
		// Media come twice, first with a placeholder in their stead.
		f.Message.Status = pastStatus(p.object("history_context").lenient().text("status"))
		f.Key = keyOf("history", c.number, f.Message.WAMID, f.Type, f.Message.Status)
	}
	return f, about
}

func (c *change) isBusiness(p connectors.Person) bool {
	return p.WAID != "" && (p.WAID == c.phone || p.WAID == c.number)
}

func same(a, b connectors.Person) bool {
	return a.WAID != "" && a.WAID == b.WAID || a.UserID != "" && a.UserID == b.UserID
}

// pastStatus translates the statuses of the history.
func pastStatus(s string) string {
	switch s = strings.ToLower(s); s {
	case "sent", "delivered", "read", "played":
		return s
	case "error":
		return "failed"
	}
	return ""
}

// read reads one message to or from a person.
func (c *change) read(p part, direction connectors.Direction, person connectors.Person) (connectors.Fact, *contact) {
	f := connectors.Fact{Kind: connectors.KindMessage, Type: p.need("type"), At: p.time("timestamp")}
	switch f.Type {
	case "system":
		return c.system(p, f), nil
	case "request_welcome": // somebody opened the chat and wrote nothing
		return c.otherElement(p, f), nil
	}
	m := &connectors.Message{WAMID: p.need("id"), Direction: direction, GroupID: p.lenient().id("group_id")}
	known := false
	m.Text, known = content(p, f.Type, m)
	if !known {
		f.Raw = p.raw()
	}
	if m.ReplyTo == "" {
		m.ReplyTo = p.lenient().object("context").text("id")
	}
	m.Referral = referral(p.lenient().object("referral"))

	shareNumber(p, &person)
	var about *contact
	f.Person, about = c.people.describe(person, c.alone)
	if f.Person == nil && m.GroupID == "" {
		name := "from"
		if direction == connectors.Out {
			name = "to"
		}
		p.fail(name, "is missing, and nothing else says whose message it is")
	}
	f.Message, f.Key = m, keyOf("message", c.number, m.WAMID)
	if m.Target == m.WAMID {
		f.Key = "" // must not be taken for the message that it replaces
	}
	return f, about
}

// shareNumber adds the number of somebody without one who has just sent it on
// request.
func shareNumber(p part, person *connectors.Person) {
	if person.WAID != "" || nobody(*person) {
		return
	}
	for _, card := range p.lenient().each("contacts") {
		if card.text("origin") != "contact_request" {
			continue
		}
		for _, phone := range card.each("phones") {
			person.WAID, _ = phone.waID("wa_id")
			return
		}
	}
}

func referral(p part) *connectors.Referral {
	if !p.present {
		return nil
	}
	return &connectors.Referral{
		SourceType: p.text("source_type"), SourceID: p.id("source_id"), SourceURL: p.text("source_url"),
		Headline: p.text("headline"), ClickID: p.text("ctwa_clid"),
	}
}

// otherElement keeps an element that nothing follows from.
func (c *change) otherElement(p part, f connectors.Fact) connectors.Fact {
	f.Kind, f.Raw = connectors.KindOther, p.raw()
	return f
}
