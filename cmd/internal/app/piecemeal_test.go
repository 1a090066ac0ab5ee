package app

import (
	"testing"
	"time"

	"crmsync/config"
	"crmsync/sync/directory"
)

func TestWhetherAWholeComparisonFits(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	quarter := 15 * time.Minute
	for name, tt := range map[string]struct {
		kind   string
		perDay int
		worked time.Duration
		calls  int64
		fits   bool
		atMost int64
	}{
		"it does":                          {config.HubSpot, 250_000, time.Minute, 1000, true, 1302},
		"it takes longer than an interval": {config.HubSpot, 250_000, 16 * time.Minute, 1000, false, 1302},
		"it takes more than the day has":   {config.HubSpot, 250_000, time.Minute, 1303, false, 1302},
		"nobody has said what a day has":   {config.Bitrix24, 0, time.Minute, 1_000_000, true, 0},
		"Zoho's credits, three a call":     {config.Zoho, 5_000, time.Minute, 50, false, 8},
		"Zoho's credits, of which many":    {config.Zoho, 100_000, time.Minute, 150, true, 173},
	} {
		last := directory.Sweep{Began: at, Worked: tt.worked, Calls: tt.calls}
		plan := planOf(last, nil, config.Account{Kind: tt.kind, Quota: config.Quota{PerDay: tt.perDay}}, 0.5, quarter)
		if plan.fits != tt.fits || plan.calls != tt.atMost || plan.fits != (plan.why == "") || !plan.since.Equal(at.Add(-overlap)) {
			t.Errorf("%s: %+v", name, plan)
		}
	}
	// Changes are known from the last listing of them on, if that came to its end.
	recent := []directory.Sweep{
		{Kind: directory.Changes, Began: at.Add(2 * time.Hour), SeenAt: at, Ended: at, Problem: "trouble"},
		{Kind: directory.Changes, Began: at.Add(time.Hour), SeenAt: at, Ended: at},
		{Kind: directory.Rolling, Began: at.Add(3 * time.Hour), SeenAt: at},
	}
	plan := planOf(directory.Sweep{Began: at}, recent, config.Account{}, 0.5, quarter)
	if want := at.Add(time.Hour - overlap); !plan.since.Equal(want) {
		t.Errorf("since %v, want %v", plan.since, want)
	}
}
