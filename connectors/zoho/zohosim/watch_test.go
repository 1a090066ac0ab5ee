package zohosim_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/zoho/zohosim"
)

// follow subscribes channel 1 to what happens to contacts.
func (a *org) follow(url string, more obj) answer {
	a.t.Helper()
	return a.post("/actions/watch", watch(url, more))
}

func watch(url string, more obj) obj {
	item := obj{"channel_id": 1000000068001, "events": []string{"Contacts.all"}, "notify_url": url, "notify_on_related_action": false}
	for k, v := range more {
		if v == nil {
			delete(item, k)
		} else {
			item[k] = v
		}
	}
	return obj{"watch": []obj{item}}
}

func TestChannelsExpireInSilence(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	a.get("/actions/watch").silent(t, 204)
	got := a.follow("https://x.example/hook", nil).want(t, 201)
	event := []any{"watch", 0, "details", "events", 0}
	same(t, "an hour", got.str(append(event, "channel_expiry")...), "2026-10-01T14:30:00+05:30")
	same(t, "id", got.str(append(event, "channel_id")...), "1000000068001")
	same(t, "message", got.str("watch", 0, "message"), "Successfully subscribed for actions-watch of the given module")
	same(t, "address", got.str(append(event, "resource_uri")...), "http://example.com/crm/v2/Contacts")
	for expiry, want := range map[string]string{
		"2026-10-08T13:30:00+05:30": "2026-10-08T13:30:00+05:30", "2026-10-08T13:30:01+05:30": "2026-10-01T14:30:00+05:30",
		"2026-10-02T08:00:00Z": "2026-10-02T13:30:00+05:30",
	} {
		same(t, expiry, a.call("PATCH", "/actions/watch", watch("", obj{"notify_url": nil, "channel_expiry": expiry})).want(t, 200).
			str(append(event, "channel_expiry")...), want)
	}
	a.follow("https://x.example/hook", obj{"token": strings.Repeat("x", 51)}).says(t, 400, "INVALID_DATA", `"maximum_length":50`)
	a.follow("https://x.example/hook", obj{"events": []string{"Notes.create"}}).says(t, 400, "INVALID_DATA", "events")
	a.follow("https://x.example/hook", obj{"events": nil}).says(t, 400, "MANDATORY_NOT_FOUND")
	a.follow("", obj{"notify_url": nil, "channel_id": "7"}).says(t, 400, "MANDATORY_NOT_FOUND", "notify_url")
	group := func(names ...string) []obj {
		var list []obj
		for _, name := range names {
			list = append(list, obj{"field": obj{"api_name": name}})
		}
		return []obj{{"type": "field_selection", "field_selection": obj{"group_operator": "or", "group": list}}}
	}
	a.follow("https://x.example/hook", obj{"notification_condition": group("Email", "Phone", "Mobile")}).says(t, 400, "INVALID_DATA", "notification_condition")
	a.follow("https://x.example/hook", obj{"notification_condition": group("Email", "Phone"), "token": "secret"}).want(t, 201)
	shown := a.get("/actions/watch?channel_id=1000000068001&module=Contacts").want(t, 200)
	same(t, "token", shown.str("watch", 0, "token"), "secret")
	same(t, "events", shown.at("watch", 0, "events"), "[Contacts.all]")
	same(t, "info", shown.at("info", "count"), 1)
	a.pass(time.Hour)
	a.token = a.refresh("r").str("access_token")
	a.get("/actions/watch").silent(t, 204)
	for _, method := range []string{"PUT", "PATCH"} {
		a.call(method, "/actions/watch", watch("https://x.example", nil)).says(t, 400, "NOT_SUBSCRIBED")
	}
	a.remove("/actions/watch?channel_ids=1000000068001").says(t, 400, "NOT_SUBSCRIBED")
	a.follow("https://x.example/hook", nil).want(t, 201)
	a.call("PATCH", "/actions/watch", watch("https://x.example", obj{"_delete_events": true, "events": []string{"Contacts.all"}})).says(t, 200, "Successfully removed")
	a.remove("/actions/watch?channel_ids=1000000068001,2").says(t, 400, "NOT_SUBSCRIBED")
	a.follow("https://x.example/hook", nil).want(t, 201)
	a.remove("/actions/watch?channel_ids=1000000068001").says(t, 200, "Successfully un-subscribed from actions-watch")
	a.knob(`{"require_https":true}`)
	a.follow("http://x.example/hook", nil).says(t, 400, "notify_url")
}

