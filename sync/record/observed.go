package record

import (
	"slices"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// seen is what an observation makes of a link.
type seen struct {
	contact *directory.Contact
	link    directory.Link
}

// ownKey names a contact's link in an account.
type ownKey struct {
	account string
	contact int64
}

// recordsOf are the records that an observation is about.
func recordsOf(f *directory.Fact) []directory.RecordKey {
	keys := []directory.RecordKey{{Account: f.Account, ID: f.Observed.ID}}
	if f.Observed.Asked != "" {
		keys = append(keys, directory.RecordKey{Account: f.Account, ID: f.Observed.Asked})
	}
	return keys
}

// loadLinks reads the links of the records and returns their contacts.
func (b *batch) loadLinks(records []directory.RecordKey, people []int64) (contacts []int64, err error) {
	b.links, b.own, b.made = map[directory.RecordKey]*directory.Link{}, map[ownKey]*directory.Link{}, map[*directory.Link]bool{}
	if len(records) == 0 {
		return nil, nil
	}
	links, err := b.tx.Records(records, people)
	if err != nil {
		return nil, err
	}
	for i := range links {
		l := &links[i]
		if l.RecordID != "" {
			b.links[directory.RecordKey{Account: l.Account, ID: l.RecordID}] = l
		}
		b.own[ownKey{l.Account, l.Entity.ID}] = l
		contacts = append(contacts, l.Entity.ID)
	}
	return contacts, nil
}

// observed merges what a CRM's record shows.
func (b *batch) observed(f *directory.Fact) string {
	o := f.Observed
	key := directory.RecordKey{Account: f.Account, ID: o.ID}
	link := b.followed(f, b.links[key])
	if link != nil && link.Erase {
		l := *link
		l.State = "" // as it is, with the record that it has become
		b.seen = append(b.seen, seen{b.contacts[l.Entity.ID], l})
		return directory.SkippedErased
	}
	if o.Gone {
		return b.gone(f, key, link)
	}
	early := false
	switch {
	case link == nil:
		b.doubles[key] = double{}
		if len(b.plainKeys(f)) == 0 {
			return "skipped: names nobody"
		}
		contact := b.contactOf(f)
		own := ownKey{f.Account, contact.ID}
		if link = b.own[own]; link == nil {
			link = &directory.Link{Account: f.Account, Entity: contactEntity(contact.ID)}
			b.own[own] = link
		}
		if link.RecordID != "" {
			b.doubles[key] = double{contact, f.ReceivedAt, directory.Shown(o.Fields)}
			return "skipped: the contact has another record there"
		}
		link.RecordID, link.Shadow, link.State, b.made[link] = o.ID, nil, directory.Pending, true
		b.links[key] = link
	case !b.made[link]:
		link.State = "" // as it is
		if early = o.Was == nil && o.Asked == "" && len(link.Shadow) > 0; early {
			b.again = append(b.again, directory.Pull{RecordKey: key, Change: connectors.RecordUpdated, At: f.ReceivedAt})
		}
	}
	contact := b.contacts[link.Entity.ID]
	b.joinNamed(f, contact)
	before := b.enteredKeys(contact)
	link.Shadow = contact.Observe(directory.Sighting{
		Lines: b.mapping.Lines(f.Account), Seen: o.Fields, Region: b.region, At: f.When(), Fact: f.ID, Account: f.Account,
		Revision: b.mapping.Revision(),
		Was:      o.Was, Stale: !link.WrittenAt.Before(o.Read), Sent: link.Sent, Early: early,
	}, link.Shadow)
	b.giveUp(contact, before, f)
	b.recognise(contact, f)
	b.touch(contact.ID, f)
	b.seen = append(b.seen, seen{contact, *link})
	return directory.Applied
}

// followed is the link of a record that the vendor has merged another one into:
// what was known of that one is its own now. If they were of two contacts, those
// are one person.
func (b *batch) followed(f *directory.Fact, link *directory.Link) *directory.Link {
	if f.Observed.Asked == "" {
		return link
	}
	key, former := directory.RecordKey{Account: f.Account, ID: f.Observed.ID}, directory.RecordKey{Account: f.Account, ID: f.Observed.Asked}
	b.doubles[former] = double{}
	was := b.links[former]
	if link, was = b.withoutErased(link, was); was == nil {
		return link
	}
	switch {
	case link == nil:
		was.RecordID = key.ID
		b.links[key], b.doubles[key] = was, double{}
		delete(b.links, former)
		return was
	case link.Entity == was.Entity:
		return link
	}
	survivor, joined := b.contacts[link.Entity.ID], b.contacts[was.Entity.ID]
	was.RecordID, was.Shadow, was.State, was.Reason = "", nil, directory.Skipped, directory.Deleted
	b.seen = append(b.seen, seen{joined, *was})
	delete(b.links, former)
	if survivor.AccountKey() == "" && joined.AccountKey() != "" {
		survivor, joined = joined, survivor
	}
	b.join(survivor, joined, whyMerged, f)
	return link
}

// gone unties a contact from a record that is not there any more.
func (b *batch) gone(f *directory.Fact, key directory.RecordKey, link *directory.Link) string {
	b.doubles[key] = double{}
	if link == nil {
		return "skipped: nobody's record"
	}
	contact := b.contacts[link.Entity.ID]
	link.RecordID, link.Shadow, link.State, link.Reason = "", nil, directory.Skipped, directory.Deleted
	switch b.mapping.OnDelete(f.Account) {
	case mapping.Recreate:
		link.State, link.Reason = directory.Pending, ""
		b.triggers = append(b.triggers, directory.Trigger{Account: f.Account, Entity: link.Entity})
	case mapping.Erase:
		if !f.Observed.Reported {
			break // it may be there and hidden, and this cannot be undone
		}
		b.erasures = append(b.erasures, directory.Erasure{Contact: contact.ID, At: f.ReceivedAt, Account: f.Account, Record: key.ID, Fact: f.ID})
	case mapping.Unlink:
	}
	b.seen = append(b.seen, seen{contact, *link})
	b.vacated = append(b.vacated, vacancy{f.Account, contact, f.ReceivedAt})
	delete(b.links, key)
	b.touch(contact.ID, f)
	return directory.Applied
}

// contactOf is the contact whose record is seen for the first time, known or
// new.
func (b *batch) contactOf(f *directory.Fact) *directory.Contact {
	id := b.find(f)
	if id == 0 {
		id = b.newContact()
	}
	return b.contacts[id]
}

// joinNamed notes that a contact whose record shows the name of another one is
// the same person. That is certain only of somebody who is known from CRMs alone.
func (b *batch) joinNamed(f *directory.Fact, contact *directory.Contact) {
	if id := b.find(f); id != 0 && id != contact.ID && b.onlyInCRMs(contact) {
		why := whyPhone
		if directory.Find(directory.KeysOf(b.personOf(f)), b.identities, f.When()) == 0 {
			why = whyEmail
		}
		b.join(b.contacts[id], contact, why, f)
		return
	}
	if !b.mapping.People().ByEmail {
		return
	}
	key, ok := directory.EmailKey(b.readAs(f, "email"))
	if !ok {
		return
	}
	id := directory.Find(append(named([]directory.IdentityKey{key}, b.nameOf(f)), key), b.identities, f.When())
	if id == 0 || id == contact.ID {
		return
	}
	other := b.contacts[id]
	if name := b.nameOf(f); name != "" && other.EnteredName() != "" && other.EnteredName() != name {
		return
	}
	switch {
	case b.onlyInCRMs(other):
		b.join(contact, other, whyEmail, f)
	case b.onlyInCRMs(contact):
		b.join(other, contact, whyEmail, f)
	}
}

// saveSeen stores what observations have made of links.
func (b *batch) saveSeen() error {
	links := make([]directory.Link, 0, len(b.seen))
	for i := range b.seen {
		s := &b.seen[len(b.seen)-1-i]
		s.link.Entity.ID, s.link.Wanted = s.contact.ID, s.contact.Version
		if !slices.ContainsFunc(links, func(l directory.Link) bool { return l.Account == s.link.Account && l.Entity == s.link.Entity }) {
			links = append(links, s.link) // the last word about it
		}
	}
	return b.tx.SaveRecords(links)
}
