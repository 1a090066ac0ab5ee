package whatsappsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const marketing = `{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"offer","language":{"code":"it"}}}`

func offers() []Template {
	return append(DefaultTemplates(),
		Template{Name: "offer", Language: "it", Category: "MARKETING", Body: "Saldi!"},
		Template{Name: "pictured", Language: "it", HeaderFormat: "IMAGE", Body: "Ciao"})
}

// life lets time pass and returns a message's statuses, with the code of a
// failure.
func (w world) life(wamid string) string {
	w.Helper()
	words, all := w.statuses(wamid)
	for _, st := range all {
		for _, e := range list(st, "errors") {
			words = append(words, fmt.Sprint(field(e, "code")))
		}
	}
	return strings.Join(words, " ")
}

func TestTheLifeOfAMessage(t *testing.T) {
	tests := map[string]struct {
		fate Fate
		body string
		want string
		code int
	}{
		"is read":                        {FateRead, textTo("+393331234567", "x"), "sent delivered read", 0},
		"read receipts are off":          {FateUnread, textTo("+393331234567", "x"), "sent delivered", 0},
		"the chat was open":              {FateReadOnly, textTo("+393331234567", "x"), "sent read", 0},
		"delivered before sent":          {FateDeliveredFirst, textTo("+393331234567", "x"), "delivered sent read", 0},
		"the time to live ran out":       {FateSilent, textTo("+393331234567", "x"), "sent", 0},
		"failed after sent":              {FateFailsLater, textTo("+393331234567", "x"), "sent failed", 131026},
		"not on WhatsApp":                {FateNotOnWhatsApp, textTo("+393331234567", "x"), "failed", 131026},
		"the link is not reachable":      {FateMedia, textTo("+393331234567", "x"), "failed", 131053},
		"a link that leads nowhere":      {FateRead, `{"messaging_product":"whatsapp","to":"+393331234567","type":"image","image":{"link":"https://files.invalid/a.jpg"}}`, "failed", 131053},
		"a template's link does":         {FateRead, strings.Replace(marketing, `"offer","language":{"code":"it"}`, `"pictured","language":{"code":"it"},"components":[{"type":"header","parameters":[{"type":"image","image":{"link":"https://files.invalid/a.jpg"}}]}]`, 1), "failed", 131053},
		"a link":                         {FateRead, `{"messaging_product":"whatsapp","to":"+393331234567","type":"image","image":{"link":"https://example.com/a.jpg"}}`, "sent delivered read", 0},
		"a voice note is played":         {FateRead, `{"messaging_product":"whatsapp","to":"+393331234567","type":"audio","audio":{"id":"1","voice":true}}`, "sent delivered read played", 0},
		"marketing was stopped":          {FateStopped, marketing, "failed", 131050},
		"too much marketing":             {FateCapped, marketing, "failed", 131049},
		"an experiment":                  {FateExperiment, marketing, "failed", 130472},
		"marketing":                      {FateRead, marketing, "sent delivered read", 0},
		"marketing to the United States": {FateRead, strings.Replace(marketing, "+393331234567", "+16505550123", 1), "failed", 131049},
		"marketing to Canada":            {FateRead, strings.Replace(marketing, "+393331234567", "+14165550123", 1), "sent delivered read", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{Templates: offers()}, func(w world) {
				w.receive(Inbound{From: "393331234567", Text: "ciao"})
				w.sim.SetPerson(Person{WaID: "393331234567", UserID: userID("393331234567"), Fate: tt.fate})
				_, _, id := w.send(tt.body)
				words, all := w.statuses(id)
				if got := strings.Join(words, " "); got != tt.want {
					w.Fatalf("statuses %q, want %q", got, tt.want)
				}
				priced := 0
				for _, st := range all {
					if st["pricing"] != nil {
						priced++
					}
					if st["conversation"] != nil {
						w.Errorf("a conversation in v24.0: %v", st)
					}
					if _, ok := st["timestamp"].(string); !ok {
						w.Errorf("timestamp %v is no string", st["timestamp"])
					}
				}
				last := all[len(all)-1]
				if tt.code != 0 {
					if code, _ := field(list(last, "errors")[0], "code").(float64); int(code) != tt.code {
						w.Errorf("failed with %v, want %d", code, tt.code)
					}
				}
				if tt.want == "sent delivered read" || tt.want == "sent read" {
					if priced != 2 || all[0]["pricing"] == nil {
						w.Errorf("pricing on %d statuses, want sent and one more", priced)
					}
				}
			})
		})
	}
}

