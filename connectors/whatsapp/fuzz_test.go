package whatsapp_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
)

func FuzzSplit(f *testing.F) {
	f.Add([]byte(inbound(from("a", `"type":"text","text":{"body":"caff\u00e8"}`), from("b", `"type":"hologram"`), `7`)))
	f.Add([]byte(inbound(from("a", `"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"{\"a\":[1,{}]}"}}`))))
	f.Add([]byte(inbound(from("a", `"type":"edit","edit":{"original_message_id":"x","message":{"type":"location","location":{"latitude":1,"longitude":2}}}`))))
	f.Add([]byte(inbound(from("a", `"type":"system","system":{"type":"user_changed_number","wa_id":"2"}`), from("b", `"type":"contacts","contacts":[{"phones":[{}]}]`))))
	f.Add([]byte(envelope(change("messages", `"statuses":[{"id":"w","status":"failed","errors":[{"code":1}]},{}],"user_actions":[1]`))))
	f.Add([]byte(envelope(change("history", `"history":[{"threads":[{"id":"1","messages":[{"from":"1","id":"a","type":"text","text":{"body":"x"}},{}]},7],"errors":[{}]}]`))))
	f.Add([]byte(envelope(change("smb_app_state_sync", `"state_sync":[{"type":"contact","action":"add","contact":{"phone_number":"1"}}]`), change("user_id_update", `"user_id_update":[{"user_id":{"current":"IT.1"}}]`))))
	f.Add([]byte(envelope(change("user_preferences", `"user_preferences":[{"wa_id":"1","value":"stop"}],"user_preferences":[{}]`))))
	f.Add([]byte(`{"entry":[null,{"id":1,"id":2,"changes":[7,{"field":"x"}]}],"object":"whatsapp_business_account"}`))
	f.Add([]byte("{\"entry\":[\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		receiver := whatsapp.NewReceiver(nil, "")
		facts := receiver.Split(body)
		if string(body) != before {
			t.Error("Split changed the body")
		}
		if len(facts) == 0 {
			t.Error("a webhook left no trace")
		}
		unreadable := map[string]bool{}
		for _, f := range facts {
			checkFact(t, f)
			if f.Kind == connectors.KindMalformed {
				unreadable[f.Key] = true
			}
		}
		if again := receiver.Split(body); !reflect.DeepEqual(facts, again) {
			t.Errorf("split twice:\n%+v\n%+v", facts, again)
		}
		// What is still unreadable when it is split again is the same fact.
		for _, f := range facts {
			if f.Kind != connectors.KindMalformed || strings.HasSuffix(f.Reason, " is given twice") {
				continue
			}
			for _, again := range receiver.Split(f.Raw) {
				if again.Kind == connectors.KindMalformed && !unreadable[again.Key] {
					t.Errorf("%s\nbecame\n%s", f.Raw, again.Raw)
				}
			}
		}
	})
}

// fullBody is a webhook with n updates, as large as Meta makes them.
func fullBody(n int) []byte {
	var changes []string
	for i := range n / 10 {
		var messages, statuses []string
		for j := range 5 {
			messages = append(messages, from(fmt.Sprintf("wamid.HBgMMzkzMzMxMjM0NTY3FQIAEhgU%d", 10*i+j),
				`"type":"text","text":{"body":"`+strings.Repeat(`caff\u00e8 `, 30)+`"},"context":{"from":"390212345678","id":"wamid.OUT"}`))
			statuses = append(statuses, fmt.Sprintf(`{"id":"wamid.OUT%d","status":"delivered","timestamp":"1767225605","recipient_id":"393331234567","pricing":{"billable":true,"pricing_model":"PMP","category":"utility"}}`, 10*i+j))
		}
		changes = append(changes, change("messages", `"contacts":[`+giulia+`],"messages":[`+strings.Join(messages, ",")+`],"statuses":[`+strings.Join(statuses, ",")+`]`))
	}
	return []byte(envelope(changes...))
}

func TestAFullWebhookIsQuick(t *testing.T) {
	body := fullBody(1000)
	receiver := whatsapp.NewReceiver(nil, "")
	best := time.Hour
	for range 5 {
		start := time.Now()
		if n := len(receiver.Split(body)); n != 1000 {
			t.Fatalf("%d facts, want 1000", n)
		}
		best = min(best, time.Since(start))
	}
	// A twentieth of this is usual; other tests run beside this one.
	if most := slowdown * 200 * time.Millisecond; best > most {
		t.Errorf("1,000 updates in %d bytes took %v, want less than %v", len(body), best, most)
	}
}

func BenchmarkSplit(b *testing.B) {
	body := fullBody(1000)
	receiver := whatsapp.NewReceiver(nil, "")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		receiver.Split(body)
	}
}
