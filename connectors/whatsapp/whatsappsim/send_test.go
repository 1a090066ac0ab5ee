package whatsappsim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const messagesPath = "/v24.0/" + pnid + "/messages"

func TestWhoMayCall(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		now := w.sim.now()
		w.sim.SetToken("expired", Token{Scopes: []string{scopeMessaging, scopeManagement}, Expires: now.Add(-time.Minute)})
		w.sim.SetToken("foreign", Token{Scopes: []string{scopeMessaging, scopeManagement}, Foreign: true})
		w.sim.SetToken("reader", Token{Scopes: []string{scopeManagement}})
		w.sim.SetToken("sender", Token{Scopes: []string{scopeMessaging}})
		tests := map[string]struct {
			token, method, path   string
			status, code, subcode int
		}{
			"no token":                     {"", "POST", messagesPath, 401, 190, 0},
			"unknown token":                {"Bearer nobody", "POST", messagesPath, 401, 190, 0},
			"expired token":                {"Bearer expired", "POST", messagesPath, 401, 190, 463},
			"may not send":                 {"Bearer reader", "POST", messagesPath, 403, 10, 0},
			"may not upload":               {"Bearer reader", "POST", "/v24.0/" + pnid + "/media", 403, 10, 0},
			"may not ask for media":        {"Bearer reader", "GET", "/v24.0/4711?phone_number_id=" + pnid, 403, 10, 0},
			"may not fetch media":          {"Bearer reader", "GET", "/whatsapp_business/attachments/?mid=4711", 403, 10, 0},
			"may not manage":               {"Bearer sender", "GET", "/v24.0/" + waba + "/phone_numbers", 403, 10, 0},
			"another business's number":    {"Bearer foreign", "POST", messagesPath, 400, 100, 33},
			"a number that does not exist": {"Bearer simulated-whatsapp-token", "POST", "/v24.0/999/messages", 400, 100, 33},
			"another business's account":   {"Bearer foreign", "GET", "/v24.0/" + waba + "/phone_numbers", 404, 803, 0},
			"may not read the number":      {"Bearer sender", "GET", "/v24.0/" + pnid, 403, 10, 0},
			"may not read templates":       {"Bearer sender", "GET", "/v24.0/" + waba + "/message_templates", 403, 10, 0},
			"an unknown account":           {"Bearer simulated-whatsapp-token", "GET", "/v24.0/999/subscribed_apps", 404, 803, 0},
			"an unknown route":             {"Bearer simulated-whatsapp-token", "GET", "/v24.0/" + pnid + "/nonsense", 404, 2500, 0},
			"an unknown route, no version": {"Bearer simulated-whatsapp-token", "GET", "/nonsense", 404, 2500, 0},
			"a version alone":              {"Bearer simulated-whatsapp-token", "GET", "/v24.0", 404, 2500, 0},
			"nothing at all":               {"Bearer simulated-whatsapp-token", "GET", "/", 404, 2500, 0},
			"not quite a version":          {"Bearer simulated-whatsapp-token", "POST", "/v24/" + pnid + "/messages", 404, 2500, 0},
			"the token in the query":       {"", "GET", "/v24.0/" + pnid + "?access_token=simulated-whatsapp-token", 200, 0, 0},
		}
		for name, tt := range tests {
			status, doc, header := w.call(tt.method, tt.path, textTo("+393331234567", "ciao"), "Authorization", tt.token)
			subcode, _ := field(doc["error"], "error_subcode").(float64)
			if status != tt.status || errorCode(doc) != tt.code || int(subcode) != tt.subcode {
				w.Errorf("%s: %d %v, want %d code %d subcode %d", name, status, doc, tt.status, tt.code, tt.subcode)
			}
			if header.Get("Content-Type") != "application/json" || header.Get("x-fb-trace-id") == "" || header.Get("facebook-api-version") != "v24.0" {
				w.Errorf("%s: headers %v", name, header)
			}
			if tt.code != 0 && text(doc["error"], "fbtrace_id") == "" {
				w.Errorf("%s: no fbtrace_id", name)
			}
		}
	})
}

