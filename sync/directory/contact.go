package directory

import (
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
)

// A Contact is one person, as merged from every report about them.
type Contact struct {
	ID int64
	// Version rises with every change of a value.
	Version int64
	// Fields are the known values by canonical name (see [mapping.Contact]).
	Fields    map[string]Value
	CreatedAt time.Time
	// Erased says that nothing else is known any more, and why.
	Erased Erasure

	// withheld are fields that a view leaves out; see Without.
	withheld []string

	// Changed says that a value differs from what is stored, Dirty that
	// anything does (a newer report of the same value is not a change).
	Changed, Dirty bool
}

// A Value is a field's value with its provenance.
type Value struct {
	// Text is the value in the catalogue's text form: RFC 3339 for times,
	// decimal for numbers, one line per label. Empty means known to be empty.
	Text string `json:"v"`
	// At is the source time; the newest value wins.
	At time.Time `json:"t"`
	// Fact and Account say what reported it.
	Fact    string `json:"f,omitempty"`
	Account string `json:"a,omitempty"`
	// Entered says that a person entered it, in a CRM or here: WhatsApp's own
	// idea of it does not take its place before it is another than it was.
	Entered bool `json:"e,omitempty"`
	// Revision is the mapping that was in force, and Line its line by which the
	// value came from a CRM's field; empty and 0 for what WhatsApp said.
	Revision string `json:"m,omitempty"`
	Line     int    `json:"l,omitempty"`
	// Rule is the mapping's rule that has given it, Line then the rule's.
	Rule string `json:"r,omitempty"`
	// Before is the value that another account's people or rules had given it,
	// as a shadow, and Turns how often the two have given it in turn.
	Before string `json:"b,omitempty"`
	Turns  int    `json:"n,omitempty"`
}

// Said returns what WhatsApp said last of a field that people enter too, which
// may be another value than the field's.
func (c *Contact) Said(name string) (v Value, ok bool) {
	v, ok = c.Fields[said+name]
	return v, ok
}

// newer is a total order over values, so that merging does not depend on
// arrival: by time, then by fact, then by text.
func (v Value) newer(than Value) bool {
	if !v.At.Equal(than.At) {
		return v.At.After(than.At)
	}
	if v.Fact != than.Fact {
		return v.Fact > than.Fact
	}
	return v.Text > than.Text
}

// Set merges one value: the newest wins. Values of an unchanged text only
// move the time forward.
func (c *Contact) Set(name string, v Value) {
	v.Text = connectors.Clean(v.Text)
	v.At = v.At.UTC()
	old, known := c.Fields[name]
	if known && !v.newer(old) {
		return
	}
	c.put(name, v, !known || old.Text != v.Text)
}

// Override sets a value that takes the place of what there is, whatever the
// clocks say.
func (c *Contact) Override(name string, v Value) {
	if old, known := c.Fields[name]; known && !v.newer(old) {
		v.At = old.At.Add(time.Nanosecond)
	}
	c.Set(name, v)
}

// said is where a contact keeps what WhatsApp said last about a field that
// people enter too. It is no field of its own.
const said = "said."

// Report merges what WhatsApp says about a field. What it said before is no
// news: it is no newer than what a person has entered since.
func (c *Contact) Report(name string, v Value) {
	if !mapping.Contact[name].Shared {
		c.Set(name, v)
		return
	}
	v.Text, v.At = connectors.Clean(v.Text), v.At.UTC()
	before, known := c.Fields[said+name]
	if !known || v.newer(before) {
		c.put(said+name, v, false)
	}
	if known && before.Text == v.Text {
		return
	}
	c.Set(name, v)
}

// SetEarliest keeps the earliest value ever reported, as for the time or the
// source of a first message.
func (c *Contact) SetEarliest(name string, v Value) {
	v.Text = connectors.Clean(v.Text)
	v.At = v.At.UTC()
	old, known := c.Fields[name]
	if known && (v == old || v.newer(old)) {
		return
	}
	c.put(name, v, !known || old.Text != v.Text)
}

