package zohosim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func people(n int) obj {
	var list []obj
	for m := range n {
		list = append(list, obj{"Last_Name": fmt.Sprint("P", m)})
	}
	return rows(list...)
}

func TestCallsCostCredits(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented"})
	spent := int64(0)
	cost := func(want int64, what string, got answer) {
		t.Helper()
		if got.status >= 400 {
			t.Errorf("%s: got %d %s", what, got.status, got.body)
		}
		now := a.Stats().Credits
		same(t, what, now-spent, want)
		spent = now
	}
	cost(1, "a list", a.get("/Contacts?fields=id"))
	cost(3, "a view", a.get("/Contacts?fields=id&cvid=1"))
	cost(2, "deleted", a.get("/Contacts/deleted"))
	cost(1, "ten rows", a.post("/Contacts", people(10)))
	cost(2, "eleven rows", a.post("/Contacts/upsert", people(11)))
	cost(10, "a hundred rows", a.post("/Contacts", people(100)))
	id := a.Contacts("", "")[0].ID
	ids := func(n int) []string { return slices.Repeat([]string{id}, n) }
	cost(1, "one record", a.get("/Contacts/"+id))
	cost(1, "one changed", a.put("/Contacts/"+id, rows(obj{"Title": "x"})))
	cost(2, "eleven changed", a.put("/Contacts", rows(slices.Repeat([]obj{{"id": id, "Title": "x"}}, 11)...)))
	cost(2, "eleven notes", a.post("/Notes", rows(slices.Repeat([]obj{note(id, "x")}, 11)...)))
	cost(1, "50 tagged", a.post("/Contacts/actions/add_tags", obj{"ids": ids(50), "tags": []obj{{"name": "x"}}}))
	cost(2, "51 tagged", a.post("/Contacts/actions/add_tags", obj{"ids": ids(51), "tags": []obj{{"name": "x"}}}))
	cost(2, "51 not tagged", a.post("/Contacts/actions/remove_tags", obj{"ids": ids(51), "tags": []obj{{"name": "x"}}}))
	for limit, want := range map[int]int64{200: 1, 201: 2, 1000: 2, 1001: 3, 2000: 3} {
		cost(want, fmt.Sprint("COQL ", limit), a.query(fmt.Sprintf("select id from Contacts where id is not null limit %d", limit)))
	}
	cost(1, "search", a.get("/Contacts/search?word=x"))
	var gone []string
	for _, c := range a.Contacts("", "")[1:101] {
		gone = append(gone, c.ID)
	}
	cost(1, "a hundred deleted", a.remove("/Contacts?ids="+strings.Join(gone, ",")))
	cost(1, "a channel", a.follow("https://x.example/hook", nil))
	cost(20, "two fields", a.post("/settings/fields?module=Contacts", obj{"fields": []obj{{"field_label": "A", "data_type": "text"}, {"field_label": "B", "data_type": "text"}}}))
	profiles := a.get("/settings/profiles")
	cost(501, "profiles and a module", a.post("/settings/modules", obj{"modules": []obj{{"plural_label": "Ones", "singular_label": "One", "profiles": []obj{{"id": profiles.str("profiles", 0, "id")}}}}}))
	a.refresh("r").want(t, 200)
	cost(0, "a token", a.refresh("r"))
}

func TestCreditsCountFor24Hours(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented", Limits: zohosim.Limits{Credits: 20}})
	later := func(hours int) {
		a.pass(time.Duration(hours) * time.Hour)
		a.token = a.refresh("r").str("access_token")
	}
	left := func(got answer) string { return got.header.Get("X-API-CREDITS-REMAINING") }
	same(t, "below half", left(a.post("/Contacts", people(90)).want(t, 201)), "")
	same(t, "half", left(a.get("/Contacts?fields=id").want(t, 200)), "10")
	later(12)
	a.post("/Contacts", people(100)).want(t, 201)
	got := a.get("/Contacts?fields=id").says(t, 429, "TOO_MANY_REQUESTS")
	same(t, "none", left(got), "0")
	same(t, "Retry-After", len(got.header.Values("Retry-After")), 0)
	later(11)
	a.get("/Contacts?fields=id").want(t, 429)
	// What was spent first comes back, what was spent later does not yet.
	later(1)
	a.post("/Contacts", people(100)).want(t, 201)
	a.get("/Contacts?fields=id").want(t, 429)
	later(12)
	a.get("/Contacts?fields=id").want(t, 200)
	same(t, "refused calls cost nothing", a.Stats().Credits, 31)
}

