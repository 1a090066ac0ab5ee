package hubspotsim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func form(refresh string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"c"}, "client_secret": {"s"}, "refresh_token": {refresh}}
}

func (a *account) fault(spec string) {
	a.t.Helper()
	a.post("/_sim/faults", spec).want(a.t, 200)
}

func TestOutagesAreWordedAsSeen(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	tests := map[string]struct {
		spec   string
		status int
		want   string
		retry  string
	}{
		"a lock":                    {`{"mode":"outage","status":423}`, 423, `"message":"This resource is locked`, ""},
		"a move of the account":     {`{"mode":"outage","status":477,"retry_after":"3600"}`, 477, `"category":"MIGRATION_IN_PROGRESS"`, "3600"},
		"a move, by default":        {`{"mode":"outage","status":477}`, 477, `"category":"MIGRATION_IN_PROGRESS"`, "60"},
		"an error inside":           {`{"mode":"outage","status":500}`, 500, `{"status":"error","message":"internal error","correlationId":"`, ""},
		"a gateway":                 {`{"mode":"outage","status":502}`, 502, `<html>`, ""},
		"an overload":               {`{"mode":"outage","status":503}`, 503, `<html>`, ""},
		"a gateway out of patience": {`{"mode":"outage","status":504}`, 504, `<html>`, ""},
		"an edge out of patience":   {`{"mode":"outage","status":524}`, 524, `<html>`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a.fault(test.spec)
			got := a.post(contacts, obj{"properties": obj{"firstname": "Ada"}})
			got.says(t, test.status, test.want)
			kind := "application/json;charset=utf-8"
			if test.want == "<html>" {
				kind = "text/html; charset=UTF-8"
			}
			same(t, "content type", got.header.Get("Content-Type"), kind)
			same(t, "Retry-After", got.header.Get("Retry-After"), test.retry)
			a.fault(`{"mode":"none"}`)
		})
	}
	same(t, "contacts", a.Stats().Contacts, 0)
	// A lock lasts for two seconds.
	a.fault(`{"mode":"outage","status":423,"for":"2s"}`)
	a.pass(2*time.Second - time.Millisecond)
	a.get(contacts).says(t, 423)
	a.pass(time.Millisecond)
	a.get(contacts).says(t, 200)
}

func TestAnAnswerIsLostBeforeOrAfterTheContactIsStored(t *testing.T) {
	t.Parallel()
	for mode, stored := range map[string]int{"reset": 0, "reset_after_commit": 1, "truncate": 1} {
		a := open(t, hubspotsim.Options{})
		a.fault(`{"mode":"` + mode + `"}`)
		got, err := a.try(http.MethodPost, contacts, obj{"properties": obj{"firstname": "Ada"}})
		switch {
		case strings.HasSuffix(got.body, "}"):
			t.Errorf("%s: got the whole answer %s", mode, got.body)
		case mode == "truncate" && got.body == "":
			t.Errorf("truncate: got %v, want half an answer", err)
		case mode != "truncate" && err == nil:
			t.Errorf("%s: got %d %s, want no answer", mode, got.status, got.body)
		}
		same(t, mode, a.Stats().Contacts, stored)
	}
}

func TestACallIsSlow(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.fault(`{"mode":"slow","delay":"50ms","times":1}`)
	began := time.Now()
	a.person(obj{"firstname": "Ada"})
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("answered after %v, want not before 50ms", took)
	}
	// The time of each call is that of the account, not of a fault.
	b := open(t, hubspotsim.Options{LatencyMin: 20 * time.Millisecond, LatencyMax: 30 * time.Millisecond})
	began = time.Now()
	b.person(obj{"firstname": "Bo"})
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("answered after %v, want not before 20ms", took)
	}
}

func TestHubSpotThrottlesAndExpiresOnRequest(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r"})
	a.fault(`{"mode":"throttle","retry_after":"-1"}`)
	got := a.get(contacts)
	got.says(t, 429, "TEN_SECONDLY_ROLLING")
	same(t, "Retry-After", got.header.Get("Retry-After"), "-1")
	a.search(obj{}).says(t, 429, "secondly")
	a.fault(`{"mode":"none"}`)
	a.fault(`{"mode":"expire_token","times":1}`)
	a.get(contacts).says(t, 401, "EXPIRED_AUTHENTICATION", "expired 2 minute(s) ago")
	a.get(contacts).says(t, 200)

	a.token = a.post("/oauth/v3/token", form("r")).want(t, 200).str("access_token")
	a.fault(`{"mode":"expire_token","times":1}`)
	a.get(contacts).says(t, 401, "expired 0 second(s) ago")
	a.get(contacts).says(t, 401)
	a.token = a.post("/oauth/v3/token", form("r")).want(t, 200).str("access_token")
	a.get(contacts).says(t, 200)
}

func TestOnePoisonedRecordIsRejected(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	a.fault(`{"mode":"reject","match":"poison"}`)
	got := a.batch("create", traced(obj{"firstname": "Ada"}, obj{"firstname": "poison"})).want(t, 207)
	same(t, "rejected", got.at("errors", 0, "context", "objectWriteTraceId", 0), "t1")
	a.post(contacts, obj{"properties": obj{"firstname": "Bob"}}).says(t, 201)
	a.post(contacts, obj{"properties": obj{"lastname": "poison"}}).says(t, 400, `"propertyName":["lastname"]`)
}

func TestAPageIsSpoilt(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{})
	if err := a.Seed(10); err != nil {
		t.Fatal(err)
	}
	first := a.get(contacts + "?limit=4")
	path := contacts + "?limit=4&after=" + first.str("paging", "next", "after")
	for mode, want := range map[string]string{
		"page_empty": "0 ", "page_half": "2 ", "page_repeat": "4 " + first.str("paging", "next", "after"),
	} {
		a.fault(`{"mode":"` + mode + `","after":1}`)
		same(t, "before "+mode, a.get(contacts+"?limit=4").count("results"), 4)
		got := a.get(path)
		if n := got.count("results"); !strings.HasPrefix(want, string(rune('0'+n))) || got.str("paging", "next", "after") != want[2:] {
			t.Errorf("%s: got %d results and cursor %q, want %q", mode, n, got.str("paging", "next", "after"), want)
		}
		a.fault(`{"mode":"none"}`)
	}
}

func TestTheAnswerToARefreshIsLost(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{ClientID: "c", ClientSecret: "s", RefreshToken: "r", RotateRefreshToken: true})
	a.fault(`{"mode":"refresh_lost","times":1}`)
	if got, err := a.try(http.MethodPost, "/oauth/v3/token", form("r")); err == nil {
		t.Errorf("got %d %s, want no answer", got.status, got.body)
	}
	a.post("/oauth/v3/token", form("r")).says(t, 400, "BAD_REFRESH_TOKEN")
}
