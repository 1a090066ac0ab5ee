package whatsapp_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"crmsync/connectors"
)

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	const first = "entry[0].changes[0]"
	message := func(m string) string { return inbound(m) }
	tests := map[string]struct{ body, reason string }{
		"nothing":                 {``, "the body is not JSON"},
		"cut short":               {inbound(from("w", `"type":"text"`))[:80], "the body is not JSON"},
		"two documents":           {`{}{}`, "the body is not JSON"},
		"null":                    {`null`, "the body is not an object"},
		"a list":                  {`[{}]`, "the body is not an object"},
		"an empty object":         {`{}`, "entry is missing"},
		"no entries":              {`{"object":"whatsapp_business_account"}`, "entry is missing"},
		"entries not a list":      {`{"entry":{}}`, "entry is not a list"},
		"an entry is text":        {`{"entry":["x"]}`, "entry[0] is not an object"},
		"an entry is null":        {`{"entry":[null]}`, "entry[0] is not an object"},
		"changes not a list":      {`{"entry":[{"changes":7}]}`, "entry[0].changes is not a list"},
		"a change is a number":    {`{"entry":[{"changes":[7]}]}`, first + " is not an object"},
		"no field":                {`{"entry":[{"changes":[{"value":{}}]}]}`, first + ".field is missing"},
		"field is a number":       {`{"entry":[{"changes":[{"field":1,"value":{}}]}]}`, first + ".field is not text"},
		"no value":                {`{"entry":[{"changes":[{"field":"messages"}]}]}`, first + ".value is missing"},
		"value is text":           {`{"entry":[{"changes":[{"field":"messages","value":"x"}]}]}`, first + ".value is not an object"},
		"metadata is text":        {`{"entry":[{"changes":[{"field":"messages","value":{"metadata":"x","messages":[]}}]}]}`, first + ".value.metadata is not an object"},
		"messages not a list":     {envelope(change("messages", `"messages":{"0":{}}`)), first + ".value.messages is not a list"},
		"a message is null":       {message(`null`), first + ".value.messages[0] is not an object"},
		"a message is text":       {message(`"x"`), first + ".value.messages[0] is not an object"},
		"no id":                   {message(`{"from":"1","timestamp":"1","type":"text","text":{"body":"x"}}`), first + ".value.messages[0].id is missing"},
		"id is a number":          {message(`{"from":"1","id":5,"type":"text","text":{"body":"x"}}`), first + ".value.messages[0].id is not text"},
		"id twice":                {message(`{"from":"1","id":"a","id":"evil","type":"text","text":{"body":"x"}}`), first + ".value.messages[0].id is given twice"},
		"no type":                 {message(`{"from":"1","id":"a","text":{"body":"x"}}`), first + ".value.messages[0].type is missing"},
		"type is a number":        {message(`{"from":"1","id":"a","type":1}`), first + ".value.messages[0].type is not text"},
		"no text":                 {message(from("a", `"type":"text"`)), first + ".value.messages[0].text.body is missing"},
		"text is text":            {message(from("a", `"type":"text","text":"x"`)), first + ".value.messages[0].text is not an object"},
		"body is a number":        {message(from("a", `"type":"text","text":{"body":1}`)), first + ".value.messages[0].text.body is not text"},
		"image is text":           {message(from("a", `"type":"image","image":"x"`)), first + ".value.messages[0].image is not an object"},
		"emoji is an object":      {message(from("a", `"type":"reaction","reaction":{"emoji":{}}`)), first + ".value.messages[0].reaction.emoji is not text"},
		"a card is a number":      {message(from("a", `"type":"contacts","contacts":[{},7]`)), first + ".value.messages[0].contacts[1] is not an object"},
		"title is a number":       {message(from("a", `"type":"interactive","interactive":{"type":"button_reply","button_reply":{"title":1}}`)), first + ".value.messages[0].interactive.button_reply.title is not text"},
		"edit of nothing":         {message(from("a", `"type":"edit","edit":{}`)), first + ".value.messages[0].edit.original_message_id is missing"},
		"revocation of nothing":   {message(from("a", `"type":"revoke"`)), first + ".value.messages[0].revoke.original_message_id is missing"},
		"change of number to ?":   {message(from("a", `"type":"system","system":{"type":"user_changed_number"}`)), first + ".value.messages[0].system.wa_id is missing, and no user id says who they are now"},
		"message of nobody":       {envelope(change("messages", `"messages":[{"id":"a","type":"text","text":{"body":"x"}}]`)), first + ".value.messages[0].from is missing, and nothing else says whose message it is"},
		"echo to nobody":          {envelope(change("message_echoes", `"message_echoes":[{"id":"a","type":"text","text":{"body":"x"}}]`)), first + ".value.message_echoes[0].to is missing, and nothing else says whose message it is"},
		"status without id":       {envelope(change("messages", `"statuses":[{"status":"read"}]`)), first + ".value.statuses[0].id is missing"},
		"status without status":   {envelope(change("messages", `"statuses":[{"id":"w"}]`)), first + ".value.statuses[0].status is missing"},
		"preference of nobody":    {envelope(change("user_preferences", `"user_preferences":[{"value":"stop"}]`)), first + ".value.user_preferences[0].wa_id is missing, and nothing else says whose choice it is"},
		"preference for nothing":  {envelope(change("user_preferences", `"user_preferences":[{"wa_id":"1"}]`)), first + ".value.user_preferences[0].value is missing"},
		"new user id is missing":  {envelope(change("user_id_update", `"user_id_update":[{"user_id":{"previous":"IT.1"}}]`)), first + ".value.user_id_update[0].user_id.current is missing"},
		"address without number":  {envelope(change("smb_app_state_sync", `"state_sync":[{"type":"contact","action":"add","contact":{"full_name":"x"}}]`)), first + ".value.state_sync[0].contact.phone_number is missing"},
		"history chunk is text":   {envelope(change("history", `"history":["x"]`)), first + ".value.history[0] is not an object"},
		"thread is text":          {envelope(change("history", `"history":[{"threads":["x"]}]`)), first + ".value.history[0].threads[0] is not an object"},
		"past message without id": {envelope(change("history", `"history":[{"threads":[{"id":"1","messages":[{"from":"1","type":"text","text":{"body":"x"}}]}]}]`)), first + ".value.history[0].threads[0].messages[0].id is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := one(t, tt.body)
			if f.Kind != connectors.KindMalformed || f.Reason != tt.reason {
				t.Fatalf("%s fact, reason %q; want malformed, %q", f.Kind, f.Reason, tt.reason)
			}
			again := one(t, string(f.Raw))
			if again.Kind != connectors.KindMalformed || again.Key != f.Key {
				t.Errorf("its raw bytes give %s %s, want malformed %s", again.Kind, again.Key, f.Key)
			}
		})
	}
}

