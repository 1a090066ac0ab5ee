package hubspotsim

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// maxString is the longest text a property takes.
const maxString = 65536

var emailForm = regexp.MustCompile(`^[^@\s]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}$`)

// writing checks the values of one write.
type writing struct {
	s  *Server
	st *store
	// before is the state to be changed, nil for a new record.
	before *state
	// strict follows version 2026-09.
	strict   bool
	bad      []badValue
	warnings []warning
}

// warning tells that a value was stored otherwise than sent (2026-09).
type warning struct {
	Category string `json:"category"`
	Message  string `json:"message"`
	Context  struct {
		PropertyName    string `json:"propertyName"`
		RawValue        string `json:"rawValue"`
		NormalizedValue string `json:"normalizedValue"`
	} `json:"context"`
}

// values returns what is to be stored, and collects every offender in w.bad.
func (w *writing) values(in map[string]text) map[string]string {
	out := map[string]string{}
	names := make([]string, 0, len(in))
	for name := range in {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, sent := range names {
		name, value := strings.ToLower(sent), string(in[sent])
		p := w.st.property(name)
		switch {
		case p == nil:
			w.refuse("PROPERTY_DOESNT_EXIST", sent, value, "Property %q does not exist", sent)
		case name == "createdate" && w.before == nil:
			if ms, ok := milliseconds(value); ok {
				out[name] = simcrm.Stamp(ms)
			} else {
				w.refuse("INVALID_LONG", name, value, "%s was not a valid long.", value)
			}
		case p.Calculated:
			w.refuse("READ_ONLY_VALUE", name, value, "%q is a calculated property; its value cannot be set.", name)
		case p.readOnly():
			w.refuse("READ_ONLY_VALUE", name, value, "%q is a read only property; its value cannot be set.", name)
		case value == "":
			out[name] = ""
		default:
			if v, keep := w.value(p, value); keep {
				out[name] = v
			}
		}
	}
	if f, hit := w.s.faults.Rejects(words(out)); hit {
		name := "firstname"
		for _, n := range slices.Sorted(maps.Keys(out)) { // the same one each time
			if f.Match != "" && strings.Contains(n+"="+out[n], f.Match) {
				name = n
			}
		}
		w.refuse("INVALID_OPTION", name, "", "The value of %q was not one of the allowed options: []", name)
	}
	return out
}

// words shows values as text, for faults that pick a record by what is in it.
func words(values map[string]string) string {
	var b strings.Builder
	for n, v := range values {
		b.WriteString(n + "=" + v + "\n")
	}
	return b.String()
}

func (w *writing) refuse(code, name, value, format string, args ...any) {
	w.bad = append(w.bad, badValue{code, name, value, fmt.Sprintf(format, args...)})
}

func (w *writing) value(p *property, v string) (string, bool) {
	refuse := func(code, format string, args ...any) (string, bool) {
		w.refuse(code, p.Name, v, format, args...)
		return "", false
	}
	switch {
	case len(v) > maxString:
		return refuse("PROPERTY_VALUE_TOO_LONG", "%q was too long, the limit is %d characters", p.Name, maxString)
	case p.Name == "email" && w.st.id == contactType:
		if !emailForm.MatchString(v) || strings.HasSuffix(strings.ToLower(v), ".con") {
			return refuse("INVALID_EMAIL", "Email address %s is invalid", v)
		}
		return strings.ToLower(v), true
	case p.Name == "hubspot_owner_id":
		if !w.s.knowsOwner(v) {
			return refuse("INVALID_OWNER_ID", "%s was not a valid owner ID", v)
		}
		return v, true
	case p.Name == "lifecyclestage":
		return w.stage(p, v)
	case p.Name == loggedFrom:
		// Another value than its only option is refused in words of its own.
		return v, true
	}
	switch p.Type {
	case "enumeration", "bool":
		return w.choice(p, v)
	case "number":
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return refuse("INVALID_INTEGER", "%s was not a valid number.", v)
		}
	case "datetime":
		t, ok := milliseconds(v)
		if !ok {
			return refuse("INVALID_LONG", "%s was not a valid long.", v)
		}
		return simcrm.Stamp(t), true
	case "date":
		return w.date(p, v)
	}
	return v, true
}

// stage keeps a lifecycle stage that would move backwards. HubSpot: the
// contacts guide says that it may only move forward; what a backward write
// answers is not documented.
func (w *writing) stage(p *property, v string) (string, bool) {
	if _, known := w.choice(p, v); !known {
		return "", false
	}
	if w.before != nil && slices.Index(lifecycle, v) < slices.Index(lifecycle, w.before.props[p.Name]) {
		return w.before.props[p.Name], true
	}
	return v, true
}

