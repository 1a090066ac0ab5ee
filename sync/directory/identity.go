package directory

import (
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

// An IdentityKey is one name under which a person may be known.
type IdentityKey struct {
	Kind  IdentityKind
	Value string
}

// IdentityKind says what an [IdentityKey] is.
type IdentityKind string

// The kinds of identities.
const (
	// PhoneIdentity is a WhatsApp id or phone number, digits only.
	PhoneIdentity IdentityKind = "phone"
	// UserIdentity is a business-scoped user id.
	UserIdentity IdentityKind = "user"
	// EmailIdentity is an e-mail address in lower case.
	EmailIdentity IdentityKind = "email"
	// NamedIdentity is one of the others together with a full name, for people
	// who share it.
	NamedIdentity IdentityKind = "named"
)

// An Identity ties a key to a contact. A key that its owner gave up keeps
// pointing to them for what happened before RetiredAt; numbers are given to
// other people later.
type Identity struct {
	IdentityKey
	ContactID int64
	RetiredAt time.Time
}

// holds reports whether the identity was in force at a time.
func (i Identity) holds(at time.Time) bool {
	return i.RetiredAt.IsZero() || at.Before(i.RetiredAt)
}

// KeysOf returns the keys that find a person, the surest first: the number as
// WhatsApp writes it, the user ids, then variants of the number.
func KeysOf(p *connectors.Person) []IdentityKey {
	if p == nil {
		return nil
	}
	var keys []IdentityKey
	numbers := phone.Variants(p.WAID)
	if len(numbers) > 0 {
		keys = append(keys, IdentityKey{PhoneIdentity, numbers[0]})
	}
	for _, id := range []string{p.UserID, p.ParentUserID} {
		if id != "" {
			keys = append(keys, IdentityKey{UserIdentity, connectors.Clean(id)})
		}
	}
	if len(numbers) > 1 {
		for _, n := range numbers[1:] {
			keys = append(keys, IdentityKey{PhoneIdentity, n})
		}
	}
	return keys
}

// EmailKey is the key of an e-mail address as a record shows it, if it is one.
func EmailKey(text string) (IdentityKey, bool) {
	text, valid := cleanEmail(text)
	return IdentityKey{EmailIdentity, text}, valid && text != ""
}

// NamedKey is a key together with a full name as [NameKey] has it.
func NamedKey(key IdentityKey, name string) IdentityKey {
	return IdentityKey{NamedIdentity, key.Value + "|" + name}
}

// alias is where a contact keeps its [Contact.CRMKey], if its number or address
// will not do because another one has it. It is no field of its own.
const alias = "alias."

// SetAlias gives a contact a key of its own which shares one with others, unless
// it has one.
func (c *Contact) SetAlias(shared IdentityKey, name string, f *Fact) {
	if c.Text(alias) == "" {
		c.put(alias, Value{Text: short(shared.Value) + "-" + connectors.Digest([]byte(name))[:8], At: f.When(), Fact: f.ID, Account: f.Account}, true)
	}
}

// short is a value for a key: a number as it is, of an address a digest.
func short(value string) string {
	if strings.Contains(value, "@") {
		return connectors.Digest([]byte(value))[:16]
	}
	return value
}

// CRMKey is the value in an account's unique field of a contact who has never been
// on WhatsApp, empty if there is nothing to make one of.
func (c *Contact) CRMKey() string {
	if own := c.Text(alias); own != "" {
		return own
	}
	if numbers := c.Phones(); len(numbers) > 0 {
		return strings.TrimPrefix(numbers[0], "+")
	}
	return short(c.Text("email"))
}

// Find returns the contact that a person was at a time, 0 if nobody. Of
// several hits the surest key wins: contacts are never merged by accident.
func Find(keys []IdentityKey, known []Identity, at time.Time) int64 {
	for _, k := range keys {
		i := slices.IndexFunc(known, func(i Identity) bool { return i.IdentityKey == k && i.holds(at) })
		if i >= 0 {
			return known[i].ContactID
		}
	}
	return 0
}

// Describe merges what a report says about a person into their contact.
func (c *Contact) Describe(p *connectors.Person, at time.Time, fact, account string) {
	if p == nil {
		return
	}
	set := func(name, text string) {
		if text != "" {
			c.Report(name, Value{Text: text, At: at, Fact: fact, Account: account})
		}
	}
	set("wa_id", p.WAID)
	set("phone", phone.Of(p.WAID))
	set("country", firstOf(p.CountryCode, phone.Country(phone.Of(p.WAID))))
	set("user_id", firstOf(p.UserID, p.ParentUserID))
	set("username", p.Username)
	set("profile_name", p.ProfileName)
	set("full_name", p.FullName)
	set("first_name", p.FirstName)
}

// AccountKey is the contact's value in an account's unique field: the WhatsApp
// id, or the user id of a person without a phone.
func (c *Contact) AccountKey() string { return firstOf(c.Text("wa_id"), c.Text("user_id")) }

// Phones are the contact's number in E.164 and its variants, the exact one
// first.
func (c *Contact) Phones() []string {
	number := c.Text("phone")
	if number == "" {
		return nil
	}
	all := phone.Variants(number)
	if raw := phone.Digits(c.Text("wa_id")); !slices.Contains(all, raw) && raw != "" {
		all = append(all, raw)
	}
	for i := range all {
		all[i] = "+" + all[i]
	}
	return all
}