func TestOneBadMessageAmongNinetyNine(t *testing.T) {
	t.Parallel()
	var messages []string
	for i := range 100 {
		m := from(fmt.Sprintf("wamid.%d", i), fmt.Sprintf(`"type":"text","text":{"body":"text %d"}`, i))
		if i == 7 {
			m = strings.Replace(m, `{"body":"text 7"}`, `{"body":["secret words"]}`, 1)
		}
		messages = append(messages, m)
	}
	facts := split(t, inbound(messages...))
	if len(facts) != 100 {
		t.Fatalf("%d facts, want 100", len(facts))
	}
	for i, f := range facts {
		if i != 7 && (f.Message == nil || f.Message.Text != fmt.Sprintf("text %d", i)) {
			t.Errorf("message %d became %s", i, compact(t, f))
		}
	}
	bad := facts[7]
	if want := "entry[0].changes[0].value.messages[7].text.body is not text"; bad.Reason != want {
		t.Errorf("reason = %q, want %q", bad.Reason, want)
	}
	if strings.Contains(bad.Reason+bad.Key, "secret") || strings.Contains(bad.Reason+bad.Key, "3933") {
		t.Errorf("reason %q or key %q gives a value away", bad.Reason, bad.Key)
	}

	// Mended, it is read with everything that surrounded it.
	mended := one(t, strings.Replace(string(bad.Raw), `["secret words"]`, `"text 7"`, 1))
	want := one(t, inbound(strings.Replace(messages[7], `["secret words"]`, `"text 7"`, 1)))
	if !reflect.DeepEqual(mended, want) {
		t.Errorf("mended\n got %s\nwant %s", compact(t, mended), compact(t, want))
	}
}

func TestAMendedMessageOfTheHistoryKeepsItsThread(t *testing.T) {
	t.Parallel()
	body := envelope(change("history", `"history":[{"threads":[{"id":"393331234567","messages":[`+
		`{"from":"390212345678","id":"w","timestamp":"1","type":"text","text":{"body":7}}]}]}]`))
	mended := one(t, strings.Replace(string(one(t, body).Raw), `"body":7`, `"body":"x"`, 1))
	if want := one(t, strings.Replace(body, `"body":7`, `"body":"x"`, 1)); !reflect.DeepEqual(mended, want) {
		t.Errorf("mended\n got %s\nwant %s", compact(t, mended), compact(t, want))
	}
}

func TestAListGivenTwiceIsNotLost(t *testing.T) {
	t.Parallel()
	a, b := from("a", `"type":"text","text":{"body":"x"}`), from("b", `"type":"text","text":{"body":"y"}`)
	facts := split(t, envelope(change("messages", `"messages":[`+a+`],"messages":[`+b+`]`)))
	if len(facts) != 2 || facts[0].Message == nil || facts[1].Kind != connectors.KindMalformed {
		t.Fatalf("facts = %+v, want one message and one malformed", facts)
	}
	if again := one(t, string(facts[1].Raw)); again.Message == nil || again.Message.WAMID != "b" {
		t.Errorf("raw bytes give %s, want message b", compact(t, again))
	}
}