func TestAPathWithoutVersionIsTheSame(t *testing.T) {
	inWorld(t, Options{GraphVersion: "v22.0"}, func(w world) {
		for prefix, version := range map[string]string{"": "v22.0", "/v16.0": "v16.0", "/v23.0": "v23.0", "/v25.10": "v25.10"} {
			status, doc, header := w.call("POST", prefix+"/"+pnid+"/messages", textTo("+393331234567", "ciao"))
			if status != 200 || header.Get("facebook-api-version") != version {
				w.Errorf("%q: %d %v %v", prefix, status, doc, header)
			}
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	long := strings.Repeat("x", 4097)
	tests := map[string]struct {
		body         string
		status, code int
	}{
		"no JSON":                    {`hello`, 400, 100},
		"a list":                     {`[]`, 400, 100},
		"no product":                 {`{"to":"+393331234567","text":{"body":"x"}}`, 400, 100},
		"another product":            {`{"messaging_product":"sms","to":"+393331234567","text":{"body":"x"}}`, 400, 100},
		"nobody":                     {`{"messaging_product":"whatsapp","text":{"body":"x"}}`, 400, 131008},
		"letters for a phone":        {textTo("giulia", "x"), 400, 131009},
		"too short a phone":          {textTo("+3933", "x"), 400, 131009},
		"itself":                     {textTo("+39 02 1234 5678", "x"), 400, 131021},
		"a user id that is none":     {`{"messaging_product":"whatsapp","recipient":"giulia","text":{"body":"x"}}`, 400, 131009},
		"unknown type":               {`{"messaging_product":"whatsapp","to":"+393331234567","type":"fax"}`, 400, 100},
		"no object for the type":     {`{"messaging_product":"whatsapp","to":"+393331234567","type":"image"}`, 400, 131008},
		"text without body":          {`{"messaging_product":"whatsapp","to":"+393331234567","type":"text","text":{}}`, 400, 131008},
		"empty text":                 {textTo("+393331234567", ""), 400, 131009},
		"long text":                  {textTo("+393331234567", long), 400, 131009},
		"callback data of 512":       {`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x"},"biz_opaque_callback_data":"` + long[:512] + `"}`, 200, 0},
		"callback data of a number":  {`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x"},"biz_opaque_callback_data":5}`, 400, 100},
		"long callback data":         {`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x"},"biz_opaque_callback_data":"` + long[:513] + `"}`, 400, 100},
		"a restricted country":       {textTo("+98 912 345 6789", "x"), 403, 130497},
		"both: the phone is used":    {`{"messaging_product":"whatsapp","to":"+393331234567","recipient":"nonsense","text":{"body":"x"}}`, 200, 0},
		"no type means text":         {`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x"}}`, 200, 0},
		"text of 4096 wide letters":  {textTo("+393331234567", strings.Repeat("è", 4096)), 200, 0},
		"punctuation":                {textTo("+39 (333) 123-4567", "x"), 200, 0},
		"unknown keys are no matter": {`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x","b":1},"a":{}}`, 200, 0},
	}
	inWorld(t, Options{}, func(w world) {
		for name, tt := range tests {
			time.Sleep(time.Minute) // away from the pair limit
			if status, code, _ := w.send(tt.body); status != tt.status || code != tt.code {
				w.Errorf("%s: %d code %d, want %d code %d", name, status, code, tt.status, tt.code)
			}
		}
	})
}

func TestATestNumberWritesToItsListOnly(t *testing.T) {
	listed := []string{"+39 333 1234567", "+393330000002", "+393330000003", "+393330000004", "+393330000005", "+393330000006"}
	inWorld(t, Options{TestRecipients: listed}, func(w world) {
		for _, to := range listed[:5] {
			if status, _, _ := w.send(textTo(to, "x")); status != 200 {
				w.Errorf("a listed recipient: %d", status)
			}
		}
		for name, to := range map[string]string{"the sixth of the list": listed[5], "another": "+393330000000"} {
			if status, code, _ := w.send(textTo(to, "x")); status != 400 || code != 131030 {
				w.Errorf("%s: %d code %d", name, status, code)
			}
		}
	})
}

func TestARecipientWithoutPlus(t *testing.T) {
	for name, prepend := range map[string]bool{"is taken as it is": false, "gets our country code": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{PrependCountry: prepend}, func(w world) {
				_, doc, _ := w.call("POST", messagesPath, textTo("4915112345678", "x"))
				want := "4915112345678"
				if prepend {
					want = "394915112345678"
				}
				if got := text(list(doc, "contacts")[0], "wa_id"); got != want {
					w.Errorf("wa_id %s, want %s", got, want)
				}
				if m := w.sim.Messages(MessageFilter{Direction: "out"}); len(m) != 1 || len(m[0].Warnings) != 1 {
					w.Errorf("no warning: %+v", m)
				}
			})
		})
	}
}

