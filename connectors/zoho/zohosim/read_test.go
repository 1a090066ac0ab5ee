package zohosim_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

func TestAListNeedsFields(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.person(obj{})
	a.get("/Contacts").says(t, 400, "REQUIRED_PARAM_MISSING", `"param_name":"fields"`)
	a.get("/Contacts?fields="+strings.Repeat("x,", 51)).says(t, 400, "LIMIT_EXCEEDED")
	a.get("/Contacts?fields="+strings.Repeat("Email,", 49)+"Phone").says(t, 200, `"Email":null`, `"id":"`)
	a.get("/Contacts?fields=id,Shoe_Size").says(t, 200)
	a.get("/Contacts?fields=id&per_page=201").says(t, 400, "INVALID_DATA", `"param_name":"per_page"`)
	a.get("/Contacts?fields=id&sort_by=Email").says(t, 400, "INVALID_DATA", "sort_by")
	a.knob(`{"cap_per_page":true}`)
	same(t, "capped", a.get("/Contacts?fields=id&per_page=500").want(t, 200).at("info", "per_page"), 200)
}

func TestTokensReachWherePagesEnd(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{Grants: map[string]zohosim.Grant{"other": {}}})
	a.post("/_sim/contacts", `{"count":2450}`).want(t, 200)
	a.get("/Contacts?fields=id&page=11").says(t, 400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", `"limit":2000`)
	tenth := a.get("/Contacts?fields=id&page=10").want(t, 200)
	got := a.get("/Contacts?fields=id&page_token=" + tenth.str("info", "next_page_token"))
	same(t, "after the wall", got.want(t, 200).at("info", "page"), 11)
	for _, order := range []string{"", "&sort_by=id&sort_order=asc", "&sort_by=Modified_Time&sort_order=asc", "&sort_by=Created_Time"} {
		seen, path := map[string]bool{}, "/Contacts?fields=Last_Name"+order
		page := a.get(path)
		for {
			for n := range page.count("data") {
				seen[page.str("data", n, "id")] = true
			}
			token := page.str("info", "next_page_token")
			if token == "" {
				break
			}
			same(t, "more", page.at("info", "more_records"), true)
			page = a.get(path+"&page_token="+token).want(t, 200)
		}
		same(t, "all"+order, len(seen), 2450)
		same(t, "the end", page.at("info", "more_records"), false)
	}
	token := a.get("/Contacts?fields=id&per_page=100").str("info", "next_page_token")
	a.get("/Contacts?fields=id,Email&per_page=100&page_token="+token).says(t, 400, "TOKEN_BOUND_DATA_MISMATCH")
	a.get("/Contacts?fields=id&per_page=200&page_token="+token).says(t, 400, "TOKEN_BOUND_DATA_MISMATCH")
	a.get("/Contacts?fields=id&per_page=100&page=2&page_token="+token).says(t, 400, "AMBIGUITY_DURING_PROCESSING")
	a.get("/Contacts?fields=id&cvid=1&sort_by=id").says(t, 400, "AMBIGUITY_DURING_PROCESSING")
	a.get("/Contacts?fields=id&page_token=abc").says(t, 400, "INVALID_DATA")
	mine := a.token
	a.token = a.refresh("other").str("access_token")
	a.get("/Contacts?fields=id&per_page=100&page_token="+token).says(t, 400, "INVALID_DATA")
	a.token = mine
	a.get("/Contacts?fields=id&per_page=100&page_token="+token).says(t, 200)
	a.pass(24 * time.Hour)
	a.token = a.refresh("r").str("access_token")
	a.get("/Contacts?fields=id&per_page=100&page_token="+token).says(t, 400, "EXPIRED_VALUE")
}

func TestTokensEndAtAHundredThousand(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	if err := a.Seed(100100); err != nil {
		t.Fatal(err)
	}
	path, pages := "/Contacts?fields=Last_Name", 0
	page := a.get(path)
	for page.status == 200 {
		pages++
		page = a.get(path + "&page_token=" + page.str("info", "next_page_token"))
	}
	page.says(t, 400, "PAGINATION_LIMIT_EXCEEDED")
	same(t, "pages", pages, 500)
}