func TestEverythingInOneBody(t *testing.T) {
	t.Parallel()
	body := `{"object":"whatsapp_business_account","entry":[` +
		`{"id":"1","changes":[` +
		change("messages", `"messages":[`+from("a", `"type":"text","text":{"body":"x"}`)+`],"statuses":[{"id":"b","status":"sent","recipient_id":"1"}],"errors":[{"code":1}],"user_actions":[{}]`) + `,` +
		change("user_preferences", `"user_preferences":[{"wa_id":"1","value":"stop"}]`) + `,7]},` +
		`{"id":"2","time":1,"changes":[{"field":"security","value":{}}]},"x"]}`
	var got []string
	for _, f := range split(t, body) {
		got = append(got, string(f.Kind)+" "+f.Type)
	}
	want := "message text, status sent, other errors, other user_actions, preference stop, malformed , other security, malformed "
	if strings.Join(got, ", ") != want {
		t.Errorf("facts = %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestEventsOfDifferentAccountsDoNotHideEachOther(t *testing.T) {
	t.Parallel()
	body := `{"entry":[{"id":"1","time":5,"changes":[{"field":"security","value":{}}]},` +
		`{"id":"2","time":5,"changes":[{"field":"security","value":{}}]},{"id":"2","time":6,"changes":[{"field":"security","value":{}}]}]}`
	facts := split(t, body)
	if len(facts) != 3 || facts[0].Key == facts[1].Key || facts[1].Key == facts[2].Key {
		t.Errorf("facts = %+v, want three keys", facts)
	}
}

func TestDeepNestingAndStrangeBytes(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	f := one(t, inbound(from("a", `"type":"text","text":{"body":"x"},"later":`+deep)))
	if f.Message == nil {
		t.Errorf("deep: %s (%s), want the message", f.Kind, f.Reason)
	}
	if f := one(t, strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)); f.Kind != connectors.KindMalformed {
		t.Errorf("too deep: %s, want malformed", f.Kind)
	}
	f = one(t, inbound(from("a", `"type":"text","text":{"body":"x`+"\xff"+`\ud83d"}`)))
	if f.Message == nil || f.Message.Text != "x\uFFFD\uFFFD" {
		t.Errorf("half a character: %s", compact(t, f))
	}
	if f := one(t, "\n\t "+inbound(from("a", `"type":"text","text":{"body":"x"}`))+"\r\n"); f.Message == nil {
		t.Errorf("white space around: %s (%s), want the message", f.Kind, f.Reason)
	}
}

func TestSurroundingsAreNotRepeatedWithoutBound(t *testing.T) {
	t.Parallel()
	body := fmt.Sprintf(`{"entry":[{"id":%q,"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1","x":%q},"messages":[%s7]}}]}]}`,
		strings.Repeat("a", 100_000), strings.Repeat("b", 100_000), strings.Repeat("7,", 99))
	total := 0
	for _, f := range split(t, body) {
		total += len(f.Raw)
	}
	if total > len(body) {
		t.Errorf("100 malformed facts hold %d bytes of a body of %d", total, len(body))
	}
}

// A body of nothing but rubbish is one fact, not a million.
func TestAFloodOfUnreadablePartsIsOneFact(t *testing.T) {
	t.Parallel()
	good := from("w", `"type":"text","text":{"body":"x"}`)
	body := inbound(good + strings.Repeat(",7", 5000))
	facts := split(t, body)
	if len(facts) != 2 || facts[0].Kind != connectors.KindMessage || facts[1].Kind != connectors.KindMalformed || string(facts[1].Raw) != body {
		t.Fatalf("%d facts, want the message and one that holds the body", len(facts))
	}
	if again := split(t, string(facts[1].Raw)); len(again) != 2 || again[1].Key != facts[1].Key {
		t.Errorf("split again it has another key")
	}
}

func TestTheStatusOfAPaymentIsNotThatOfAMessage(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]connectors.Kind{"payment": connectors.KindOther, "message": connectors.KindStatus} {
		f := one(t, envelope(change("messages", fmt.Sprintf(`"statuses":[{"id":"w","status":"failed","type":%q,"recipient_id":"393331234567","timestamp":"1767225600"}]`, kind))))
		if f.Kind != want {
			t.Errorf("the status of a %s is a fact of kind %s, want %s", kind, f.Kind, want)
		}
	}
}

// What is only good to have does not cost a message.
func TestTrimmingsOfAWrongTypeAreLeftOut(t *testing.T) {
	t.Parallel()
	for kind, content := range map[string]string{
		"location":    `{"latitude":1,"longitude":2,"name":7,"address":{}}`,
		"image":       `{"id":"m","caption":7}`,
		"document":    `{"id":"m","filename":[]}`,
		"interactive": `{"type":"nfm_reply","nfm_reply":{"response_json":{}}}`,
	} {
		if f := one(t, inbound(from("w", fmt.Sprintf(`"type":%q,%q:%s`, kind, kind, content)))); f.Kind != connectors.KindMessage {
			t.Errorf("%s: %s %s, want a message", kind, f.Kind, f.Reason)
		}
	}
}
