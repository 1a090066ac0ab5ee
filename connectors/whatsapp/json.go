package whatsapp

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// A value is one JSON value as it stands in a body that is valid JSON; nil if
// it is absent or null.
//
// Package encoding/json would match names whatever their case and let the last
// of two members of one name win, and would read the same bytes again at every
// level. Here a body is validated once and then only cut into pieces.
type value []byte

// A member is one name of an object with its value.
type member struct {
	name  string
	value value
}

func (v value) isObject() bool { return len(v) > 0 && v[0] == '{' }
func (v value) isArray() bool  { return len(v) > 0 && v[0] == '[' }
func (v value) isText() bool   { return len(v) > 0 && v[0] == '"' }
func (v value) isNumber() bool { return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9') }

// text decodes a JSON string; anything else is "".
func (v value) text() string {
	if !v.isText() {
		return ""
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return strings.ToValidUTF8(string(inner), "\uFFFD")
	}
	var s string
	if json.Unmarshal(bytes.ToValidUTF8(v, []byte("\uFFFD")), &s) != nil {
		return ""
	}
	return s
}

// number decodes a JSON number, or a string that holds one.
func (v value) number() (float64, bool) {
	s := v.text()
	if v.isNumber() {
		s = string(v)
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil
}

// members returns the members of an object, in order; nil for anything else.
func (v value) members() []member {
	if !v.isObject() {
		return nil
	}
	all := make([]member, 0, 8)
	for i := skipSpace(v, 1); v[i] != '}'; {
		name := v[i:endOf(v, i)]
		i = skipSpace(v, i+len(name))
		i = skipSpace(v, i+1) // the colon
		m := member{name.text(), v.at(i)}
		all = append(all, m)
		i = afterItem(v, endOf(v, i))
	}
	return all
}

// elements returns the elements of an array, in order; nil for anything else.
func (v value) elements() []value {
	if !v.isArray() {
		return nil
	}
	var all []value
	for i := skipSpace(v, 1); v[i] != ']'; {
		all = append(all, v.at(i))
		i = afterItem(v, endOf(v, i))
	}
	return all
}

// at returns the value that begins at i, nil for null.
func (v value) at(i int) value {
	if v[i] == 'n' {
		return nil
	}
	return v[i:endOf(v, i):endOf(v, i)]
}

// afterItem skips the comma that may follow an item which ended at i.
func afterItem(s []byte, i int) int {
	i = skipSpace(s, i)
	if s[i] == ',' {
		i = skipSpace(s, i+1)
	}
	return i
}

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// endOf returns where the value that begins at i ends.
func endOf(s []byte, i int) int {
	switch s[i] {
	case '"':
		return endOfText(s, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch s[i] {
			case '"':
				i = endOfText(s, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for ; i < len(s); i++ { // a number or a literal
		switch s[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

func endOfText(s []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(s[i:], '"')
		escapes := 0
		for s[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}
