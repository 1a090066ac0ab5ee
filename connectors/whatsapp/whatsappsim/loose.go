package whatsappsim

import (
	"encoding/json"
	"strconv"
	"time"
)

// The functions here read documents of any shape and return zero values for
// what is missing or has another type.

func field(v any, key string) any {
	m, _ := v.(map[string]any)
	return m[key]
}

func list(v any, key string) []any {
	l, _ := field(v, key).([]any)
	return l
}

func text(v any, key string) string {
	t, _ := field(v, key).(string)
	return t
}

func set(to *string, value string) {
	if value != "" {
		*to = value
	}
}

// unix reads seconds written as a string or as a number.
func unix(v any, otherwise time.Time) time.Time {
	switch n := v.(type) {
	case string:
		if sec, err := strconv.ParseInt(n, 10, 64); err == nil {
			return time.Unix(sec, 0)
		}
	case float64:
		return time.Unix(int64(n), 0)
	}
	return otherwise
}

func digits(phone string) string {
	out := make([]byte, 0, len(phone))
	for i := range len(phone) {
		if phone[i] >= '0' && phone[i] <= '9' {
			out = append(out, phone[i])
		}
	}
	return string(out)
}

// object decodes a JSON object, nil if it is none.
func object(raw json.RawMessage) map[string]any {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}