func TestEditionsHaveTheirLimits(t *testing.T) {
	t.Parallel()
	for edition, want := range map[string]string{
		"free": "[5000 5 10]", "standard": "[55000 10 10]", "starter": "[55000 10 10]", "professional": "[60000 15 10]",
		"enterprise": "[70000 20 10]", "ultimate": "[90000 25 10]",
	} {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			a := open(t, zohosim.Options{Edition: edition, Quota: "documented"})
			l := a.Limits()
			same(t, "limits", []int{l.Credits, l.Concurrency, l.Heavy}, want)
			release := a.crowd(l.Concurrency-1, http.MethodGet, "/Contacts?fields=", nil)
			a.get("/Contacts?fields=id").silent(t, 204)
			release()
			release = a.crowd(l.Concurrency, http.MethodGet, "/Contacts?fields=", nil)
			a.get("/Contacts?fields=id").says(t, 429, "TOO_MANY_REQUESTS")
			release()
		})
	}
	most := open(t, zohosim.Options{Edition: "standard", Users: 1000}).Limits().Credits
	same(t, "however many users", most, 100000)
}

// crowd holds n calls open, each for a while, and returns what lets them go.
func (a *org) crowd(n int, method, path string, body any) func() {
	a.t.Helper()
	a.fault(`{"mode":"slow","delay":"20s","match":"crowd"}`)
	before := a.Stats().Calls
	var all sync.WaitGroup
	ctx, leave := context.WithCancel(context.Background())
	for range n {
		r := a.request(method, path+"crowd", body).WithContext(ctx)
		all.Go(func() {
			defer func() { _ = recover() }()
			a.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	for a.Stats().Calls < before+int64(n) {
		time.Sleep(time.Millisecond)
	}
	return func() { leave(); all.Wait() }
}

func TestCallsAtTheSameTimeAreLimited(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Quota: "documented", Edition: "professional"})
	release := a.crowd(10, http.MethodPost, "/Contacts/upsert?", people(11))
	for what, got := range map[string]answer{
		"eleven rows": a.post("/Contacts/upsert", people(11)), "COQL": a.query("select id from Contacts where id is not null"),
		"search": a.get("/Contacts/search?word=x"), "sorted": a.get("/Contacts?fields=id&sort_by=id"), "inserts": a.post("/Contacts", people(11)),
		"updates": a.put("/Contacts", people(11)), "a view": a.get("/Contacts?fields=id&cvid=1"),
	} {
		if got.status != 429 {
			t.Errorf("%s: got %d %s, want 429", what, got.status, got.body)
		}
	}
	a.post("/Contacts/upsert", people(10)).says(t, 200)
	a.get("/Contacts?fields=id").says(t, 200)
	release()
	a.post("/Contacts/upsert", people(11)).says(t, 200)
	release = a.crowd(15, http.MethodGet, "/Contacts?fields=", nil)
	a.get("/Contacts?fields=id").says(t, 429, "TOO_MANY_REQUESTS")
	a.refresh("r").says(t, 200, "access_token")
	release()
	a.get("/Contacts?fields=id").says(t, 200)
	same(t, "throttled", a.Stats().Throttled, 8)
}

func TestThrottledCallsSayLittle(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.fault(`{"mode":"throttle"}`)
	for profile, want := range map[string]string{
		"envelope": `{"code":"TOO_MANY_REQUESTS","details":{},"message":"too many requests. please try again after some time","status":"error"}`,
		"numeric":  `{"code":429,"details":[],"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired than the allowed limit for the past 24 hours."}`,
		"spec":     `{"code":"RATE_LIMIT_EXCEEDED","details":{},"message":"too many requests. please try again after some time","status":"error"}`,
	} {
		a.knob(`{"throttle_body":"` + profile + `"}`)
		got := a.get("/Contacts?fields=id").want(t, 429)
		same(t, profile, got.body, want)
		same(t, "Retry-After", len(got.header.Values("Retry-After")), 0)
	}
	a.fault(`{"mode":"throttle","retry_after":"7"}`)
	same(t, "Retry-After", a.get("/Contacts?fields=id").header.Get("Retry-After"), "7")
}

func TestOutagesComeInThreeForms(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	in := `{"code":"INTERNAL_ERROR","details":{},"message":"Internal Server Error","status":"error"}`
	for _, test := range []struct {
		body string
		// want are what bodies of 500, 502 and 503 begin with.
		want []string
	}{
		{"json", []string{in, in, in}},
		{"html", []string{"<!DOCTYPE html>", "<!DOCTYPE html>", "<!DOCTYPE html>"}},
		{"empty", []string{"", "", ""}},
		{"mixed", []string{in, "<!DOCTYPE html>", "<!DOCTYPE html>"}},
	} {
		a.knob(`{"outage_body":"` + test.body + `"}`)
		for n, status := range []int{500, 502, 503} {
			a.fault(fmt.Sprintf(`{"mode":"outage","status":%d}`, status))
			got := a.post("/Contacts", people(1)).want(t, status)
			if !strings.HasPrefix(got.body, test.want[n]) || test.want[n] == "" && got.body != "" {
				t.Errorf("%s %d: got %q", test.body, status, got.body)
			}
		}
	}
	same(t, "nothing is stored", a.Stats().Contacts, 0)
}

func TestASuccessMayBeAPage(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.fault(`{"mode":"garbage"}`)
	for range 50 {
		got := a.post("/Contacts", people(1)).want(t, 200)
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") && strings.HasPrefix(got.body, "<html>") {
			return
		}
	}
	t.Error("got no page of HTML among 50 answers")
}