func TestASentStatusCanBeEarlierThanTheAnswer(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.sim.SetPerson(Person{WaID: "393331234567", Fate: FateEarly})
		before := len(w.to.posts())
		_, _, id := w.send(textTo("+393331234567", "x"))
		if n := len(w.to.posts()); n != before+1 {
			w.Errorf("%d webhooks before the answer, want 1", n-before)
		}
		if words, _ := w.statuses(id); !slices.Equal(words, []string{"sent", "delivered", "read"}) {
			w.Errorf("statuses %v", words)
		}
	})
}

func TestStatusesEchoCallbackDataAndHaveNoContacts(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		_, _, id := w.send(`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"x"},"biz_opaque_callback_data":"job-è"}`)
		_, all := w.statuses(id)
		if len(all) != 3 {
			w.Fatalf("%d statuses", len(all))
		}
		for _, st := range all {
			if st["biz_opaque_callback_data"] != "job-è" || st["recipient_id"] != "393331234567" {
				w.Errorf("status %v", st)
			}
		}
		if v := w.lastValue(); v["contacts"] != nil {
			w.Errorf("contacts in a status: %v", v)
		}
		if m := w.sim.Messages(MessageFilter{WAMID: id}); m[0].Status != "read" {
			w.Errorf("message %+v", m[0])
		}
		_, _, id = w.send(`{"messaging_product":"whatsapp","to":"+393330000001","text":{"body":"x"},"biz_opaque_callback_data":"job-2"}`)
		if words, all := w.statuses(id); words[0] != "failed" || all[0]["biz_opaque_callback_data"] != "job-2" {
			w.Errorf("outside the window %v", all)
		}
	})
}

func TestStatusesCanHaveContacts(t *testing.T) {
	inWorld(t, Options{StatusContacts: true}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		_, _, id := w.send(textTo("+393331234567", "x"))
		w.statuses(id)
		if c := list(w.lastValue(), "contacts"); len(c) != 1 || text(c[0], "wa_id") != "393331234567" {
			w.Errorf("contacts %v", c)
		}
	})
}

func TestTheDelaysOfStatusesCanBeSet(t *testing.T) {
	voice := `{"messaging_product":"whatsapp","to":"+393331234567","type":"audio","audio":{"id":"1","voice":true}}`
	tests := map[string]struct {
		delays Delays
		want   map[string]time.Duration // status and pricing, since the send
	}{
		"as they are": {Delays{}, map[string]time.Duration{
			"sent": 100 * time.Millisecond, "delivered": 400 * time.Millisecond, "read": 1500 * time.Millisecond, "played": 2 * time.Second,
		}},
		"slow": {Delays{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, map[string]time.Duration{
			"sent": time.Second, "delivered": 2 * time.Second, "read": 4 * time.Second, "played": 8 * time.Second,
		}},
		"delivered, then sent": {Delays{Sent: 3 * time.Second, Delivered: time.Second, Read: 4 * time.Second, Played: -1}, map[string]time.Duration{
			"delivered": time.Second, "sent": 3 * time.Second, "read": 4 * time.Second,
		}},
		"never delivered": {Delays{Delivered: -1, Played: -1}, map[string]time.Duration{
			"sent": 100 * time.Millisecond, "read": 1500 * time.Millisecond,
		}},
		"nothing": {Delays{-1, -1, -1, -1}, map[string]time.Duration{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{Delays: tt.delays}, func(w world) {
				w.receive(Inbound{From: "393331234567", Text: "ciao"})
				before, started := len(w.to.posts()), time.Now()
				_, _, id := w.send(voice)
				words, all := w.statuses(id)
				if len(words) != len(tt.want) {
					w.Errorf("statuses %v, want %v", words, tt.want)
				}
				priced := 0
				for i, p := range w.to.posts()[before:] {
					if after := p.at.Sub(started); after != tt.want[words[i]] {
						w.Errorf("%s after %v, want %v", words[i], after, tt.want[words[i]])
					}
					if all[i]["pricing"] != nil {
						priced++
					}
				}
				if priced != min(2, len(words)) {
					w.Errorf("pricing on %d of %v", priced, words)
				}
			})
		})
	}
}