func TestWhatAnAcceptedMessageAnswers(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.sim.SetPerson(Person{UserID: "US.1349", Username: "sam", Phone: PhoneAbsent})
		w.sim.SetPerson(Person{UserID: "IT.1", WaID: "393330000001"})
		tests := map[string]struct {
			body    string
			contact map[string]any
			status  string
		}{
			"text": {textTo("+39 333 1234567", "x"), map[string]any{"input": "+39 333 1234567", "wa_id": "393331234567"}, ""},
			"template": {
				`{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"hello_world","language":{"code":"en_US"}}}`,
				map[string]any{"input": "+393331234567", "wa_id": "393331234567"},
				"accepted",
			},
			"Brazil, Rondônia":  {textTo("+5569992345678", "x"), map[string]any{"input": "+5569992345678", "wa_id": "556992345678"}, ""},
			"Brazil, São Paulo": {textTo("+5511992345678", "x"), map[string]any{"input": "+5511992345678", "wa_id": "5511992345678"}, ""},
			"Mexico":            {textTo("+525512345678", "x"), map[string]any{"input": "+525512345678", "wa_id": "5215512345678"}, ""},
			"Argentina":         {textTo("+541123456789", "x"), map[string]any{"input": "+541123456789", "wa_id": "5491123456789"}, ""},
			"by user id": {
				`{"messaging_product":"whatsapp","recipient":"US.1349","text":{"body":"x"}}`,
				map[string]any{"input": "US.1349", "user_id": "US.1349"},
				"",
			},
			"by user id, whose phone is no secret": {
				`{"messaging_product":"whatsapp","recipient":"IT.1","text":{"body":"x"}}`,
				map[string]any{"input": "IT.1", "user_id": "IT.1", "wa_id": "393330000001"},
				"",
			},
		}
		for name, tt := range tests {
			status, doc, _ := w.call("POST", messagesPath, tt.body)
			if status != 200 || doc["messaging_product"] != "whatsapp" || len(list(doc, "contacts")) != 1 || len(list(doc, "messages")) != 1 {
				w.Errorf("%s: %d %v", name, status, doc)
				continue
			}
			if got := list(doc, "contacts")[0].(map[string]any); !maps.Equal(got, tt.contact) {
				w.Errorf("%s: contact %v, want %v", name, got, tt.contact)
			}
			m := list(doc, "messages")[0]
			if got := text(m, "message_status"); got != tt.status {
				w.Errorf("%s: message_status %q, want %q", name, got, tt.status)
			}
			id := text(m, "id")
			rest, ok := strings.CutPrefix(id, "wamid.")
			if _, err := base64.StdEncoding.DecodeString(rest); !ok || err != nil || len(id) > 128 {
				w.Errorf("%s: wamid %q", name, id)
			}
		}
	})
}