func TestAnAnswerIsLostBeforeOrAfterTheContactIsStored(t *testing.T) {
	t.Parallel()
	for mode, stored := range map[string]int{"reset": 0, "reset_after_commit": 1, "truncate": 1, "garbage": 1, "slow": 1} {
		a := open(t, zohosim.Options{})
		server := httptest.NewServer(a)
		defer server.Close()
		a.fault(`{"mode":"` + mode + `","delay":"20ms"}`)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/crm/v8/Contacts", strings.NewReader(`{"data":[{"Last_Name":"A"}]}`))
		r.Header.Set("Authorization", "Zoho-oauthtoken "+a.token)
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if (mode == "slow") != strings.HasSuffix(string(body), `"}]}`) {
				t.Errorf("%s: got %s", mode, body)
			}
		}
		same(t, mode, a.Stats().Contacts, stored)
	}
}

func TestOnePoisonedRecordIsRejected(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.fault(`{"mode":"reject","match":"poison"}`)
	got := a.post("/Contacts", rows(obj{"Last_Name": "A"}, obj{"Last_Name": "B", "Title": "poison"})).want(t, 207)
	same(t, "rejected", got.str("data", 1, "details", "json_path"), "$.data[1].Title")
	same(t, "code", got.str("data", 1, "code"), "INVALID_DATA")
	a.post("/_sim/contacts", obj{"phone": "+1", "fields": obj{"Last_Name": "poison"}}).says(t, 400, "INVALID_DATA")
	a.knob(`{"reject_code":"RECORD_LOCKED"}`)
	a.post("/Contacts", rows(obj{"Last_Name": "poison"})).says(t, 400, `"code":"RECORD_LOCKED"`)
	a.knob(`{"reject_code":"NO_PERMISSION"}`)
	a.post("/Contacts", rows(obj{"Last_Name": "poison"})).says(t, 400, `"permissions":["Crm_Implied_Edit_Contacts"]`)
}

func TestTokensExpireOnRequest(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.fault(`{"mode":"expire_token","times":1}`)
	a.get("/users").says(t, 401, "INVALID_TOKEN")
	a.get("/users").says(t, 401, "INVALID_TOKEN")
	a.token = a.refresh("r").str("access_token")
	a.get("/users").says(t, 200)
	// The refresh is carried out, and counts, but nobody learns of it.
	a.fault(`{"mode":"refresh_lost","times":1}`)
	before := a.Stats().Refreshes
	if _, err := a.try(http.MethodPost, "/oauth/v2/token?"+credentials("r").Encode(), nil); err == nil {
		t.Error("the answer arrived")
	}
	same(t, "refreshes", a.Stats().Refreshes-before, 1)
}

func TestAPageIsSpoilt(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	if err := a.Seed(10); err != nil {
		t.Fatal(err)
	}
	path := "/Contacts?fields=id&per_page=4"
	first := a.get(path)
	token := first.str("info", "next_page_token")
	second := path + "&page_token=" + token
	a.fault(`{"mode":"page_empty","after":1}`)
	same(t, "before", a.get(path).count("data"), 4)
	a.get(second).silent(t, 204)
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"page_repeat"}`)
	got := a.get(second).want(t, 200)
	same(t, "again", got.str("info", "next_page_token"), token)
	same(t, "more", got.at("info", "more_records"), true)
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"page_half"}`)
	got = a.get(second).want(t, 200)
	same(t, "half", got.count("data"), 2)
	same(t, "no more", got.at("info", "more_records"), false)
	a.fault(`{"mode":"none"}`)
	query := func(after string) answer {
		return a.query("select id from Contacts where id > " + after + " order by id limit 4")
	}
	page := query("0")
	a.fault(`{"mode":"page_repeat"}`)
	same(t, "the same rows", query(page.str("data", 3, "id")).at("data"), page.at("data"))
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"page_half"}`)
	same(t, "half", query("0").count("data"), 2)
	a.fault(`{"mode":"page_empty"}`)
	query("0").silent(t, 204)
}

func TestEveryCallIsCounted(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{})
	a.get("/Contacts/"+id).want(t, 200)
	a.get("/Contacts/5725767000000999999").want(t, 204)
	a.upserted("Contacts", nil, obj{"Last_Name": "A"}, obj{}).want(t, 207)
	a.post("/Contacts", rows(obj{})).want(t, 400)
	got := a.get("/_sim/stats")
	same(t, "calls", got.at("calls"), 6)
	same(t, "refreshes", got.at("refreshes"), 1)
	same(t, "writes", got.at("writes"), 2)
	same(t, "credits", got.at("credits"), 5)
	same(t, "by call", got.at("by_call"), obj{"GET /Contacts/{id}": 2, "POST /Contacts": 2, "POST /Contacts/upsert": 1})
	a.post("/_sim/clock", `{"advance":"24h"}`).says(t, 200, "2026-10-02T08:00:00.500Z")
	a.post("/_sim/clock", `{"advance":"tomorrow"}`).says(t, 400, "tomorrow")
}