func TestWhatOpensTheWindow(t *testing.T) {
	tests := map[string]struct {
		opt  Options
		in   Inbound
		open bool
	}{
		"a text":                   {Options{}, Inbound{Text: "ciao"}, true},
		"a picture":                {Options{}, Inbound{Type: "image"}, true},
		"a tap on a button":        {Options{}, Inbound{Type: "button"}, true},
		"a form":                   {Options{}, Inbound{Type: "nfm_reply"}, true},
		"a call":                   {Options{}, Inbound{Type: "call"}, true},
		"a reaction":               {Options{}, Inbound{Type: "reaction", Text: "👍"}, true},
		"a reaction, otherwise":    {Options{ReactionsOpenNothing: true}, Inbound{Type: "reaction", Text: "👍"}, false},
		"a text, without reaction": {Options{ReactionsOpenNothing: true}, Inbound{Text: "ciao"}, true},
		"a text of a day ago":      {Options{}, Inbound{Text: "ciao", Timestamp: "1"}, false},
		"a new number":             {Options{}, Inbound{Type: "user_changed_number", Text: "393479998877"}, false},
		"a new user id":            {Options{}, Inbound{Type: "user_changed_user_id", Text: "IT.2"}, false},
		"news of a user id":        {Options{}, Inbound{Type: "user_id_update", Text: "IT.2"}, false},
		"no more marketing":        {Options{}, Inbound{Type: "user_preferences"}, false},
		"marketing again":          {Options{}, Inbound{Type: "user_preferences", Text: "resume"}, false},
		"an echo":                  {Options{}, Inbound{Type: "echo", Text: "ciao"}, false},
		"a click":                  {Options{}, Inbound{Type: "user_actions"}, false},
		"an error":                 {Options{}, Inbound{Type: "errors"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.opt.RefuseOutsideWindow = true
			inWorld(t, tt.opt, func(w world) {
				tt.in.From = "393331234567"
				try := func(when string, open bool) {
					w.Helper()
					time.Sleep(10 * time.Second)
					if status, code, _ := w.send(textTo("+393331234567", "x")); (status == 200) != open || !open && code != 131047 {
						w.Errorf("%s: %d code %d", when, status, code)
					}
				}
				try("before", false)
				w.receive(tt.in)
				try("after", tt.open)
				time.Sleep(23 * time.Hour)
				w.receive(tt.in)
				time.Sleep(23 * time.Hour)
				try("after two, a day apart", tt.open)
				time.Sleep(2 * time.Hour)
				try("a day after the last", false)
			})
		})
	}
}

// A call comes as an event of its own, not as a message.
func TestACallIsNoMessage(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		r := w.receive(Inbound{From: "393331234567", Name: "Giulia", Type: "call"})
		v := w.lastValue()
		calls := list(v, "calls")
		if len(calls) != 1 || v["messages"] != nil || !strings.HasPrefix(r.WAMID, "wacid.") || text(calls[0], "id") != r.WAMID ||
			text(calls[0], "from") != "393331234567" || text(calls[0], "to") != "390212345678" ||
			text(calls[0], "event") != "connect" || text(calls[0], "direction") != "USER_INITIATED" {
			w.Errorf("%+v %v", r, v)
		}
	})
}

