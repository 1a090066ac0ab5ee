package whatsappsim

import (
	"testing"
	"time"
)

// The codes which Meta does not document can be chosen.
func TestCodesThatAreReportedFromTheField(t *testing.T) {
	const unknownRead = `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.nothing"}`
	const order = `{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"order_update","language":{"code":"it"},` +
		`"components":[{"type":"body","parameters":[{"type":"text","text":"a\nb"},{"type":"text","text":"x"}]}]}}`
	const noProduct = `{"to":"+393331234567","text":{"body":"x"}}`
	numbers := "/v24.0/999/phone_numbers"
	tests := map[string]struct {
		opt                   Options
		method, path, body    string
		status, code, subcode int
	}{
		"an unknown route":                  {Options{}, "GET", "/v24.0/nonsense", "", 404, 2500, 0},
		"an unknown route, otherwise":       {Options{Codes: Codes{UnknownRoute: 100}}, "GET", "/v24.0/nonsense", "", 404, 100, 0},
		"an unknown object":                 {Options{}, "GET", numbers, "", 404, 803, 0},
		"an unknown object, otherwise":      {Options{Codes: Codes{UnknownObject: 100}}, "GET", numbers, "", 400, 100, 33},
		"no product":                        {Options{}, "POST", messagesPath, noProduct, 400, 100, 0},
		"no product, otherwise":             {Options{Codes: Codes{NoProduct: 131008}}, "POST", messagesPath, noProduct, 400, 131008, 0},
		"no phone":                          {Options{}, "POST", messagesPath, textTo("giulia", "x"), 400, 131009, 0},
		"no phone, otherwise":               {Options{Codes: Codes{InvalidTo: 100}}, "POST", messagesPath, textTo("giulia", "x"), 400, 100, 0},
		"an empty text, otherwise":          {Options{Codes: Codes{InvalidTo: 100}}, "POST", messagesPath, textTo("+393331234567", ""), 400, 100, 0},
		"a line break":                      {Options{}, "POST", messagesPath, order, 400, 132018, 0},
		"a line break, otherwise":           {Options{Codes: Codes{TemplateText: 132000}}, "POST", messagesPath, order, 400, 132000, 0},
		"a line break, yet otherwise":       {Options{Codes: Codes{TemplateText: 100}}, "POST", messagesPath, order, 400, 100, 0},
		"an unknown message read":           {Options{}, "POST", messagesPath, unknownRead, 400, 100, 0},
		"an unknown message read otherwise": {Options{Codes: Codes{UnknownRead: 131009}}, "POST", messagesPath, unknownRead, 400, 131009, 0},
		"another restricted country":        {Options{RestrictedCountries: []string{"39"}}, "POST", messagesPath, textTo("+393331234567", "x"), 403, 130497, 0},
		"no restricted country":             {Options{RestrictedCountries: []string{}}, "POST", messagesPath, textTo("+989123456789", "x"), 200, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, tt.opt, func(w world) {
				status, doc, _ := w.call(tt.method, tt.path, tt.body)
				subcode, _ := field(doc["error"], "error_subcode").(float64)
				if status != tt.status || errorCode(doc) != tt.code || int(subcode) != tt.subcode {
					w.Errorf("%d %v, want %d with code %d", status, doc, tt.status, tt.code)
				}
			})
		})
	}
}

func TestNoTokenCanAnswerAsOldGraphDid(t *testing.T) {
	inWorld(t, Options{Codes: Codes{NoToken: 104}}, func(w world) {
		status, doc, _ := w.call("POST", messagesPath, "{}", "Authorization", "")
		if status != 400 || errorCode(doc) != 104 {
			w.Errorf("%d %v, want 400 with code 104", status, doc)
		}
	})
}

func TestTheMessagingLimitsCodeCanBeChosen(t *testing.T) {
	inWorld(t, Options{MessagingLimit: 1, Codes: Codes{MessagingLimit: 130429}}, func(w world) {
		w.send(textTo("+393330000001", "x"))
		time.Sleep(time.Second)
		if status, code, _ := w.send(textTo("+393330000002", "x")); status != 400 || code != 130429 {
			w.Errorf("%d code %d", status, code)
		}
	})
}
