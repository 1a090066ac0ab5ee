package hubspot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func signed(signature, stamp string) http.Header {
	h := http.Header{}
	h.Set("X-HubSpot-Signature-v3", signature)
	h.Set("X-HubSpot-Request-Timestamp", stamp)
	return h
}

const (
	sdkSecret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
	sdkURL    = "https://www.example.com/webhook_uri"
	sdkBody   = "{'example_field':'example_value'}"
	ownBody   = `[{"eventId":1,"subscriptionId":2,"portalId":3,"appId":4,"occurredAt":1700000000000,"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":5,"propertyName":"firstname","propertyValue":"Zoë","changeSource":"CRM_UI","sourceId":"userId:6"}]`
)

func at(ms int64) func() time.Time { return func() time.Time { return time.UnixMilli(ms) } }

// The first two are published with HubSpot's own client libraries.
func TestSignaturesOfHubSpots(t *testing.T) {
	for name, tt := range map[string]struct {
		secret, url, body string
		stamp             int64
		signature         string
	}{
		"Python library":           {sdkSecret, sdkURL, sdkBody, 1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="},
		"Ruby library":             {sdkSecret, sdkURL, sdkBody, 1700000300000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="},
		"not only ASCII":           {"test-secret", "https://sync.example.com/webhooks/hubspot", ownBody, 1700000001000, "GO6zwxb4YByP4Lj9sxlvlf9Qj1+mY5u5RhN+heAjiRg="},
		"address that is decoded":  {"test-secret", "https://sync.example.com/webhooks/hubspot?tag=a%3Ab%2Fc&x=1%202", ownBody, 1700000001000, "xEUFgc4T7q1IE5HilKe8PCUCC7WCDx37DA0hV8O4Y6s="},
		"address in small letters": {"test-secret", "https://sync.example.com/webhooks/hubspot?tag=a%3ab%2fc&x=1%202", ownBody, 1700000001000, "xEUFgc4T7q1IE5HilKe8PCUCC7WCDx37DA0hV8O4Y6s="},
	} {
		t.Run(name, func(t *testing.T) {
			h := signed(tt.signature, fmt.Sprint(tt.stamp))
			if !NewReceiver(tt.secret, tt.url, at(tt.stamp+1000)).Verify(h, []byte(tt.body)) {
				t.Error("refused")
			}
			for what, r := range map[string]*Receiver{
				"another secret":  NewReceiver("x", tt.url, at(tt.stamp)),
				"no secret":       NewReceiver("", tt.url, at(tt.stamp)),
				"another address": NewReceiver(tt.secret, tt.url+"/", at(tt.stamp)),
				"five minutes":    NewReceiver(tt.secret, tt.url, at(tt.stamp+300_001)),
				"ahead":           NewReceiver(tt.secret, tt.url, at(tt.stamp-300_001)),
			} {
				if r.Verify(h, []byte(tt.body)) {
					t.Errorf("accepted with %s", what)
				}
			}
			if NewReceiver(tt.secret, tt.url, at(tt.stamp)).Verify(h, []byte(tt.body+" ")) {
				t.Error("accepted with another body")
			}
		})
	}
}

func TestWhatIsDecodedInAnAddress(t *testing.T) {
	in := "https://x/%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B?%20%26%25%2B%3D%253A"
	if got, want := signedURI.Replace(in), "https://x/:/?@!$'()*,;?%20%26%25%2B%3D%253A"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHeadersThatAreNotAsTheyShouldBe(t *testing.T) {
	const now = 1700000001000
	r := NewReceiver("s", "https://x", at(now))
	sign := func(stamp string) string {
		mac := hmac.New(sha256.New, []byte("s"))
		mac.Write([]byte("POSThttps://x[]" + stamp))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	if good := fmt.Sprint(now); !r.Verify(signed(sign(good), good), []byte("[]")) {
		t.Fatal("refused")
	}
	twice := signed(sign(fmt.Sprint(now)), fmt.Sprint(now))
	twice.Add("X-HubSpot-Signature-v3", "x")
	v1 := http.Header{"X-Hubspot-Signature": {"232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"}, "X-Hubspot-Signature-Version": {"v1"}}
	for name, h := range map[string]http.Header{
		"none": {}, "version 1 only": v1, "two signatures": twice, "no time": signed(sign(""), ""),
		"a sign": signed(sign("+1700000001000"), "+1700000001000"), "seconds": signed(sign("1700000001"), "1700000001"),
		"too long": signed(sign("99999999999999999999"), "99999999999999999999"), "not a number": signed(sign("1e12"), "1e12"),
	} {
		if r.Verify(h, []byte("[]")) {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, ok := r.Challenge(nil); ok {
		t.Error("it answers a challenge")
	}
}

// ev is an event with what all of them have.
func ev(typ string, more ...any) m {
	e := m{"eventId": 3944863254, "subscriptionId": 3327050, "portalId": 49532047, "appId": 9318066, "occurredAt": 1742175136625, "subscriptionType": typ, "attemptNumber": 7}
	for i := 0; i < len(more); i += 2 {
		e[more[i].(string)] = more[i+1]
	}
	return e
}

func facts(t *testing.T, events ...m) []connectors.Fact {
	t.Helper()
	body, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	return new(Receiver).Split(body)
}

func TestWhatEventsMean(t *testing.T) {
	happened := time.UnixMilli(1742175136625).UTC()
	record := func(id string, ch connectors.RecordChange, survivor string) *connectors.RecordNews {
		return &connectors.RecordNews{ID: id, Change: ch, Survivor: survivor}
	}
	for name, tt := range map[string]struct {
		event m
		want  []*connectors.RecordNews // nil for a fact of kind other
	}{
		"created":                   {ev("contact.creation", "objectId", 106500991877, "changeFlag", "CREATED", "changeSource", "INTEGRATION"), []*connectors.RecordNews{record("106500991877", connectors.RecordCreated, "")}},
		"changed":                   {ev("contact.propertyChange", "objectId", 5, "propertyName", "firstname", "propertyValue", "Zoë"), []*connectors.RecordNews{{ID: "5", Change: connectors.RecordUpdated, Fields: []string{"firstname"}}}},
		"changed, generic":          {ev("object.propertyChange", "objectId", 5, "objectTypeId", "0-1", "propertyName", "firstname"), []*connectors.RecordNews{{ID: "5", Change: connectors.RecordUpdated, Fields: []string{"firstname"}}}},
		"deleted":                   {ev("contact.deletion", "objectId", 5), []*connectors.RecordNews{record("5", connectors.RecordDeleted, "")}},
		"deleted for privacy":       {ev("contact.privacyDeletion", "objectId", 5), []*connectors.RecordNews{record("5", connectors.RecordDeleted, "")}},
		"restored":                  {ev("contact.restore", "objectId", 5), []*connectors.RecordNews{record("5", connectors.RecordCreated, "")}},
		"merged into a new one":     {ev("contact.merge", "primaryObjectId", 1, "mergedObjectIds", []int{2, 3}, "newObjectId", 9, "numberOfPropertiesMoved", 4), []*connectors.RecordNews{record("2", connectors.RecordMerged, "9"), record("3", connectors.RecordMerged, "9"), record("1", connectors.RecordMerged, "9")}},
		"merged into the primary":   {ev("contact.merge", "primaryObjectId", 1, "mergedObjectIds", []int{2}), []*connectors.RecordNews{record("2", connectors.RecordMerged, "1")}},
		"merged, all of them named": {ev("object.merge", "objectTypeId", "0-1", "objectId", 9, "primaryObjectId", 1, "mergedObjectIds", []int{1, 2, 9}, "newObjectId", 9), []*connectors.RecordNews{record("1", connectors.RecordMerged, "9"), record("2", connectors.RecordMerged, "9")}},
		"in the guide's words": {func() m {
			e := ev("", "objectId", 5, "eventType", "contact.creation")
			delete(e, "subscriptionType")
			return e
		}(), []*connectors.RecordNews{record("5", connectors.RecordCreated, "")}},

		"another type of object": {ev("object.creation", "objectId", 5, "objectTypeId", "0-2"), nil},
		"a company":              {ev("company.creation", "objectId", 5), nil},
		"an association":         {ev("contact.associationChange", "fromObjectId", 5, "toObjectId", 6), nil},
		"a conversation":         {ev("conversation.newMessage", "objectId", 5), nil},
		"something new":          {ev("contact.levitation", "objectId", 5), nil},
		"a test":                 {ev("contact.propertyChange", "eventId", 100, "objectId", 123, "changeSource", "CRM", "propertyName", "email", "propertyValue", "sample-value"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := facts(t, tt.event)
			if tt.want == nil {
				if len(got) != 1 || got[0].Kind != connectors.KindOther || got[0].Type != tt.event["subscriptionType"] || !json.Valid(got[0].Raw) || !got[0].At.Equal(happened) {
					t.Errorf("got %+v", got)
				}
				return
			}
			var news []*connectors.RecordNews
			for _, f := range got {
				if f.Kind != connectors.KindRecord || !f.At.Equal(happened) || f.Raw != nil || f.Type == "" || len(f.Key) > 200 {
					t.Errorf("got %+v", f)
				}
				news = append(news, f.Record)
			}
			if !reflect.DeepEqual(news, tt.want) {
				t.Errorf("got %s, want %s", show(news), show(tt.want))
			}
		})
	}
}

// Of one record's changes in a webhook all fields are named, or none where one
// event names none.
func TestTheChangesOfARecordNameAllItsFields(t *testing.T) {
	first, second := ev("contact.propertyChange", "objectId", 5, "propertyName", "firstname"), ev("contact.propertyChange", "objectId", 5, "propertyName", "email")
	if got := facts(t, first, second); len(got) != 1 || !slices.Equal(got[0].Record.Fields, []string{"firstname", "email"}) {
		t.Errorf("got %s", show(got))
	}
	for _, events := range [][]m{
		{first, ev("contact.propertyChange", "objectId", 5), second},
		{ev("contact.creation", "objectId", 5), second},
		{first, ev("contact.propertyChange", "objectId", 5)},
	} {
		if got := facts(t, events...); len(got) != 1 || len(got[0].Record.Fields) != 0 {
			t.Errorf("got %s", show(got))
		}
	}
}

func show(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestKeysTellEventsApartAndKnowThemAgain(t *testing.T) {
	base := func(more ...any) m {
		return ev("contact.propertyChange", append([]any{"objectId", 5, "propertyName", "firstname", "propertyValue", "A"}, more...)...)
	}
	key := func(e m) string {
		f := facts(t, e)
		if len(f) != 1 {
			t.Fatalf("got %+v", f)
		}
		return f[0].Key
	}
	if got := key(base()); got != "record:49532047:contact.propertyChange:5:firstname:3944863254:1742175136625" {
		t.Errorf("got %s", got)
	}
	if key(base("attemptNumber", 0)) != key(base("attemptNumber", 3)) {
		t.Error("another attempt is another fact")
	}
	seen := map[string]string{key(base()): "base"}
	for name, e := range map[string]m{
		"object": base("objectId", 6), "event": base("eventId", 1), "property": base("propertyName", "lastname"), "time": base("occurredAt", 1742175136626),
		"portal": base("portalId", 1), "type": ev("contact.creation", "objectId", 5, "propertyName", "firstname"),
		"colon": base("propertyName", "a:b"), "colons": base("propertyName", "a:b:c"), "long": base("propertyName", strings.Repeat("x", 200)), "not ASCII": base("propertyName", "è"),
		"other": ev("contact.associationChange", "fromObjectId", 1, "toObjectId", 2), "other way": ev("contact.associationChange", "fromObjectId", 2, "toObjectId", 1),
		"malformed": ev("contact.creation", "objectId", "x"), "malformed too": ev("contact.creation", "objectId", "y"),
	} {
		k := key(e)
		if seen[k] != "" || len(k) > 200 || strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%s: key %q, which is that of %s", name, k, seen[k])
		}
		seen[k] = name
	}
	for _, typ := range []string{"contact.associationChange", "contact.creation"} {
		if key(ev(typ, "attemptNumber", 0)) != key(ev(typ, "attemptNumber", 9)) {
			t.Errorf("%s: another attempt is another fact", typ)
		}
	}
}

func TestWhatCannotBeReadIsKeptAndCanBeSplitAgain(t *testing.T) {
	without := func(name string) string {
		e := ev("contact.creation", "objectId", 5)
		delete(e, name)
		return show([]m{e})
	}
	for name, body := range map[string]string{
		"nothing": "", "not JSON": "{", "an object": `{"eventId":1}`, "a text": `"x"`, "null": "null", "a number in it": "[1]", "null in it": "[null]",
		"no type": without("subscriptionType"), "no event": without("eventId"), "no time": without("occurredAt"), "no object": without("objectId"),
		"a name":     show([]m{ev("contact.creation", "objectId", "mario@secret.it")}),
		"merge":      show([]m{ev("contact.merge", "primaryObjectId", 1)}),
		"merge of x": show([]m{ev("contact.merge", "primaryObjectId", 1, "mergedObjectIds", []string{"x"})}),
		"merge to":   show([]m{ev("contact.merge", "mergedObjectIds", []int{2})}),
		"merge list": show([]m{ev("contact.merge", "primaryObjectId", 1, "mergedObjectIds", []m{{"a": 1}})}),
		"wild time":  show([]m{ev("contact.creation", "objectId", 5, "occurredAt", 1e18)}),
	} {
		t.Run(name, func(t *testing.T) {
			got := new(Receiver).Split([]byte(body))
			if len(got) != 1 || got[0].Kind != connectors.KindMalformed || got[0].Reason == "" || strings.Contains(got[0].Reason, "secret") {
				t.Fatalf("got %+v", got)
			}
			again := new(Receiver).Split(got[0].Raw)
			if len(again) != 1 || again[0].Key != got[0].Key || again[0].Kind != connectors.KindMalformed {
				t.Errorf("again: %+v, want key %s", again, got[0].Key)
			}
		})
	}
	good := show(ev("contact.creation", "objectId", 5))
	got := new(Receiver).Split([]byte("[" + good + ", 7 ,\n" + good + "]"))
	if len(got) != 3 || got[1].Kind != connectors.KindMalformed || string(got[1].Raw) != "[7]" || got[0].Key != got[2].Key {
		t.Errorf("got %+v", got)
	}
	if got := new(Receiver).Split([]byte(" [] ")); got != nil {
		t.Errorf("got %+v", got)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(ownBody))
	f.Add([]byte(`[{"subscriptionType":"contact.merge","mergedObjectIds":[1,null,"2"],"eventId":1,"occurredAt":1,"primaryObjectId":3},null]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, fact := range new(Receiver).Split(body) {
			if fact.Key == "" || len(fact.Key) > 200 || len(fact.Type) > 64 {
				t.Errorf("got %+v", fact)
			}
			if fact.Kind != connectors.KindMalformed {
				continue
			}
			if again := new(Receiver).Split(fact.Raw); len(again) != 1 || again[0].Key != fact.Key {
				t.Errorf("%q: %+v, again %+v", body, fact, again)
			}
		}
	})
}

func TestTheChangesOfAContactAreOneFact(t *testing.T) {
	at := func(typ string, id, ms int, more ...any) m {
		return ev(typ, append([]any{"objectId", id, "occurredAt", 1742175136000 + ms, "eventId", ms}, more...)...)
	}
	changed := func(id, ms int, name string) m {
		return at("contact.propertyChange", id, ms, "propertyName", name)
	}
	got := facts(t,
		at("contact.creation", 1, 1), changed(1, 2, "firstname"), changed(2, 9, "lastname"), ev("company.creation", "objectId", 1),
		changed(1, 4, "lastname"), changed(2, 3, "phone"), at("contact.deletion", 1, 5), changed(1, 6, "phone"), changed(1, 7, "city"),
		at("contact.restore", 2, 8), changed(2, 9, "city"),
	)
	var said []string
	for _, f := range got {
		if f.Record == nil {
			said = append(said, string(f.Kind))
			continue
		}
		said = append(said, fmt.Sprint(f.Record.ID, " ", f.Record.Change, " ", f.At.UnixMilli()-1742175136000))
	}
	want := []string{"1 created 4", "2 updated 9", "other", "1 deleted 5", "1 updated 7", "2 created 9"}
	if !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	keys := map[string]bool{}
	for _, f := range got {
		keys[f.Key] = true
	}
	if len(keys) != len(got) {
		t.Errorf("%d keys for %d facts", len(keys), len(got))
	}
}
