package whatsapp_test

import (
	"strings"
	"testing"

	"crmsync/connectors"
)

const head = `"business_number":"200100300400500","business_phone":"390212345678"`

func TestEvents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"delivered": {
			envelope(change("messages", `"statuses":[{"id":"wamid.OUT1","status":"delivered","timestamp":"1767225605","recipient_id":"393331234567","recipient_user_id":"IT.1","pricing":{"billable":true}}]`)),
			`{"key":"","kind":"status","type":"delivered","at":"2026-01-01T00:00:05Z",` + head + `,"person":{"wa_id":"393331234567","user_id":"IT.1"},"status":{"wamid":"wamid.OUT1","status":"delivered"}}`,
		},
		"failed, and says of nobody": {
			envelope(change("messages", `"statuses":[{"id":"w","status":"failed","timestamp":"1767225605","errors":[{"code":131049,"title":"x"}]}]`)),
			`{"key":"","kind":"status","type":"failed","at":"2026-01-01T00:00:05Z",` + head + `,"status":{"wamid":"w","status":"failed","error_code":131049}}`,
		},
		"failed, code as text": {
			envelope(change("messages", `"statuses":[{"id":"w","status":"failed","timestamp":"1767225605","errors":[{"code":"131026"}]}]`)),
			`{"key":"","kind":"status","type":"failed","at":"2026-01-01T00:00:05Z",` + head + `,"status":{"wamid":"w","status":"failed","error_code":131026}}`,
		},
		"read, with contacts": {
			envelope(change("messages", `"contacts":[{"wa_id":"393331234567","user_id":"IT.1","profile":{"name":"G"}}],"statuses":[{"id":"w","status":"read","timestamp":1767225605,"recipient_id":"393331234567"}]`)),
			`{"key":"","kind":"status","type":"read","at":"2026-01-01T00:00:05Z",` + head + `,"person":{"wa_id":"393331234567","user_id":"IT.1","profile_name":"G"},"status":{"wamid":"w","status":"read"}}`,
		},
		"read by a user without phone, parent id under its other name": {
			envelope(change("messages", `"statuses":[{"id":"w","status":"read","timestamp":"1767225605","recipient_user_id":"IT.1","parent_recipient_user_id":"IT.ENT.2"}]`)),
			`{"key":"","kind":"status","type":"read","at":"2026-01-01T00:00:05Z",` + head + `,"person":{"user_id":"IT.1","parent_user_id":"IT.ENT.2"},"status":{"wamid":"w","status":"read"}}`,
		},
		"delivered to one of a group": {
			envelope(change("messages", `"statuses":[{"id":"w","status":"delivered","timestamp":"1767225605","recipient_type":"group","recipient_id":"Y2FwaV","recipient_participant_id":"393331234567"}]`)),
			`{"key":"","kind":"status","type":"delivered","at":"2026-01-01T00:00:05Z",` + head + `,"person":{"wa_id":"393331234567"},"status":{"wamid":"w","status":"delivered","group_id":"Y2FwaV"}}`,
		},
		"a status of tomorrow": {
			envelope(change("messages", `"statuses":[{"id":"w","status":"dreamt","recipient_id":"1"}]`)),
			`{"key":"","kind":"status","type":"dreamt","at":"0001-01-01T00:00:00Z",` + head + `,"person":{"wa_id":"1"},"status":{"wamid":"w","status":"dreamt"}}`,
		},

		"no more marketing": {
			envelope(change("user_preferences", `"contacts":[{"wa_id":"393331234567","user_id":"IT.1"}],"user_preferences":[{"wa_id":"393331234567","detail":"x","category":"marketing_messages","value":"stop","timestamp":1767225800}]`)),
			`{"key":"","kind":"preference","type":"stop","at":"2026-01-01T00:03:20Z",` + head + `,"person":{"wa_id":"393331234567","user_id":"IT.1"},"preference":{"category":"marketing_messages","value":"stop"}}`,
		},
		"marketing again, said by a user without phone": {
			envelope(change("user_preferences", `"user_preferences":[{"user_id":"IT.1","category":"marketing_messages","value":"resume","timestamp":1767225800}]`)),
			`{"key":"","kind":"preference","type":"resume","at":"2026-01-01T00:03:20Z",` + head + `,"person":{"user_id":"IT.1"},"preference":{"category":"marketing_messages","value":"resume"}}`,
		},

		"new number": {
			envelope(change("messages", `"messages":[{"from":"393331234567","id":"w","timestamp":"1767225700","type":"system","system":{"body":"User A changed from 1 to 2","wa_id":"393479998877","type":"user_changed_number"}}]`)),
			`{"key":"","kind":"identity","type":"user_changed_number","at":"2026-01-01T00:01:40Z",` + head + `,"person":{"wa_id":"393331234567"},"identity":{"new":{"wa_id":"393479998877"}}}`,
		},
		"new number with its user id": {
			envelope(change("messages", `"messages":[{"from":"393331234567","from_user_id":"IT.1","id":"w","timestamp":"1767225700","type":"system","system":{"wa_id":"393479998877","user_id":"IT.2","type":"user_changed_number"}}]`)),
			`{"key":"","kind":"identity","type":"user_changed_number","at":"2026-01-01T00:01:40Z",` + head + `,"person":{"wa_id":"393331234567","user_id":"IT.1"},"identity":{"new":{"wa_id":"393479998877","user_id":"IT.2"}}}`,
		},
		"new number, in the older shape": {
			envelope(change("messages", `"messages":[{"from":"393331234567","id":"w","timestamp":"1767225700","type":"system","system":{"body":"x","new_wa_id":"393479998877","type":"user_changed_number"}}]`)),
			`{"key":"","kind":"identity","type":"user_changed_number","at":"2026-01-01T00:01:40Z",` + head + `,"person":{"wa_id":"393331234567"},"identity":{"new":{"wa_id":"393479998877"}}}`,
		},
		"new number, in the oldest shape": {
			envelope(change("messages", `"messages":[{"id":"w","timestamp":"1767225700","type":"system","system":{"customer":"393331234567","wa_id":"393479998877","type":"customer_changed_number"}}]`)),
			`{"key":"","kind":"identity","type":"customer_changed_number","at":"2026-01-01T00:01:40Z",` + head + `,"person":{"wa_id":"393331234567"},"identity":{"new":{"wa_id":"393479998877"}}}`,
		},
		"new user id": {
			envelope(change("messages", `"messages":[{"id":"w","timestamp":"1767225700","type":"system","system":{"type":"user_changed_user_id","user_id":"IT.99","parent_user_id":"IT.ENT.5","wa_id":"393479998877"}}]`)),
			`{"key":"","kind":"identity","type":"user_changed_user_id","at":"2026-01-01T00:01:40Z",` + head + `,"identity":{"new":{"wa_id":"393479998877","user_id":"IT.99","parent_user_id":"IT.ENT.5"}}}`,
		},
		"new user id, as a field of its own": {
			envelope(change("user_id_update", `"user_id_update":[{"wa_id":"393331234567","detail":"x","user_id":{"previous":"IT.1","current":"IT.2"},"parent_user_id":{"previous":"IT.ENT.1","current":"IT.ENT.2"},"timestamp":1767225700}]`)),
			`{"key":"","kind":"identity","type":"user_id_update","at":"2026-01-01T00:01:40Z",` + head + `,"person":{"user_id":"IT.1","parent_user_id":"IT.ENT.1"},"identity":{"new":{"wa_id":"393331234567","user_id":"IT.2","parent_user_id":"IT.ENT.2"}}}`,
		},

		"sent with the app": {
			envelope(change("smb_message_echoes", `"message_echoes":[{"from":"390212345678","to":"393331234567","id":"w","timestamp":"1767225600","type":"text","text":{"body":"Buongiorno"}}]`)),
			`{"key":"","kind":"message","type":"text","at":"2026-01-01T00:00:00Z",` + head + `,"person":{"wa_id":"393331234567"},"message":{"wamid":"w","direction":"out","text":"Buongiorno"}}`,
		},
		"sent with the app to a user without phone": {
			envelope(change("message_echoes", `"message_echoes":[{"from":"390212345678","to_user_id":"IT.1","to_parent_user_id":"IT.ENT.1","id":"w","timestamp":"1767225600","type":"text","text":{"body":"x"}}]`)),
			`{"key":"","kind":"message","type":"text","at":"2026-01-01T00:00:00Z",` + head + `,"person":{"user_id":"IT.1","parent_user_id":"IT.ENT.1"},"message":{"wamid":"w","direction":"out","text":"x"}}`,
		},
		"deleted with the app": {
			envelope(change("smb_message_echoes", `"message_echoes":[{"from":"390212345678","to":"393331234567","id":"w2","timestamp":"1767225600","type":"revoke","revoke":{"original_message_id":"w"}}]`)),
			`{"key":"","kind":"message","type":"revoke","at":"2026-01-01T00:00:00Z",` + head + `,"person":{"wa_id":"393331234567"},"message":{"wamid":"w2","direction":"out","text":"[This message was deleted]","target":"w","revoked":true,"rendered":true}}`,
		},

		"put into the address book": {
			envelope(change("smb_app_state_sync", `"state_sync":[{"type":"contact","contact":{"full_name":"Giulia Bianchi","first_name":"Giulia","phone_number":"+39 333 1234567"},"action":"add","metadata":{"timestamp":"1767225600"}}]`)),
			`{"key":"","kind":"person","type":"smb_app_state_sync","at":"2026-01-01T00:00:00Z",` + head + `,"person":{"wa_id":"393331234567","full_name":"Giulia Bianchi","first_name":"Giulia"}}`,
		},
		"taken out of the address book": {
			envelope(change("smb_app_state_sync", `"state_sync":[{"type":"contact","contact":{"phone_number":"393331234567"},"action":"remove","metadata":{"timestamp":"1767225600"}}]`)),
			`{"key":"","kind":"other","type":"smb_app_state_sync","at":"2026-01-01T00:00:00Z",` + head + `}`,
		},

		"opened the chat": {
			inbound(from("w", `"type":"request_welcome"`)),
			`{"key":"","kind":"other","type":"request_welcome","at":"2026-01-01T00:00:00Z",` + head + `}`,
		},
		"new security code": {
			inbound(from("w", `"type":"system","system":{"type":"customer_identity_changed","customer":"1"},"identity":{"hash":"x"}`)),
			`{"key":"","kind":"other","type":"customer_identity_changed","at":"2026-01-01T00:00:00Z",` + head + `}`,
		},
		"only clicks": {
			envelope(change("messages", `"user_actions":[{"action_type":"marketing_messages_link_click","timestamp":"1767225600","marketing_messages_link_click_data":{}}]`)),
			`{"key":"","kind":"other","type":"user_actions","at":"2026-01-01T00:00:00Z",` + head + `}`,
		},
		"only errors": {
			envelope(change("messages", `"errors":[{"code":130429,"title":"Rate limit hit"}]`)),
			`{"key":"","kind":"other","type":"errors","at":"0001-01-01T00:00:00Z",` + head + `}`,
		},
		"only contacts": {
			envelope(change("messages", `"contacts":[`+giulia+`]`)),
			`{"key":"","kind":"other","type":"messages","at":"0001-01-01T00:00:00Z",` + head + `}`,
		},
		"history declined": {
			envelope(change("history", `"history":[{"errors":[{"code":2593109}]}]`)),
			`{"key":"","kind":"other","type":"history_errors","at":"0001-01-01T00:00:00Z",` + head + `}`,
		},
		"account restricted": {
			`{"object":"whatsapp_business_account","entry":[{"id":"1","time":1767225600,"changes":[{"field":"account_update","value":{"event":"ACCOUNT_RESTRICTION"}}]}]}`,
			`{"key":"","kind":"other","type":"account_update","at":"2026-01-01T00:00:00Z"}`,
		},
		"a portfolio's event": {
			`{"object":"whatsapp_business_account","entry":[{"id":"portfolio","time":1767225600,"changes":[{"field":"account_update","value":{"event":"PARTNER_ADDED","waba_info":{"waba_id":"1"}}}]}]}`,
			`{"key":"","kind":"other","type":"account_update","at":"2026-01-01T00:00:00Z"}`,
		},
		"template rejected": {
			`{"object":"whatsapp_business_account","entry":[{"id":"1","time":1767225600,"changes":[{"field":"message_template_status_update","value":{"event":"REJECTED","message_template_id":9007199254740993}}]}]}`,
			`{"key":"","kind":"other","type":"message_template_status_update","at":"2026-01-01T00:00:00Z"}`,
		},
		"a field of tomorrow, whatever its value": {
			`{"entry":[{"id":"1","changes":[{"field":"` + strings.Repeat("é", 50) + `","value":7}]}]}`,
			`{"key":"","kind":"other","type":"` + strings.Repeat("é", 32) + `","at":"0001-01-01T00:00:00Z"}`,
		},
		"an entry without changes": {
			`{"object":"whatsapp_business_account","entry":[{"id":"1","time":1767225600,"messaging":[{}]}]}`,
			`{"key":"","kind":"other","at":"2026-01-01T00:00:00Z"}`,
		},
		"no entries": {
			`{"object":"whatsapp_business_account","entry":[]}`,
			`{"key":"","kind":"other","type":"whatsapp_business_account","at":"0001-01-01T00:00:00Z"}`,
		},
		"another product of Meta": {
			`{"object":"page","entry":[{"id":"1","messaging":[]}]}`,
			`{"key":"","kind":"other","type":"page","at":"0001-01-01T00:00:00Z"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compact(t, one(t, tt.body)); got != tt.want {
				t.Errorf("fact\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	message := func(rest string) string {
		return `{"id":"w","timestamp":"1767225600","type":"text","text":{"body":"x"},` + rest + `}`
	}
	thread := func(m string) string {
		return envelope(change("history", `"history":[{"metadata":{"phase":0,"chunk_order":1,"progress":5},"threads":[{"id":"393331234567","messages":[`+m+`]}]}]`))
	}
	person := `"person":{"wa_id":"393331234567"},`
	tests := map[string]struct{ body, want string }{
		"written by the person": {
			thread(message(`"from":"393331234567","history_context":{"status":"READ"}`)),
			person + `"message":{"wamid":"w","direction":"in","text":"x","status":"read","history":true}`,
		},
		"written by the business": {
			thread(message(`"from":"390212345678","to":"393331234567","history_context":{"status":"DELIVERED"}`)),
			person + `"message":{"wamid":"w","direction":"out","text":"x","status":"delivered","history":true}`,
		},
		"written by the business, the thread says to whom": {
			thread(message(`"from":"390212345678","history_context":{"status":"ERROR"}`)),
			person + `"message":{"wamid":"w","direction":"out","text":"x","status":"failed","history":true}`,
		},
		"written by the business under another form of its number": {
			thread(message(`"from":"0212345678","to":"393331234567","history_context":{"status":"PENDING"}`)),
			person + `"message":{"wamid":"w","direction":"out","text":"x","history":true}`,
		},
		"without status": {
			thread(message(`"from":"393331234567","to":"390212345678"`)),
			person + `"message":{"wamid":"w","direction":"in","text":"x","history":true}`,
		},
		"file that follows later": {
			envelope(change("history", `"messages":[{"from":"390212345678","to":"393331234567","id":"w","timestamp":"1767225600","type":"image","image":{"id":"9"}}]`)),
			person + `"message":{"wamid":"w","direction":"out","text":"[Image]","history":true,"media":{"id":"9"},"rendered":true}`,
		},
		"file from the person that follows later": {
			envelope(change("history", `"messages":[{"from":"393331234567","id":"w","timestamp":"1767225600","type":"image","image":{"id":"9"}}]`)),
			person + `"message":{"wamid":"w","direction":"in","text":"[Image]","history":true,"media":{"id":"9"},"rendered":true}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compact(t, one(t, tt.body)); !strings.Contains(got, tt.want) {
				t.Errorf("fact = %s\nwant in it %s", got, tt.want)
			}
		})
	}

	placeholder := one(t, thread(`{"from":"393331234567","id":"w","timestamp":"1","type":"media_placeholder"}`))
	file := one(t, envelope(change("history", `"messages":[{"from":"393331234567","id":"w","timestamp":"1","type":"image","image":{"id":"9"}}]`)))
	if placeholder.Key == file.Key {
		t.Error("a file has the key of its placeholder, want both recorded")
	}
	if placeholder.Message.Text >= file.Message.Text {
		t.Errorf("placeholder %q sorts after %q and would outlive it", placeholder.Message.Text, file.Message.Text)
	}
}

