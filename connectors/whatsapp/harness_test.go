package whatsapp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
)

func split(t testing.TB, body string) []connectors.Fact {
	t.Helper()
	facts := whatsapp.NewReceiver([]string{"s"}, "v").Split([]byte(body))
	seen := map[string]bool{}
	for _, f := range facts {
		checkFact(t, f)
		if seen[f.Key] && f.Kind != connectors.KindOther && f.Kind != connectors.KindMalformed {
			t.Errorf("two facts have the key %s", f.Key)
		}
		seen[f.Key] = true
	}
	return facts
}

// checkFact checks what holds of every fact.
func checkFact(t testing.TB, f connectors.Fact) {
	t.Helper()
	if f.Key == "" || len(f.Key) > 200 || strings.Trim(f.Key, printable) != "" {
		t.Errorf("key = %q, want 1 to 200 printable bytes", f.Key)
	}
	if len(f.Type) > 64 {
		t.Errorf("type has %d bytes, want at most 64", len(f.Type))
	}
	if f.Message != nil && strings.TrimSpace(f.Message.Text) == "" {
		t.Errorf("%s %s: text = %q, want some", f.Kind, f.Type, f.Message.Text)
	}
	if (f.Kind == connectors.KindMalformed || f.Kind == connectors.KindOther) && f.Raw == nil {
		t.Errorf("%s fact without raw bytes: %+v", f.Kind, f)
	}
	want := map[connectors.Kind]bool{
		connectors.KindMessage: f.Message != nil, connectors.KindStatus: f.Status != nil,
		connectors.KindPreference: f.Preference != nil && f.Person != nil, connectors.KindIdentity: f.Identity != nil,
		connectors.KindPerson: f.Person != nil, connectors.KindOther: true, connectors.KindMalformed: f.Reason != "",
	}
	if !want[f.Kind] {
		t.Errorf("%s fact lacks what its kind calls for: %+v", f.Kind, f)
	}
	if _, err := json.Marshal(f); err != nil {
		t.Errorf("fact cannot travel: %v", err)
	}
}

var printable = func() string {
	var b strings.Builder
	for c := byte('!'); c < 0x7f; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

func one(t testing.TB, body string) connectors.Fact {
	t.Helper()
	facts := split(t, body)
	if len(facts) != 1 {
		t.Fatalf("%d facts, want 1: %+v", len(facts), facts)
	}
	return facts[0]
}

// envelope is a body with changes.
func envelope(changes ...string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[` + strings.Join(changes, ",") + `]}]}`
}

// change is a change of a field; rest are the value's members after metadata.
func change(field, rest string) string {
	return fmt.Sprintf(`{"field":%q,"value":{"messaging_product":"whatsapp","metadata":`+
		`{"display_phone_number":"390212345678","phone_number_id":"200100300400500"},%s}}`, field, rest)
}

const giulia = `{"profile":{"name":"Giulia Bianchi"},"wa_id":"393331234567"}`

// inbound is a body with messages of Giulia.
func inbound(messages ...string) string {
	return envelope(change("messages", `"contacts":[`+giulia+`],"messages":[`+strings.Join(messages, ",")+`]`))
}

// from is a message of Giulia with the given members after the common ones.
func from(id, rest string) string {
	return fmt.Sprintf(`{"from":"393331234567","id":%q,"timestamp":"1767225600",%s}`, id, rest)
}

// compact renders a fact for comparison, without key and raw bytes.
func compact(t testing.TB, f connectors.Fact) string {
	t.Helper()
	f.Key, f.Raw = "", nil
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
