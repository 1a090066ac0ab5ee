package whatsapp

import "crmsync/connectors"

// status reads how far an outbound message has come. One of a failed message
// may name nobody.
func (c *change) status(p part) (connectors.Fact, *contact) {
	s := &connectors.Status{WAMID: p.need("id"), Status: p.need("status")}
	f := connectors.Fact{Kind: connectors.KindStatus, Type: s.Status, At: p.time("timestamp"), Status: s}
	easy := p.lenient()
	if about := easy.text("type"); about != "" && about != "message" {
		return c.otherElement(p, connectors.Fact{Type: about, At: f.At}), nil // of a payment, say
	}
	person := who(p, "recipient_id", "recipient_user_id", "recipient_parent_user_id")
	participant := easy.id("recipient_participant_id")
	if easy.text("recipient_type") == "group" {
		s.GroupID = first(easy.id("recipient_id"), "unknown")
		person = who(p, "recipient_participant_id", "recipient_participant_user_id", "recipient_participant_parent_user_id")
	}
	person.ParentUserID = first(person.ParentUserID, easy.text("parent_recipient_user_id"))
	participant = first(participant, easy.text("recipient_participant_user_id"))
	for _, e := range easy.each("errors") {
		if code, ok := e.get("code").number(); ok && code > 0 && code < 1e9 && s.ErrorCode == 0 {
			s.ErrorCode = int(code)
		}
	}
	var about *contact
	f.Person, about = c.people.describe(person, c.alone)
	f.Key = keyOf("status", c.number, s.WAMID, s.Status, participant)
	return f, about
}

// preference reads what somebody chose about marketing messages.
func (c *change) preference(p part) (connectors.Fact, *contact) {
	choice := &connectors.Preference{Category: p.lenient().text("category"), Value: p.need("value")}
	f := connectors.Fact{Kind: connectors.KindPreference, Type: choice.Value, At: p.time("timestamp"), Preference: choice}
	var about *contact
	f.Person, about = c.people.describe(who(p, "wa_id", "user_id", "parent_user_id"), c.alone)
	if f.Person == nil {
		p.fail("wa_id", "is missing, and nothing else says whose choice it is")
	}
	return f, about
}

// system reads a notice about somebody's number or user id. Its sentence is
// for people and never read. A notice of another kind has no consequence.
func (c *change) system(p part, f connectors.Fact) connectors.Fact {
	notice := p.object("system")
	f.Type = first(notice.text("type"), f.Type)
	switch f.Type {
	case "user_changed_number", "customer_changed_number", "user_changed_user_id":
	default:
		return c.otherElement(p, f)
	}
	was := sender(p)
	if was.WAID == "" {
		was.WAID, _ = notice.lenient().waID("customer")
	}
	is := who(notice, "wa_id", "user_id", "parent_user_id")
	if next, _ := notice.lenient().waID("new_wa_id"); next != "" {
		is.WAID = next
	}
	if nobody(is) {
		notice.fail("wa_id", "is missing, and no user id says who they are now")
	}
	return identity(f, was, is)
}

// userIDUpdate reads a change of somebody's user id. It may be the same change
// that a system message reports.
func (c *change) userIDUpdate(p part) (connectors.Fact, *contact) {
	f := connectors.Fact{Type: "user_id_update", At: p.time("timestamp")}
	id, parent := p.object("user_id"), p.lenient().object("parent_user_id")
	was := connectors.Person{UserID: id.text("previous"), ParentUserID: parent.text("previous")}
	is := connectors.Person{UserID: id.need("current"), ParentUserID: parent.text("current")}
	is.WAID, _ = p.lenient().waID("wa_id")
	return identity(f, was, is), nil
}

func identity(f connectors.Fact, was, is connectors.Person) connectors.Fact {
	f.Kind, f.Identity = connectors.KindIdentity, &connectors.Identity{New: is}
	if !nobody(was) {
		f.Person = &was
	}
	return f
}

// stateSync reads an entry of the address book in the WhatsApp Business app. To
// take somebody out of it says nothing about them.
func (c *change) stateSync(p part) (connectors.Fact, *contact) {
	f := connectors.Fact{
		Kind: connectors.KindPerson, Type: "smb_app_state_sync",
		At: p.lenient().object("metadata").time("timestamp"),
	}
	if p.text("type") != "contact" || p.text("action") == "remove" {
		return c.otherElement(p, f), nil
	}
	entry := p.object("contact")
	person := who(entry, "phone_number", "user_id", "parent_user_id")
	person.FullName, person.FirstName = entry.lenient().text("full_name"), entry.lenient().text("first_name")
	if nobody(person) {
		entry.fail("phone_number", "is missing")
	}
	f.Person = &person
	return f, nil
}
