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
		a.pass(50 * time.Millisecond)
	}
	same(t, "remaining", got.header.Get("X-HubSpot-RateLimit-Remaining"), "0")
	over := a.get(contacts)
	over.says(t, 429, `{"status":"error","message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","correlationId":"`,
		`","policyName":"TEN_SECONDLY_ROLLING","groupName":"publicapi:private_app-api-calls-ten-secondly:62515:54321"}`)
	if strings.Contains(over.body, "category") || over.header.Get("Retry-After") != "" {
		t.Errorf("got %s with Retry-After %q, want neither category nor header", over.body, over.header.Get("Retry-After"))
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
	a := open(t, hubspotsim.Options{Quota: "documented", Limits: hubspotsim.Limits{TenSeconds: 3}, RetryAfter: true})
	for range 3 {
		a.get(contacts).want(t, 200)
	}
	long, short := 0, 0
	for range 40 {
		for range 5 {
			got := a.search(obj{}).want(t, 200)
			if got.header.Get("X-HubSpot-RateLimit-Max") != "" {
				t.Error("a search carries rate limit headers")
			}
		}
		over := a.search(obj{})
		over.says(t, 429, "You have reached your secondly limit.")
		switch {
		case over.str("policyName") == "SECONDLY":
			same(t, "group", over.str("groupName"), "publicapi:crm:search:oauth:62515:54321")
			long++
		case over.str("category") == "RATE_LIMITS":
			short++
		}
		same(t, "Retry-After", over.header.Get("Retry-After"), "10")
		a.pass(time.Second)
	}
	if long == 0 || short == 0 || long+short != 40 {
		t.Errorf("got %d long and %d short bodies, want some of both", long, short)
	}
}

func TestADayHasALimit(t *testing.T) {
	t.Parallel()
	a := open(t, hubspotsim.Options{
		Quota: "documented", Limits: hubspotsim.Limits{Daily: 3}, Location: time.FixedZone("account", 2*60*60),
		ClientID: "c", ClientSecret: "s", RefreshToken: "r",
	})
	a.get(contacts).want(t, 200)
	a.search(obj{}).want(t, 200)
	same(t, "left", a.get(contacts).want(t, 200).header.Get("X-HubSpot-RateLimit-Daily-Remaining"), "0")
	a.get(contacts).says(t, 429, "You have reached your daily limit.", `"policyName":"DAILY"`, `"requestId":"`)
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
		same(t, "daily", got.header.Get("X-HubSpot-RateLimit-Daily"), "")
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
