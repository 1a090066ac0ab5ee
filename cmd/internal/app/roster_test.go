package app

import (
	"testing"
	"time"

	"crmsync/sync/store"
)

func TestWhoWorksForAnAccount(t *testing.T) {
	t.Parallel()
	now, old := time.Now(), time.Now().Add(-time.Minute)
	for name, tt := range map[string]struct {
		holder       string
		reports      []store.Report
		state, where string
	}{
		"nobody":                  {"", nil, Stopped, ""},
		"we do":                   {"us", []store.Report{{Holder: "us", State: Working, ReportedAt: now}}, Working, "here"},
		"another does":            {"them", []store.Report{{Holder: "them", State: Working, ReportedAt: now}}, Working, "elsewhere"},
		"another, we stand by":    {"them", []store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: BreakerOpen, ReportedAt: now}}, BreakerOpen, "elsewhere"},
		"another, we start":       {"them", []store.Report{{Holder: "us", State: Starting, ReportedAt: now}, {Holder: "them", State: Working, ReportedAt: now}}, Working, "elsewhere"},
		"all stand by":            {"", []store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: StandingBy, ReportedAt: now}}, StandingBy, ""},
		"another has died":        {"", []store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: Working, ReportedAt: now}}, StandingBy, ""},
		"we have just taken over": {"us", []store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: Working, ReportedAt: now}}, Starting, "here"},
		"all have stopped":        {"", []store.Report{{Holder: "us", State: Stopped, ReportedAt: now}, {Holder: "them", State: Working, ReportedAt: old}}, Stopped, ""},
		"a number":                {"", []store.Report{{Holder: "us", State: Receiving, ReportedAt: now}, {Holder: "them", State: Receiving, ReportedAt: now}}, Receiving, "here"},
	} {
		s := AccountState{State: Stopped}
		s.see(tt.reports, tt.holder, "us")
		if s.State != tt.state || s.Where != tt.where {
			t.Errorf("%s: %s %s, want %s %s", name, s.State, s.Where, tt.state, tt.where)
		}
	}
}
