package whatsapp_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestWhatPeopleRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ message, want string }{
		"text":                            {`"type":"text","text":{"body":"Ciao"}`, "Ciao"},
		"emoji, escaped":                  {`"type":"text","text":{"body":"caff\u00e8 \ud83d\ude42"}`, "caffè 🙂"},
		"right to left":                   {`"type":"text","text":{"body":"مرحبا"}`, "مرحبا"},
		"a family and a combining accent": {`"type":"text","text":{"body":"👨‍👩‍👧 e\u0301"}`, "👨‍👩‍👧 e\u0301"},
		"NUL":                             {`"type":"text","text":{"body":"a\u0000b"}`, "a\x00b"},
		"quotes and backslashes":          {`"type":"text","text":{"body":"\"a\\\" \\\\"}`, `"a\" \\`},
		"braces in text":                  {`"type":"text","text":{"body":"}],{\"id\":\"evil\"}"}`, `}],{"id":"evil"}`},
		"empty text":                      {`"type":"text","text":{"body":""}`, "[Empty message]"},
		"only a space":                    {`"type":"text","text":{"body":" "}`, "[Empty message]"},
		"as long as WhatsApp allows":      {`"type":"text","text":{"body":"` + strings.Repeat("è", 4096) + `"}`, strings.Repeat("è", 4096)},

		"image with caption":      {`"type":"image","image":{"id":"9","caption":"ricevuta","mime_type":"image/jpeg"}`, "[Image] ricevuta"},
		"image":                   {`"type":"image","image":{"id":"9"}`, "[Image]"},
		"video":                   {`"type":"video","video":{"id":"9","caption":"x"}`, "[Video] x"},
		"voice message":           {`"type":"audio","audio":{"id":"9","voice":true}`, "[Voice message]"},
		"music":                   {`"type":"audio","audio":{"id":"9","voice":false}`, "[Audio]"},
		"sticker":                 {`"type":"sticker","sticker":{"id":"9","animated":true}`, "[Sticker]"},
		"document":                {`"type":"document","document":{"id":"9","filename":"contratto.pdf"}`, "[Document] contratto.pdf"},
		"document with caption":   {`"type":"document","document":{"id":"9","filename":"a.pdf","caption":"ecco"}`, "[Document] a.pdf: ecco"},
		"document without name":   {`"type":"document","document":{"id":"9"}`, "[Document]"},
		"media that Meta lost":    {`"type":"image","errors":[{"code":131052}]`, "[Image] (not available)"},
		"media without its part":  {`"type":"video"`, "[Video]"},
		"place":                   {`"type":"location","location":{"latitude":45.4642,"longitude":9.19,"name":"Duomo","address":"Milano"}`, "[Location] Duomo, Milano (45.4642, 9.19)"},
		"position":                {`"type":"location","location":{"latitude":45.4642,"longitude":9.19}`, "[Location] (45.4642, 9.19)"},
		"position in strings":     {`"type":"location","location":{"latitude":"-1.5","longitude":"0"}`, "[Location] (-1.5, 0)"},
		"position off the earth":  {`"type":"location","location":{"latitude":1e99,"longitude":0}`, "[Location]"},
		"contact card":            {`"type":"contacts","contacts":[{"name":{"formatted_name":"Ufficio"},"phones":[{"phone":"+39 02 1234 5678"}]}]`, "[Contact] Ufficio"},
		"two cards":               {`"type":"contacts","contacts":[{"name":{"formatted_name":"A"}},{"name":{"first_name":"B","last_name":"C"}}]`, "[Contacts] A, B C"},
		"card without a name":     {`"type":"contacts","contacts":[{"phones":[{"phone":"+39 02 1"}]}]`, "[Contact] +39 02 1"},
		"card of a company":       {`"type":"contacts","contacts":[{"org":{"company":"Acme"}}]`, "[Contact] Acme"},
		"empty card":              {`"type":"contacts","contacts":[{}]`, "[Contact]"},
		"tap on a template":       {`"type":"button","button":{"payload":"P","text":"Sì"}`, "Sì"},
		"tap without a label":     {`"type":"button","button":{"payload":"P"}`, "P"},
		"button":                  {`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"1","title":"Conferma"}}`, "Conferma"},
		"list":                    {`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"1","title":"Lunedì","description":"9:00"}}`, "Lunedì"},
		"form":                    {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{\"flow_token\":\"t1\",\"email\":\"g@x.it\",\"days\":[\"mon\",\"tue\"],\"n\":2}"}}`, "[Form] email: g@x.it, days: mon; tue, n: 2"},
		"form that is not JSON":   {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{oops"}}`, "[Form] Sent"},
		"form with a token alone": {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"{\"flow_token\":\"t\"}"}}`, "[Form]"},
		"address":                 {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"address_message","body":"Via Roma 1","response_json":"{}"}}`, "[Address] Via Roma 1"},
		"call permission":         {`"type":"interactive","interactive":{"type":"call_permission_reply","call_permission_reply":{"response":"accept"}}`, "[Call permission] accept"},
		"interactive, later kind": {`"type":"interactive","interactive":{"type":"hologram","hologram":7}`, "[Unsupported message: interactive hologram]"},
		"interactive, empty":      {`"type":"interactive"`, "[Unsupported message: interactive]"},
		"reaction":                {`"type":"reaction","reaction":{"message_id":"wamid.OUT1","emoji":"\ud83d\udc4d"}`, "Reacted 👍"},
		"reaction taken back":     {`"type":"reaction","reaction":{"message_id":"wamid.OUT1"}`, "Removed a reaction"},
		"reaction emptied":        {`"type":"reaction","reaction":{"message_id":"wamid.OUT1","emoji":""}`, "Removed a reaction"},
		"order":                   {`"type":"order","order":{"catalog_id":"1","text":"presto","product_items":[{"quantity":2},{"quantity":"1"}]}`, "[Order] 3 items: presto"},
		"order of one":            {`"type":"order","order":{"product_items":[{}]}`, "[Order] 1 item"},
		"poll":                    {`"type":"unsupported","errors":[{"code":131051}],"unsupported":{"type":"poll_creation"}`, "[Unsupported message: poll_creation]"},
		"unsupported, older":      {`"type":"unsupported","errors":[{"code":131051}]`, "[Unsupported message]"},
		"unknown":                 {`"type":"unknown"`, "[Unsupported message]"},
		"ephemeral":               {`"type":"ephemeral"`, "[Unsupported message: ephemeral]"},
		"a type of tomorrow":      {`"type":"hologram","hologram":"not an object"`, "[Unsupported message: hologram]"},
		"type named like a key":   {`"type":"id"`, "[Unsupported message: id]"},
		"history's placeholder":   {`"type":"media_placeholder"`, "[Attachment]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := one(t, inbound(from("wamid.A1", tt.message)))
			if f.Kind != connectors.KindMessage {
				t.Fatalf("kind = %s (%s), want a message", f.Kind, f.Reason)
			}
			if f.Message.Text != tt.want {
				t.Errorf("text = %q, want %q", f.Message.Text, tt.want)
			}
			if marked := strings.HasPrefix(tt.want, "[Unsupported"); marked != (f.Raw != nil) {
				t.Errorf("raw = %q, want the message exactly if it is not understood", f.Raw)
			}
		})
	}
}

