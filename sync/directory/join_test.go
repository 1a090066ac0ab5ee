package directory

import (
	"maps"
	"testing"
	"time"
)

// What one contact takes over from another, and gives back.
func TestWhatAContactTakesOver(t *testing.T) {
	early, late := dawn, dawn.Add(time.Hour)
	said := func(text string, at time.Time) Value {
		return Value{Text: text, At: at, Fact: "w", Account: "whatsapp"}
	}
	entered := func(text string, at time.Time) Value {
		return Value{Text: text, At: at, Fact: "c", Account: "crm", Entered: true}
	}
	for name, tt := range map[string]struct {
		field        string
		mine, theirs Value
		also         map[string]Value // fields of both
		want         string
	}{
		"what it lacks":                  {field: "email", theirs: entered("b@x.it", early), want: "b@x.it"},
		"what it has":                    {field: "email", mine: entered("a@x.it", early), theirs: entered("b@x.it", late), want: "a@x.it"},
		"what people know better":        {field: "full_name", mine: said("anna 🌸", late), theirs: entered("Anna Rossi", early), want: "Anna Rossi"},
		"what WhatsApp knows less well":  {field: "full_name", mine: entered("Anna Rossi", early), theirs: said("anna 🌸", late), want: "Anna Rossi"},
		"newer news of WhatsApp":         {field: "profile_name", mine: said("anna", early), theirs: said("anna 🌸", late), want: "anna 🌸"},
		"older news of WhatsApp":         {field: "profile_name", mine: said("anna", late), theirs: said("anna 🌸", early), want: "anna"},
		"its number":                     {field: "wa_id", mine: said("391", early), theirs: said("392", late), want: "391"},
		"what follows from messages":     {field: "unread_count", mine: Value{Text: "1", At: early}, theirs: Value{Text: "7", At: late}, want: "1"},
		"an opt-out":                     {field: "consent", mine: entered("marketing", late), theirs: said("opted_out", early), want: "opted_out"},
		"no opt-in after its own":        {field: "consent", mine: said("opted_out", early), theirs: entered("marketing", late), want: "opted_out"},
		"an opt-in, as it has none":      {field: "consent", theirs: entered("marketing", late), want: "marketing"},
		"no opt-in of another user's":    {field: "consent", theirs: entered("marketing", late), also: map[string]Value{"user_id": said("IT.", early)}, want: ""},
		"an opt-out of another user's":   {field: "consent", theirs: entered("opted_out", late), also: map[string]Value{"user_id": said("IT.", early)}, want: "opted_out"},
		"what is known to be empty here": {field: "email", mine: entered("", late), theirs: entered("b@x.it", early), want: "b@x.it"},
	} {
		mine, theirs := &Contact{Fields: map[string]Value{}}, &Contact{Fields: map[string]Value{}}
		for also, v := range tt.also {
			mine.Fields[also] = v
			v.Text += "2"
			theirs.Fields[also] = v
		}
		if tt.mine != (Value{}) {
			mine.Fields[tt.field] = tt.mine
		}
		theirs.Fields[tt.field] = tt.theirs
		before := maps.Clone(mine.Fields)
		took := mine.Absorb(theirs)
		if got := mine.Text(tt.field); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		mine.GiveBack(theirs, took)
		if !maps.Equal(mine.Fields, before) {
			t.Errorf("%s: given back it has %v, had %v", name, mine.Fields, before)
		}
	}
}
