package whatsappsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestManagementCalls(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		_, doc, header := w.call("GET", "/v24.0/"+pnid+"?fields=status,throughput", "")
		if doc["id"] != pnid || doc["status"] != "CONNECTED" || doc["throughput"] == nil || doc["verified_name"] != nil {
			w.Errorf("number %v", doc)
		}
		if header.Get("x-app-usage") == "" || !strings.Contains(header.Get("x-business-use-case-usage"), waba) {
			w.Errorf("usage headers %v", header)
		}
		_, doc, _ = w.call("GET", "/v24.0/"+waba+"/phone_numbers", "")
		if n := list(doc, "data"); len(n) != 1 || text(n[0], "id") != pnid || text(n[0], "display_phone_number") != "+39 02 1234 5678" || field(doc["paging"], "cursors") == nil {
			w.Errorf("numbers %v", doc)
		}
		_, doc, _ = w.call("GET", "/v24.0/"+waba+"/subscribed_apps", "")
		if n := list(doc, "data"); len(n) != 1 || text(field(n[0], "whatsapp_business_api_data"), "id") == "" {
			w.Errorf("apps %v", doc)
		}
		_, doc, _ = w.call("GET", "/v24.0/debug_token?input_token=simulated-whatsapp-token", "")
		if d := doc["data"]; field(d, "is_valid") != true || len(list(d, "scopes")) != 2 || field(d, "expires_at") != 0.0 {
			w.Errorf("token %v", doc)
		}
		status, doc, _ := w.call("GET", "/v24.0/debug_token?input_token=nonsense", "")
		if d := doc["data"]; status != 200 || field(d, "is_valid") != false || field(d, "error") == nil {
			w.Errorf("invalid token: %d %v", status, doc)
		}
	})
}

func TestUseOfTheManagementCallsGrowsToTheLimit(t *testing.T) {
	inWorld(t, Options{ManagementPerHour: 10}, func(w world) {
		for i := range 10 {
			status, _, header := w.call("GET", "/v24.0/"+pnid, "")
			want := fmt.Sprintf(`"call_count":%d`, (i+1)*10)
			for _, name := range []string{"x-app-usage", "x-business-use-case-usage"} {
				if got := header.Get(name); status != 200 || !strings.Contains(got, want) {
					w.Errorf("call %d: %d, %s %s", i+1, status, name, got)
				}
			}
		}
		if status, doc, _ := w.call("GET", "/v24.0/"+pnid, ""); status != 400 || errorCode(doc) != 80007 {
			w.Errorf("call 11: %d %v", status, doc)
		}
		if status, _, _ := w.send(textTo("+393331234567", "x")); status != 200 {
			w.Errorf("a message counts as a management call: %d", status)
		}
		time.Sleep(time.Hour)
		if status, _, _ := w.call("GET", "/v24.0/"+pnid, ""); status != 200 {
			w.Errorf("an hour later: %d", status)
		}
	})
}

func TestTheHourlyLimitOfManagementCalls(t *testing.T) {
	tests := map[string]struct {
		opt          Options
		registered   bool
		calls        int // before the limit
		status, code int
	}{
		"of an account with a number":     {Options{}, true, 5000, 400, 80007},
		"of one without":                  {Options{}, false, 200, 400, 80007},
		"as a limit of the app":           {Options{ManagementPerHour: 3, Codes: Codes{Usage: 4}}, true, 3, 400, 4},
		"as too many requests":            {Options{ManagementPerHour: 3, Codes: Codes{UsageHTTP: 429}}, true, 3, 429, 80007},
		"of the app as too many requests": {Options{ManagementPerHour: 3, Codes: Codes{Usage: 4, UsageHTTP: 429}}, true, 3, 429, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, tt.opt, func(w world) {
				var done map[string]any
				w.control("POST", "/_sim/number", fmt.Sprintf(`{"registered":%v}`, tt.registered), &done)
				for i := range tt.calls {
					if status, doc, _ := w.call("GET", "/v24.0/"+pnid, ""); status != 200 {
						w.Fatalf("call %d: %d %v", i+1, status, doc)
					}
				}
				status, doc, header := w.call("GET", "/v24.0/"+pnid, "")
				if status != tt.status || errorCode(doc) != tt.code {
					w.Errorf("after %d calls: %d %v, want %d with code %d", tt.calls, status, doc, tt.status, tt.code)
				}
				if strings.Contains(header.Get("x-business-use-case-usage"), `"estimated_time_to_regain_access":0`) {
					w.Errorf("the headers do not say when to come again: %v", header)
				}
			})
		})
	}
}

