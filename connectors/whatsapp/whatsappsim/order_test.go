package whatsappsim

import (
	"strings"
	"testing"
)

// A request with many faults is refused for the first, in the platform's
// order: whoever may call, the envelope, the recipient, the content, the
// template, the number, the country, the quotas, the window.
func TestTheFirstFaultIsAnswered(t *testing.T) {
	const (
		iran, listed = "+989120000000", "+393331234567"
		broken       = `{"type":"text","text":"a\n"}`
		free         = `,"text":{"body":"x"}}`
	)
	long := `,"biz_opaque_callback_data":"` + strings.Repeat("x", 513) + `"}`
	to := func(who, rest string) string { return `{"messaging_product":"whatsapp","to":"` + who + `"` + rest }
	template := func(name, given string) string {
		return to(iran, `,"type":"template","template":{"name":"`+name+`","language":{"code":"it"},"components":[{"type":"body","parameters":[`+given+`]}]}}`)
	}
	fax := `,"type":"fax"` + long
	steps := []struct {
		name, state, body string // state is told to the control plane before
		code              int
		detail            string
	}{
		{"no JSON", `{"registered":false,"locked":true,"upgrade_for":"60s"}`, `nonsense`, 100, "JSON"},
		{"no product", "", `{"to":""` + fax, 100, "messaging_product"},
		{"another product", "", `{"messaging_product":"sms","to":""` + fax, 100, "WHATSAPP"},
		{"nobody", "", to("", fax), 131008, "to"},
		{"no phone", "", to("giulia", fax), 131009, "phone"},
		{"itself", "", to("+390212345678", fax), 131021, ""},
		{"not on the list", "", to("+393330000000", fax), 131030, ""},
		{"no such type", "", to(iran, fax), 100, "type"},
		{"no content", "", to(iran, `,"type":"template"`+long), 131008, "template"},
		{"text too long", "", to(iran, `,"text":{"body":"`+strings.Repeat("x", 4097)+`"}`+long), 131009, "body"},
		{"callback data", "", to(iran, `,"type":"template","template":{"name":"none"}`+long), 100, "biz_opaque_callback_data"},
		{"no such template", "", template("none", broken), 132001, ""},
		{"a paused one", "", template("paused", broken), 132015, ""},
		{"too few parameters", "", template("offer", broken), 132000, ""},
		{"a bad parameter", "", template("offer", broken+","+broken), 132018, ""},
		{"too long", "", template("offer", `{"type":"text","text":"x"},{"type":"text","text":"`+strings.Repeat("x", 1025)+`"}`), 132005, ""},
		{"not registered", "", to(iran, free), 133010, ""},
		{"locked", `{"registered":true,"upgrade_for":"60s"}`, to(iran, free), 131031, ""},
		{"being upgraded", `{"locked":false,"upgrade_for":"60s"}`, to(iran, free), 131057, ""},
		{"a restricted country", `{}`, to(iran, free), 130497, ""},
		{"the window, while there is throughput", "", to(listed, free), 131047, ""},
		{"throughput", "", to(listed, free), 130429, ""},
	}
	inWorld(t, Options{
		TestRecipients: []string{iran, listed}, Throughput: 1, RefuseOutsideWindow: true,
		Templates: []Template{
			{Name: "offer", Language: "it", Body: "{{1}} {{2}}"},
			{Name: "paused", Language: "it", Body: "Ciao", Status: "PAUSED"},
		},
	}, func(w world) {
		if status, _, _ := w.call("POST", messagesPath, "nonsense", "Authorization", "Bearer nobody"); status != 401 {
			w.Errorf("who may call: %d", status)
		}
		for _, step := range steps {
			if step.state != "" {
				var done map[string]any
				w.control("POST", "/_sim/number", step.state, &done)
			}
			_, doc, _ := w.call("POST", messagesPath, step.body)
			if details := text(field(doc["error"], "error_data"), "details"); errorCode(doc) != step.code || !strings.Contains(details, step.detail) {
				w.Errorf("%s: %v, want code %d", step.name, doc, step.code)
			}
		}
	})
}