func TestNothingIsAnsweredWithNothing(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.get("/Contacts?fields=id").silent(t, 204)
	a.get("/Contacts/5725767000000999999").silent(t, 204)
	a.get("/Contacts/search?word=x").silent(t, 204)
	a.query("select id from Contacts where Email = 'x'").silent(t, 204)
	a.get("/Contacts/deleted").silent(t, 204)
	a.get("/actions/watch").silent(t, 204)
	id := a.person(obj{})
	for _, test := range []struct {
		since string
		want  int
	}{
		{"2026-10-01T07:59:59Z", 200},
		{"2026-10-01T08:00:00Z", 200},
		{"2026-10-01T13:30:00+05:30", 200},
		{"2026-10-01T08:00:01Z", 304},
		{"2026-10-01T13:30:01+05:30", 304},
	} {
		for _, path := range []string{"/Contacts?fields=id", "/Contacts?fields=id&sort_by=Modified_Time&sort_order=asc", "/Contacts/" + id} {
			a.with("If-Modified-Since", test.since, func() {
				got := a.get(path)
				if test.want == 200 {
					got.says(t, 200, id)
				} else {
					got.silent(t, 304)
				}
			})
		}
	}
	a.with("If-Modified-Since", "yesterday", func() { a.get("/Contacts?fields=id").says(t, 400) })
}

func TestDeltasFollowTheTimeOfChange(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	var ids []string
	for range 30 {
		ids = append(ids, a.person(obj{}))
		a.pass(time.Second)
	}
	a.put("/Contacts/"+ids[3], rows(obj{"Title": "x"})).want(t, 200)
	a.with("If-Modified-Since", "2026-10-01T08:00:27Z", func() {
		for order, want := range map[string][]string{
			"&sort_by=Modified_Time&sort_order=asc": {ids[27], ids[28], ids[29], ids[3]}, "&sort_by=Modified_Time": {ids[3], ids[29], ids[28], ids[27]},
			"": {ids[29], ids[28], ids[27], ids[3]}, "&sort_by=id&sort_order=asc": {ids[3], ids[27], ids[28], ids[29]},
		} {
			var got []string
			page := a.get("/Contacts?fields=id&per_page=3" + order)
			for n := range page.count("data") {
				got = append(got, page.str("data", n, "id"))
			}
			page = a.get("/Contacts?fields=id&per_page=3" + order + "&page_token=" + page.str("info", "next_page_token"))
			same(t, order, append(got, page.str("data", 0, "id")), want)
		}
	})
}

func TestTimesAndIDsHaveOneFormEverywhere(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	gone, ada := a.person(obj{"Email": "gone@example.com"}), a.person(obj{"Email": "ada@example.com"})
	a.remove("/Contacts/"+gone).want(t, 200)
	a.post("/Notes", rows(note(ada, "x"))).want(t, 201)
	a.post("/Contacts/"+ada+"/actions/add_tags", obj{"tags": []obj{{"name": "x"}}}).want(t, 200)
	for what, got := range map[string]answer{
		"insert":  a.post("/Contacts", people(1)),
		"update":  a.put("/Contacts/"+ada, rows(obj{"Title": "x"})),
		"record":  a.get("/Contacts/" + ada),
		"list":    a.get("/Contacts?fields=Created_Time,Modified_Time,Owner,Tag&per_page=1"),
		"search":  a.get("/Contacts/search?email=ada@example.com"),
		"COQL":    a.query("select Created_Time, Modified_Time, Owner from Contacts where id is not null"),
		"deleted": a.get("/Contacts/deleted"),
		"notes":   a.get("/Contacts/" + ada + "/Notes?fields=Created_Time,Parent_Id"),
		"message": a.upserted("WhatsApp_Messages", nil, obj{"Name": "x", "Contact": obj{"id": ada}}),
		"channel": a.follow("https://x.example/hook", obj{"channel_expiry": "2026-10-02T08:00:00Z"}),
		"users":   a.get("/users"),
		"fields":  a.get("/settings/fields?module=WhatsApp_Messages"),
	} {
		if got.status >= 300 {
			t.Fatalf("%s: got %d %s", what, got.status, got.body)
		}
		ids, times := 0, 0
		everywhere(got.obj, func(key string, v any) {
			switch {
			case v == nil:
			case key == "id" || key == "resource_id":
				id, _ := v.(string)
				if n, err := strconv.ParseInt(id, 10, 64); err != nil || len(id) < 18 || n <= 1<<53 {
					t.Errorf("%s: got %s %#v, want a text of 18 or 19 digits", what, key, v)
				}
				ids++
			case strings.HasSuffix(strings.ToLower(key), "_time") || strings.HasSuffix(key, "_expiry"):
				if at, _ := v.(string); !wholeSecond.MatchString(at) {
					t.Errorf("%s: got %s %#v, want whole seconds in the user's zone", what, key, v)
				}
				times++
			}
		})
		if ids == 0 || times == 0 && what != "users" && what != "fields" {
			t.Errorf("%s: got %s, want ids and times", what, got.body)
		}
	}
	same(t, "time", a.get("/Contacts/"+ada).str("data", 0, "Modified_Time"), "2026-10-01T13:30:00+05:30")
	b := open(t, zohosim.Options{TimeZone: time.FixedZone("", -3*60*60-30*60)})
	same(t, "time", b.get("/Contacts/"+b.person(obj{})).str("data", 0, "Created_Time"), "2026-10-01T04:30:00-03:30")
}

