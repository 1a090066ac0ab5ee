package whatsapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/phone"
)

const whatsappObject = "whatsapp_business_account"

// maxMalformed is how many unreadable parts of a body become facts of their
// own; Meta puts at most 1,000 updates into one.
const maxMalformed = 1000

// A splitter collects the facts of one body.
type splitter struct {
	facts      []connectors.Fact
	unreadable int
}

func split(body []byte) []connectors.Fact {
	var s splitter
	if !json.Valid(body) {
		s.malformed("the body is not JSON", body)
		return s.facts
	}
	v := value(bytes.Trim(body, " \t\r\n"))
	root := newPart(v)
	if !root.present {
		s.malformed("the body is not an object", body)
		return s.facts
	}
	object, entries := root.text("object"), root.list("entry")
	switch {
	case root.broken():
		s.malformed(strings.TrimPrefix(*root.fault, "."), body)
	case object != "" && object != whatsappObject:
		s.other(connectors.Fact{Type: object}, "", v)
	case root.get("entry") == nil:
		s.malformed("entry is missing", body)
	}
	if len(s.facts) > 0 {
		return s.facts
	}
	if len(entries) == 0 {
		s.other(connectors.Fact{Type: object}, "", v)
	}
	for i, e := range entries {
		s.entry(fmt.Sprintf("entry[%d]", i), e)
	}
	if s.unreadable > maxMalformed {
		s.collapse(body)
	}
	return s.facts
}

// collapse makes one fact of all the unreadable parts of a body.
func (s *splitter) collapse(body []byte) {
	s.facts = slices.DeleteFunc(s.facts, func(f connectors.Fact) bool { return f.Kind == connectors.KindMalformed })
	s.unreadable = 0
	s.malformed(fmt.Sprintf("more than %d parts of the body cannot be read", maxMalformed), body)
}

func (s *splitter) entry(path string, v value) {
	entry := newPart(v)
	changes := entry.list("changes")
	if entry.broken() {
		s.malformed(path+*entry.fault, wrapEntry(v))
		return
	}
	if len(changes) == 0 {
		s.other(connectors.Fact{At: entry.time("time")}, "", v)
	}
	for i, c := range changes {
		s.change(fmt.Sprintf("%s.changes[%d]", path, i), entry, c)
	}
}

// notEvents are the lists of a value that are not events themselves.
var notEvents = map[string]bool{"contacts": true}

// elements are the lists of events in a value, each with what makes facts of
// its elements.
var elements = map[string]func(c *change, s *splitter, list string, all []value){
	"messages": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).message)
	},
	"message_echoes": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).message)
	},
	"statuses": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).status)
	},
	"user_preferences": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).preference)
	},
	"user_id_update": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).userIDUpdate)
	},
	"state_sync": func(c *change, s *splitter, list string, all []value) {
		c.each(s, list, all, (*change).stateSync)
	},
	"history": (*change).history,
}

// fields are those whose values are taken apart; of any other field the whole
// change is one fact of kind other.
var fields = map[string]bool{
	"messages": true, "smb_message_echoes": true, "message_echoes": true, "history": true,
	"smb_app_state_sync": true, "user_preferences": true, "user_id_update": true,
}

// A change is what surrounds the elements of one value.
type change struct {
	path     string
	entry    part
	field    string
	metadata value
	number   string
	phone    string
	people   people
	// alone says that the value holds no more than one element, which the
	// only contact must therefore belong to.
	alone bool
}

func (s *splitter) change(path string, entry part, v value) {
	in := newPart(v)
	c := change{path: path, entry: entry, field: in.need("field")}
	var list part
	if fields[c.field] {
		list = in.object("value")
		if !list.present {
			in.fail("value", "is missing")
		}
		c.metadata = list.get("metadata")
		metadata := list.object("metadata")
		c.number, c.phone = metadata.id("phone_number_id"), phone.Digits(metadata.lenient().id("display_phone_number"))
	}
	if in.broken() {
		s.malformed(path+*in.fault, wrapChange(entry, v))
		return
	}
	if !fields[c.field] {
		s.other(c.fact(connectors.Fact{Type: c.field, At: entry.time("time")}), entryContext(entry), v)
		return
	}
	c.people = readPeople(list.lenient().get("contacts").elements())
	events := map[string][]value{}
	for _, m := range list.in {
		if elements[m.name] != nil {
			events[m.name] = m.value.elements()
		}
	}
	n := 0
	for _, all := range events {
		n += len(all)
	}
	c.alone = n == 1
	before := len(s.facts)
	c.events(s, list)
	if len(s.facts) == before {
		s.other(c.fact(connectors.Fact{Type: c.field, At: entry.time("time")}), entryContext(entry), v)
	}
}

