package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Joined is why the link of a contact is [Skipped] that has become a part of
// another one.
const Joined = "the contact has become a part of another one"

// A Duplicate is a record of a person who has another one in the same account.
type Duplicate struct {
	RecordKey
	ContactID int64
	FoundAt   time.Time
	// Seen stands for what it showed; see [Shown].
	Seen string
}

// Shown is a digest of what a record shows, by the account's names of fields.
func Shown(fields map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(h, "%q=%q\n", name, fields[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// A Join says that two contacts have become one, with everything that is needed
// to undo it.
type Join struct {
	ID int64
	// Survivor is the contact that goes on, Joined the one that has become a
	// part of it.
	Survivor, Joined int64
	At               time.Time
	// Why is a few words, Account and Fact what has said so.
	Why, Account, Fact string
	Moved              Moved
	// Waiting says that it is yet to be made.
	Waiting bool
	// SplitAt is zero as long as they are one.
	SplitAt time.Time
	SplitBy string
}

// Moved is what a join has given to the survivor.
type Moved struct {
	Messages   []int64         `json:"messages,omitempty"`
	Identities []MovedIdentity `json:"identities,omitempty"`
	Links      []MovedLink     `json:"links,omitempty"`
	// Fields are those that the survivor took over, with what it had before.
	Fields []MovedField `json:"fields,omitempty"`
}

// A MovedIdentity is a name of the joined contact. Had says that the survivor
// had it too.
type MovedIdentity struct {
	Kind      IdentityKind `json:"kind"`
	Value     string       `json:"value"`
	RetiredAt time.Time    `json:"retired_at,omitzero"`
	Had       bool         `json:"had,omitempty"`
}

// A MovedLink says which records the two had in an account, and what those were
// last told; empty for none. Skipped is why the account was not to show the
// joined contact. Had says that the account knew of the survivor.
type MovedLink struct {
	Account        string            `json:"account"`
	Record         string            `json:"record,omitempty"`
	Shadow         map[string]string `json:"shadow,omitempty"`
	Skipped        string            `json:"skipped,omitempty"`
	Survivor       string            `json:"survivor,omitempty"`
	SurvivorShadow map[string]string `json:"survivor_shadow,omitempty"`
	Had            bool              `json:"had,omitempty"`
}

// A MovedField is a field that the survivor took over. Was is nil if it had
// none.
type MovedField struct {
	Name string `json:"name"`
	Was  *Value `json:"was,omitempty"`
}

// whoItIs are the fields in which a contact remains itself.
var whoItIs = []string{"wa_id", "user_id", "phone", "country"}

// Absorb gives the contact what it lacks and another one has: values that it
// does not know, those that people have entered in place of guesses, and newer
// ones from WhatsApp that do not say who it is. Who has
// opted out as either has opted out, and nobody agrees to anything by a join of
// two WhatsApp users.
func (c *Contact) Absorb(other *Contact) (took []MovedField) {
	twoUsers := c.Text("user_id") != "" && other.Text("user_id") != "" && c.Text("user_id") != other.Text("user_id")
	for _, name := range slices.Sorted(maps.Keys(other.Fields)) {
		theirs, mine := other.Fields[name], c.Fields[name]
		switch {
		case theirs.Fact == "" && theirs.Account == "", theirs.Text == "", name == alias:
			continue // it follows from the messages, says nothing, or is the other's own
		case name == "consent" || name == "consent_at":
			out := other.Text("consent") == "opted_out"
			if c.Text("consent") == "opted_out" || !out && (mine.Text != "" || twoUsers) {
				continue
			}
		case mine.Text == "", theirs.Entered && !mine.Entered:
		case mine.Entered, slices.Contains(whoItIs, strings.TrimPrefix(name, said)), !theirs.newer(mine):
			continue
		}
		moved := MovedField{Name: name}
		if was, known := c.Fields[name]; known {
			moved.Was = &was
		}
		took = append(took, moved)
	}
	for _, m := range took {
		c.put(m.Name, other.Fields[m.Name], m.Was == nil || m.Was.Text != other.Fields[m.Name].Text)
	}
	return took
}

// GiveBack undoes an Absorb, but for fields that have changed since.
func (c *Contact) GiveBack(other *Contact, took []MovedField) {
	for _, m := range took {
		switch {
		case c.Fields[m.Name] != other.Fields[m.Name]:
			continue
		case m.Was != nil:
			c.put(m.Name, *m.Was, true)
		default:
			delete(c.Fields, m.Name)
			c.Dirty, c.Changed = true, true
		}
	}
}

// Recount sums up a conversation that may have become shorter.
func (c *Contact) Recount(talk Conversation) {
	maps.DeleteFunc(c.Fields, func(_ string, v Value) bool { return v.Fact == "" && v.Account == "" })
	c.SumUp(talk)
	c.Dirty, c.Changed = true, true
}

// Talked reports whether there has been a conversation with the contact.
func (c *Contact) Talked() bool { return c.Text("last_message_at") != "" }

// NameKey is a full name as it is compared: without regard to case and space.
// It is empty for no name.
func NameKey(name string) string { return strings.Join(strings.Fields(strings.ToLower(name)), " ") }

// EnteredName is the full name that people have entered of the contact, as
// [NameKey] has it, empty if nobody has.
func (c *Contact) EnteredName() string {
	if full := c.Fields["full_name"]; full.Entered && full.Text != "" {
		return NameKey(full.Text)
	}
	first, last := c.Fields["first_name"], c.Fields["last_name"]
	if !first.Entered && !last.Entered {
		return ""
	}
	return NameKey(first.Text + " " + last.Text)
}