var wholeSecond = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:30$`)

// everywhere visits all keys of an object and of those in it.
func everywhere(v any, visit func(key string, v any)) {
	switch v := v.(type) {
	case obj:
		for key, inner := range v {
			visit(key, inner)
			everywhere(inner, visit)
		}
	case []any:
		for _, inner := range v {
			everywhere(inner, visit)
		}
	}
}

func TestDeletedRecordsPassThroughTheBin(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	first, second := a.person(obj{"Last_Name": "First"}), a.person(obj{"Last_Name": "Second"})
	same(t, "row", a.remove("/Contacts?ids="+first+"&wf_trigger=false").want(t, 200).body,
		`{"data":[{"code":"SUCCESS","details":{"id":"`+first+`"},"message":"record deleted","status":"success"}]}`)
	a.get("/Contacts/"+first).silent(t, 204)
	a.remove("/Contacts/"+first).says(t, 400, "INVALID_DATA", "record not deleted")
	a.put("/Contacts/"+first, rows(obj{"Title": "x"})).says(t, 400, "the id given seems to be invalid")
	a.remove("/Contacts?ids=abc").says(t, 400, "UNABLE_TO_PARSE_DATA_TYPE")
	a.pass(time.Minute)
	a.remove("/_sim/contacts?id="+second).want(t, 200)
	got := a.get("/Contacts/deleted?type=recycle").want(t, 200)
	same(t, "newest first", got.str("data", 0, "id"), second)
	same(t, "by", got.str("data", 0, "deleted_by", "name"), "Priya Raman")
	same(t, "by", got.str("data", 1, "deleted_by", "name"), "CRM Sync")
	same(t, "name", got.str("data", 1, "display_name"), "First")
	same(t, "type", got.str("data", 1, "type"), "recycle")
	if _, is := got.at("info").(obj)["next_page_token"]; is {
		t.Error("there is a token")
	}
	a.with("If-Modified-Since", "2026-10-01T08:00:30Z", func() { same(t, "since", a.get("/Contacts/deleted").count("data"), 1) })
	a.get("/Contacts/deleted?type=x").says(t, 400, "PATTERN_NOT_MATCHED")
	a.post("/_sim/purge", `{"id":"`+first+`"}`).want(t, 200)
	same(t, "purged", a.get("/Contacts/deleted?type=permanent").str("data", 0, "id"), first)
	later := func(days int, more time.Duration) {
		a.pass(time.Duration(days)*24*time.Hour + more)
		a.token = a.refresh("r").str("access_token")
	}
	later(59, 23*time.Hour)
	same(t, "the last hour in the bin", a.get("/Contacts/deleted?type=recycle").str("data", 0, "id"), second)
	later(0, time.Hour)
	same(t, "after 60 days", a.get("/Contacts/deleted?type=permanent").count("data"), 2)
	a.get("/Contacts/deleted?type=recycle").silent(t, 204)
	later(59, 23*time.Hour)
	same(t, "the last hour of the purged one", a.get("/Contacts/deleted").count("data"), 2)
	later(0, time.Hour)
	same(t, "the purged one is gone", a.get("/Contacts/deleted").str("data", 0, "id"), second)
	later(59, 23*time.Hour)
	same(t, "the last hour of the other", a.get("/Contacts/deleted").count("data"), 1)
	later(0, time.Hour)
	a.get("/Contacts/deleted").silent(t, 204)
}

func TestTheBinIsReadPageByPage(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	for range 3 {
		a.remove("/Contacts/"+a.person(obj{})).want(t, 200)
	}
	page := a.get("/Contacts/deleted?per_page=2").want(t, 200)
	same(t, "rows", page.count("data"), 2)
	same(t, "info", page.at("info"), obj{"per_page": 2, "count": 2, "page": 1, "more_records": true})
	row := page.at("data", 0).(obj)
	for _, key := range []string{"id", "display_name", "type", "deleted_time", "deleted_by", "created_by"} {
		if row[key] == nil {
			t.Errorf("got %v, want %s in it", row, key)
		}
	}
	page = a.get("/Contacts/deleted?per_page=2&page=2").want(t, 200)
	same(t, "rest", page.at("info"), obj{"per_page": 2, "count": 1, "page": 2, "more_records": false})
	a.get("/Contacts/deleted?per_page=2&page=3").silent(t, 204)
	a.get("/Contacts/deleted?per_page=201").says(t, 400, "INVALID_DATA")
}

func TestADeletedRecordIsFoundNoMore(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.define("Contacts", "Key", "text", unique).want(t, 201)
	id := a.person(obj{"Last_Name": "Ada", "Key": "k"})
	a.remove("/Contacts/"+id).want(t, 200)
	a.get("/Contacts/"+id).silent(t, 204)
	a.get("/Contacts?fields=id").silent(t, 204)
	a.get("/Contacts?fields=id&ids="+id).silent(t, 204)
	a.get("/Contacts/search?word=ada").silent(t, 204)
	a.query("select id from Contacts where Key = 'k'").silent(t, 204)
	a.query("select id from Contacts where id is not null").silent(t, 204)
	same(t, "count", a.get("/Contacts/actions/count").at("count"), 0)
	got := a.upserted("Contacts", []string{"Key"}, obj{"Last_Name": "Ada", "Key": "k"}).says(t, 200, `"action":"insert"`)
	same(t, "another", got.str("data", 0, "details", "id") == id, false)
}

func TestWhatTheOfficialSDKDoesIsUnderstood(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.messages()
	a.with("X-ZOHO-SDK", "linux/1.0/nodejs", func() {
		a.post("/Contacts", rows(obj{"Last_Name": "A"})).says(t, 201)
		a.get("/Contacts?fields=Last_Name&").says(t, 200)
	})
	for _, kind := range []string{"", "application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "not/even;a=type=really"} {
		a.with("Content-Type", kind, func() { a.post("/Contacts", rows(obj{"Last_Name": "A"})).says(t, 201, "SUCCESS") })
	}
	for _, path := range []string{"/Contacts/search?word=a&", "/Contacts/actions/count?word=a&", "/settings/fields?module=Contacts&", "/users?type=CurrentUser&"} {
		a.get(path).says(t, 200)
	}
	a.get("/Contacts/deleted?type=all&").silent(t, 204)
	a.get("/crm/v2.1/Contacts?fields=id").says(t, 200)
	a.get("/crm/v7/org").says(t, 200, `"paid_type":"enterprise"`)
	a.get("/crm/v99/org").says(t, 404, "INVALID_URL_PATTERN")
	modules := a.get("/settings/modules").want(t, 200)
	untyped := 0
	for n := range modules.count("modules") {
		name := modules.str("modules", n, "api_name")
		fields := a.get("/settings/fields?module="+name).want(t, 200)
		for n := range fields.count("fields") {
			f := fields.at("fields", n).(obj)
			if f["api_name"] == "" || f["data_type"] == "" || f["api_name"] == nil || f["data_type"] == nil {
				t.Errorf("%s: got %v", name, f)
			}
			if f["json_type"] == nil {
				untyped++
			}
		}
	}
	same(t, "modules", modules.count("modules"), 6)
	if untyped != 1 {
		t.Errorf("got %d fields without json_type, want one, as in real organisations", untyped)
	}
	a.get("/settings/fields?module=Nowhere").says(t, 400, "INVALID_MODULE")
	a.get("/settings/fields").says(t, 400, "REQUIRED_PARAM_MISSING")
	a.get("/settings/layouts?module=Contacts").says(t, 200, `"layouts":[`)
	a.get("/users?type=CurrentUser").says(t, 200, "crm.sync@example.com")
	var page struct{ Users []json.RawMessage }
	_ = json.Unmarshal([]byte(a.get("/users?type=ActiveUsers&per_page=200").body), &page)
	same(t, "users", len(page.Users), 3)
}

func TestOwnersChangeInBulk(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	id := a.person(obj{})
	other := a.get("/users").str("users", 1, "id")
	got := a.post("/Contacts/actions/change_owner", obj{"ids": []string{id, "5"}, "owner": obj{"id": other}}).want(t, 207)
	same(t, "message", got.str("data", 0, "message"), "owner is successfully updated")
	same(t, "owner", a.get("/Contacts/"+id).str("data", 0, "Owner", "id"), other)
	a.post("/Contacts/actions/change_owner", obj{"ids": []string{id}, "owner": obj{"id": "7"}}).says(t, 400, "INVALID_DATA")
	same(t, "count", a.get("/Contacts/actions/count").body, fmt.Sprintf(`{"count":%d}`, 1))
}