func TestRegistrationHasAPinAndALimit(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		register := func(pin string) int {
			_, doc, _ := w.call("POST", "/v24.0/"+pnid+"/register", `{"messaging_product":"whatsapp","pin":"`+pin+`"}`)
			return errorCode(doc)
		}
		if code := register("12"); code != 100 {
			w.Errorf("a short pin: %d", code)
		}
		if code := register("123456"); code != 0 {
			w.Errorf("the first pin: %d", code)
		}
		for range 9 {
			if code := register("654321"); code != 133005 {
				w.Errorf("another pin: %d", code)
			}
		}
		if code := register("123456"); code != 133016 {
			w.Errorf("the eleventh call: %d", code)
		}
		time.Sleep(72 * time.Hour)
		if code := register("123456"); code != 0 {
			w.Errorf("three days later: %d", code)
		}
	})
}

func TestATemplateIsReviewedBeforeItCanBeSent(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		send := func() int {
			_, code, _ := w.send(`{"messaging_product":"whatsapp","to":"+393331234567","type":"template","template":{"name":"saldi","language":{"code":"it"}}}`)
			return code
		}
		const create = `{"name":"saldi","language":"it","category":"MARKETING","components":[{"type":"BODY","text":"Saldi!"}]}`
		if _, doc, _ := w.call("POST", "/v24.0/"+waba+"/message_templates", create); doc["status"] != "PENDING" || doc["id"] == nil {
			w.Fatalf("created %v", doc)
		}
		if code := send(); code != 132001 {
			w.Errorf("pending: %d", code)
		}
		time.Sleep(2 * time.Second)
		if v := w.lastValue(); v["event"] != "APPROVED" || v["message_template_name"] != "saldi" {
			w.Errorf("webhook %v", v)
		}
		if !strings.Contains(string(w.to.posts()[0].body), `"time":`) {
			w.Error("a template event without entry.time")
		}
		if code := send(); code != 0 {
			w.Errorf("approved: %d", code)
		}
		for status, want := range map[string]int{"PAUSED": 132015, "DISABLED": 132016, "APPROVED": 0} {
			w.sim.SetTemplateStatus("saldi", "it", status, "")
			synctest.Wait()
			if v := w.lastValue(); v["event"] != status {
				w.Errorf("webhook %v", v)
			}
			if code := send(); code != want {
				w.Errorf("%s: %d, want %d", status, code, want)
			}
		}
		_, doc, _ := w.call("GET", "/v24.0/"+waba+"/message_templates?limit=2", "")
		next := text(doc["paging"], "next")
		if len(list(doc, "data")) != 2 || next == "" {
			w.Fatalf("first page %v", doc)
		}
		if _, doc, _ = w.call("GET", next, ""); len(list(doc, "data")) != 1 || text(list(doc, "data")[0], "name") != "saldi" {
			w.Errorf("second page %v", doc)
		}
		w.call("DELETE", "/v24.0/"+waba+"/message_templates?name=saldi", "")
		if code := send(); code != 132001 {
			w.Errorf("deleted: %d", code)
		}
	})
}

