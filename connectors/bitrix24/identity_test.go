package bitrix24

import (
	"slices"
	"strings"
	"testing"

	"crmsync/connectors"
)

// What is the same portal has a name in common, however it was renamed, and
// whatever way it is reached; what is another has none.
func TestWhichPortalsAreTheSame(t *testing.T) {
	const hook = "https://portal.bitrix24.com/rest/7/s3cr3t/"
	names := func(webhook string) []string {
		got, err := New(Options{WebhookURL: webhook}).Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	was := names(hook)
	if was[0] != "portal.bitrix24.com" || strings.Contains(strings.Join(was, " "), "s3cr3t") {
		t.Errorf("the names are %q, want the host first, and no secret", was)
	}
	for what, tt := range map[string]struct {
		webhook string
		same    bool
	}{
		"as it was":                     {hook, true},
		"without the last slash":        {strings.TrimRight(hook, "/"), true},
		"in capitals":                   {strings.Replace(hook, "portal", "Portal", 1), true},
		"renamed":                       {strings.Replace(hook, "portal", "renamed", 1), true},
		"with a new secret":             {strings.Replace(hook, "s3cr3t", "other", 1), true},
		"another portal":                {"https://production.bitrix24.com/rest/7/0ther/", false},
		"another, the same user number": {"https://production.bitrix24.com/rest/7/s3cr3tt/", false},
		"another, the secret of one":    {"https://production.bitrix24.com/rest/8/s3cr3t/", false},
	} {
		got := names(tt.webhook)
		if same := slices.ContainsFunc(got, func(name string) bool { return slices.Contains(was, name) }); same != tt.same {
			t.Errorf("%s: %q and %q, the same: %v", what, was, got, same)
		}
	}
}

// An application knows the portal's id, which outlives its name.
func TestAnApplicationKnowsItsPortal(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		more   []string
		class  connectors.Class
	}{
		"by its id":             {200, `{"access_token":"a1","refresh_token":"r1","member_id":"0123456789abcdef"}`, []string{"member:0123456789abcdef"}, ""},
		"by its address only":   {200, `{"access_token":"a1","refresh_token":"r1"}`, nil, ""},
		"whatever it is":        {200, `{"access_token":"a1","refresh_token":"r1","member_id":"a b"}`, nil, ""},
		"not without its token": {400, `{"error":"invalid_grant"}`, nil, connectors.Unauthorized},
		"not in an outage":      {503, `<html>`, nil, connectors.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			i, c := newInstallation(t)
			i.token = func(int) (int, string) { return tt.status, tt.body }
			got, err := c.Identity(t.Context())
			if tt.class != "" {
				if e := connectors.AsError(err); e == nil || e.Class != tt.class {
					t.Errorf("failure %v, want class %s", err, tt.class)
				}
				return
			}
			if want := append([]string{strings.TrimPrefix(i.url, "http://")}, tt.more...); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, failure %v; want %q", got, err, want)
			}
			if again, err := c.Identity(t.Context()); err != nil || !slices.Equal(again, got) || i.refreshes != 1 {
				t.Errorf("again %q (failure %v) with %d refreshes", again, err, i.refreshes)
			}
		})
	}
}
