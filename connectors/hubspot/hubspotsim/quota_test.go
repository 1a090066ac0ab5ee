package hubspotsim_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

func TestTenSecondsHaveALimitPerToken(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Quota: "documented", Tokens: map[string][]string{"other": {"crm.objects.contacts.read"}}})
	var got answer
	for n := range 100 {
		got = a.get(contacts).want(t, 200)
		if n == 0 {
			for name, want := range map[string]string{
				"Max": "100", "Remaining": "99", "Interval-Milliseconds": "10000", "Daily": "250000", "Daily-Remaining": "249999",
				"Secondly": "10", "Secondly-Remaining": "9",
			} {
				same(t, name, got.header.Get("X-HubSpot-RateLimit-"+name), want)
			}
		}
		same(t, "remaining", got.header.Get("X-HubSpot-RateLimit-Remaining"), 99-n)
		same(t, "remaining today", got.header.Get("X-HubSpot-RateLimit-Daily-Remaining"), 249999-n)
		a.pass(50 * time.Millisecond)
	}
	over := a.get(contacts)
	over.exactly(t, 429, `{"status":"error","message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","correlationId":"…",`+
		`"policyName":"TEN_SECONDLY_ROLLING","groupName":"publicapi:private_app-api-calls-ten-secondly:62515:54321"}`)
	for name, want := range map[string]string{
		"X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Remaining": "0", "X-HubSpot-RateLimit-Daily-Remaining": "249900", "Retry-After": "",
	} {
		same(t, name, over.header.Get(name), want)
	}
	a.token = "other"
	a.get(contacts).says(t, 200)
	a.token = key
	a.pass(4900 * time.Millisecond)
	a.get(contacts).says(t, 429)
	a.pass(100 * time.Millisecond)
	a.get(contacts).says(t, 200)
	a.get(contacts).says(t, 429)
	same(t, "throttled", a.Stats().Throttled, 3)
}

func TestSearchHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		Quota: "documented", Limits: hubspotsim.Limits{TenSeconds: 3}, Tokens: map[string][]string{"other": {"crm.objects.contacts.read"}},
	})
	for range 3 {
		a.get(contacts).want(t, 200)
	}
	a.get(contacts).says(t, 429)
	long, short := 0, 0
	for range 40 {
		// The account's searches are counted, whoever makes them.
		for n := range 6 {
			a.token = []string{key, "other"}[n%2]
			got := a.search(obj{})
			for name := range got.header {
				if strings.HasPrefix(name, "X-Hubspot-Ratelimit") || name == "Retry-After" {
					t.Errorf("the answer to a search has the header %s", name)
				}
			}
			switch {
			case n < 5:
				got.want(t, 200)
			case got.str("policyName") == "SECONDLY":
				got.exactly(t, 429, `{"status":"error","message":"You have reached your secondly limit.","errorType":"RATE_LIMIT","correlationId":"…",`+
					`"policyName":"SECONDLY","groupName":"publicapi:crm:search:oauth:62515:54321"}`)
				long++
			default:
				got.exactly(t, 429, `{"status":"error","message":"You have reached your secondly limit.","correlationId":"…","category":"RATE_LIMITS"}`)
				short++
			}
		}
		a.pass(999 * time.Millisecond)
		a.search(obj{}).says(t, 429)
		a.pass(time.Millisecond)
	}
	if long == 0 || short == 0 || long+short != 40 {
		t.Errorf("got %d long and %d short bodies, want some of both", long, short)
	}
}

func TestADayHasALimit(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		Quota: "documented", Limits: hubspotsim.Limits{Daily: 3}, Location: time.FixedZone("account", 2*60*60),
		Tokens: map[string][]string{"other": {"crm.objects.contacts.read"}},
	})
	// The day is the account's, whoever calls and whatever for.
	a.token = "other"
	a.get(contacts).want(t, 200)
	a.token = key
	a.search(obj{}).want(t, 200)
	same(t, "left", a.get(contacts).want(t, 200).header.Get("X-HubSpot-RateLimit-Daily-Remaining"), "0")
	for range 2 {
		over := a.get(contacts)
		id := over.str("requestId")
		over.exactly(t, 429, `{"status":"error","message":"You have reached your daily limit.","errorType":"RATE_LIMIT","correlationId":"…",`+
			`"policyName":"DAILY","requestId":"`+id+`"}`)
		if id == "" || over.header.Get("Retry-After") != "" {
			t.Errorf("got request id %q and Retry-After %q", id, over.header.Get("Retry-After"))
		}
	}
	a.search(obj{}).says(t, 429, "DAILY")
	a.pass(13*time.Hour + 59*time.Minute + 59*time.Second)
	a.get(contacts).says(t, 429)
	a.pass(time.Second)
	a.get(contacts).says(t, 200)
}

func TestOAuthHasNoDailyLimit(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		Quota: "documented", Limits: hubspotsim.Limits{Daily: 1}, ClientID: "c", ClientSecret: "s", RefreshToken: "r",
	})
	a.token = a.post("/oauth/v1/token", form("r")).want(t, 200).str("access_token")
	for range 110 {
		got := a.get(contacts).want(t, 200)
		same(t, "max", got.header.Get("X-HubSpot-RateLimit-Max"), "110")
		same(t, "daily", got.header.Get("X-HubSpot-RateLimit-Daily")+got.header.Get("X-HubSpot-RateLimit-Daily-Remaining"), "")
	}
	a.get(contacts).says(t, 429, "TEN_SECONDLY_ROLLING")
}

func TestAssociationsHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Quota: "documented", Limits: hubspotsim.Limits{TenSeconds: 2, AssociationsTenSeconds: 2, AssociationsDaily: 3}})
	id := a.person(obj{"firstname": "Ada"})
	path := "/crm/v4/objects/contacts/" + id + "/associations/communications"
	a.get(contacts).want(t, 200)
	for range 2 {
		a.get(path).want(t, 200)
	}
	a.get(path).says(t, 429, "TEN_SECONDLY_ROLLING")
	a.pass(10 * time.Second)
	a.get(path).want(t, 200)
	a.get(path).says(t, 429, "DAILY")
	a.get(contacts).says(t, 200)
}

func TestA429MaySayWhenToComeBack(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{Quota: "documented", Limits: hubspotsim.Limits{TenSeconds: 1, SearchSecond: 1}, RetryAfter: true})
	a.get(contacts).want(t, 200)
	a.search(obj{}).want(t, 200)
	for name, got := range map[string]answer{"call": a.get(contacts), "search": a.search(obj{})} {
		same(t, name, []any{got.status, got.header.Get("Retry-After")}, "[429 10]")
	}
}
