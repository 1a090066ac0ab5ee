package record

import (
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
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

// keysOf are the names by which a record's person can be found.
func (b *batch) keysOf(f *directory.Fact) []directory.IdentityKey {
	if f.Observed.Gone {
		return nil
	}
	return directory.KeysOf(b.personOf(f))
}

// personOf is the person of an observed record, as far as it names one; nil if
// it does not.
func (b *batch) personOf(f *directory.Fact) *connectors.Person {
	for _, l := range b.mapping().Lines(f.Account) {
		if l.Info.Type != mapping.Phone || !l.Info.Shared {
			continue
		}
		if number := phone.Normalize(f.Observed.Fields[l.To], b.region); number != "" {
			return &connectors.Person{WAID: strings.TrimPrefix(number, "+")}
		}
	}
	return nil
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
	link := b.links[key]
	if link == nil && o.Asked != "" {
		// The vendor has merged the record into another.
		if link = b.links[directory.RecordKey{Account: f.Account, ID: o.Asked}]; link != nil {
			link.RecordID = o.ID
			b.links[key] = link
		}
	}
	if o.Gone {
		if link == nil {
			return "skipped: nobody's record"
		}
		contact := b.contacts[link.Entity.ID]
		link.RecordID, link.Shadow, link.State, link.Reason = "", nil, directory.Skipped, directory.Deleted
		b.seen = append(b.seen, seen{contact, *link})
		delete(b.links, key)
		b.touch(contact.ID, f)
		return directory.Applied
	}
	var contact *directory.Contact
	early := false
	if link != nil {
		contact = b.contacts[link.Entity.ID]
		if !b.made[link] {
			link.State = "" // as it is
			if early = o.Was == nil && o.Asked == "" && len(link.Shadow) > 0; early {
				b.again = append(b.again, directory.Pull{RecordKey: key, Change: connectors.RecordUpdated, At: f.ReceivedAt})
			}
		}
	} else {
		person := b.personOf(f)
		if person == nil {
			return "skipped: names nobody"
		}
		id := directory.Find(directory.KeysOf(person), b.identities, f.When())
		if id == 0 {
			id = b.newContact()
		}
		contact = b.contacts[id]
		own := ownKey{f.Account, id}
		if link = b.own[own]; link == nil {
			link = &directory.Link{Account: f.Account, Entity: contactEntity(id)}
			b.own[own] = link
		}
		if link.RecordID != "" {
			return "skipped: the contact has another record there"
		}
		link.RecordID, link.Shadow, link.State, b.made[link] = o.ID, nil, directory.Pending, true
		b.links[key] = link
	}
	link.Shadow = contact.Observe(directory.Sighting{
		Lines: b.mapping().Lines(f.Account), Seen: o.Fields, Region: b.region, At: f.When(), Fact: f.ID, Account: f.Account,
		Was: o.Was, Stale: !link.WrittenAt.Before(o.Read), Sent: link.Sent, Early: early,
	}, link.Shadow)
	if person := b.personOf(f); person != nil {
		b.know(contact, person)
	}
	b.touch(contact.ID, f)
	b.seen = append(b.seen, seen{contact, *link})
	return directory.Applied
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
