package record

import (
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phone"
	"crmsync/sync/directory"
)

// readAs is what an observed record shows of a contact field, empty for nothing.
func (b *batch) readAs(f *directory.Fact, field string) string {
	for _, l := range b.mapping.Lines(f.Account) {
		if l.From != field || !l.Read {
			continue
		}
		if text, ok := l.Reads(f.Observed.Fields[l.To]); ok && text != "" {
			return text
		}
	}
	return ""
}

// personOf is the person of an observed record, as far as it names one by
// number; nil if it does not.
func (b *batch) personOf(f *directory.Fact) *connectors.Person {
	if number := phone.Normalize(b.readAs(f, "phone"), b.region); number != "" {
		return &connectors.Person{WAID: strings.TrimPrefix(number, "+")}
	}
	return nil
}

// plainKeys are the number and, where the mapping says so, the e-mail address by
// which a record's person can be found.
func (b *batch) plainKeys(f *directory.Fact) []directory.IdentityKey {
	keys := directory.KeysOf(b.personOf(f))
	if b.mapping.People().ByEmail {
		if key, ok := directory.EmailKey(b.readAs(f, "email")); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// nameOf is the full name that a record shows, where the mapping tells people by
// it; else empty.
func (b *batch) nameOf(f *directory.Fact) string {
	if !b.mapping.People().ByName {
		return ""
	}
	if full := directory.NameKey(b.readAs(f, "full_name")); full != "" {
		return full
	}
	return directory.NameKey(b.readAs(f, "first_name") + " " + b.readAs(f, "last_name"))
}

// keysOf are all names by which a record's person may be known, those together
// with the full name first.
func (b *batch) keysOf(f *directory.Fact) []directory.IdentityKey {
	if f.Observed.Gone {
		return nil
	}
	plain := b.plainKeys(f)
	return append(named(plain, b.nameOf(f)), plain...)
}

// named are keys that find a person only together with their full name; none
// without one.
func named(plain []directory.IdentityKey, name string) []directory.IdentityKey {
	if name == "" {
		return nil
	}
	keys := make([]directory.IdentityKey, len(plain))
	for i, k := range plain {
		keys[i] = directory.NamedKey(k, name)
	}
	return keys
}

// find returns the contact that a record's names lead to, 0 if to nobody. Where
// the mapping tells people by name it is not one of another name.
func (b *batch) find(f *directory.Fact) int64 {
	plain, name := b.plainKeys(f), b.nameOf(f)
	if id := directory.Find(named(plain, name), b.identities, f.When()); id != 0 {
		return id
	}
	id := directory.Find(plain, b.identities, f.When())
	if id == 0 || name == "" {
		return id
	}
	if entered := b.contacts[id].EnteredName(); entered != "" && entered != name {
		return 0
	}
	return id
}

// recognise adds the names that a record shows to its contact's. What another
// one has already, of a shared telephone, is the contact's only together with
// the name.
func (b *batch) recognise(c *directory.Contact, f *directory.Fact) {
	plain, name := b.plainKeys(f), b.nameOf(f)
	for i, key := range plain {
		if i > 0 && key.Kind == directory.PhoneIdentity {
			continue // a variant of the number, which only finds
		}
		if !b.hold(c, key, time.Time{}) && name != "" && b.onlyInCRMs(c) {
			b.hold(c, key, never) // so that the two know of each other
			c.SetAlias(key, name, f)
		}
	}
	for _, key := range named(plain, name) {
		b.hold(c, key, time.Time{})
	}
}

// never is when a name was given up that its contact has never had alone.
var never = time.Unix(0, 0).UTC()

// hold adds a name to a contact's, unless somebody holds it already, and reports
// whether the contact does. One that is retired is added beside its holder's.
func (b *batch) hold(c *directory.Contact, key directory.IdentityKey, retired time.Time) bool {
	i := slices.IndexFunc(b.identities, func(i directory.Identity) bool {
		return i.IdentityKey == key && (i.ContactID == c.ID || retired.IsZero() && i.RetiredAt.IsZero())
	})
	if i >= 0 {
		return b.identities[i].ContactID == c.ID
	}
	b.identities = append(b.identities, directory.Identity{IdentityKey: key, ContactID: c.ID, RetiredAt: retired})
	b.newIdentities = append(b.newIdentities, len(b.identities)-1)
	return true
}

// enteredKeys are the number and the e-mail address by which a contact is known
// because somebody has entered them, and not from WhatsApp.
func (b *batch) enteredKeys(c *directory.Contact) []directory.IdentityKey {
	keys := directory.KeysOf(&connectors.Person{WAID: strings.TrimPrefix(c.Text("phone"), "+")})
	own := directory.KeysOf(&connectors.Person{WAID: c.Text("wa_id")})
	keys = slices.DeleteFunc(keys, func(k directory.IdentityKey) bool { return slices.Contains(own, k) })
	if b.mapping.People().ByEmail {
		if key, ok := directory.EmailKey(c.Text("email")); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// loadFormer reads the holders of the names by which the contacts of observed
// records are known: a record may show that one of them was wrong.
func (b *batch) loadFormer() error {
	var keys []directory.IdentityKey
	for _, f := range b.facts {
		if f.Observed == nil || f.Observed.Gone {
			continue
		}
		if link := b.links[directory.RecordKey{Account: f.Account, ID: f.Observed.ID}]; link != nil && b.contacts[link.Entity.ID] != nil {
			keys = append(keys, b.enteredKeys(b.contacts[link.Entity.ID])...)
		}
	}
	keys = slices.DeleteFunc(keys, func(k directory.IdentityKey) bool {
		return slices.ContainsFunc(b.identities, func(i directory.Identity) bool { return i.IdentityKey == k })
	})
	if len(keys) == 0 {
		return nil
	}
	former, err := b.tx.Identities(keys)
	b.identities = append(b.identities, former...)
	return err
}

// giveUp ends a contact's hold on names that somebody had entered and has
// replaced: a number with a slip in it is somebody else's.
func (b *batch) giveUp(c *directory.Contact, before []directory.IdentityKey, f *directory.Fact) {
	now := b.enteredKeys(c)
	b.release(c.ID, slices.DeleteFunc(before, func(k directory.IdentityKey) bool { return slices.Contains(now, k) }), f)
}
