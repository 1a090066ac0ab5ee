package whatsappsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEveryKindOfMessage(t *testing.T) {
	kinds := map[string]struct{ kind, object string }{
		"text": {"text", "text"}, "image": {"image", "image"}, "video": {"video", "video"},
		"audio": {"audio", "audio"}, "document": {"document", "document"}, "sticker": {"sticker", "sticker"},
		"location": {"location", "location"}, "contacts": {"contacts", "contacts"}, "button": {"button", "button"},
		"button_reply": {"interactive", "interactive"}, "list_reply": {"interactive", "interactive"},
		"nfm_reply": {"interactive", "interactive"}, "call_permission_reply": {"interactive", "interactive"},
		"reaction": {"reaction", "reaction"}, "order": {"order", "order"},
		"user_changed_number": {"system", "system"}, "user_changed_user_id": {"system", "system"},
		"edit": {"edit", "edit"}, "revoke": {"revoke", "revoke"}, "request_welcome": {"request_welcome", ""},
		"unsupported": {"unsupported", "errors"}, "unknown": {"unknown", "errors"}, "ephemeral": {"ephemeral", "errors"},
		"hologram": {"hologram", "hologram"},
	}
	inWorld(t, Options{}, func(w world) {
		for name, tt := range kinds {
			r := w.receive(Inbound{From: "393331234567", Name: "Giulia", Type: name, Text: "393479998877"})
			v := w.lastValue()
			if len(list(v, "messages")) != 1 {
				w.Errorf("%s: %v", name, v)
				continue
			}
			m := list(v, "messages")[0]
			if text(m, "type") != tt.kind || text(m, "id") != r.WAMID || r.Status != 200 || tt.object != "" && field(m, tt.object) == nil {
				w.Errorf("%s: %v", name, m)
			}
			if _, ok := field(m, "timestamp").(string); !ok {
				w.Errorf("%s: timestamp %v is no string", name, field(m, "timestamp"))
			}
			if hasContacts := len(list(v, "contacts")) == 1; hasContacts == (tt.kind == "system") {
				w.Errorf("%s: contacts %v", name, v["contacts"])
			}
		}
	})
}

// at follows keys, and the first element of lists.
func at(doc any, path string) any {
	for _, key := range strings.Split(path, ".") {
		if l, ok := doc.([]any); ok && len(l) > 0 {
			doc = l[0]
		}
		doc = field(doc, key)
	}
	return doc
}