func TestWhatAMessageCarries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ message, want string }{
		"text": {
			`"type":"text","text":{"body":"Ciao"}`,
			`{"key":"","kind":"message","type":"text","at":"2026-01-01T00:00:00Z","business_number":"200100300400500","business_phone":"390212345678","person":{"wa_id":"393331234567","profile_name":"Giulia Bianchi"},"message":{"wamid":"wamid.A1","direction":"in","text":"Ciao"}}`,
		},
		"answer to a message": {
			`"type":"text","text":{"body":"Sì"},"context":{"from":"390212345678","id":"wamid.OUT1"}`,
			`"message":{"wamid":"wamid.A1","direction":"in","text":"Sì","reply_to":"wamid.OUT1"}`,
		},
		"forwarded": {
			`"type":"text","text":{"body":"x"},"context":{"forwarded":true}`,
			`"message":{"wamid":"wamid.A1","direction":"in","text":"x"}`,
		},
		"reaction": {
			`"type":"reaction","reaction":{"message_id":"wamid.OUT1","emoji":"x"}`,
			`"message":{"wamid":"wamid.A1","direction":"in","text":"Reacted x","reply_to":"wamid.OUT1","rendered":true}`,
		},
		"file": {
			`"type":"document","document":{"id":990011,"mime_type":"application/pdf","sha256":"Pf=","filename":"a.pdf","url":"https://x"}`,
			`"media":{"id":"990011","mime_type":"application/pdf","sha256":"Pf=","filename":"a.pdf"}`,
		},
		"click on an advertisement": {
			`"type":"text","text":{"body":"x"},"referral":{"source_url":"https://fb.me/x","source_id":"120","source_type":"ad","headline":"Sconti","body":"b","ctwa_clid":"ARA"}`,
			`"referral":{"source_type":"ad","source_id":"120","source_url":"https://fb.me/x","headline":"Sconti","click_id":"ARA"}`,
		},
		"button": {
			`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"yes-1","title":"Conferma"}}`,
			`"text":"Conferma","reply":{"kind":"button","id":"yes-1"}}`,
		},
		"list": {
			`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":7,"title":"Lunedì"}}`,
			`"text":"Lunedì","reply":{"kind":"list","id":"7"}}`,
		},
		"button of a template": {`"type":"button","button":{"payload":"P","text":"Sì"}`, `"text":"Sì","reply":{"kind":"button","id":"P"}}`},
		"group":                {`"type":"text","text":{"body":"x"},"group_id":"g1"`, `"group_id":"g1"`},
		"edited":               {`"type":"edit","edit":{"original_message_id":"wamid.A0","message":{"type":"text","text":{"body":"nuovo"}}}`, `"text":"nuovo","target":"wamid.A0"`},
		"edited caption": {
			`"type":"edit","edit":{"original_message_id":"wamid.A0","message":{"type":"image","image":{"id":"9","caption":"c"}}}`,
			`"text":"[Image] c","target":"wamid.A0"`,
		},
		"edited, says not how":      {`"type":"edit","edit":{"original_message_id":"wamid.A0"}`, `"text":"[Edited message]","target":"wamid.A0"`},
		"edit of an edit":           {`"type":"edit","edit":{"original_message_id":"wamid.A0","message":{"type":"edit","edit":{"original_message_id":"x"}}}`, `"text":"[Edited message]","target":"wamid.A0"`},
		"deleted":                   {`"type":"revoke","revoke":{"original_message_id":"wamid.A0"}`, `"text":"[This message was deleted]","target":"wamid.A0"`},
		"a picture":                 {`"type":"image","image":{"id":"9"}`, `"media":{"id":"9"},"rendered":true}`},
		"a picture with words":      {`"type":"image","image":{"id":"9","caption":"my cat"}`, `"text":"[Image] my cat","media":{"id":"9"},"rendered":true,"said":"my cat"}`},
		"a file's name is no words": {`"type":"document","document":{"id":"9","filename":"refund.pdf","caption":"here"}`, `"rendered":true,"said":"here"}`},
		"a place":                   {`"type":"location","location":{"latitude":1,"longitude":2,"name":"Bar"}`, `"rendered":true}`},
		"a form":                    {`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"{\"a\":\"b\"}"}}`, `"text":"[Form] a: b","rendered":true,"said":"a: b"}`},
		"a button without a title":  {`"type":"button","button":{}`, `"text":"[Button]","reply":{"kind":"button"},"rendered":true}`},
		"an edited text is a text":  {`"type":"edit","edit":{"original_message_id":"wamid.A0","message":{"type":"text","text":{"body":"x"}}}`, `"target":"wamid.A0"}`},
		"an empty text":             {`"type":"text","text":{"body":" "}`, `"text":"[Empty message]","rendered":true}`},
		"keys of tomorrow":          {`"type":"text","text":{"body":"x","mood":1},"context":{"from_user_id":"IT.1"},"zzz":[{}]`, `"text":"x"`},
		"decoration of another type is no reason to lose a message": {
			`"type":"image","image":{"id":{},"mime_type":7},"context":"x","referral":[1],"group_id":false`, `"text":"[Image]"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compact(t, one(t, inbound(from("wamid.A1", tt.message)))); !strings.Contains(got, tt.want) {
				t.Errorf("fact = %s\nwant in it %s", got, tt.want)
			}
		})
	}
}

func TestEveryWayToTellTheTime(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		timestamp string
		want      string
	}{
		"text":             {`"1767225600"`, "2026-01-01T00:00:00Z"},
		"number":           {`1767225600`, "2026-01-01T00:00:00Z"},
		"milliseconds":     {`"1767225600123"`, "2026-01-01T00:00:00.123Z"},
		"empty":            {`""`, ""},
		"null":             {`null`, ""},
		"zero":             {`0`, ""},
		"before the epoch": {`-5`, ""},
		"words":            {`"yesterday"`, ""},
		"not a number":     {`"NaN"`, ""},
		"endless":          {`1e999`, ""},
		"far ahead":        {`"99999999999999999999"`, ""},
		"an object":        {`{"s":1}`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := one(t, inbound(`{"from":"393331234567","id":"w","timestamp":`+tt.timestamp+`,"type":"text","text":{"body":"x"}}`))
			got := ""
			if !f.At.IsZero() {
				got = f.At.Format(time.RFC3339Nano)
			}
			if f.Kind != connectors.KindMessage || got != tt.want {
				t.Errorf("%s at %q (%s), want a message at %q", f.Kind, got, f.Reason, tt.want)
			}
		})
	}
}

func TestWhoWroteAMessage(t *testing.T) {
	t.Parallel()
	text := `"id":"w","timestamp":"1","type":"text","text":{"body":"x"}`
	tests := map[string]struct{ contacts, ids, want string }{
		"a phone":                           {`[` + giulia + `]`, `"from":"393331234567"`, `{"wa_id":"393331234567","profile_name":"Giulia Bianchi"}`},
		"no contacts":                       {`[]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"contacts are null":                 {`null`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"contacts are something else":       {`7`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"contact without profile":           {`[{"wa_id":"393331234567"}]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"profile without name":              {`[{"wa_id":"393331234567","profile":{}}]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"profile null":                      {`[{"wa_id":"393331234567","profile":null}]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"name is a number":                  {`[{"wa_id":"393331234567","profile":{"name":7}}]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"the second contact, not the first": {`[{"wa_id":"1","profile":{"name":"Other"}},` + giulia + `]`, `"from":"393331234567"`, `{"wa_id":"393331234567","profile_name":"Giulia Bianchi"}`},
		"the only contact is another":       {`[{"wa_id":"1","profile":{"name":"Other"}}]`, `"from":"393331234567"`, `{"wa_id":"393331234567"}`},
		"ids as numbers":                    {`[{"wa_id":393331234567,"profile":{"name":"G"}}]`, `"from":393331234567`, `{"wa_id":"393331234567","profile_name":"G"}`},
		"a phone and a user id": {
			`[{"wa_id":"393331234567","user_id":"IT.1","parent_user_id":"IT.ENT.2","country_code":"IT","profile":{"name":"G","username":"@giulia"}}]`,
			`"from":"393331234567","from_user_id":"IT.1"`,
			`{"wa_id":"393331234567","user_id":"IT.1","parent_user_id":"IT.ENT.2","profile_name":"G","username":"giulia","country_code":"IT"}`,
		},
		"user id, phone absent":     {`[{"user_id":"IT.1","profile":{"name":"G"}}]`, `"from_user_id":"IT.1"`, `{"user_id":"IT.1","profile_name":"G"}`},
		"user id, phone null":       {`[{"user_id":"IT.1","wa_id":null,"profile":{"name":"G"}}]`, `"from":null,"from_user_id":"IT.1"`, `{"user_id":"IT.1","profile_name":"G"}`},
		"user id, phone empty":      {`[{"user_id":"IT.1","wa_id":"","profile":{"name":"G"}}]`, `"from":"","from_user_id":"IT.1"`, `{"user_id":"IT.1","profile_name":"G"}`},
		"user id where a phone was": {`[]`, `"from":"IT.1"`, `{"user_id":"IT.1"}`},
		"only the contact says":     {`[{"user_id":"IT.1"}]`, `"x":1`, `{"user_id":"IT.1"}`},
		"the contact knows the user id already": {
			`[{"wa_id":"393331234567","user_id":"IT.1"}]`, `"from":"393331234567"`, `{"wa_id":"393331234567","user_id":"IT.1"}`,
		},
		"a number that has passed to another person": {
			`[{"wa_id":"393331234567","user_id":"IT.2","profile":{"name":"New"}}]`, `"from":"393331234567","from_user_id":"IT.1"`,
			`{"wa_id":"393331234567","user_id":"IT.1"}`,
		},
		"user ids differ in case": {
			`[{"user_id":"IT.a","profile":{"name":"Other"}},{"user_id":"IT.A","profile":{"name":"G"}}]`, `"from_user_id":"IT.A"`,
			`{"user_id":"IT.A","profile_name":"G"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := one(t, envelope(change("messages", `"contacts":`+tt.contacts+`,"messages":[{`+tt.ids+`,`+text+`}]`)))
			if got := compact(t, f); !strings.Contains(got, `"person":`+tt.want+`,`) {
				t.Errorf("fact = %s\nwant the person %s", got, tt.want)
			}
		})
	}
}

func TestANumberSharedOnRequestBelongsToTheSender(t *testing.T) {
	t.Parallel()
	body := func(origin string) string {
		return envelope(change("messages", `"contacts":[{"user_id":"IT.1"}],"messages":[{"from_user_id":"IT.1","id":"w","timestamp":"1","type":"contacts",`+
			`"contacts":[{"origin":"`+origin+`","phones":[{"phone":"+39 333 1234567","wa_id":"393331234567"}]}]}]`))
	}
	if got := one(t, body("contact_request")).Person.WAID; got != "393331234567" {
		t.Errorf("own number: wa_id = %q, want it learnt", got)
	}
	if got := one(t, body("other")).Person.WAID; got != "" {
		t.Errorf("somebody else's card: wa_id = %q, want none", got)
	}
}

func TestNamesMatchExactly(t *testing.T) {
	t.Parallel()
	f := one(t, inbound(`{"id":"a","Id":"evil","ID":"evil","from":"393331234567","From":"1","FROM":"2","timestamp":"1767225600","type":"text","Type":"x","text":{"body":"good","Body":"evil"}}`))
	if f.Message == nil || f.Message.WAMID != "a" || f.Message.Text != "good" || f.Person.WAID != "393331234567" {
		t.Errorf("fact = %s, want only the exact names read", compact(t, f))
	}
	f = one(t, inbound(`{"\u0069d":"a","from":"393331234567","timestamp":"1","type":"text","text":{"b\u006fdy":"x"}}`))
	if f.Message == nil || f.Message.WAMID != "a" || f.Message.Text != "x" {
		t.Errorf("fact = %s, want escaped names read", compact(t, f))
	}
}

func TestAMessageResentHasTheSameKey(t *testing.T) {
	t.Parallel()
	message := from("wamid.A1", `"type":"text","text":{"body":"x"}`)
	alone := one(t, inbound(message)).Key
	if again := split(t, inbound(from("wamid.A0", `"type":"text","text":{"body":"y"}`), message))[1].Key; again != alone {
		t.Errorf("in another batch: key = %s, want %s", again, alone)
	}
	other := strings.ReplaceAll(inbound(message), "200100300400500", "7")
	if key := one(t, other).Key; key == alone {
		t.Errorf("at another business number: key = %s, want another one", key)
	}
	if strings.Contains(alone, "39333") {
		t.Errorf("key = %s, want no phone number in it", alone)
	}
}

func TestAnEditIsNotTakenForItsOriginal(t *testing.T) {
	t.Parallel()
	original := one(t, inbound(from("w", `"type":"text","text":{"body":"x"}`)))
	edit := one(t, inbound(from("w", `"type":"edit","edit":{"original_message_id":"w","message":{"type":"text","text":{"body":"y"}}}`)))
	revoke := one(t, inbound(from("w", `"type":"revoke","revoke":{"original_message_id":"w"}`)))
	if original.Key == edit.Key || edit.Key == revoke.Key || original.Key == revoke.Key {
		t.Errorf("keys = %s, %s, %s, want three", original.Key, edit.Key, revoke.Key)
	}
}

func TestStrangeIDsMakeWellBehavedKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for _, id := range []string{strings.Repeat("x", 500), strings.Repeat("x", 501), `è`, `a b`, `a:b`, `\u0000`, `a\nb`, "wamid.HBgM+/="} {
		body := strings.ReplaceAll(inbound(from("ID", `"type":"text","text":{"body":"x"}`)), `"ID"`, `"`+id+`"`)
		key := one(t, body).Key
		if other, ok := keys[key]; ok {
			t.Errorf("%q and %q share the key %s", id, other, key)
		}
		keys[key] = id
	}
}
