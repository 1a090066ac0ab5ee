package whatsapp

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"crmsync/connectors/phone"
)

// A part is an object on the way to becoming a fact. Its accessors treat what
// is absent, null or of no content alike; what has another type than it should
// becomes the fault that it shares with the element it belongs to.
type part struct {
	self    value
	in      []member
	up      *part
	name    string
	fault   *string // the first one found; nil if none matters here
	present bool
}

// newPart reads an element of a list.
func newPart(v value) part {
	p := part{self: v, in: v.members(), fault: new(string), present: v.isObject()}
	if !p.present {
		*p.fault = " is not an object"
	}
	return p
}

// raw returns a copy of the part as it stands in the body.
func (p part) raw() []byte { return bytes.Clone(p.self) }

// lenient returns the part with nothing in it being a fault: for what is good
// to have, but not worth losing a message over.
func (p part) lenient() part {
	p.fault = nil
	return p
}

// fail notes what is wrong with a member, in words that carry no value.
func (p part) fail(name, problem string) {
	if p.fault == nil || *p.fault != "" {
		return
	}
	path := "." + name
	for at := &p; at.up != nil; at = at.up {
		path = "." + at.name + path
	}
	*p.fault = path + " " + problem
}

// broken reports whether a fault was found.
func (p part) broken() bool { return p.fault != nil && *p.fault != "" }

func (p part) get(name string) value {
	var v value
	found := false
	for _, m := range p.in {
		if m.name != name {
			continue
		}
		if found {
			p.fail(name, "is given twice")
			break
		}
		v, found = m.value, true
	}
	return v
}

// text returns a member that is text.
func (p part) text(name string) string {
	v := p.get(name)
	if v != nil && !v.isText() {
		p.fail(name, "is not text")
	}
	return v.text()
}

// need returns a member that is text and has to be there.
func (p part) need(name string) string {
	s := p.text(name)
	if s == "" {
		p.fail(name, "is missing")
	}
	return s
}

// id returns a member that is text or a number.
func (p part) id(name string) string {
	v := p.get(name)
	switch {
	case v == nil || v.isText():
		return v.text()
	case v.isNumber():
		return string(v)
	}
	p.fail(name, "is not an id")
	return ""
}

func (p part) object(name string) part {
	v := p.get(name)
	if v != nil && !v.isObject() {
		p.fail(name, "is not an object")
	}
	return part{in: v.members(), up: &p, name: name, fault: p.fault, present: v.isObject()}
}

func (p part) list(name string) []value {
	v := p.get(name)
	if v != nil && !v.isArray() {
		p.fail(name, "is not a list")
	}
	return v.elements()
}

// each returns the objects of a list.
func (p part) each(name string) []part {
	var all []part
	for i, v := range p.list(name) {
		item := part{in: v.members(), up: &p, name: fmt.Sprintf("%s[%d]", name, i), fault: p.fault, present: v.isObject()}
		if !item.present {
			p.fail(item.name, "is not an object")
		}
		all = append(all, item)
	}
	return all
}

// time returns when something happened; zero if it does not say so readably.
// Meta writes seconds, in some places as text and in others as a number.
func (p part) time(name string) time.Time {
	const farAhead = 1e11 // as seconds the year 5138, as milliseconds 1973
	n, ok := p.get(name).number()
	switch {
	case !ok || math.IsNaN(n) || n < 1 || n >= 1000*farAhead:
		return time.Time{}
	case n >= farAhead:
		return time.UnixMilli(int64(n)).UTC()
	}
	return time.Unix(int64(n), 0).UTC()
}

// waID returns a member that is a WhatsApp id: digits. Where a user id stands
// in its place, it is returned as that.
func (p part) waID(name string) (waID, userID string) {
	return idOf(p.id(name))
}

func idOf(id string) (waID, userID string) {
	if strings.Trim(id, "+0123456789 -()") == "" {
		return phone.Digits(id), ""
	}
	if len(id) > 3 && isCapital(id[0]) && isCapital(id[1]) && id[2] == '.' {
		return "", id
	}
	return "", ""
}

func isCapital(c byte) bool { return c >= 'A' && c <= 'Z' }
