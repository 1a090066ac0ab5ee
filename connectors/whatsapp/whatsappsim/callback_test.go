package whatsappsim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

func TestACallbackMustAnswerTheChallenge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		ok      bool
	}{
		"the challenge": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge")))
		}, true},
		"the challenge and a newline": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge") + "\n"))
		}, false},
		"the challenge with 201": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge")))
		}, false},
		"forbidden":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, false},
		"nothing with 200": {func(http.ResponseWriter, *http.Request) {}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := httptest.NewServer(tt.handler)
			defer to.Close()
			s := New(Options{})
			defer s.Close()
			if err := s.SetCallback(t.Context(), to.URL); (err == nil) != tt.ok {
				t.Errorf("SetCallback: %v, want ok %v", err, tt.ok)
			}
			override := `{"override_callback_uri":"` + to.URL + `","verify_token":"x"}`
			w := world{T: t, sim: s}
			for where, call := range map[string]struct{ path, body, read string }{
				"account": {"/v24.0/" + waba + "/subscribed_apps", override, "/v24.0/" + waba + "/subscribed_apps"},
				"number":  {"/v24.0/" + pnid, `{"webhook_configuration":` + override + `}`, "/v24.0/" + pnid + "?fields=webhook_configuration"},
			} {
				status, doc, _ := w.call("POST", call.path, call.body)
				if tt.ok && status != 200 || !tt.ok && (status != 400 || errorCode(doc) != 100) {
					t.Errorf("of the %s: %d %v, want ok %v", where, status, doc, tt.ok)
				}
				_, doc, _ = w.call("GET", call.read, "")
				config := doc["webhook_configuration"]
				stored := text(config, "phone_number")
				if where == "account" {
					stored = text(list(doc, "data")[0], "override_callback_uri")
				}
				if tt.ok && stored != to.URL || !tt.ok && stored != "" {
					t.Errorf("of the %s is stored: %q", where, stored)
				}
			}
		})
	}
}

func TestACallbackWhoseHandshakeFailsDoesNotReplaceTheOld(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		const long = "http://other.example/"
		for path, body := range map[string]string{
			"/v24.0/" + waba + "/subscribed_apps": `{"override_callback_uri":"%s","verify_token":"%s"}`,
			"/v24.0/" + pnid:                      `{"webhook_configuration":{"override_callback_uri":"%s","verify_token":"%s"}}`,
		} {
			for _, tt := range []struct {
				url, token string
				code       int
			}{
				{long + strings.Repeat("a", 200-len(long)), "verify", 0},
				{"http://wrong.example/", "wrong", 100},
				{"not a url", "verify", 100},
				{long + strings.Repeat("a", 201-len(long)), "verify", 100},
			} {
				if code := w.post(path, fmt.Sprintf(body, tt.url, tt.token)); code != tt.code {
					w.Errorf("%s to %s: code %d, want %d", path, tt.url, code, tt.code)
				}
			}
		}
		var answer map[string]any
		w.to.token = "another"
		if code := w.control("POST", "/_sim/callback", `{"url":"http://wrong.example/"}`, &answer); code != 400 || answer["error"] == nil {
			w.Errorf("the app's callback: %d %v", code, answer)
		}
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.review(`"status":"PAUSED"`)
		for i, want := range []string{"other.example", "worker.example"} {
			if p := w.to.posts(); p[i].host != want {
				w.Errorf("webhook %d went to %s, want %s", i, p[i].host, want)
			}
		}
	})
}

func TestOnlySubscribedFieldsArrive(t *testing.T) {
	inWorld(t, Options{Fields: []string{"messages"}}, func(w world) {
		w.receive(Inbound{From: "393331234567", Type: "user_preferences"})
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		if n := len(w.to.posts()); n != 1 {
			w.Errorf("%d webhooks arrived, want the message alone", n)
		}
		if n := w.sim.Stats().Webhooks.Dropped; n != 1 {
			w.Errorf("dropped %d, want 1", n)
		}
	})
}

func TestNothingArrivesUntilTheAppJoinsTheAccount(t *testing.T) {
	inWorld(t, Options{Unsubscribed: true}, func(w world) {
		r := w.receive(Inbound{From: "393331234567", Text: "one"})
		if len(w.to.posts()) != 0 || r.Status != 0 || r.Error == "" {
			w.Fatalf("a webhook arrived before subscribed_apps: %+v", r)
		}
		w.call("POST", "/v24.0/"+waba+"/subscribed_apps", "")
		if r := w.receive(Inbound{From: "393331234567", Text: "two"}); r.Status != 200 {
			w.Errorf("after joining: %+v", r)
		}
		w.call("DELETE", "/v24.0/"+waba+"/subscribed_apps", "")
		w.receive(Inbound{From: "393331234567", Text: "three"})
		if n := len(w.to.posts()); n != 1 {
			w.Errorf("%d arrived, want 1", n)
		}
	})
}

func TestTheNumbersOverrideWinsForMessagesOnly(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		set := func(path, body string) {
			if status, doc, _ := w.call("POST", path, body); status != 200 {
				w.Fatalf("%s: %d %v", path, status, doc)
			}
		}
		host := func(in Inbound) string {
			w.receive(in)
			p := w.to.posts()
			return p[len(p)-1].host
		}
		message := Inbound{From: "393331234567", Text: "ciao"}
		set("/v24.0/"+waba+"/subscribed_apps", `{"override_callback_uri":"http://waba.example/","verify_token":"verify"}`)
		if got := host(message); got != "waba.example" {
			w.Errorf("with the WABA's override: %s", got)
		}
		set("/v24.0/"+pnid, `{"webhook_configuration":{"override_callback_uri":"http://number.example/","verify_token":"verify"}}`)
		if got := host(message); got != "number.example" {
			w.Errorf("with the number's override: %s", got)
		}
		w.sim.SetTemplateStatus("order_update", "it", "PAUSED", "")
		synctest.Wait()
		if p := w.to.posts(); p[len(p)-1].host != "worker.example" {
			w.Errorf("a template event went to %s", p[len(p)-1].host)
		}
		set("/v24.0/"+pnid, `{"webhook_configuration":{"override_callback_uri":""}}`)
		set("/v24.0/"+waba+"/subscribed_apps", "")
		if got := host(message); got != "worker.example" {
			w.Errorf("after clearing both: %s", got)
		}
	})
}
