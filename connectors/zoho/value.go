package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// instant is a time as Zoho takes it: with an offset, without a fraction
// (Zoho: insert-records, field types).
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

// encode is a value as Zoho takes it in a field; null clears.
func (c *Client) encode(ctx context.Context, d definition, v any) (any, *connectors.Error) {
	switch x := v.(type) {
	case string:
		x = connectors.Clean(x)
		v = x
		trimmed := strings.TrimSpace(x)
		if trimmed == "" {
			return nil, nil
		}
		if d.DataType != "text" && d.DataType != "textarea" {
			v = trimmed
		}
	case time.Time:
		if x.IsZero() {
			return nil, nil
		}
	case []string:
		list := slices.DeleteFunc(slices.Clone(x), func(s string) bool { return s == "" })
		if len(list) == 0 {
			return nil, nil
		}
		v = list
	case int:
		v = int64(x)
	case nil:
		return nil, nil
	}
	var out any
	switch d.DataType {
	case "boolean":
		out = encodeBool(v)
	case "integer", "double", "currency", "percent", "decimal":
		out = encodeNumber(v)
	case "bigint":
		// As text, since it may not fit into the numbers of JSON.
		if n := encodeNumber(v); n != nil {
			out = fmt.Sprint(n)
		}
	case "date":
		out = encodeTime(v, time.DateOnly)
	case "datetime":
		out = encodeTime(v, "")
	case "multiselectpicklist":
		if list, ok := v.([]string); ok {
			out = list
		} else if s := plainText(v); s != "" {
			out = []string{s}
		}
	case "ownerlookup", "userlookup":
		s, _ := v.(string)
		owner, err := c.users.owner(ctx, c, s)
		if err != nil {
			err.Field = d.APIName
			return nil, err
		}
		out = reference{owner}
	case "lookup":
		// A plain text is not a substitute: it may create records.
		if s := plainText(v); isID.MatchString(s) {
			out = reference{s}
		}
	default:
		if s := plainText(v); s != "" {
			out = s
		}
	}
	if out == nil {
		return nil, &connectors.Error{
			Class: connectors.Rejected, Code: "INVALID_VALUE", Field: d.APIName,
			Reason: fmt.Sprintf("a value of type %T cannot be written to a field of type %s", v, d.DataType),
		}
	}
	return out, nil
}

func encodeBool(v any) any {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	return nil
}

// encodeNumber keeps whole numbers whole: beyond 2^53 a float64 would not.
func encodeNumber(v any) any {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return encodeNumber(f)
		}
	}
	return nil
}

// encodeTime writes a time in a layout, "" being that of date-times. A text is
// taken for one if it is one, else passed on.
func encodeTime(v any, layout string) any {
	switch v := v.(type) {
	case time.Time:
		if layout == "" {
			return instant(v)
		}
		return v.UTC().Format(layout)
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return encodeTime(t, layout)
		}
		return v
	}
	return nil
}

func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	case time.Time:
		return instant(v)
	}
	return ""
}

// decode is what a field holds, in the types of [connectors.ContactChange]; nil
// for what is empty. Date-times come in the time zone of the token's user
// (Zoho: get-records).
func decode(d definition, raw json.RawMessage) any {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	switch raw[0] {
	case '{':
		var r struct {
			ID   value `json:"id"`
			Name value `json:"name"`
		}
		_ = json.Unmarshal(raw, &r)
		return orNil(string(r.ID))
	case '[':
		return decodeList(raw)
	case 't', 'f':
		return raw[0] == 't'
	}
	var v value
	_ = json.Unmarshal(raw, &v)
	text := string(v)
	switch d.DataType {
	case "integer", "bigint":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case "double", "currency", "percent", "decimal":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case "datetime":
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	case "date":
		if t, err := time.Parse(time.DateOnly, text); err == nil {
			return t
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return orNil(text)
}

// decodeList reads the values of a list, or the names of its tags.
func decodeList(raw json.RawMessage) any {
	var parts []json.RawMessage
	_ = json.Unmarshal(raw, &parts)
	var list []string
	for _, p := range parts {
		var v value
		if len(p) > 0 && p[0] == '{' {
			var tag struct {
				Name value `json:"name"`
			}
			_ = json.Unmarshal(p, &tag)
			v = tag.Name
		} else {
			_ = json.Unmarshal(p, &v)
		}
		if v != "" {
			list = append(list, string(v))
		}
	}
	if list == nil {
		return nil
	}
	return list
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