func TestWhatMessagesHold(t *testing.T) {
	const file = ".id %[1]s.mime_type %[1]s.sha256 %[1]s.url"
	media := func(kind, more string) string { return fmt.Sprintf("%[1]s"+file+" "+more, kind) }
	tests := map[string]string{ // paths below the message
		"text":                  "text.body",
		"image":                 media("image", "image.caption"),
		"video":                 media("video", "video.caption"),
		"audio":                 media("audio", "audio.voice"),
		"document":              media("document", "document.caption document.filename"),
		"sticker":               media("sticker", "sticker.animated"),
		"location":              "location.latitude location.longitude location.name location.address location.url",
		"contacts":              "contacts.name.formatted_name contacts.phones.phone contacts.emails.email contacts.org.company",
		"button":                "button.payload button.text context.id context.from",
		"button_reply":          "interactive.button_reply.id interactive.button_reply.title context.id",
		"list_reply":            "interactive.list_reply.id interactive.list_reply.title interactive.list_reply.description context.id",
		"nfm_reply":             "interactive.nfm_reply.name interactive.nfm_reply.body interactive.nfm_reply.response_json",
		"call_permission_reply": "interactive.call_permission_reply.response",
		"reaction":              "reaction.message_id reaction.emoji",
		"order":                 "order.catalog_id order.text order.product_items.product_retailer_id order.product_items.item_price",
		"user_changed_number":   "from system.body system.wa_id",
		"user_changed_user_id":  "from system.body system.user_id",
		"edit":                  "edit.original_message_id edit.message.type edit.message.text.body",
		"revoke":                "revoke.original_message_id",
		"unsupported":           "errors.code errors.title errors.error_data.details unsupported.type",
	}
	inWorld(t, Options{BaseURL: "http://graph.example"}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		for kind, paths := range tests {
			w.receive(Inbound{From: "393331234567", Type: kind, Text: "393479998877"})
			m := list(w.lastValue(), "messages")[0]
			for _, path := range strings.Fields(paths) {
				if at(m, path) == nil {
					w.Errorf("%s lacks %s: %v", kind, path, m)
				}
			}
			if kind == "user_changed_number" && (at(m, "from") != "393331234567" || at(m, "system.wa_id") != "393479998877" || at(m, "system.type") != kind) {
				w.Errorf("%s: %v", kind, m)
			}
			if kind == "user_changed_user_id" && (at(m, "system.user_id") != "393479998877" || at(m, "system.type") != kind) {
				w.Errorf("%s: %v", kind, m)
			}
		}
		w.receive(Inbound{From: "393331234567", Type: "reaction"})
		if r := field(list(w.lastValue(), "messages")[0], "reaction"); field(r, "message_id") == nil || len(r.(map[string]any)) != 1 {
			w.Errorf("a reaction taken back: %v", r)
		}
		w.receive(Inbound{
			From: "393331234567", Text: "ciao", Referral: json.RawMessage(referral), Context: json.RawMessage(`{"forwarded":true}`),
		})
		if m := list(w.lastValue(), "messages")[0]; at(m, "referral.ctwa_clid") == nil || at(m, "context.forwarded") != true {
			w.Errorf("a forwarded message of an ad: %v", m)
		}
		hers := w.receive(Inbound{From: "393330000001", Text: "ciao"})
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.receive(Inbound{From: "393330000001", Type: "revoke"})
		if m := list(w.lastValue(), "messages")[0]; at(m, "revoke.original_message_id") != hers.WAMID {
			w.Errorf("she revokes %v, want %s", m, hers.WAMID)
		}
	})
}

func TestWhatIsNoMessage(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for kind, tt := range map[string]struct{ field, key string }{
			"user_preferences": {"user_preferences", "user_preferences"},
			"user_id_update":   {"user_id_update", "user_id_update"},
			"echo":             {"smb_message_echoes", "message_echoes"},
			"user_actions":     {"messages", "user_actions"},
			"errors":           {"messages", "errors"},
		} {
			w.receive(Inbound{From: "393331234567", Type: kind, Text: "stop"})
			v := w.lastValue()
			var doc any
			p := w.to.posts()
			_ = json.Unmarshal(p[len(p)-1].body, &doc)
			if got := firstField(doc); got != tt.field || len(list(v, tt.key)) != 1 || v["messages"] != nil || v["metadata"] == nil {
				w.Errorf("%s: field %s %v", kind, got, v)
			}
			if field(list(doc, "entry")[0], "time") != nil {
				w.Errorf("%s: entry.time is for account fields only", kind)
			}
			if kind == "user_preferences" {
				if _, ok := field(list(v, kind)[0], "timestamp").(float64); !ok {
					w.Error("the timestamp of a preference is not an integer")
				}
			}
			if keys := len(v); kind == "user_actions" && keys != 3 {
				w.Errorf("user_actions has %d keys in its value", keys)
			}
		}
	})
}

