package bitrix24

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

const (
	appToken = "fedcba9876543210fedcba9876543210"
	memberID = "0123456789abcdef0123456789abcdef"
	auth     = "&auth%5Bdomain%5D=acme.bitrix24.com&auth%5Bmember_id%5D=" + memberID + "&auth%5Bapplication_token%5D=" + appToken
)

func TestVerify(t *testing.T) {
	tests := map[string]struct {
		token, member, body string
		want                bool
	}{
		"the token":              {appToken, "", "event=X" + auth, true},
		"token and member":       {appToken, memberID, "event=X" + auth, true},
		"raw brackets":           {appToken, "", "auth[application_token]=" + appToken, true},
		"another token":          {strings.Repeat("a", 32), "", "event=X" + auth, false},
		"another member":         {appToken, "x", "event=X" + auth, false},
		"no token":               {appToken, "", "event=X", false},
		"no token expected":      {"", "", "auth[application_token]=", false},
		"no member":              {appToken, memberID, "auth[application_token]=" + appToken, false},
		"two tokens":             {appToken, "", "event=X" + auth + "&auth[application_token]=x", false},
		"JSON":                   {appToken, "", `{"auth":{"application_token":"` + appToken + `"}}`, false},
		"token in another place": {appToken, "", "application_token=" + appToken, false},
		"nothing":                {appToken, "", "", false},
	}
	for name, tt := range tests {
		if got := NewReceiver(tt.token, tt.member).Verify(nil, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	if _, ok := NewReceiver(appToken, "").Challenge(nil); ok {
		t.Error("there is no challenge")
	}
}

func TestSplit(t *testing.T) {
	record := func(key string, change connectors.RecordChange) connectors.Fact {
		return connectors.Fact{
			Key: key, Kind: connectors.KindRecord, Type: strings.ToUpper(strings.Split(key, ":")[1]), At: time.Unix(1788246000, 0).UTC(),
			Record: &connectors.RecordNews{ID: "901", Change: change},
		}
	}
	tests := map[string]struct {
		body string
		want connectors.Fact
	}{
		"the documented event": {
			"event=ONCRMCONTACTUPDATE&event_handler_id=12&data%5BFIELDS%5D%5BID%5D=901&ts=1788246000" + auth, record("record:oncrmcontactupdate:901:1788246000", connectors.RecordUpdated),
		},
		"created": {"event=ONCRMCONTACTADD&data[FIELDS][ID]=901&ts=1788246000", record("record:oncrmcontactadd:901:1788246000", connectors.RecordCreated)},
		"deleted": {"event=ONCRMCONTACTDELETE&data[ID]=901&ts=1788246000", record("record:oncrmcontactdelete:901:1788246000", connectors.RecordDeleted)},

		"another event": {"event=ONAPPINSTALL&ts=1788246000" + auth + "&auth[access_token]=s3cr3t", connectors.Fact{Kind: connectors.KindOther, Type: "ONAPPINSTALL", At: time.Unix(1788246000, 0).UTC(), Raw: []byte("event=ONAPPINSTALL&ts=1788246000")}},
		"no id":         {"event=ONCRMCONTACTADD&ts=1788246000" + auth, connectors.Fact{Kind: connectors.KindMalformed, Type: "ONCRMCONTACTADD", At: time.Unix(1788246000, 0).UTC(), Reason: "data[FIELDS][ID] is not an id", Raw: []byte("event=ONCRMCONTACTADD&ts=1788246000")}},
		"a bad id":      {"event=ONCRMCONTACTADD&data[ID]=-1&ts=1788246000", connectors.Fact{Kind: connectors.KindMalformed, Type: "ONCRMCONTACTADD", At: time.Unix(1788246000, 0).UTC(), Reason: "data[FIELDS][ID] is not an id", Raw: []byte("event=ONCRMCONTACTADD&data[ID]=-1&ts=1788246000")}},
		"no time":       {"event=ONCRMCONTACTADD&data[ID]=1", connectors.Fact{Kind: connectors.KindMalformed, Type: "ONCRMCONTACTADD", Reason: "ts is not a time", Raw: []byte("event=ONCRMCONTACTADD&data[ID]=1")}},
		"no event":      {"data[ID]=1" + auth, connectors.Fact{Kind: connectors.KindMalformed, Reason: "event is missing", Raw: []byte("data[ID]=1")}},
		"not a form":    {"event=%zz" + auth, connectors.Fact{Kind: connectors.KindMalformed, Reason: "the body is not a form", Raw: []byte("event=%zz")}},
	}
	r := NewReceiver(appToken, "")
	for name, tt := range tests {
		got := r.Split([]byte(tt.body))
		if len(got) != 1 {
			t.Fatalf("%s: %d facts", name, len(got))
		}
		f := got[0]
		if len(f.Key) == 0 || len(f.Key) > 200 {
			t.Errorf("%s: key %q", name, f.Key)
		}
		if tt.want.Key == "" {
			tt.want.Key = f.Key
		}
		if !reflect.DeepEqual(f, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, f, tt.want)
		}
		if f.Kind == connectors.KindMalformed {
			if again := r.Split(f.Raw); again[0].Key != f.Key || again[0].Kind != f.Kind {
				t.Errorf("%s: split again it is %+v", name, again[0])
			}
		}
		if bytes.Contains(f.Raw, []byte("s3cr3t")) || bytes.Contains(f.Raw, []byte(appToken)) {
			t.Errorf("%s: %s tells a secret", name, f.Raw)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("event=ONCRMCONTACTUPDATE&data%5BFIELDS%5D%5BID%5D=901&ts=1788246000" + auth))
	r := NewReceiver(appToken, "")
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, fact := range r.Split(body) {
			if fact.Key == "" || len(fact.Key) > 200 || len(fact.Type) > 64 {
				t.Errorf("got %+v", fact)
			}
		}
	})
}