// choice checks options; a leading semicolon adds to what a list of
// checkboxes already holds. HubSpot: the properties guide.
func (w *writing) choice(p *property, v string) (string, bool) {
	known := func(one string) bool {
		if p.Type == "bool" && len(p.Options) == 0 {
			return one == "true" || one == "false"
		}
		if p.Name == "hs_additional_emails" {
			return emailForm.MatchString(one)
		}
		return slices.ContainsFunc(p.Options, func(o option) bool { return o.Value == one })
	}
	if p.FieldType != "checkbox" {
		if !known(v) {
			w.refuse("INVALID_OPTION", p.Name, v, "%s was not one of the allowed options: %s", v, shown(p.Options))
			return "", false
		}
		return v, true
	}
	var list []string
	if strings.HasPrefix(v, ";") && w.before != nil && w.before.props[p.Name] != "" {
		list = strings.Split(w.before.props[p.Name], ";")
	}
	for one := range strings.SplitSeq(v, ";") {
		switch {
		case one == "":
		case !known(one):
			w.refuse("INVALID_OPTION", p.Name, v, "%s was not one of the allowed options: %s", one, shown(p.Options))
			return "", false
		case !slices.Contains(list, one):
			list = append(list, one)
		}
	}
	return strings.Join(list, ";"), true
}

func shown(options []option) string {
	var parts []string
	for _, o := range options {
		parts = append(parts, fmt.Sprintf("label: %q\nvalue: %q\ndisplay_order: %d\nhidden: %t\nread_only: false\n",
			o.Label, o.Value, o.DisplayOrder, o.Hidden))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// date takes a calendar day or midnight UTC in milliseconds. From 2026-09 on
// other forms are stored as their day, with a warning.
func (w *writing) date(p *property, v string) (string, bool) {
	if _, err := time.Parse(time.DateOnly, v); err == nil {
		return v, true
	}
	t, ok := milliseconds(v)
	if ok && t.Equal(t.Truncate(24*time.Hour)) && isNumber(v) {
		return t.Format(time.DateOnly), true
	}
	if !ok {
		w.refuse("INVALID_DATE", p.Name, v, "%s was not a valid date.", v)
		return "", false
	}
	if !w.strict {
		w.refuse("INVALID_DATE", p.Name, v, "%s is at %d%s UTC, not midnight!", v, t.Hour(), t.Format(":04:05.000"))
		return "", false
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil && n < 100_000_000_000 {
		t = time.Unix(n, 0).UTC()
	}
	day := t.Format(time.DateOnly)
	note := warning{Category: "PROPERTY_VALUE_NORMALIZED", Message: fmt.Sprintf("The value of %s was normalized", p.Name)}
	note.Context.PropertyName, note.Context.RawValue, note.Context.NormalizedValue = p.Name, v, day
	w.warnings = append(w.warnings, note)
	return day, true
}

func isNumber(v string) bool {
	_, err := strconv.ParseInt(v, 10, 64)
	return err == nil
}

// milliseconds reads a time as HubSpot does: epoch milliseconds or ISO 8601.
func milliseconds(v string) (time.Time, bool) {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.UnixMilli(n).UTC(), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", "2006-01-02T15:04Z"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC().Truncate(time.Millisecond), true
		}
	}
	return time.Time{}, false
}

// required checks an administrator's rules, which 2026-09 began to enforce.
func (w *writing) required(after map[string]string) *refusal {
	if !w.strict || w.st.id != contactType {
		return nil
	}
	r := refuse(400, validation, "")
	miss := func(code, name string) {
		r.Errors = append(r.Errors, detail{
			Message: "A value for " + name + " must be provided", Code: code, Context: map[string][]string{"propertyName": {name}},
		})
	}
	if w.before == nil {
		for _, name := range w.s.opts.Rules.OnCreate {
			if after[name] == "" {
				miss("MISSING_REQUIRED_PROPERTY", name)
			}
		}
	}
	for _, c := range w.s.opts.Rules.Conditional {
		if after[c.Property] != c.Value {
			continue
		}
		for _, name := range c.Requires {
			if after[name] == "" {
				miss("MISSING_CONDITIONAL_REQUIRED_PROPERTY", name)
			}
		}
	}
	if len(r.Errors) == 0 {
		return nil
	}
	r.Message = r.Errors[0].Message
	return r
}
