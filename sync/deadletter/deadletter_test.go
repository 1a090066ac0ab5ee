package deadletter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

func TestAShapeGivesNoValueAway(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]any{
		"text, 14 characters":         "+39333123456Ω7",
		"text, 1 character":           "x",
		"text, 3 characters, 2 lines": "a\nb",
		"empty":                       "",
		"cleared":                     nil,
		"number, 3 digits":            int64(-123),
		"true":                        true,
		"2 labels":                    []string{"vip", "b2b"},
		"1 byte":                      []byte("x"),
		"time 2026-11-21T09:00:00Z":   time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
		"read":                        deadletter.Word("read"),
	} {
		if got := deadletter.Shape(value); got != want {
			t.Errorf("shape %q, want %q", got, want)
		}
	}
}

func TestACauseIsNamedAndFoundByItsName(t *testing.T) {
	t.Parallel()
	c := deadletter.Cause{Account: "zoho", Class: connectors.Rejected, Code: "INVALID_DATA", Field: "Mobile"}
	code, field := deadletter.ParseCause(c.String())
	if c.String() != "INVALID_DATA on Mobile" || code != c.Code || field != c.Field {
		t.Errorf("%q is %q and %q", c, code, field)
	}
	if c.Code, c.Field = "", ""; c.String() != "rejected" {
		t.Errorf("a cause without a code is %q", c)
	}
}

// A notice stays readable however many causes there are, and nothing from
// outside has a meaning in it.
func TestANoticeNamesTheLargestCauses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var letters []deadletter.Letter
	for cause := range 25 {
		for n := range cause + 1 {
			e := directory.Entity{Kind: directory.ContactEntity, ID: int64(cause*100 + n)}
			letters = append(letters, deadletter.Letter{
				ID: deadletter.ForEntity("zoho", e), Account: "zoho", Entity: e, Class: connectors.Rejected,
				Code: fmt.Sprintf("CODE_%d", cause), Reason: "<!here> <http://x|y> *x* `x` &\n" + strings.Repeat("x", 1000), DueAt: now,
			})
		}
	}
	notice := deadletter.Overdue(letters, now)
	if len(notice.Groups) != 20 || notice.MoreGroups != 5 || notice.Letters != 325 || notice.Groups[0].Code != "CODE_24" || notice.Groups[0].Letters != 25 {
		t.Errorf("%d groups and %d more of %d letters", len(notice.Groups), notice.MoreGroups, notice.Letters)
	}
	text := notice.Text()
	if strings.ContainsAny(text, "<>") || strings.Contains(text, "*x*") || strings.Count(text, "`") != 2 || strings.Count(text, "\n") != 22 || len(text) > 16_000 {
		t.Errorf("text of %d bytes: %s", len(text), text)
	}
}

// A fact's key may be made of numbers, and a letter's name is in logs.
func TestALetterOfAFactGivesNoNumberAway(t *testing.T) {
	t.Parallel()
	name := func(key string) string {
		return deadletter.ForFact(&directory.Fact{Account: "whatsapp", Fact: connectors.Fact{Key: key}})
	}
	one := name("message:15550783881:wamid.HBgMMzkzMzMxMjM0NTY3FQ")
	if strings.Contains(one, "15550783881") || strings.Contains(one, "HBgM") || !strings.HasPrefix(one, "whatsapp.fact.") || len(one) > 32 {
		t.Errorf("it is named %s", one)
	}
	if one != name("message:15550783881:wamid.HBgMMzkzMzMxMjM0NTY3FQ") || one == name("message:1:5550783881:wamid.HBgMMzkzMzMxMjM0NTY3FQ") {
		t.Error("a name is not that of one fact")
	}
}