func TestWhoWrites(t *testing.T) {
	tests := map[string]struct {
		in               Inbound
		from             any // absent is nil
		there            bool
		name, user, nick string
	}{
		"plain":                    {Inbound{From: "+39 333 1234567", Name: "Giulia"}, "393331234567", true, "Giulia", userID("393331234567"), ""},
		"username with phone":      {Inbound{From: "393330000006", Name: "Giulia", Username: "giulia"}, "393330000006", true, "Giulia", userID("393330000006"), "giulia"},
		"username, phone absent":   {Inbound{UserID: "IT.1", Name: "G", Username: "g"}, nil, false, "G", "IT.1", "g"},
		"username, phone null":     {Inbound{UserID: "IT.2", Name: "G", Username: "g", Phone: PhoneNull}, nil, true, "G", "IT.2", "g"},
		"username, phone empty":    {Inbound{UserID: "IT.3", Name: "G", Username: "g", Phone: PhoneEmpty}, "", true, "G", "IT.3", "g"},
		"no profile":               {Inbound{From: "393330000001"}, "393330000001", true, "", userID("393330000001"), ""},
		"emoji and right to left":  {Inbound{From: "393330000002", Name: "😀 נועה"}, "393330000002", true, "😀 נועה", userID("393330000002"), ""},
		"U+0000 in the name":       {Inbound{From: "393330000003", Name: "a\x00b"}, "393330000003", true, "a\x00b", userID("393330000003"), ""},
		"combining characters":     {Inbound{From: "393330000004", Name: "e\u0301"}, "393330000004", true, "e\u0301", userID("393330000004"), ""},
		"hidden phone, still ours": {Inbound{From: "393330000005", UserID: "IT.5", Phone: PhoneAbsent}, nil, false, "", "IT.5", ""},
	}
	inWorld(t, Options{}, func(w world) {
		for name, tt := range tests {
			tt.in.Text = "ciao"
			w.receive(tt.in)
			v := w.lastValue()
			m := list(v, "messages")[0].(map[string]any)
			c := list(v, "contacts")[0].(map[string]any)
			for key, got := range map[string]map[string]any{"from": m, "wa_id": c} {
				if phone, there := got[key]; there != tt.there || phone != tt.from {
					w.Errorf("%s: %s is %v (%v), want %v (%v)", name, key, phone, there, tt.from, tt.there)
				}
			}
			if text(m, "from_user_id") != tt.user || text(c, "user_id") != tt.user ||
				text(c["profile"], "name") != tt.name || text(c["profile"], "username") != tt.nick {
				w.Errorf("%s: %v %v", name, m, c)
			}
			if tt.name == "" && tt.nick == "" && c["profile"] != nil {
				w.Errorf("%s: an empty profile", name)
			}
		}
	})
}

func TestUnusualTextsArriveWhole(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for name, want := range map[string]string{
			"4096 characters": strings.Repeat("è", 4096), "U+0000": "a\x00b", "line separator": "a\u2028b",
			"family emoji": "👨\u200d👩\u200d👧", "right to left": "\u202eabc\u202c", "quotes": `"\/`,
		} {
			w.receive(Inbound{From: "393331234567", Text: want})
			if got := text(field(list(w.lastValue(), "messages")[0], "text"), "body"); got != want {
				w.Errorf("%s: got %q", name, got)
			}
		}
	})
}

func TestAGroupMessageNamesItsGroup(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao", GroupID: "g-1"})
		if got := text(list(w.lastValue(), "messages")[0], "group_id"); got != "g-1" {
			w.Errorf("group_id %q", got)
		}
	})
}

func TestARawBodyIsSentAsGiven(t *testing.T) {
	inWorld(t, Options{Fields: []string{"messages"}}, func(w world) {
		for given, want := range map[string]string{
			`{"object":"whatsapp_business_account", "entry":[{"id":"1","changes":[{"field":"novelty","value":{"x":1.0,"x":2,"y":"è"}}]}]}`: `{"object":"whatsapp_business_account", "entry":[{"id":"1","changes":[{"field":"novelty","value":{"x":1.0,"x":2,"y":"\u00e8"}}]}]}`,
			`{"object":"page","entry":null}`:               `{"object":"page","entry":null}`,
			`{"object":5,"entry":[[],{"changes":"none"}]}`: `{"object":5,"entry":[[],{"changes":"none"}]}`,
			`{"object":"whatsapp_business_account"}`:       `{"object":"whatsapp_business_account"}`,
			`{"id":"1", "from":2}`:                         `{"id":"1", "from":2}`,
			`{}`:                                           `{}`,
		} {
			w.receive(Inbound{Raw: json.RawMessage(given)})
			p := w.to.posts()
			if got := string(p[len(p)-1].body); got != want {
				w.Errorf("sent %s, want %s", got, want)
			}
		}
	})
}

