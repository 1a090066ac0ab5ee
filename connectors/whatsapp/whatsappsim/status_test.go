package whatsappsim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const marketing = `{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"offer","language":{"code":"it"}}}`

func offers() []Template {
	return append(DefaultTemplates(), Template{Name: "offer", Language: "it", Category: "MARKETING", Body: "Saldi!"})
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
			words, _ := w.statuses(id)
			return strings.Join(words, " ")
		}
		if got := try(); got != "failed" {
			w.Errorf("before the person wrote: %s", got)
		}
		for _, kind := range []string{"user_preferences", "user_changed_number", "user_actions"} {
			w.receive(Inbound{From: "393331234567", Type: kind, Text: "stop"})
			if got := try(); got != "failed" {
				w.Errorf("%s opened the window: %s", kind, got)
			}
		}
		if _, err := w.sim.Status(w.Context(), StatusEvent{WAMID: "wamid.x", Status: "read", To: "393331234567"}); err != nil {
			w.Fatal(err)
		}
		if got := try(); got != "failed" {
			w.Errorf("a status opened the window: %s", got)
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		if got := try(); got != "sent delivered read" {
			w.Errorf("after the person wrote: %s", got)
		}
		time.Sleep(24 * time.Hour)
		if got := try(); got != "failed" {
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
			words, _ := w.statuses(id)
			return strings.Join(words, " ")
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.receive(Inbound{From: "393331234567", Type: "user_preferences", Text: "stop"})
		if got := ask(marketing); got != "failed" {
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
