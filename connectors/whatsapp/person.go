package whatsapp

import (
	"strings"

	"crmsync/connectors"
)

// A contact is one element of a value's contacts.
type contact struct {
	connectors.Person
	raw value
}

// people are a value's contacts, by the ids under which a message or a status
// may name them. Their order says nothing.
type people struct {
	all    []contact
	byWAID map[string]int
	byUser map[string]int
}

func readPeople(list []value) people {
	p := people{byWAID: map[string]int{}, byUser: map[string]int{}}
	for _, v := range list {
		from := newPart(v).lenient()
		c := contact{raw: v}
		c.WAID, c.UserID = from.waID("wa_id")
		if id := from.text("user_id"); id != "" {
			c.UserID = id
		}
		c.ParentUserID = from.text("parent_user_id")
		c.CountryCode = from.text("country_code")
		profile := from.object("profile")
		c.ProfileName = profile.text("name")
		c.Username = strings.TrimPrefix(profile.text("username"), "@")
		if c.WAID != "" {
			p.byWAID[c.WAID] = len(p.all)
		}
		if c.UserID != "" {
			p.byUser[c.UserID] = len(p.all)
		}
		p.all = append(p.all, c)
	}
	return p
}

// find returns the contact that has one of the ids, nil if there is none.
func (p people) find(who connectors.Person) *contact {
	if i, ok := p.byUser[who.UserID]; ok {
		return &p.all[i]
	}
	if i, ok := p.byWAID[who.WAID]; ok {
		c := &p.all[i]
		if who.UserID == "" || c.UserID == "" {
			return c
		}
	}
	return nil
}

// describe completes what an element says of a person with what their contact
// says; nil if that is nobody. An element that is alone with a contact and
// names nobody means that contact.
func (p people) describe(who connectors.Person, alone bool) (*connectors.Person, *contact) {
	c := p.find(who)
	if c == nil && alone && len(p.all) == 1 && nobody(who) {
		c = &p.all[0]
	}
	if c != nil {
		who.WAID = first(who.WAID, c.WAID)
		who.UserID = first(who.UserID, c.UserID)
		who.ParentUserID = first(who.ParentUserID, c.ParentUserID)
		who.ProfileName, who.Username, who.CountryCode = c.ProfileName, c.Username, c.CountryCode
	}
	if nobody(who) {
		return nil, c
	}
	return &who, c
}

func nobody(p connectors.Person) bool {
	return p.WAID == "" && p.UserID == "" && p.ParentUserID == ""
}

// who reads the ids of a person out of an element's members.
func who(p part, waID, userID, parentUserID string) connectors.Person {
	p = p.lenient()
	var found connectors.Person
	found.WAID, found.UserID = p.waID(waID)
	found.UserID = first(p.text(userID), found.UserID)
	found.ParentUserID = p.text(parentUserID)
	return found
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