func TestABareMessageGetsAnEnvelope(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		const given = `{"from":"393331234567","id":"wamid.A1","timestamp":"1767225600","type":"interactive","novel":[1]}`
		r := w.receive(Inbound{Raw: json.RawMessage(given)})
		v := w.lastValue()
		if got := string(encode(list(v, "messages")[0])); len(got) != len(given) || r.WAMID != "wamid.A1" {
			w.Errorf("sent %s with wamid %q", got, r.WAMID)
		}
		if c := list(v, "contacts"); len(c) != 1 || text(c[0], "wa_id") != "393331234567" {
			w.Errorf("contacts %v", c)
		}
		if text(v["metadata"], "phone_number_id") != pnid {
			w.Errorf("metadata %v", v["metadata"])
		}
	})
}

func TestSamplesAreWhatTheyClaim(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		bodies := w.sim.SampleTraffic(time.Now())
		if len(bodies) < 12 {
			w.Fatalf("%d samples", len(bodies))
		}
		seen, ids := map[string]bool{}, map[string]bool{}
		for _, b := range bodies {
			if status, err := w.sim.Deliver(w.Context(), b); status != 200 || err != nil {
				w.Errorf("status %d %v", status, err)
			}
			v := values(w.T, b)[0]
			if m := list(v, "messages"); len(m) == 1 {
				seen[text(m[0], "type")] = true
				ids[text(m[0], "id")] = true
				seen["referral"] = seen["referral"] || field(m[0], "referral") != nil
				seen["no phone"] = seen["no phone"] || field(m[0], "from") == nil
				if at := unix(field(m[0], "timestamp"), time.Time{}); time.Since(at) > time.Minute {
					w.Errorf("timestamp %v", at)
				}
			}
			seen["stop"] = seen["stop"] || len(list(v, "user_preferences")) == 1
		}
		for _, want := range []string{"text", "image", "audio", "document", "location", "contacts", "interactive", "button", "reaction", "order", "referral", "no phone", "stop"} {
			if !seen[want] {
				w.Errorf("no sample of %s", want)
			}
		}
		if len(ids) != len(bodies)-1 {
			w.Errorf("%d ids in %d bodies", len(ids), len(bodies))
		}
		guide := values(w.T, bodies[0])[0]
		if c, m := list(guide, "contacts")[0], list(guide, "messages")[0]; text(field(c, "profile"), "name") != "Kerry Fisher" ||
			text(c, "wa_id") != "16315555555" || text(field(m, "text"), "body") != "Hello!" {
			w.Errorf("the guide's message is %v", guide)
		}
	})
}

// control calls the simulator's own surface.
func (w world) control(method, path, body string, into any) int {
	w.Helper()
	rec := httptest.NewRecorder()
	w.sim.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
	if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
		w.Fatalf("%s %s answered %d %q", method, path, rec.Code, rec.Body)
	}
	return rec.Code
}