func TestTheSameRequestTwiceIsTwoMessages(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		_, _, first := w.send(textTo("+393331234567", "x"))
		_, _, second := w.send(textTo("+393331234567", "x"))
		if first == "" || first == second {
			w.Errorf("ids %q and %q", first, second)
		}
		if n := len(w.sim.Messages(MessageFilter{Phone: "+393331234567", Direction: "out"})); n != 2 {
			w.Errorf("%d messages, want 2", n)
		}
	})
}

func TestTemplatesAreCheckedAgainstTheCatalogue(t *testing.T) {
	catalogue := []Template{
		{Name: "plain", Language: "it", Body: "Ciao {{1}}, ordine {{2}}"},
		{Name: "named", Language: "it", Named: true, Body: "Ciao {{first_name}}"},
		{Name: "pictured", Language: "it", HeaderFormat: "IMAGE", Body: "Ciao"},
		{Name: "titled", Language: "it", HeaderFormat: "TEXT", Header: "Per {{1}}", Body: "Ciao"},
		{Name: "linked", Language: "it", Body: "Ciao", Buttons: []Button{{"QUICK_REPLY", "Sì", ""}, {"URL", "Apri", "https://x.it/{{1}}"}}},
		{Name: "coupon", Language: "it", Body: "Ciao", Buttons: []Button{{"COPY_CODE", "Copia", ""}}},
		{Name: "turned", Language: "it", HeaderFormat: "TEXT", Header: "{{1}}", Body: "{{2}}{{1}} {{10}}{{3}}{{4}}{{5}}{{6}}{{7}}{{8}}{{9}}"},
		{Name: "rejected", Language: "it", Body: "Ciao", Status: "REJECTED"},
		{Name: "paused", Language: "it", Body: "Ciao", Status: "PAUSED"},
		{Name: "disabled", Language: "it", Body: "Ciao", Status: "DISABLED"},
		{Name: "pending", Language: "it", Body: "Ciao", Status: "PENDING"},
		{Name: "code", Language: "it", Body: "Ciao", Category: "AUTHENTICATION"},
	}
	one := func(kind, value string) string {
		return `{"type":"` + kind + `","parameters":[{"type":"text","text":"` + value + `"}]}`
	}
	two := func(a, b string) string {
		return `{"type":"BODY","parameters":[{"type":"text","text":"` + a + `"},{"type":"text","text":"` + b + `"}]}`
	}
	button := func(kind string, index int, parameters string) string {
		return fmt.Sprintf(`{"type":"button","sub_type":%q,"index":"%d","parameters":[%s]}`, kind, index, parameters)
	}
	tests := map[string]struct {
		name, language, components string
		status, code               int
		detail                     string
	}{
		"good":                     {"plain", "it", two("Giulia", "A-1"), 200, 0, ""},
		"not in the catalogue":     {"nothing", "it", "", 404, 132001, ""},
		"not in that language":     {"plain", "it_IT", two("Giulia", "A-1"), 404, 132001, ""},
		"pending":                  {"pending", "it", "", 404, 132001, ""},
		"rejected":                 {"rejected", "it", "", 404, 132001, ""},
		"paused":                   {"paused", "it", "", 400, 132015, ""},
		"disabled":                 {"disabled", "it", "", 400, 132016, ""},
		"one parameter too few":    {"plain", "it", one("body", "Giulia"), 400, 132000, "body: number of localizable_params (1) does not match the expected number of params (2)"},
		"no parameters":            {"plain", "it", "", 400, 132000, "(0)"},
		"line break":               {"plain", "it", two("Giulia", `a\nb`), 400, 132018, ""},
		"tab":                      {"plain", "it", two("Giulia", `a\tb`), 400, 132018, ""},
		"four spaces":              {"plain", "it", two("Giulia", "a    b"), 200, 0, ""},
		"five spaces":              {"plain", "it", two("Giulia", "a     b"), 400, 132018, ""},
		"empty":                    {"plain", "it", two("Giulia", ""), 400, 132018, ""},
		"too long":                 {"plain", "it", two("Giulia", strings.Repeat("x", 1020)), 400, 132005, ""},
		"wrong type":               {"plain", "it", `{"type":"body","parameters":[{"type":"image","image":{}},{"type":"text","text":"x"}]}`, 400, 132012, ""},
		"named":                    {"named", "it", `{"type":"body","parameters":[{"type":"text","parameter_name":"first_name","text":"G"}]}`, 200, 0, ""},
		"name missing":             {"named", "it", one("body", "G"), 400, 132012, ""},
		"unknown name":             {"named", "it", `{"type":"body","parameters":[{"type":"text","parameter_name":"nome","text":"G"}]}`, 400, 132012, ""},
		"named for positional":     {"plain", "it", `{"type":"body","parameters":[{"type":"text","parameter_name":"a","text":"G"},{"type":"text","parameter_name":"b","text":"G"}]}`, 400, 132012, ""},
		"picture":                  {"pictured", "it", `{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.it/a.jpg"}}]}`, 200, 0, ""},
		"no picture":               {"pictured", "it", "", 400, 132012, ""},
		"header parameter missing": {"titled", "it", "", 400, 132000, "header:"},
		"header too long":          {"titled", "it", one("header", strings.Repeat("x", 60)), 400, 132005, ""},
		"button parameter missing": {"linked", "it", "", 400, 132000, "button 1:"},
		"one parameter too many":   {"named", "it", two("Giulia", "A-1"), 400, 132000, "body: number of localizable_params (2) does not match the expected number of params (1)"},
		"header without variables": {"pictured", "it", `{"type":"header","parameters":[{"type":"text","text":"x"}]}`, 400, 132012, "header:"},
		"a header that is not there": {
			"named", "it", one("header", "x") + `,{"type":"body","parameters":[{"type":"text","parameter_name":"first_name","text":"G"}]}`, 400, 132000,
			"header: number of localizable_params (1) does not match the expected number of params (0)",
		},
		"a button that is not there": {
			"linked", "it", button("url", 1, `{"type":"text","text":"A-1"}`) + "," + button("url", 2, `{"type":"text","text":"A-1"}`), 400, 132000,
			"button 2: number of localizable_params (1) does not match the expected number of params (0)",
		},
		"two parameters for a button": {
			"linked", "it", button("url", 1, `{"type":"text","text":"A-1"},{"type":"text","text":"A-1"}`), 400, 132000,
			"button 1: number of localizable_params (2) does not match the expected number of params (1)",
		},
		"payload":                 {"linked", "it", button("quick_reply", 0, `{"type":"payload","payload":"YES"}`) + "," + button("URL", 1, `{"type":"text","text":"A-1"}`), 200, 0, ""},
		"text for a payload":      {"linked", "it", button("quick_reply", 0, `{"type":"text","text":"YES"}`) + "," + button("url", 1, `{"type":"text","text":"A-1"}`), 400, 132012, "button 0:"},
		"another kind of button":  {"linked", "it", button("quick_reply", 1, `{"type":"text","text":"A-1"}`), 400, 132012, "button 1:"},
		"coupon":                  {"coupon", "it", button("copy_code", 0, `{"type":"coupon_code","coupon_code":"SALDI"}`), 200, 0, ""},
		"no coupon":               {"coupon", "it", "", 400, 132000, "button 0:"},
		"text for a coupon":       {"coupon", "it", button("copy_code", 0, `{"type":"text","text":"SALDI"}`), 400, 132012, "button 0:"},
		"currency":                {"titled", "it", `{"type":"header","parameters":[{"type":"currency","currency":{"fallback_value":"5 €","code":"EUR","amount_1000":5000}}]}`, 200, 0, ""},
		"currency without a text": {"titled", "it", `{"type":"header","parameters":[{"type":"currency","currency":{"code":"EUR","amount_1000":5000}}]}`, 400, 132012, "header:"},
		"a video for a picture":   {"pictured", "it", `{"type":"header","parameters":[{"type":"video","video":{"link":"https://x.it/a.mp4"}}]}`, 400, 132012, "header:"},
		"button":                  {"linked", "it", `{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"A-1"}]}`, 200, 0, ""},
	}
	inWorld(t, Options{Templates: catalogue}, func(w world) {
		for name, tt := range tests {
			time.Sleep(time.Minute)
			status, doc, _ := w.call("POST", messagesPath, `{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"`+
				tt.name+`","language":{"code":"`+tt.language+`"},"components":[`+tt.components+`]}}`)
			detail := text(field(doc["error"], "error_data"), "details")
			if status != tt.status || errorCode(doc) != tt.code || !strings.Contains(detail, tt.detail) {
				w.Errorf("%s: %d %v, want %d code %d %s", name, status, doc, tt.status, tt.code, tt.detail)
			}
		}
		for to, want := range map[string]int{`"recipient":"IT.1"`: 131062, `"recipient":"IT.ENT.1"`: 131062, `"to":"+393330000001"`: 0} {
			_, code, _ := w.send(`{"messaging_product":"whatsapp",` + to + `,"type":"template","template":{"name":"code","language":{"code":"it"}}}`)
			if code != want {
				w.Errorf("authentication, %s: code %d, want %d", to, code, want)
			}
		}
		var values []string
		for i := range 10 {
			values = append(values, fmt.Sprintf(`{"type":"text","text":"%c"}`, 'a'+i))
		}
		_, code, id := w.send(`{"messaging_product":"whatsapp","to":"+393330000001","type":"template","template":{"name":"turned","language":{"code":"it"},"components":[` +
			one("header", "x") + `,{"type":"body","parameters":[` + strings.Join(values, ",") + `]}]}}`)
		if m := w.sim.Messages(MessageFilter{WAMID: id}); code != 0 || m[0].Text != "ba jcdefghi" {
			w.Errorf("parameters by number: code %d, %+v", code, m)
		}
	})
}