func TestWhatSetsStatusesApart(t *testing.T) {
	t.Parallel()
	status := func(rest string) string {
		return one(t, envelope(change("messages", `"statuses":[{"id":"w",`+rest+`}]`))).Key
	}
	keys := []string{
		status(`"status":"sent"`),
		status(`"status":"read"`),
		status(`"status":"read","recipient_type":"group","recipient_id":"g","recipient_participant_id":"1"`),
		status(`"status":"read","recipient_type":"group","recipient_id":"g","recipient_participant_id":"2"`),
		status(`"status":"read","recipient_type":"group","recipient_id":"g","recipient_participant_user_id":"IT.2"`),
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k] {
			t.Errorf("two statuses share the key %s", k)
		}
		seen[k] = true
	}
	if again := status(`"status":"sent","timestamp":"5","pricing":{}`); again != keys[0] {
		t.Errorf("key = %s, want %s whatever else the status says", again, keys[0])
	}
}

func TestTheSamePreferenceHasTheSameKey(t *testing.T) {
	t.Parallel()
	key := func(element string) string {
		return one(t, envelope(change("user_preferences", `"user_preferences":[`+element+`]`))).Key
	}
	first := key(`{"wa_id":"1","value":"stop","timestamp":1767225800}`)
	if again := key(`{ "wa_id": "1", "value": "stop", "timestamp": 1767225800 }`); again != first {
		t.Errorf("spaced out: key = %s, want %s", again, first)
	}
	if later := key(`{"wa_id":"1","value":"stop","timestamp":1767225801}`); later == first {
		t.Error("a later choice has the key of the earlier one")
	}
}

func TestDirectionFollowsTheField(t *testing.T) {
	t.Parallel()
	message := `{"from":"390212345678","to":"393331234567","id":"w","timestamp":"1","type":"text","text":{"body":"x"}}`
	if f := one(t, envelope(change("smb_message_echoes", `"message_echoes":[`+message+`]`))); f.Message.Direction != connectors.Out {
		t.Errorf("an echo: direction = %s, want out", f.Message.Direction)
	}
	if f := one(t, envelope(change("messages", `"messages":[`+message+`]`))); f.Message.Direction != connectors.In {
		t.Errorf("a message: direction = %s, want in", f.Message.Direction)
	}
}