func TestTheControlPlane(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		var r Receipt
		w.control("POST", "/_sim/inbound", `{"from":"+393331234567","name":"Giulia","text":"ciao"}`, &r)
		if r.Status != 200 || !strings.HasPrefix(r.WAMID, "wamid.") {
			w.Errorf("inbound answered %+v", r)
		}
		var hooks []Webhook
		w.control("GET", "/_sim/webhooks?wamid="+strings.ReplaceAll(r.WAMID, "+", "%2B"), "", &hooks)
		if len(hooks) != 1 || hooks[0].Attempts[0].Status != 200 || hooks[0].Body != string(w.to.posts()[0].body) {
			w.Errorf("webhooks %+v", hooks)
		}

		_, _, id := w.send(textTo("+393331234567", "Buongiorno"))
		var messages []Message
		w.control("GET", "/_sim/messages?phone=%2B393331234567", "", &messages)
		if len(messages) != 2 || messages[0].Direction != "in" || messages[1].Direction != "out" {
			w.Errorf("messages of both directions %+v", messages)
		}
		w.control("GET", "/_sim/messages?phone=%2B393331234567&direction=out", "", &messages)
		if len(messages) != 1 || messages[0].WAMID != id || messages[0].Text != "Buongiorno" || messages[0].Direction != "out" {
			w.Errorf("messages %+v", messages)
		}

		w.to.answer = func(int, *http.Request, []byte) int { return 401 }
		w.control("POST", "/_sim/statuses", `{"wamid":"wamid.unknown","status":"delivered","to":"+393331234567"}`, &r)
		if r.Status != 401 {
			w.Errorf("statuses answered %+v", r)
		}
		st := list(w.lastValue(), "statuses")[0]
		if text(st, "id") != "wamid.unknown" || text(st, "recipient_id") != "393331234567" {
			w.Errorf("status %v", st)
		}

		var stats map[string]any
		w.control("GET", "/_sim/stats", "", &stats)
		for key, want := range map[string]float64{
			"calls": 1, "writes": 1, "throttled": 0, "contacts": 1, "messages": 1,
			"duplicate_contacts": 0, "duplicate_messages": 0, "faults": 0,
		} {
			if stats[key] != want {
				w.Errorf("%s is %v, want %v", key, stats[key], want)
			}
		}
		if hooks := stats["webhooks"]; field(hooks, "pending") != 1.0 || field(hooks, "retried") != 1.0 {
			w.Errorf("webhooks %v", hooks)
		}

		for name, call := range map[string][2]string{
			"a raw text":      {"/_sim/inbound", `{"raw":"text"}`},
			"from nobody":     {"/_sim/inbound", `{"text":"ciao"}`},
			"an unknown word": {"/_sim/inbound", `{"from":"393331234567","txet":"ciao"}`},
			"an empty page":   {"/_sim/faults", `{"mode":"page_empty"}`},
			"a lost refresh":  {"/_sim/faults", `{"mode":"refresh_lost"}`},
		} {
			var refusal map[string]any
			if code := w.control("POST", call[0], call[1], &refusal); code != 400 || refusal["error"] == nil {
				w.Errorf("%s: %d %v", name, code, refusal)
			}
		}
	})
}

func TestThePeopleSeen(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Name: "Giulia", Text: "ciao"})
		met := stamp(time.Now())
		time.Sleep(1500 * time.Millisecond)
		w.receive(Inbound{From: "393331234567", Text: "ciao", Username: "giulia"})
		w.receive(Inbound{UserID: "IT.1", Name: "Nascosto", Text: "ciao"})
		w.receive(Inbound{From: "553187654321", Name: "João", Text: "oi"})

		var people []Contact
		w.control("GET", "/_sim/contacts", "", &people)
		if len(people) != 3 {
			w.Fatalf("people %+v", people)
		}
		for path, name := range map[string]string{
			"?phone=%2B393331234567":  "Giulia",
			"?id=IT.1":                "Nascosto",
			"?phone=%2B5531987654321": "João", // as people write it
			"?phone=%2B15550000000":   "",
		} {
			w.control("GET", "/_sim/contacts"+path, "", &people)
			if name == "" && len(people) != 0 || name != "" && (len(people) != 1 || people[0].Name != name) {
				w.Errorf("%s: %+v, want %q", path, people, name)
			}
		}
		w.control("GET", "/_sim/contacts?id=393331234567", "", &people)
		if g := people[0]; g.ID != userID("393331234567") || g.Phone != "+393331234567" || g.Fields["username"] != "giulia" ||
			g.CreatedAt != met || g.UpdatedAt != stamp(time.Now()) {
			w.Errorf("Giulia is %+v", g)
		}
		var messages []Message
		if w.control("GET", "/_sim/messages", "", &messages); messages[0].ContactID != people[0].ID {
			w.Errorf("her message is of %s", messages[0].ContactID)
		}
	})
}

func TestMemoryForWebhooksIsBounded(t *testing.T) {
	t.Parallel()
	var l hookLog
	for range 3000 {
		l.add(make([]byte, 10), time.Now())
	}
	if len(l.kept) != keptHooks {
		t.Errorf("%d webhooks kept", len(l.kept))
	}
	for range 20 {
		l.add(make([]byte, 2<<20), time.Now())
	}
	if l.size > keptBytes {
		t.Errorf("%d bytes kept", l.size)
	}
}