func TestTheStateOfTheNumberDecides(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for _, tt := range []struct {
			state        string
			status, code int
		}{
			{`{"registered":false}`, 400, 133010},
			{`{"registered":true,"locked":true}`, 403, 131031},
			{`{"locked":false,"upgrade_for":"60s"}`, 500, 131057},
		} {
			rec := httptest.NewRecorder()
			w.sim.ServeHTTP(rec, httptest.NewRequest("POST", "/_sim/number", strings.NewReader(tt.state)))
			if status, code, _ := w.send(textTo("+393331234567", "x")); status != tt.status || code != tt.code {
				w.Errorf("%s: %d code %d", tt.state, status, code)
			}
		}
		time.Sleep(61 * time.Second)
		if status, _, _ := w.send(textTo("+393331234567", "x")); status != 200 {
			w.Errorf("after the upgrade: %d", status)
		}
	})
}

// Without statuses: thousands of timers that fire at one instant of a bubble
// crash the race detector in one run of ten (golang/go#78156).
func TestThroughputIsABucketThatFillsInASecond(t *testing.T) {
	never := Delays{Sent: -1, Delivered: -1, Read: -1, Played: -1}
	for _, rate := range []int{20, 80, 250, 1000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			inWorld(t, Options{Throughput: rate, RestrictedCountries: []string{}, Delays: never}, func(w world) {
				sent := 0
				burst := func() (accepted int) {
					for {
						sent++
						status, code, _ := w.send(textTo(fmt.Sprintf("+39333%07d", sent), "x"))
						if status != 200 {
							if status != 400 || code != 130429 {
								w.Errorf("refused with %d code %d", status, code)
							}
							return accepted
						}
						accepted++
					}
				}
				if n := burst(); n != rate {
					w.Errorf("%d at once", n)
				}
				time.Sleep(500 * time.Millisecond)
				if n := burst(); n != rate/2 {
					w.Errorf("%d half a second later", n)
				}
				time.Sleep(time.Hour)
				if n := burst(); n != rate {
					w.Errorf("%d an hour later", n)
				}
			})
		})
	}
}

