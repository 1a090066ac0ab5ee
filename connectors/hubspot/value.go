package hubspot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// text is a value as HubSpot takes it: everything is text, "" clears.
func text(name string, v any, date bool) (string, *connectors.Error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		v = connectors.Clean(v)
		if name == "email" {
			// An upsert that creates drops all other properties when the
			// address has capitals, and says 200.
			return strings.ToLower(strings.TrimSpace(v)), nil
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	case time.Time:
		if v.IsZero() {
			return "", nil
		}
		if date {
			return v.UTC().Format(time.DateOnly), nil
		}
		return instant(v), nil
	case []string:
		// A plain list overwrites; a leading semicolon would append.
		return strings.Join(slices.DeleteFunc(slices.Clone(v), func(s string) bool { return s == "" }), ";"), nil
	}
	return "", &connectors.Error{
		Class: connectors.Rejected, Code: "INVALID_VALUE", Field: name,
		Reason: fmt.Sprintf("a value of type %T cannot be written", v),
	}
}

// instant is ISO 8601 in UTC with milliseconds, as HubSpot shows times itself.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// typed is a value of HubSpot's as one of the types of
// [connectors.ContactChange], nil for none. What does not look like the
// property's type stays the text that it is.
func (p *property) typed(v value) any {
	s := string(v)
	if s == "" {
		return nil
	}
	switch p.fieldType() {
	case connectors.TypeNumber:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	case connectors.TypeBool:
		if b, err := strconv.ParseBool(s); err == nil {
			return b
		}
	case connectors.TypeTime:
		if t := moment(v); !t.IsZero() {
			return t
		}
	case connectors.TypeLabels:
		list := slices.DeleteFunc(strings.Split(s, ";"), func(s string) bool { return s == "" })
		if len(list) == 0 {
			return nil
		}
		return list
	}
	return s
}

// moment is a time in one of HubSpot's forms: ISO 8601, a date alone, or
// milliseconds; zero for none.
func moment(v value) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, string(v)); err == nil {
			return t.UTC()
		}
	}
	if ms, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}
