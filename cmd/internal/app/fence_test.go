package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/config"
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

// Nor does a call leave that was let go before it was stopped.
func TestACallThatWasLetGoDoesNotLeaveAfterAll(t *testing.T) {
	t.Parallel()
	// How often the fence is asked until the first change has left: for each call
	// that reads before it, when it is let go, and when its body leaves.
	first := map[string]int32{config.HubSpot: 3, config.Bitrix24: 2}
	for _, kind := range []string{config.HubSpot, config.Bitrix24} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var carriedOut atomic.Int32
			server := httptest.NewServer(nil)
			t.Cleanup(server.Close)
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil && r.Method != http.MethodGet {
					carriedOut.Add(1)
				}
				fmt.Fprint(w, "{}")
			})
			settings := config.Account{Name: kind, Kind: kind, Quota: config.Quota{Requests: 100, Per: config.Duration(time.Second)}}
			if kind == config.HubSpot {
				settings.BaseURL, settings.Token = server.URL, config.NewSecret("token")
			} else {
				settings.WebhookURL = config.NewSecret(server.URL + "/rest/1/secret/")
			}
			a := &App{config: &config.Config{DataDir: t.TempDir()}, log: slog.New(slog.DiscardHandler), metrics: newMetrics()}
			for lasting := range first[kind] + 1 {
				var asked atomic.Int32
				connector, _ := a.connector(settings, func() bool { return asked.Add(1) <= lasting })
				message := connectors.MessageChange{RecordID: "1", ContactRecordID: "1", WAMID: "w", BusinessNumber: "1", Text: "x", Direction: connectors.In, At: time.Now()}
				r := connector.UpdateMessages(t.Context(), []connectors.MessageChange{message})
				if refused := r[0].Err != nil && r[0].Err.Class == connectors.Unavailable; refused != (lasting < first[kind]) {
					t.Errorf("let go %d times: %v", lasting, r[0].Err)
				}
				if carriedOut.Load() > 0 != (lasting == first[kind]) {
					t.Errorf("let go %d times: %d calls carried out", lasting, carriedOut.Load())
				}
			}
		})
	}
}