func TestThroughputCountsBothDirections(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393330000000", Text: "ciao", Count: 30})
		var accepted, refused int
		for i := range 60 {
			switch status, code, _ := w.send(textTo("+3933311111"+string(rune('0'+i/10))+string(rune('0'+i%10)), "x")); {
			case status == 200:
				accepted++
			case code == 130429:
				refused++
			}
		}
		if accepted != 50 || refused != 10 {
			w.Errorf("%d accepted, %d refused beside 30 received in the same instant", accepted, refused)
		}
		if n := w.sim.Stats().Throttled; n != 10 {
			w.Errorf("throttled %d", n)
		}
		time.Sleep(time.Second)
		if status, _, _ := w.send(textTo("+393330000001", "x")); status != 200 {
			w.Errorf("a second later: %d", status)
		}
	})
}

func TestOnePersonGetsAMessageEverySixSeconds(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for i := range 45 {
			if status, code, _ := w.send(textTo("+393331234567", "x")); status != 200 {
				w.Fatalf("message %d of the burst: %d code %d", i+1, status, code)
			}
		}
		if status, code, _ := w.send(textTo("+393331234567", "x")); status != 400 || code != 131056 {
			w.Errorf("after the burst: %d code %d", status, code)
		}
		if status, _, _ := w.send(textTo("+393330000000", "x")); status != 200 {
			w.Errorf("another person: %d", status)
		}
		time.Sleep(6 * time.Second)
		if status, _, _ := w.send(textTo("+393331234567", "x")); status != 200 {
			w.Errorf("six seconds later: %d", status)
		}
		if status, code, _ := w.send(textTo("+393331234567", "x")); code != 131056 {
			w.Errorf("at once after it: %d code %d", status, code)
		}
	})
}

