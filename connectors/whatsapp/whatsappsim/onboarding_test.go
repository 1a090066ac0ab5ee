package whatsappsim

import (
	"testing"
	"time"
)

const numberPath = "/v24.0/" + pnid

// post makes a call and returns the error code, 0 for success.
func (w world) post(path, body string) int {
	w.Helper()
	status, doc, _ := w.call("POST", path, body)
	if code := errorCode(doc); code != 0 || status != 200 {
		return code
	}
	return 0
}

func registration(pin string) string { return `{"messaging_product":"whatsapp","pin":"` + pin + `"}` }

func TestDeregisteringCountsAsRegistering(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		if code := w.post(numberPath+"/deregister", ""); code != 0 {
			w.Fatalf("deregister: code %d", code)
		}
		if _, code, _ := w.send(textTo("+393331234567", "x")); code != 133010 {
			w.Errorf("a message of a number that is not registered: code %d", code)
		}
		if _, doc, _ := w.call("GET", numberPath+"?fields=status", ""); doc["status"] != "DISCONNECTED" {
			w.Errorf("number %v", doc)
		}
		for range 9 {
			if code := w.post(numberPath+"/register", registration("123456")); code != 0 {
				w.Errorf("register: code %d", code)
			}
		}
		if _, code, _ := w.send(textTo("+393331234567", "x")); code != 0 {
			w.Errorf("a message after registering again: code %d", code)
		}
		if code := w.post(numberPath+"/deregister", ""); code != 133016 {
			w.Errorf("the eleventh call: code %d", code)
		}
	})
}

func TestTheTwoStepPinIsAskedForWhenRegistering(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for pin, want := range map[string]int{"65432": 100, "65432a": 100, "654321": 0} {
			if code := w.post(numberPath, `{"pin":"`+pin+`"}`); code != want {
				w.Errorf("set %s: code %d, want %d", pin, code, want)
			}
		}
		if code := w.post(numberPath+"/register", registration("123456")); code != 133005 {
			w.Errorf("another pin: code %d", code)
		}
		if code := w.post(numberPath+"/register", registration("654321")); code != 0 {
			w.Errorf("the pin: code %d", code)
		}
	})
}

func TestADeletedNumberCannotBeRegisteredForFiveMinutes(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		var done map[string]any
		w.control("POST", "/_sim/number", `{"deleted":true}`, &done)
		if _, code, _ := w.send(textTo("+393331234567", "x")); code != 133010 {
			w.Errorf("a message of a deleted number: code %d", code)
		}
		time.Sleep(5*time.Minute - time.Second)
		if code := w.post(numberPath+"/register", registration("123456")); code != 133015 {
			w.Errorf("within five minutes: code %d", code)
		}
		time.Sleep(time.Second)
		if code := w.post(numberPath+"/register", registration("123456")); code != 0 {
			w.Errorf("after them: code %d", code)
		}
	})
}

func TestOnboardingCalls(t *testing.T) {
	const contacts, history = `{"messaging_product":"whatsapp","sync_type":"smb_app_state_sync"}`, `{"messaging_product":"whatsapp","sync_type":"history"}`
	inWorld(t, Options{}, func(w world) {
		for _, tt := range []struct {
			name, edge, body string
			code             int
		}{
			{"by text message", "request_code", `{"code_method":"SMS","language":"it"}`, 0},
			{"by pigeon", "request_code", `{"code_method":"PIGEON","language":"it"}`, 100},
			{"in no language", "request_code", `{"code_method":"VOICE"}`, 100},
			{"the code", "verify_code", `{"code":"123830"}`, 0},
			{"no code", "verify_code", `{}`, 100},
			{"the app's contacts", "smb_app_data", contacts, 0},
			{"the app's contacts again", "smb_app_data", contacts, 2593107},
			{"something else of the app", "smb_app_data", `{"messaging_product":"whatsapp","sync_type":"photos"}`, 100},
		} {
			if code := w.post(numberPath+"/"+tt.edge, tt.body); code != tt.code {
				w.Errorf("%s: code %d, want %d", tt.name, code, tt.code)
			}
		}
		time.Sleep(24*time.Hour + time.Second)
		if code := w.post(numberPath+"/smb_app_data", history); code != 2593108 {
			w.Errorf("the app's history a day later: code %d", code)
		}
	})
}

func TestATokenSaysOfItselfWhetherItIsValid(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.sim.SetToken("short", Token{Scopes: []string{scopeMessaging}, Issued: w.sim.now(), Expires: w.sim.now().Add(time.Hour)})
		for _, want := range []bool{true, false} {
			status, doc, _ := w.call("GET", "/v24.0/debug_token?input_token=short", "")
			d := doc["data"]
			granted := list(d, "granular_scopes")
			if status != 200 || field(d, "is_valid") != want || (field(d, "error") == nil) != want ||
				field(d, "expires_at") == 0.0 || len(granted) != 1 || text(granted[0], "scope") != scopeMessaging {
				w.Errorf("%d %v, want valid %v", status, doc, want)
			}
			time.Sleep(2 * time.Hour)
		}
		if status, doc, _ := w.call("GET", "/v24.0/debug_token?input_token=short", "", "Authorization", ""); status != 401 {
			w.Errorf("asked by nobody: %d %v", status, doc)
		}
	})
}

func TestTheTierOfTheMessagingLimit(t *testing.T) {
	for want, limit := range map[string]int{"TIER_UNLIMITED": 0, "TIER_250": 250, "TIER_2K": 2000, "TIER_10K": 10_000, "TIER_100K": 100_000} {
		t.Run(want, func(t *testing.T) {
			inWorld(t, Options{MessagingLimit: limit}, func(w world) {
				_, doc, _ := w.call("GET", numberPath+"?fields=messaging_limit_tier,whatsapp_business_manager_messaging_limit", "")
				if doc["messaging_limit_tier"] != want || doc["whatsapp_business_manager_messaging_limit"] != want {
					w.Errorf("number %v", doc)
				}
			})
		})
	}
}