// Derive sets a value that is computed from the directory and not reported,
// such as the number of unread messages.
func (c *Contact) Derive(name, text string, at time.Time) {
	if old, known := c.Fields[name]; known && old.Text == text {
		return
	}
	c.put(name, Value{Text: text, At: at.UTC()}, true)
}

func (c *Contact) put(name string, v Value, changed bool) {
	if c.Fields == nil {
		c.Fields = make(map[string]Value)
	}
	c.Fields[name] = v
	c.Dirty = true
	c.Changed = c.Changed || changed
}

// Text returns a field's text, empty if it is not known.
func (c *Contact) Text(name string) string { return c.Fields[name].Text }

// Time returns a time field, zero if it is not known.
func (c *Contact) Time(name string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, c.Fields[name].Text)
	return t
}

// TimeText is the text form of a time.
func TimeText(t time.Time) string { return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano) }

// View is the contact as a mapping sees it: typed values by canonical name, those
// of a mapping's own fields in text form, names split, absent fields left out, nil
// for one that is known to be empty.
func (c *Contact) View() map[string]any {
	view := make(map[string]any, len(c.Fields)+4)
	for name, v := range c.Fields {
		info, known := mapping.Contact[name]
		if !known {
			if !strings.Contains(name, ".") { // those are notes beside a field
				view[name] = v.Text
			}
			continue
		}
		if typed, ok := mapping.Typed(info.Type, v.Text); ok {
			view[name] = typed
		}
	}
	c.viewNames(view)
	if _, known := view["consent"]; !known {
		// Whoever writes to a business may be answered, and no more.
		if first, wrote := view["first_inbound_at"]; wrote {
			view["consent"], view["consent_at"] = "transactional", first
		} else if c.AccountKey() != "" { // else nobody has asked
			view["consent"] = "unknown"
		}
	}
	for _, name := range c.withheld {
		delete(view, name)
	}
	return view
}

// conversational are the fields that WhatsApp accounts report of their own
// conversation with a person. The others are about the person.
var conversational = []string{
	"consent", "consent_at", "business_number", "business_phone",
	"source_type", "source_id", "source_url", "source_headline", "click_id",
}

// Without is the contact as somebody sees it whom some WhatsApp accounts do not
// concern: what those have said of their conversation is left out, and talk,
// which is without their messages, is what is summed up. Who the person is
// everybody knows.
func (c *Contact) Without(accounts []string, talk Conversation) *Contact {
	own := &Contact{ID: c.ID, Version: c.Version, CreatedAt: c.CreatedAt, Fields: make(map[string]Value, len(c.Fields))}
	for name, v := range c.Fields {
		derived := v.Fact == "" && v.Account == ""
		switch {
		case derived:
		case slices.Contains(conversational, name) && slices.Contains(accounts, v.Account):
			own.withheld = append(own.withheld, name)
		default:
			own.Fields[name] = v
		}
	}
	own.SumUp(talk)
	return own
}

// viewNames fills in name, first_name and last_name. A contact always has a
// name that people can search for, if only its number.
func (c *Contact) viewNames(view map[string]any) {
	spoken := firstOf(c.Text("full_name"), c.Text("profile_name"))
	if first, last := c.Fields["first_name"], c.Fields["last_name"]; first.Entered || last.Entered {
		spoken = firstOf(first.Text+" "+last.Text, spoken)
	}
	name := firstOf(spoken, c.Text("username"), c.Text("phone"), c.Text("wa_id"), c.Text("user_id"))
	if name == "" {
		return
	}
	view["name"] = name
	if _, known := view["first_name"]; known {
		return
	}
	first, last, _ := strings.Cut(spoken, " ")
	view["first_name"] = firstOf(first, name)
	if _, edited := view["last_name"]; edited {
		return
	}
	view["last_name"] = nil // none is known any more, should there have been one
	if last = strings.TrimSpace(last); last != "" {
		view["last_name"] = last
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}
