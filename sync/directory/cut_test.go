package directory

import (
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
)

// An account that cuts a long text shows the same thing at each look: it is news
// once, is not taken for an edit, and is not written again.
func TestALongTextThatAnAccountCutsIsNoNews(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile("m", []byte("version: 1\naccounts:\n  crm:\n    contact:\n      LAST_NAME: last_name\n"))
	if err != nil {
		t.Fatal(err)
	}
	line := m.Lines("crm")[0]
	long := strings.Repeat("Wolfeschlegelstein ", 5) + "Sr"
	cut := long[:50]
	c := &Contact{Fields: map[string]Value{"last_name": {Text: long, At: time.Unix(100, 0), Entered: true}}}
	shadow := map[string]string{"LAST_NAME": ShadowOf(long)}
	if Shows(line, shadow, cut, "") {
		t.Fatal("it is not even looked at")
	}
	after := c.Observe(Sighting{Lines: m.Lines("crm"), Seen: map[string]string{"LAST_NAME": cut}, At: time.Unix(200, 0), Account: "crm"}, shadow)
	if c.Text("last_name") != long || c.Changed {
		t.Errorf("the contact has become %q", c.Text("last_name"))
	}
	if !Shows(line, after, cut, "") || Told(after["LAST_NAME"]) != ShadowOf(long) {
		t.Errorf("it is news again: %q", after["LAST_NAME"])
	}
	if Shows(line, after, "Smith", "") {
		t.Error("an edit is not seen")
	}
	c.Observe(Sighting{Lines: m.Lines("crm"), Seen: map[string]string{"LAST_NAME": "Smith"}, At: time.Unix(50, 0), Account: "crm"}, after)
	if c.Text("last_name") != "Smith" {
		t.Error("an edit is not taken, although nobody else has changed it")
	}
}
