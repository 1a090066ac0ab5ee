package app

import (
	"errors"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/guard"
)

func TestAReplicaThatWasStoppedMakesNoMoreCalls(t *testing.T) {
	t.Parallel()
	holds := true
	pace := fenced(guard.NewLimiter(100, time.Second), func() bool { return holds })
	if err := pace(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds = false
	var refused *connectors.Error
	if err := pace(t.Context()); !errors.As(err, &refused) || refused.Class != connectors.Unavailable {
		t.Errorf("error = %v, want one that uses up no attempt and opens no breaker", err)
	}
}
