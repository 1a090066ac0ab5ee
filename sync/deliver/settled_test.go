package deliver

import (
	"testing"
	"time"

	"crmsync/connectors"
)

func TestAHistoryNamesOutcomesAndIsNotEndless(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]connectors.Error{
		"503":               {Status: 503, Reason: "HubSpot has an outage"},
		"400 INVALID_EMAIL": {Status: 400, Code: "INVALID_EMAIL", Reason: "x"},
		"KEY_HELD":          {Code: "KEY_HELD", Reason: "x"},
		"no answer in time": {Reason: "no answer in time"},
	} {
		if got := outcomeOf(&err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	w := laneWorker(&held{})
	w.Retry = RetryPolicy{Delays: make([]time.Duration, 100)}
	s := settled{}
	for n := range 30 {
		s.err = &connectors.Error{Class: connectors.Unknown, Status: 500 + n}
		w.fail(&s)
	}
	if h := s.Link.History; len(h) != mostHistory || h[0] != "520" || h[9] != "529" {
		t.Errorf("history %q, want the last ten", h)
	}
}