func TestOldVersionsHaveAConversation(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		_, doc, _ := w.call("POST", "/v23.0/"+pnid+"/messages", textTo("+393331234567", "x"))
		_, all := w.statuses(text(list(doc, "messages")[0], "id"))
		for i, st := range all {
			c := field(st, "conversation")
			if c == nil || (field(c, "expiration_timestamp") != nil) != (i == 0) {
				w.Errorf("%s: conversation %v", st["status"], c)
			}
		}
	})
}

func TestAFreeEntryPointHasAConversation(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao", Referral: []byte(referral)})
		_, _, id := w.send(textTo("+393331234567", "x"))
		_, all := w.statuses(id)
		if len(all) == 0 || all[0]["conversation"] == nil || text(all[0]["pricing"], "type") != "free_entry_point" {
			w.Errorf("statuses %v", all)
		}
	})
}

func TestAFailureCanLackEveryRecipient(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.sim.SetPerson(Person{WaID: "393331234567", UserID: "IT.1", Fate: FateUnreachable})
		_, _, id := w.send(textTo("+393331234567", "x"))
		_, all := w.statuses(id)
		if len(all) != 1 || all[0]["recipient_id"] != nil || all[0]["recipient_user_id"] != nil {
			w.Errorf("statuses %v", all)
		}
	})
}

func TestFreeFormOutsideTheWindowFailsLater(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		try := func() string {
			time.Sleep(time.Minute)
			_, _, id := w.send(textTo("+393331234567", "x"))
			return w.life(id)
		}
		if got := try(); got != "failed 131047" {
			w.Errorf("before the person wrote: %s", got)
		}
		for _, kind := range []string{"user_preferences", "user_changed_number", "user_actions"} {
			w.receive(Inbound{From: "393331234567", Type: kind, Text: "stop"})
			if got := try(); got != "failed 131047" {
				w.Errorf("%s opened the window: %s", kind, got)
			}
		}
		if _, err := w.sim.Status(w.Context(), StatusEvent{WAMID: "wamid.x", Status: "read", To: "393331234567"}); err != nil {
			w.Fatal(err)
		}
		if got := try(); got != "failed 131047" {
			w.Errorf("a status opened the window: %s", got)
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		if got := try(); got != "sent delivered read" {
			w.Errorf("after the person wrote: %s", got)
		}
		time.Sleep(24 * time.Hour)
		if got := try(); got != "failed 131047" {
			w.Errorf("a day later: %s", got)
		}
		w.receive(Inbound{From: "393331234567", Type: "reaction", Text: "👍"})
		if got := try(); got != "sent delivered read" {
			w.Errorf("after a reaction: %s", got)
		}
	})
}

func TestFreeFormOutsideTheWindowCanBeRefused(t *testing.T) {
	inWorld(t, Options{RefuseOutsideWindow: true}, func(w world) {
		if status, code, _ := w.send(textTo("+393331234567", "x")); status != 400 || code != 131047 {
			w.Errorf("%d code %d", status, code)
		}
		if status, code, _ := w.send(`{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"hello_world","language":{"code":"en_US"}}}`); status != 200 {
			w.Errorf("a template: %d code %d", status, code)
		}
	})
}

func TestStoppingMarketingStopsMarketingOnly(t *testing.T) {
	inWorld(t, Options{Templates: offers()}, func(w world) {
		ask := func(body string) string {
			_, _, id := w.send(body)
			return w.life(id)
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.receive(Inbound{From: "393331234567", Type: "user_preferences", Text: "stop"})
		if got := ask(marketing); got != "failed 131050" {
			w.Errorf("marketing: %s", got)
		}
		if got := ask(textTo("+393331234567", "x")); got != "sent delivered read" {
			w.Errorf("free-form: %s", got)
		}
		w.receive(Inbound{From: "393331234567", Type: "user_preferences", Text: "resume"})
		if got := ask(marketing); got != "sent delivered read" {
			w.Errorf("marketing after resume: %s", got)
		}
	})
}