func TestTemplatesAreListedInPages(t *testing.T) {
	const path = "/v24.0/" + waba + "/message_templates"
	catalogue := []Template{
		{Name: "a", Language: "it"},
		{Name: "a", Language: "en"},
		{Name: "b", Language: "it", Status: "PAUSED"},
		{Name: "c", Language: "it", Category: "MARKETING"},
		{Name: "d", Language: "de", Named: true, Body: "{{x}}", Footer: "f", Buttons: []Button{{"URL", "u", "https://x.it"}}},
	}
	inWorld(t, Options{Templates: catalogue}, func(w world) {
		names := func(url string) (names string, paging any) {
			_, doc, _ := w.call("GET", url, "")
			for _, d := range list(doc, "data") {
				names += text(d, "name")
			}
			return names, doc["paging"]
		}
		for query, want := range map[string]string{
			"": "aabcd", "?name=a": "aa", "?language=it": "abc", "?status=PAUSED": "b", "?category=MARKETING": "c", "?name=a&language=en": "a", "?name=z": "",
		} {
			if got, _ := names(path + query); got != want {
				w.Errorf("%q: %s, want %s", query, got, want)
			}
		}
		var forth, back []string
		url := path + "?limit=2"
		for {
			got, paging := names(url)
			forth = append(forth, got)
			if url = text(paging, "next"); url == "" {
				url = text(paging, "previous")
				break
			}
			if after := text(field(paging, "cursors"), "after"); !strings.Contains(url, "after="+after) {
				w.Errorf("next %s is not the cursor %s", url, after)
			}
		}
		for url != "" {
			got, paging := names(url)
			back = append(back, got)
			url = text(paging, "previous")
		}
		if fmt.Sprint(forth, back) != "[aa bc d] [bc aa]" {
			w.Errorf("pages %v, and back %v", forth, back)
		}
		_, doc, _ := w.call("GET", path+"?name=d&fields=parameter_format,components", "")
		if d := list(doc, "data")[0]; text(d, "parameter_format") != "NAMED" || len(list(d, "components")) != 3 || field(d, "id") == nil || field(d, "name") != nil {
			w.Errorf("the fields asked for %v", d)
		}
		_, doc, _ = w.call("GET", path+"?name=a&language=en", "")
		id := text(list(doc, "data")[0], "id")
		if status, doc, _ := w.call("DELETE", path+"?name=a&hsm_id="+id, ""); status != 200 {
			w.Errorf("delete one language: %d %v", status, doc)
		}
		if got, _ := names(path); got != "abcd" {
			w.Errorf("left are %s", got)
		}
		if status, _, _ := w.call("DELETE", path+"?name=z", ""); status != 400 {
			w.Errorf("delete what is not there: %d", status)
		}
	})
}

func TestMediaIsFetchedInTwoSteps(t *testing.T) {
	inWorld(t, Options{}, func(w world) {
		fetch := func(url, token string) (int, []byte) {
			r := httptest.NewRequest(http.MethodGet, url, nil)
			r.Header.Set("Authorization", token)
			rec := httptest.NewRecorder()
			w.sim.ServeHTTP(rec, r)
			return rec.Code, rec.Body.Bytes()
		}
		const token = "Bearer simulated-whatsapp-token"
		w.receive(Inbound{From: "393331234567", Type: "image", Text: "ricevuta"})
		id := text(field(list(w.lastValue(), "messages")[0], "image"), "id")
		_, doc, _ := w.call("GET", "/v24.0/"+id+"?phone_number_id="+pnid, "")
		status, data := fetch(text(doc, "url"), token)
		sum := sha256.Sum256(data)
		if status != 200 || hex.EncodeToString(sum[:]) != doc["sha256"] || float64(len(data)) != doc["file_size"] {
			w.Errorf("%d %q does not fit %v", status, data, doc)
		}
		if status, _ := fetch(text(doc, "url"), ""); status != 401 {
			w.Errorf("without token: %d", status)
		}
		if status, wrong, _ := w.call("GET", "/v24.0/"+id+"?phone_number_id=999", ""); status != 400 {
			w.Errorf("another number: %d %v", status, wrong)
		}
		if status, wrong, _ := w.call("GET", "/v24.0/4711?phone_number_id="+pnid, ""); status != 400 || errorCode(wrong) != 100 {
			w.Errorf("unknown id: %d %v", status, wrong)
		}
		time.Sleep(5*time.Minute + time.Second)
		if status, _ := fetch(text(doc, "url"), token); status != 404 {
			w.Errorf("after five minutes: %d", status)
		}
		time.Sleep(7 * 24 * time.Hour)
		if status, old, _ := w.call("GET", "/v24.0/"+id, ""); status != 400 || errorCode(old) != 100 {
			w.Errorf("after a week: %d %v", status, old)
		}

		var form bytes.Buffer
		mw := multipart.NewWriter(&form)
		_ = mw.WriteField("messaging_product", "whatsapp")
		part, _ := mw.CreateFormFile("file", "a.txt")
		_, _ = part.Write([]byte("hello"))
		_ = mw.Close()
		_, up, _ := w.call("POST", "/v24.0/"+pnid+"/media", form.String(), "Content-Type", mw.FormDataContentType())
		if _, doc, _ = w.call("GET", "/v24.0/"+text(up, "id"), ""); doc["file_size"] != 5.0 {
			w.Errorf("uploaded %v, described %v", up, doc)
		}
	})
}