// events makes facts of everything in a value that looks like events, in the
// order in which it stands there.
func (c *change) events(s *splitter, list part) {
	seen := map[string]bool{}
	for _, m := range list.in {
		read := elements[m.name]
		switch {
		case read != nil && seen[m.name]:
			s.malformed(c.path+".value."+m.name+" is given twice", c.wrap(m.name, m.value, nil))
		case read != nil && m.value != nil && !m.value.isArray():
			s.malformed(c.path+".value."+m.name+" is not a list", c.wrap(m.name, m.value, nil))
		case read != nil:
			read(c, s, m.name, m.value.elements())
		case m.value.isArray() && !notEvents[m.name]:
			for _, v := range m.value.elements() {
				f := connectors.Fact{Type: m.name, At: newPart(v).time("timestamp")}
				s.other(c.fact(f), c.number+" "+m.name, v)
			}
		}
		seen[m.name] = true
	}
}

// each makes a fact of each element, or a malformed one.
func (c *change) each(s *splitter, list string, all []value, read func(*change, part) (connectors.Fact, *contact)) {
	for i, v := range all {
		p := newPart(v)
		f, about := read(c, p)
		if p.broken() {
			reason := fmt.Sprintf("%s.value.%s[%d]%s", c.path, list, i, *p.fault)
			s.malformed(reason, c.wrap(list, []byte("["+orNull(v)+"]"), about))
			continue
		}
		s.add(c.complete(f, v))
	}
}

// history takes the past conversations of a number apart: messages in threads.
func (c *change) history(s *splitter, list string, all []value) {
	for h, v := range all {
		chunk := newPart(v)
		path := fmt.Sprintf("%s.value.%s[%d]", c.path, list, h)
		for t, thread := range chunk.each("threads") {
			id := thread.id("id")
			for i, m := range thread.list("messages") {
				p := newPart(m)
				f, about := c.past(p, id)
				if !p.broken() {
					s.add(c.complete(f, m))
					continue
				}
				inner := fmt.Sprintf(`[{"threads":[{"id":%s,"messages":[%s]}]}]`, orNull(thread.get("id")), orNull(m))
				s.malformed(fmt.Sprintf("%s.threads[%d].messages[%d]%s", path, t, i, *p.fault), c.wrap(list, []byte(inner), about))
			}
		}
		for _, e := range chunk.list("errors") {
			s.other(c.fact(connectors.Fact{Type: "history_errors"}), c.number, e)
		}
		if chunk.broken() {
			s.malformed(path+*chunk.fault, c.wrap(list, []byte("["+orNull(v)+"]"), nil))
		}
	}
}

// complete adds to a fact what its surroundings say, and its key if it has
// none of its own.
func (c *change) complete(f connectors.Fact, v value) connectors.Fact {
	f = c.fact(f)
	if f.Key == "" {
		f.Key = keyOf(string(f.Kind), c.number, digestOf(v))
	}
	return f
}

func (c *change) fact(f connectors.Fact) connectors.Fact {
	f.Type = connectors.TypeWord(f.Type)
	f.BusinessNumber, f.BusinessPhone = c.number, c.phone
	return f
}

func (s *splitter) add(f connectors.Fact) { s.facts = append(s.facts, f) }

// other adds what is not acted upon. Context sets it apart from an equal
// element elsewhere.
func (s *splitter) other(f connectors.Fact, context string, v value) {
	f.Kind, f.Type = connectors.KindOther, connectors.TypeWord(f.Type)
	f.Key = keyOf("other", digestOf([]byte(context+" "+digestOf([]byte(orNull(v))))))
	f.Raw = []byte(orNull(v))
	s.add(f)
}

// malformed adds what cannot be read. Raw is a body that holds nothing else,
// so that it has the same key when it is split again and is still unreadable.
func (s *splitter) malformed(reason string, raw []byte) {
	if s.unreadable++; s.unreadable > maxMalformed {
		return // see collapse
	}
	s.add(connectors.Fact{
		Kind: connectors.KindMalformed, Key: keyOf("malformed", digestOf(raw)),
		Reason: reason, Raw: append([]byte{}, raw...),
	})
}

// entryContext is what sets equal changes of different entries apart.
func entryContext(entry part) string {
	return string(entry.get("id")) + " " + string(entry.get("time"))
}

func wrapEntry(v value) []byte {
	return []byte(`{"object":"` + whatsappObject + `","entry":[` + orNull(v) + `]}`)
}

func wrapChange(entry part, v value) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for _, name := range []string{"id", "time"} {
		if v := entry.lenient().get(name); short(v) {
			fmt.Fprintf(&b, `"%s":%s,`, name, v)
		}
	}
	b.WriteString(`"changes":[` + orNull(v) + `]}`)
	return wrapEntry(value(b.String()))
}

// wrap returns a body that holds one list of a value, and the contact that its
// element is about.
func (c *change) wrap(list string, inner []byte, about *contact) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"field":"%s","value":{"messaging_product":"whatsapp"`, c.field)
	if short(c.metadata) {
		fmt.Fprintf(&b, `,"metadata":%s`, c.metadata)
	}
	if about != nil && short(about.raw) {
		fmt.Fprintf(&b, `,"contacts":[%s]`, about.raw)
	}
	fmt.Fprintf(&b, `,"%s":%s}}`, list, inner)
	return wrapChange(c.entry, value(b.String()))
}

// short reports whether a value is there and may be repeated for each
// malformed element of a body.
func short(v value) bool { return v != nil && len(v) <= 4096 }

func orNull(v value) string {
	if v == nil {
		return "null"
	}
	return string(v)
}
