package directory_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// The order of statuses is a lattice: however they arrive, the highest wins.
func TestStatusesOnlyMoveUp(t *testing.T) {
	t.Parallel()
	statuses := []string{"sent", "delivered", "read", "played", "failed"}
	for range 200 {
		shuffled := slices.Clone(statuses[:1+rand.IntN(len(statuses))])
		highest := shuffled[len(shuffled)-1]
		shuffled = append(shuffled, shuffled...) // duplicates
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var m directory.Message
		for i, s := range shuffled {
			m.Advance(s, start.Add(time.Duration(i)*time.Second), 0)
		}
		if m.Status != highest {
			t.Fatalf("%v ended as %s, want %s", shuffled, m.Status, highest)
		}
	}
	var m directory.Message
	m.Advance("warning", start, 0)
	if m.Status != "" || m.Changed || directory.KnownStatus("warning") {
		t.Error("a word that is no status changed the message")
	}
}

// Merging is commutative: however values arrive, the newest wins, and equal
// times are settled the same way.
func TestTheNewestValueWinsInAnyOrder(t *testing.T) {
	t.Parallel()
	values := []directory.Value{
		{Text: "old", At: start, Fact: "a"},
		{Text: "new", At: start.Add(time.Minute), Fact: "b"},
		{Text: "twin", At: start.Add(time.Minute), Fact: "c"},
		{Text: "old", At: start.Add(30 * time.Second), Fact: "d"},
	}
	for range 100 {
		rand.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		var c, first directory.Contact
		for _, v := range values {
			c.Set("full_name", v)
			first.SetEarliest("full_name", v)
		}
		if got := c.Text("full_name"); got != "twin" {
			t.Fatalf("newest = %q, want twin", got)
		}
		if got := first.Text("full_name"); got != "old" || !first.Fields["full_name"].At.Equal(start) {
			t.Fatalf("earliest = %q", got)
		}
	}
}

func TestTheSameValueLaterIsNoChangeButCounts(t *testing.T) {
	t.Parallel()
	var c directory.Contact
	c.Set("full_name", directory.Value{Text: "Anna", At: start})
	c.Changed, c.Dirty = false, false
	c.Set("full_name", directory.Value{Text: "Anna", At: start.Add(2 * time.Minute)})
	if c.Changed || !c.Dirty {
		t.Errorf("changed %v, dirty %v; want only dirty", c.Changed, c.Dirty)
	}
	c.Set("full_name", directory.Value{Text: "Bea", At: start.Add(time.Minute)}) // older than the second
	if got := c.Text("full_name"); got != "Anna" {
		t.Errorf("name = %q, want Anna", got)
	}
}

func TestAContactAlwaysHasAName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		person      connectors.Person
		first, last string
	}{
		"first and last":         {connectors.Person{WAID: "16315555555", ProfileName: "Kerry Fisher"}, "Kerry", "Fisher"},
		"several last names":     {connectors.Person{WAID: "16315555555", ProfileName: " Maria de la Cruz "}, "Maria", "de la Cruz"},
		"one name":               {connectors.Person{WAID: "16315555555", ProfileName: "Zoë"}, "Zoë", ""},
		"a user name only":       {connectors.Person{UserID: "IT.1", Username: "giulia.b"}, "giulia.b", ""},
		"a number only":          {connectors.Person{WAID: "16315555555"}, "+16315555555", ""},
		"a user id only":         {connectors.Person{UserID: "IT.1"}, "IT.1", ""},
		"the address book's own": {connectors.Person{WAID: "16315555555", FirstName: "K.", FullName: "K. Fisher", ProfileName: "kf"}, "K.", ""},
	}
	for name, tt := range tests {
		var c directory.Contact
		c.Describe(&tt.person, start, "f", "whatsapp")
		view := c.View()
		last, _ := view["last_name"].(string)
		if view["first_name"] != tt.first || last != tt.last {
			t.Errorf("%s: %v %q, want %q %q", name, view["first_name"], last, tt.first, tt.last)
		}
	}
}

func TestTimesFromTheFutureAreNotBelieved(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ at, want time.Time }{
		"an hour ago":   {start.Add(-time.Hour), start.Add(-time.Hour)},
		"a minute fast": {start.Add(time.Minute), start.Add(time.Minute)},
		"next year":     {start.AddDate(1, 0, 0), start},
		"none":          {time.Time{}, start},
		"1970":          {time.Unix(0, 0), time.Unix(0, 0)},
	}
	for name, tt := range tests {
		f := directory.Fact{ReceivedAt: start, Fact: connectors.Fact{At: tt.at}}
		if got := f.When(); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A person writes to two businesses. Neither hears what they agreed upon with
// the other; both know who it is.
func TestWhatSomebodyAgreedUponWithAnotherBusiness(t *testing.T) {
	t.Parallel()
	var c directory.Contact
	c.Describe(&connectors.Person{WAID: "16315555555", ProfileName: "Kerry Fisher"}, start, "f1", "south")
	c.Set("consent", directory.Value{Text: "opted_out", At: start, Fact: "f2", Account: "south"})
	c.Set("business_phone", directory.Value{Text: "+15550783881", At: start, Fact: "f2", Account: "south"})
	c.SumUp(directory.Conversation{FirstIn: start, LastIn: &directory.Message{At: start, Text: "to south", Direction: connectors.In}})

	north := c.Without([]string{"south"}, directory.Conversation{FirstIn: start, LastIn: &directory.Message{At: start, Text: "to north", Direction: connectors.In}}).View()
	if north["last_message_text"] != "to north" || north["first_name"] != "Kerry" {
		t.Errorf("the north sees %v", north)
	}
	for _, name := range []string{"consent", "business_phone"} {
		if value, shown := north[name]; shown {
			t.Errorf("the north sees %s %v of the south", name, value)
		}
	}
	if south := c.Without([]string{"north"}, directory.Conversation{}).View(); south["consent"] != "opted_out" || south["last_message_text"] != nil {
		t.Errorf("the south sees %v", south)
	}
}
