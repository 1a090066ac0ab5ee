package zoho

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

const (
	watchAdd    = "POST actions/watch"
	watchUpdate = "PUT actions/watch"
)

func watching(expiry time.Time) reply {
	return say(200, m{"watch": []m{{
		"code": "SUCCESS", "status": "success", "message": "Successfully updated the subscribe details",
		"details": m{"events": []m{{"channel_expiry": expiry.Format(time.RFC3339), "resource_name": "Contacts", "channel_id": "1"}}},
	}}})
}

func TestAChannelIsProlongedOrOpened(t *testing.T) {
	o, c := newOrg(t)
	gone := say(400, m{"watch": []m{fails("NOT_SUBSCRIBED", m{})}})
	o.on(watchUpdate, gone, watching(time.Now().Add(70*time.Hour)))
	o.on(watchAdd, watching(time.Now().Add(time.Hour)))
	s := connectors.Subscription{Address: "https://x.it/webhooks/zoho", Token: "t0ken"}

	// Zoho has granted an hour only.
	by, err := c.Subscribe(t.Context(), s)
	if left := time.Until(by); err != nil || left < 5*time.Minute || left > 10*time.Minute {
		t.Errorf("first: %s, %v", left, err)
	}
	by, err = c.Subscribe(t.Context(), s)
	if left := time.Until(by); err != nil || left < 9*time.Hour || left > 11*time.Hour {
		t.Errorf("again: %s, %v", left, err)
	}
	a, b := o.calls(watchUpdate)[0].in.Watch[0], o.calls(watchAdd)[0].in.Watch[0]
	if !reflect.DeepEqual(a, b) || len(a["channel_id"].(string)) != 19 || a["token"] != "t0ken" || a["notify_on_related_action"] != false {
		t.Errorf("channel %v, %v", a, b)
	}
	expiry, err := time.Parse(time.RFC3339, a["channel_expiry"].(string))
	if left := time.Until(expiry); err != nil || left > week-skew || left < week-2*skew {
		t.Errorf("expiry %v", a["channel_expiry"])
	}
	if channelID("https://x.it/a") == channelID("https://x.it/b") {
		t.Error("channel ids")
	}
}

