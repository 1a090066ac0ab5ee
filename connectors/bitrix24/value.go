package bitrix24

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// A translator makes values of the contract into Bitrix24's, for one call of
// WriteContacts. Trouble with the account ends its asking.
type translator struct {
	client  *Client
	schema  *schema
	trouble *connectors.Error
}

// ask makes a call on the way, unless such calls fail.
func (t *translator) ask(call func() *connectors.Error) *connectors.Error {
	if t.trouble != nil {
		return t.trouble
	}
	err := call()
	if err != nil && err.Class.AccountTrouble() && err.Class != connectors.Unauthorized {
		t.trouble = err
	}
	return err
}

// field is what the portal says about a field, which may have been made since
// that was last read.
func (t *translator) field(ctx context.Context, name string) (descriptor, *connectors.Error) {
	if d, ok := t.schema.fields[name]; ok {
		return d, nil
	}
	err := t.ask(func() (err *connectors.Error) {
		var s *schema
		if s, err = t.client.relearned(ctx, fresh); err == nil {
			t.schema = s
		}
		return err
	})
	if err != nil {
		return descriptor{}, err
	}
	d, ok := t.schema.fields[name]
	if !ok {
		return d, noSuchField(name)
	}
	return d, nil
}

// value is a value as Bitrix24 takes it in a field that is no multifield: a
// string, or strings. Empty ones clear.
func (t *translator) value(ctx context.Context, name string, d *descriptor, v any) (any, *connectors.Error) {
	if labels, ok := v.([]string); ok {
		if !d.Multiple {
			return nil, refuse(name, "SINGLE_VALUE", "the field holds one value only: labels need a multiple field")
		}
		return t.labels(ctx, name, d, labels)
	}
	var text string
	var err *connectors.Error
	switch d.Type {
	case "enumeration":
		text, err = t.option(ctx, name, d, v)
	case "user", "employee":
		text, err = t.owner(ctx, name, v)
	default:
		text, err = plainText(name, d.Type, v)
	}
	if err != nil {
		return nil, err
	}
	if name == "COMMENTS" {
		text = escape(text)
	}
	text = cut(text, lengths[name])
	if d.Multiple {
		return []string{text}, nil
	}
	return text, nil
}

// labels is the whole set, by the ids of its values. Unknown ones are added to
// the field's list.
func (t *translator) labels(ctx context.Context, name string, d *descriptor, labels []string) (any, *connectors.Error) {
	all := []string{}
	if d.Type == "enumeration" && len(d.lacking(labels)) > 0 {
		err := t.ask(func() (err *connectors.Error) {
			var s *schema
			if s, err = t.client.extend(ctx, name, labels); err == nil {
				t.schema = s
			}
			return err
		})
		if err != nil && !err.Class.AccountTrouble() {
			err = refuse(name, "INVALID_OPTION", "a label is not among the field's values, and Bitrix24 does not let crmsync add it")
		}
		if err != nil {
			return nil, err
		}
		*d = t.schema.fields[name]
	}
	for _, l := range labels {
		if d.Type == "enumeration" {
			l = d.item(l)
		}
		if l != "" && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		// An empty list cannot be said in a query.
		all = append(all, "")
	}
	return all, nil
}

// option is the id of an enumeration's value, which somebody may have added
// since the values were last read.
func (t *translator) option(ctx context.Context, name string, d *descriptor, v any) (string, *connectors.Error) {
	text, err := plainText(name, "string", v)
	if err != nil || text == "" {
		return "", err
	}
	if b, ok := v.(bool); ok {
		text = map[bool]string{true: "yes", false: "no"}[b]
	}
	if id := d.item(text); id != "" {
		return id, nil
	}
	err = t.ask(func() (err *connectors.Error) {
		var s *schema
		if s, err = t.client.relearned(ctx, fresh); err == nil {
			t.schema = s
		}
		return err
	})
	if err != nil {
		return "", err
	}
	*d = t.schema.fields[name]
	if id := d.item(text); id != "" {
		return id, nil
	}
	return "", refuse(name, "INVALID_OPTION", "the value is not one of the field's values")
}

// owner is the id of a user, given as such or by e-mail address.
func (t *translator) owner(ctx context.Context, name string, v any) (string, *connectors.Error) {
	text, err := plainText(name, "string", v)
	if err != nil || text == "" || isID(text) {
		return text, err
	}
	if !strings.Contains(text, "@") {
		return "", refuse(name, "INVALID_OWNER", "the value is neither the id nor the e-mail address of a user")
	}
	for _, age := range []time.Duration{dated, fresh} {
		var s *staff
		err := t.ask(func() (err *connectors.Error) {
			s, err = t.client.people(ctx, age)
			return err
		})
		if err != nil {
			return "", err
		}
		if id := s.owner(text); id != "" {
			return id, nil
		}
	}
	return "", refuse(name, "INVALID_OWNER", "no active user of the portal has this e-mail address")
}

func refuse(name, code, reason string) *connectors.Error {
	return &connectors.Error{Class: connectors.Rejected, Code: code, Field: name, Reason: reason}
}

// plainText is a single value as text: everything is text in a query.
func plainText(name, typ string, v any) (string, *connectors.Error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return connectors.Clean(v), nil
	case bool:
		switch typ {
		case "char":
			return map[bool]string{true: "Y", false: "N"}[v], nil
		case "string":
			return strconv.FormatBool(v), nil
		}
		return map[bool]string{true: "1", false: "0"}[v], nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	case time.Time:
		switch {
		case v.IsZero():
			return "", nil
		case typ == "date":
			return v.UTC().Format(time.DateOnly), nil
		}
		return instant(v), nil
	}
	return "", refuse(name, "INVALID_VALUE", fmt.Sprintf("a value of type %T cannot be written", v))
}

// instant is ISO 8601 with an offset, to the second, as Bitrix24 shows times.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

// read is a value as the contract has it; nil for what is empty.
func (d *descriptor) read(name string, c contact) any {
	if d.Multiple {
		var all []string
		for _, x := range c.texts(name) {
			if d.Type == "enumeration" {
				x = d.itemText(x)
			}
			if x != "" {
				all = append(all, x)
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all
	}
	text := string(c.text(name))
	if text == "" {
		return nil
	}
	switch d.Type {
	case "enumeration":
		if text = d.itemText(text); text == "" {
			return nil
		}
	case "integer":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case "double":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case "boolean", "char":
		return text == "1" || text == "Y" || text == "true"
	case "user", "employee":
		if text == "0" {
			return nil
		}
	case "date", "datetime":
		if at := parseTime(text); !at.IsZero() {
			return at
		}
	}
	if name == "COMMENTS" {
		return unescape(text)
	}
	return text
}

// parseTime reads a time in the portal's offset; the zero time if it is none.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// markup is what Bitrix24 takes for BBCode. Any other bracket is shown as it
// is, so that "[Image] receipt" stays legible where nothing interprets it.
var markup = regexp.MustCompile(`(?i)\[(/?(?:b|i|u|s|p|br|size|color|font|url|email|img|video|audio|user|department|project|quote|code|list|table|tr|td|th|left|right|center|justify|disk|spoiler|icon|timestamp|chat|call|send|put|pch|attach|rating|context|mentions?)[\]=\s]|\*\])`)

const bracket = "&#91;"

// escape makes of a text BBCode that shows it.
func escape(s string) string { return markup.ReplaceAllString(s, bracket+"$1") }

// unescape is the text again.
func unescape(s string) string { return strings.ReplaceAll(s, bracket, "[") }
