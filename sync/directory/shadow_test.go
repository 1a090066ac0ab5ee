package directory

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestWhatCountsAsTheSame(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 400_000_000, time.UTC)
	long := strings.Repeat("abcdefghi ", 20)
	for name, tt := range map[string]struct {
		want, got any
		kind      connectors.FieldType
		same      bool
	}{
		"the same text":                    {"Zoë", "Zoë", connectors.TypeText, true},
		"another text":                     {"Zoë", "Zoe", connectors.TypeText, false},
		"nothing for a text":               {"Zoë", nil, connectors.TypeText, false},
		"an empty text for nothing":        {nil, "", connectors.TypeText, true},
		"something that should be cleared": {nil, "x", connectors.TypeText, false},
		"space that a vendor took away":    {" Zoë  Rossi ", "Zoë Rossi", connectors.TypeText, true},
		"a long text that was cut":         {long, long[:100] + "…", connectors.TypeLong, true},
		"a short text that was cut":        {"Zoë Rossi", "Zoë", connectors.TypeText, false},
		"a number written in another way":  {"+390212345", "+39 02 12345", connectors.TypePhone, true},
		"another number":                   {"+390212345", "+390212346", connectors.TypePhone, false},
		"digits that are no phone number":  {"A-1", "A1", connectors.TypeText, false},
		"a time to the second":             {at, at.Truncate(time.Second), connectors.TypeTime, true},
		"another time":                     {at, at.Add(2 * time.Second), connectors.TypeTime, false},
		"no time":                          {at, "tomorrow", connectors.TypeTime, false},
		"labels in another order":          {[]string{"a", "b"}, []string{"b", "a"}, connectors.TypeLabels, true},
		"labels of people's own":           {[]string{"a"}, []string{"b", "a"}, connectors.TypeLabels, true},
		"a label that is gone":             {[]string{"a", "b"}, []string{"a"}, connectors.TypeLabels, false},
		"a whole number as another type":   {int64(3), float64(3), connectors.TypeNumber, true},
		"another number of messages":       {int64(3), int64(4), connectors.TypeNumber, false},
		"an owner named by e-mail":         {"zoe@example.com", "77", connectors.TypeOwner, true},
	} {
		if got := Same(tt.want, tt.got, tt.kind); got != tt.same {
			t.Errorf("%s: %v, want %v", name, got, tt.same)
		}
	}
}
