package whatsappsim

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// review changes order_update as Meta does and returns the webhook's value.
func (w world) review(change string) map[string]any {
	w.Helper()
	var answer map[string]any
	if w.control("POST", "/_sim/templates", `{"name":"order_update","language":"it",`+change+`}`, &answer); answer["found"] != true {
		w.Fatalf("%s: %v", change, answer)
	}
	synctest.Wait()
	return w.lastValue()
}

// order sends order_update and returns the error code.
func (w world) order() int {
	w.Helper()
	time.Sleep(10 * time.Second) // away from the pair limit
	_, code, _ := w.send(`{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"order_update","language":{"code":"it"},` +
		`"components":[{"type":"body","parameters":[{"type":"text","text":"Giulia"},{"type":"text","text":"A-1"}]}]}}`)
	return code
}

func TestSendsFollowTheStateOfTheTemplateAtOnce(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for _, tt := range []struct {
			event, reason, told string
			code                int
		}{
			{"REJECTED", "INVALID_FORMAT", "INVALID_FORMAT", 132001},
			{"APPROVED", "", "NONE", 0},
			{"FLAGGED", "", "NONE", 0},
			{"DISABLED", "ABUSIVE_CONTENT", "ABUSIVE_CONTENT", 132016},
			{"REINSTATED", "", "NONE", 0},
			{"ARCHIVED", "", "NONE", 132001},
			{"UNARCHIVED", "", "NONE", 0},
			{"PENDING", "", "NONE", 132001},
			{"IN_APPEAL", "", "NONE", 132001},
			{"PENDING_DELETION", "", "NONE", 132001},
		} {
			v := w.review(fmt.Sprintf(`"status":%q,"reason":%q`, tt.event, tt.reason))
			_, isNumber := v["message_template_id"].(float64)
			if v["event"] != tt.event || v["reason"] != tt.told || v["message_template_language"] != "it" || !isNumber ||
				v["message_template_category"] != "UTILITY" || (v["disable_info"] != nil) != (tt.event == "DISABLED") {
				w.Errorf("%s: webhook %v", tt.event, v)
			}
			if code := w.order(); code != tt.code {
				w.Errorf("%s: code %d, want %d", tt.event, code, tt.code)
			}
		}
	})
}

// Of low quality, a template rests for 3 hours, then for 6, and then for ever.
func TestATemplateIsPausedTwiceAndThenDisabled(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		for _, pause := range []struct {
			title string
			lasts time.Duration
		}{{"FIRST_PAUSE", 3 * time.Hour}, {"SECOND_PAUSE", 6 * time.Hour}} {
			if v := w.review(`"status":"PAUSED"`); v["event"] != "PAUSED" || text(v["other_info"], "title") != pause.title {
				w.Errorf("%s: webhook %v", pause.title, v)
			}
			time.Sleep(pause.lasts - time.Minute)
			if code := w.order(); code != 132015 {
				w.Errorf("%s, just before it ends: code %d", pause.title, code)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if v := w.lastValue(); v["event"] != "APPROVED" || text(v["other_info"], "title") != "UNPAUSE" {
				w.Errorf("%s, its end: webhook %v", pause.title, v)
			}
			if code := w.order(); code != 0 {
				w.Errorf("%s, after it: code %d", pause.title, code)
			}
		}
		if v := w.review(`"status":"PAUSED"`); v["event"] != "DISABLED" || v["disable_info"] == nil || text(v["other_info"], "title") != "DISABLED" {
			w.Errorf("the third time: webhook %v", v)
		}
		time.Sleep(30 * 24 * time.Hour)
		if code := w.order(); code != 132016 {
			w.Errorf("a month later: code %d", code)
		}
	})
}

func TestAPauseThatIsOverDoesNotEndTheNext(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.review(`"status":"PAUSED"`)
		time.Sleep(2 * time.Hour)
		if v := w.review(`"status":"APPROVED"`); text(v["other_info"], "title") != "UNPAUSE" {
			w.Errorf("ended by hand: webhook %v", v)
		}
		w.review(`"status":"PAUSED"`)
		time.Sleep(2 * time.Hour) // the first would have been over
		if code := w.order(); code != 132015 {
			w.Errorf("two hours into the second: code %d", code)
		}
	})
}

func TestTheCategoryOfATemplateCanBeCorrected(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		w.receive(Inbound{From: "393331234567", Text: "ciao"})
		w.receive(Inbound{From: "393331234567", Type: "user_preferences", Text: "stop"})
		told := func(v map[string]any, field, want string) {
			w.Helper()
			if v[field] != want {
				w.Errorf("%s is %v, want %s: %v", field, v[field], want, v)
			}
		}
		fails := func() bool {
			before := w.sim.Stats().Messages
			if code := w.order(); code != 0 || w.sim.Stats().Messages != before+1 {
				w.Fatalf("code %d", code)
			}
			all := w.sim.Messages(MessageFilter{Direction: "out"})
			words, _ := w.statuses(all[len(all)-1].WAMID)
			return words[0] == "failed"
		}
		now := time.Now()
		v := w.review(`"category":"MARKETING","notice":"24h"`)
		told(v, "correct_category", "MARKETING")
		told(v, "new_category", "UTILITY")
		if at := v["category_update_timestamp"]; at != float64(now.Add(24*time.Hour).Unix()) || v["previous_category"] != nil {
			w.Errorf("notice %v", v)
		}
		var doc any
		p := w.to.posts()
		if _ = json.Unmarshal(p[len(p)-1].body, &doc); firstField(doc) != "template_category_update" || field(list(doc, "entry")[0], "time") == nil {
			w.Errorf("notice %v", doc)
		}
		if fails() {
			w.Error("a utility template failed before the change")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		v = w.lastValue()
		told(v, "previous_category", "UTILITY")
		told(v, "new_category", "MARKETING")
		if !fails() {
			w.Error("a marketing template was delivered to someone who stopped marketing")
		}
		v = w.review(`"category":"UTILITY"`)
		told(v, "previous_category", "MARKETING")
		if fails() {
			w.Error("a utility template failed after the change back")
		}
	})
}