func TestOldVersionsAllowOneDay(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	for version, want := range map[string]string{"v2": "14:30", "v2.1": "14:30", "v3": "14:30", "v4": "13:30", "v8": "13:30"} {
		got := a.post("/crm/"+version+"/actions/watch", watch("https://x.example/hook", obj{"channel_expiry": "2026-10-03T13:30:00+05:30"})).want(t, 201)
		if expiry := got.str("watch", 0, "details", "events", 0, "channel_expiry"); !strings.Contains(expiry, "T"+want) {
			t.Errorf("%s: got %s, want %s", version, expiry, want)
		}
	}
	a.post("/crm/v2/actions/watch", watch("https://x.example/hook", obj{"channel_expiry": "2026-10-02T13:30:00+05:30"})).
		says(t, 201, "2026-10-02T13:30:00+05:30")
}

func TestAChannelIsReplacedOrChanged(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	full := obj{
		"token": "secret", "return_affected_field_values": true, "events": []string{"Contacts.edit", "Leads.all"}, "channel_expiry": "2026-10-05T13:30:00+05:30",
	}
	a.follow("https://x.example/hook", full).want(t, 201)
	shown := func() obj {
		t.Helper()
		row := a.get("/actions/watch?module=Contacts").want(t, 200).at("watch", 0).(obj)
		delete(row, "resource_id")
		return row
	}
	want := obj{
		"channel_id": "1000000068001", "resource_name": "Contacts", "resource_uri": "http://example.com/crm/v2/Contacts", "notify_url": "https://x.example/hook",
		"events": []any{"Contacts.edit"}, "token": "secret", "channel_expiry": "2026-10-05T13:30:00+05:30", "return_affected_field_values": true,
		"notify_on_related_action": false, "notification_condition": nil, "fields": nil,
	}
	check := func(what string) {
		t.Helper()
		if got := shown(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("made")
	// A change keeps what it does not name.
	a.call("PATCH", "/actions/watch", obj{"watch": []obj{{"channel_id": "1000000068001", "notify_url": "https://x.example/other"}}}).
		says(t, 200, "Successfully updated the subscribe details")
	want["notify_url"] = "https://x.example/other"
	check("changed")
	// A replacement does not.
	a.put("/actions/watch", obj{"watch": []obj{{"channel_id": 1000000068001, "notify_url": "https://x.example/new", "events": []string{"Contacts.all"}}}}).
		says(t, 200, "Successfully updated the subscribe details")
	want["notify_url"], want["events"], want["token"], want["channel_expiry"] = "https://x.example/new", []any{"Contacts.all"}, nil, "2026-10-01T14:30:00+05:30"
	want["return_affected_field_values"], want["notify_on_related_action"] = false, true
	check("replaced")
	a.get("/actions/watch?module=Leads").silent(t, 204)
}

func TestChannelsAreAnsweredOneByOne(t *testing.T) {
	t.Parallel()
	a := open(t, zohosim.Options{})
	item := func(id any, more obj) obj {
		it := watch("https://x.example/hook", more)["watch"].([]obj)[0]
		it["channel_id"] = id
		return it
	}
	got := a.post("/actions/watch", obj{"watch": []obj{
		item("9223372036854775807", obj{"token": strings.Repeat("x", 50), "events": []string{"Contacts.create", "Leads.all"}}), item(nil, nil), item("one", nil), item(1.5, nil),
	}}).want(t, 207)
	var codes []string
	for n := range got.count("watch") {
		codes = append(codes, got.str("watch", n, "code"))
	}
	same(t, "codes", codes, "[SUCCESS MANDATORY_NOT_FOUND INVALID_DATA INVALID_DATA]")
	same(t, "path", got.str("watch", 2, "details", "json_path"), "$.watch[2].channel_id")
	same(t, "one for each module", got.count("watch", 0, "details", "events"), 2)
	same(t, "no digit is lost", got.str("watch", 0, "details", "events", 1, "channel_id"), "9223372036854775807")
	// As a number it is the same one.
	a.call("PATCH", "/actions/watch", `{"watch":[{"channel_id":9223372036854775807,"token":"x"}]}`).want(t, 200)
	a.post("/actions/watch", obj{"watch": slices.Repeat([]obj{item(1, nil)}, 51)}).says(t, 400, `"maximum_length":50`, "$.watch")
	a.post("/actions/watch", obj{}).says(t, 400, "MANDATORY_NOT_FOUND", "$.watch")
	got = a.remove("/actions/watch?channel_ids=9223372036854775807,2").want(t, 207)
	same(t, "a row for each module and for what is unknown", got.count("watch"), 3)
	row := got.at("watch", 0).(obj)
	same(t, "message", row["message"], "Successfully un-subscribed from actions-watch")
	delete(row["details"].(obj), "resource_id")
	same(t, "details", row["details"], obj{"resource_uri": "http://example.com/crm/v2/Contacts", "channel_id": "9223372036854775807"})
	same(t, "unknown", got.str("watch", 2, "code"), "NOT_SUBSCRIBED")
	a.remove("/actions/watch").says(t, 400, "REQUIRED_PARAM_MISSING", "channel_ids")
	a.get("/actions/watch").silent(t, 204)
}