func TestASubscriptionThatZohoRefuses(t *testing.T) {
	o, c := newOrg(t)
	o.on(watchUpdate, say(400, m{"watch": []m{fails("INVALID_DATA", m{"api_name": "notify_url"})}}))
	_, err := c.Subscribe(t.Context(), connectors.Subscription{Address: "x", Token: "t"})
	if e := connectors.AsError(err); e.Class != connectors.Rejected || e.Field != "notify_url" {
		t.Errorf("got %v", err)
	}
	for _, s := range []connectors.Subscription{{Address: "x"}, {Token: "t"}, {Address: "x", Token: strings.Repeat("t", 51)}} {
		if _, err := c.Subscribe(t.Context(), s); connectors.AsError(err).Class != connectors.Rejected {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

const notice = `{"server_time":1769853600123,"query_params":{"s":"hush"},"module":"Contacts",
 "resource_uri":"https://www.zohoapis.com/crm/v2/Contacts","ids":["5550001","5550002","5550001"],
 "affected_fields":[{"5550001":["Mobile"]}],"operation":"update","channel_id":"100000006800211","token":"t0ken"}`

func TestOnlyTheTokenVerifies(t *testing.T) {
	r := NewReceiver("t0ken")
	for body, want := range map[string]bool{
		notice: true, `{"token":"t0ken"}`: true, `{"token":"t0keN"}`: false, `{"token":""}`: false, `{"token":null}`: false,
		`{"TOKEN":"t0ken"}`: false, `{}`: false, `[]`: false, `t0ken`: false, ``: false, `{"token":["t0ken"]}`: false,
	} {
		if got := r.Verify(nil, []byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	none := NewReceiver("")
	for _, body := range []string{`{"token":""}`, `{"token":null}`, `{}`} {
		if none.Verify(nil, []byte(body)) {
			t.Errorf("without a token %s verifies", body)
		}
	}
	if _, ok := r.Challenge(nil); ok {
		t.Error("a challenge was answered")
	}
}

func TestANoticeIsAFactForEachRecord(t *testing.T) {
	r := NewReceiver("t0ken")
	got := r.Split([]byte(notice))
	at := time.UnixMilli(1769853600123).UTC()
	want := []connectors.Fact{
		{
			Key: "record:100000006800211:update:5550001:1769853600123", Kind: connectors.KindRecord, Type: "Contacts.update", At: at,
			Record: &connectors.RecordNews{ID: "5550001", Change: connectors.RecordUpdated, Fields: []string{"Mobile"}},
		},
		{
			Key: "record:100000006800211:update:5550002:1769853600123", Kind: connectors.KindRecord, Type: "Contacts.update", At: at,
			Record: &connectors.RecordNews{ID: "5550002", Change: connectors.RecordUpdated},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if again := r.Split([]byte(notice)); !reflect.DeepEqual(again, got) {
		t.Errorf("again %+v", again)
	}
	later := r.Split([]byte(strings.ReplaceAll(notice, "1769853600123", "1769853600124")))
	if later[0].Key == got[0].Key {
		t.Error("a later change has the same key")
	}
	for operation, change := range map[string]connectors.RecordChange{"insert": connectors.RecordCreated, "delete": connectors.RecordDeleted} {
		f := r.Split([]byte(strings.ReplaceAll(notice, "update", operation)))
		if f[0].Record == nil || f[0].Record.Change != change || f[0].Key == got[0].Key {
			t.Errorf("%s: %+v", operation, f[0])
		}
	}
}

func TestANoticeWithoutATimeHasAKeyAllTheSame(t *testing.T) {
	r := NewReceiver("t0ken")
	a := r.Split([]byte(`{"module":"Contacts","operation":"insert","ids":[5550001],"channel_id":7}`))
	b := r.Split([]byte(`{"channel_id":7,"ids":[5550001],"operation":"insert","module":"Contacts","token":"t0ken"}`))
	if len(a) != 1 || a[0].Kind != connectors.KindRecord || a[0].Record.ID != "5550001" || a[0].Key != b[0].Key || !a[0].At.IsZero() {
		t.Errorf("got %+v, %+v", a, b)
	}
}

func TestWhatIsNotForUs(t *testing.T) {
	r := NewReceiver("t0ken")
	for _, body := range []string{
		strings.ReplaceAll(notice, `"module":"Contacts"`, `"module":"Deals"`),
		strings.ReplaceAll(notice, `"update"`, `"restore"`),
		`{"module":"` + strings.Repeat("é", 100) + `","operation":"update","token":"t0ken"}`,
	} {
		got := r.Split([]byte(body))
		if len(got) != 1 || got[0].Kind != connectors.KindOther || len(got[0].Type) > 64 || len(got[0].Key) > 200 {
			t.Fatalf("got %+v", got)
		}
		if raw := string(got[0].Raw); strings.Contains(raw, "t0ken") || strings.Contains(raw, "hush") || raw == "" {
			t.Errorf("raw %s", raw)
		}
	}
}

func TestWhatCannotBeReadIsKept(t *testing.T) {
	r := NewReceiver("t0ken")
	for name, body := range map[string]string{
		"no JSON": `{"module":`, "nothing": ``, "null": `null`, "a list": `[1]`,
		"no module":        `{"operation":"update","ids":["1"],"token":"t0ken"}`,
		"no operation":     `{"module":"Contacts","ids":["1"],"token":"t0ken"}`,
		"no ids":           `{"module":"Contacts","operation":"update","ids":[],"token":"t0ken"}`,
		"ids are no list":  `{"module":"Contacts","operation":"update","ids":"1","token":"t0ken"}`,
		"an id that is no": `{"module":"Contacts","operation":"update","ids":["1 or 2",{"a":1},["1 or 2"]],"token":"t0ken"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got := r.Split([]byte(body))
			if len(got) != 1 || got[0].Kind != connectors.KindMalformed || got[0].Reason == "" || strings.Contains(string(got[0].Raw), "t0ken") {
				t.Fatalf("got %+v", got)
			}
			again := r.Split(got[0].Raw)
			if len(again) != 1 || again[0].Kind != connectors.KindMalformed || again[0].Key != got[0].Key {
				t.Errorf("again %+v, first %+v", again, got)
			}
		})
	}
	mixed := r.Split([]byte(`{"module":"Contacts","operation":"update","ids":["1","x"],"server_time":5,"channel_id":"7"}`))
	if len(mixed) != 2 || mixed[0].Record.ID != "1" || mixed[1].Kind != connectors.KindMalformed || strings.Contains(string(mixed[1].Raw), `"1"`) {
		t.Errorf("got %+v", mixed)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(notice))
	f.Add([]byte(`{"module":"Contacts","operation":"update","ids":["1","x"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := NewReceiver("t0ken")
		got := r.Split(body)
		if len(got) == 0 {
			t.Fatal("no fact")
		}
		for _, fact := range got {
			if fact.Key == "" || len(fact.Key) > 200 || len(fact.Type) > 64 {
				t.Errorf("fact %+v", fact)
			}
			if fact.Kind == connectors.KindMalformed {
				if again := r.Split(fact.Raw); len(again) != 1 || again[0].Key != fact.Key {
					t.Errorf("again %+v, first %+v", again, fact)
				}
			}
		}
	})
}
