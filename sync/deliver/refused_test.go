package deliver_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/directory"
)

// mapped is a house whose account has these lines; change replaces them.
func mapped(t *testing.T, line string) (h *house, change func(line string)) {
	t.Helper()
	h = newHouse(t)
	var now atomic.Pointer[mapping.Mapping]
	change = func(line string) {
		m, err := mapping.Compile("mapping.yaml", []byte(mappingText+"      "+line+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		now.Store(m)
	}
	change(line)
	h.mapping = func() *mapping.Mapping { return now.Load() }
	return h, change
}

// Somebody who cannot be written as the mapping says is a letter that names the line,
// and nobody else waits for them. It says nothing of what they have.
func TestWhoIsNotLetThroughIsADeadLetterWithTheLine(t *testing.T) {
	t.Parallel()
	h, _ := mapped(t, `x: {field: wa_id, options: {"16315555556": Ben}}`)
	h.start()
	h.receive("w1", "16315555555")
	h.receive("w2", "16315555556")
	h.eventually("one is agreed and one dead", func() bool { s := h.states(); return s[directory.Dead] == 1 && s[directory.Agreed] == 2 })
	letter := <-h.letters
	if letter.Code != "MAPPING" || letter.Field != "x" || !strings.Contains(letter.Reason, "line 10 of the mapping") || strings.Contains(letter.Reason, "16315555555") {
		t.Errorf("the letter says %s: %s (%s)", letter.Code, letter.Reason, letter.Field)
	}
}

// Somebody who lacks what is required by now, and of whom there is nothing to write,
// stays as they are.
func TestWhoLacksSomethingStaysAsTheyAre(t *testing.T) {
	t.Parallel()
	h, change := mapped(t, "x: email")
	h.start()
	h.receive("w1", "16315555555")
	h.settled(2)
	change("x: {field: email, required: true}")
	h.record(directory.Fact{ // of which nothing is written
		ID: "whatsapp/username", Account: "whatsapp", ReceivedAt: time.Now(),
		Fact: connectors.Fact{Key: "username", Kind: connectors.KindPerson, At: time.Now(), Person: &connectors.Person{WAID: "16315555555", Username: "ada"}},
	})
	h.settled(2)
	if len(h.letters) > 0 {
		t.Errorf("a letter: %s", (<-h.letters).Reason)
	}
	h.receive("w2", "16315555555") // and now there is
	h.eventually("they are a letter", func() bool { return h.states()[directory.Dead] == 1 })
}
