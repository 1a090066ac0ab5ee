package app

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/bitrix24"
	"crmsync/connectors/bitrix24/bitrix24sim"
	"crmsync/connectors/guard"
)

// Bitrix24 blocks the method that adds comments, for ten minutes. Contacts and
// changes of comments go on, at full speed and through a closed breaker; the
// method is not called again and again; and when its time is over the messages
// that waited are written.
func TestABlockedMethodDoesNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := bitrix24sim.New(bitrix24sim.Options{
			Secret: "secret", OperatingCost: time.Second, Limits: bitrix24sim.Limits{Operating: 40 * time.Second},
		})
		defer server.Close()
		limiter := guard.NewBucket(50, 2)
		client := bitrix24.New(bitrix24.Options{
			WebhookURL: "http://portal.test/rest/7/secret/", Pace: limiter.Pace, Quota: limiter.Wait, PerSecond: 2,
			HTTP: &http.Client{Transport: inProcess{server}},
		})
		g := guard.New(client, guard.Options{Limiter: limiter})
		if findings, err := g.Setup(t.Context(), nil, true); err != nil {
			t.Fatalf("setup: %v %v", findings, err)
		}
		people := make([]connectors.ContactChange, 15)
		for i := range people {
			number := fmt.Sprintf("+1666555%04d", i)
			people[i] = connectors.ContactChange{Key: number[1:], Phones: []string{number}, Fields: map[string]any{"NAME": fmt.Sprintf("Person %d", i)}}
		}
		contacts := g.WriteContacts(t.Context(), people)
		messages := func(round int) []connectors.MessageChange {
			list := make([]connectors.MessageChange, len(people))
			for i, r := range contacts {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				list[i] = connectors.MessageChange{
					ContactRecordID: r.RecordID, WAMID: fmt.Sprintf("wamid.%d.%d", round, i), BusinessNumber: "1",
					Direction: connectors.In, Text: "hello", At: time.Now(),
				}
			}
			return list
		}
		var written, waiting []connectors.MessageChange
		for round := range 3 {
			list := messages(round)
			for i, r := range g.CreateMessages(t.Context(), list) {
				switch {
				case r.Err == nil:
					list[i].RecordID = r.RecordID
					written = append(written, list[i])
				case r.Err.Class == connectors.Throttled && r.Err.Held && r.Err.RetryAfter > 0:
					waiting = append(waiting, list[i])
				default:
					t.Fatal(r.Err)
				}
			}
		}
		if len(written) != 40 || len(waiting) != 5 {
			t.Fatalf("%d written and %d waiting, want the method blocked after 40", len(written), len(waiting))
		}
		blocked := time.Now()

		for i := range people {
			people[i].RecordID, people[i].Key, people[i].Phones = contacts[i].RecordID, "", nil
			people[i].Fields = map[string]any{"NAME": "Changed"}
		}
		for _, r := range g.WriteContacts(t.Context(), people) {
			if r.Err != nil {
				t.Errorf("a contact is held up: %v", r.Err)
			}
		}
		written[0].Text = "changed"
		if r := g.UpdateMessages(t.Context(), written[:1]); r[0].Err != nil {
			t.Errorf("a change of a comment is held up: %v", r[0].Err)
		}
		if took := time.Since(blocked); g.Open() || took > 5*time.Second {
			t.Errorf("the others took %v, breaker open %v", took, g.Open())
		}
		for range 20 {
			if r := g.CreateMessages(t.Context(), waiting); r[0].Err == nil || !r[0].Err.Held {
				t.Fatalf("a blocked method gives %v", r[0].Err)
			}
		}
		if took := time.Since(blocked); took > 5*time.Second {
			t.Errorf("asking for a blocked method took %v of the quota", took)
		}

		for tries := 0; len(waiting) > 0; tries++ {
			if tries == 20 {
				t.Fatalf("%d messages are not written %v after the method was blocked", len(waiting), time.Since(blocked))
			}
			r := g.CreateMessages(t.Context(), waiting)
			if r[0].Err == nil {
				break
			}
			time.Sleep(r[0].Err.RetryAfter)
		}
		t.Logf("blocked for %v", time.Since(blocked).Round(time.Second))
		if over := time.Since(blocked); over < 9*time.Minute || over > 11*time.Minute {
			t.Errorf("the messages are written after %v", over)
		}
	})
}