func TestTheMessagingLimitCountsNewPeople(t *testing.T) {
	inWorld(t, Options{MessagingLimit: 2}, func(w world) {
		w.receive(Inbound{From: "393330000009", Text: "ciao"})
		for to, want := range map[string]int{"+393330000009": 0} {
			if _, code, _ := w.send(textTo(to, "x")); code != want {
				w.Errorf("inside the window: code %d", code)
			}
		}
		for _, to := range []string{"+393330000001", "+393330000002", "+393330000001"} {
			if _, code, _ := w.send(textTo(to, "x")); code != 0 {
				w.Errorf("%s: code %d", to, code)
			}
		}
		if _, code, _ := w.send(textTo("+393330000003", "x")); code != 131048 {
			w.Errorf("the third new person: code %d", code)
		}
		time.Sleep(24 * time.Hour)
		if _, code, _ := w.send(textTo("+393330000003", "x")); code != 0 {
			w.Errorf("a day later: code %d", code)
		}
	})
}

func TestOnlyReceivedMessagesCanBeMarkedAsRead(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		in := w.receive(Inbound{From: "393331234567", Text: "ciao"})
		status, doc, _ := w.call("POST", messagesPath, `{"messaging_product":"whatsapp","status":"read","message_id":"`+in.WAMID+`"}`)
		if status != 200 || doc["success"] != true {
			w.Errorf("%d %v", status, doc)
		}
		_, _, out := w.send(textTo("+393331234567", "x"))
		for _, id := range []string{"wamid.nothing", out} {
			status, doc, _ = w.call("POST", messagesPath, `{"messaging_product":"whatsapp","status":"read","message_id":"`+id+`"}`)
			if status != 400 || errorCode(doc) != 100 {
				w.Errorf("%s: %d %v", id, status, doc)
			}
		}
	})
}
