package deliver_test

import (
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deliver"
)

func TestWhatFollowsFromAFailure(t *testing.T) {
	t.Parallel()
	policy := deliver.RetryPolicy{Delays: []time.Duration{time.Second, 30 * time.Second}, SettleWithin: 24 * time.Hour}
	tests := map[string]struct {
		class   connectors.Class
		attempt int
		want    deliver.Verdict
		after   time.Duration
	}{
		"something odd, once":               {connectors.Unknown, 1, deliver.Retry, time.Second},
		"something odd, twice":              {connectors.Unknown, 2, deliver.Retry, 30 * time.Second},
		"once too often":                    {connectors.Unknown, 3, deliver.GiveUp, 0},
		"the answer was lost":               {connectors.UnknownOutcome, 1, deliver.Retry, time.Second},
		"the answer was lost too often":     {connectors.UnknownOutcome, 3, deliver.GiveUp, 0},
		"the record is at fault":            {connectors.Rejected, 1, deliver.GiveUp, 0},
		"it is another record":              {connectors.Conflict, 1, deliver.Rematch, time.Second},
		"it keeps being another record":     {connectors.Conflict, 3, deliver.GiveUp, 0},
		"the credentials are at fault":      {connectors.Unauthorized, 9, deliver.Postpone, 0},
		"the vendor is down":                {connectors.Transient, 99, deliver.Postpone, 0},
		"the vendor says slow down":         {connectors.Throttled, 3, deliver.Postpone, 0},
		"we did not even ask":               {connectors.Unavailable, 3, deliver.Postpone, 0},
		"a class that nobody has heard of":  {connectors.Class("new"), 3, deliver.GiveUp, 0},
		"a class nobody has heard of, once": {connectors.Class("new"), 1, deliver.Retry, time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, after := policy.Decide(tt.class, tt.attempt)
			if got != tt.want || after != tt.after {
				t.Errorf("Decide(%s, %d) = %s after %v, want %s after %v", tt.class, tt.attempt, got, after, tt.want, tt.after)
			}
		})
	}
}
