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
		reports      []store.Report
		state, where string
	}{
		"nobody":                  {nil, Stopped, ""},
		"we do":                   {[]store.Report{{Holder: "us", State: Working, ReportedAt: now}}, Working, "here"},
		"another does":            {[]store.Report{{Holder: "them", State: Working, ReportedAt: now}}, Working, "elsewhere"},
		"another, we stand by":    {[]store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: BreakerOpen, ReportedAt: now}}, BreakerOpen, "elsewhere"},
		"all stand by":            {[]store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: StandingBy, ReportedAt: now}}, StandingBy, ""},
		"another did and is gone": {[]store.Report{{Holder: "us", State: StandingBy, ReportedAt: now}, {Holder: "them", State: Working, ReportedAt: old}}, StandingBy, ""},
		"all have stopped":        {[]store.Report{{Holder: "us", State: Stopped, ReportedAt: now}, {Holder: "them", State: Stopped, ReportedAt: old}}, Stopped, ""},
	} {
		s := AccountState{State: Stopped}
		for _, r := range tt.reports {
			s.add(r, "us")
		}
		if s.State != tt.state || s.Where != tt.where {
			t.Errorf("%s: %s %s, want %s %s", name, s.State, s.Where, tt.state, tt.where)
		}
	}
}
