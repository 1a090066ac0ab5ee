package app

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"crmsync/config"
	"crmsync/connectors"
)

// An account that accepts a call and never answers takes as long as is
// configured, and a batch longer than a call.
func TestAnAccountThatNeverAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() }) // the system accepts its connections
	base := "http://" + listener.Addr().String()
	const call, batch = 200 * time.Millisecond, 2 * time.Second
	for _, settings := range []config.Account{
		{Kind: config.HubSpot, BaseURL: base, Token: config.NewSecret("token")},
		{Kind: config.Bitrix24, WebhookURL: config.NewSecret(base + "/rest/1/secret/")},
	} {
		t.Run(settings.Kind, func(t *testing.T) {
			t.Parallel()
			settings.Name = settings.Kind
			settings.Quota = config.Quota{Requests: 100, Per: config.Duration(time.Second)}
			settings.Timeout, settings.BatchTimeout = config.Duration(call), config.Duration(batch)
			a := &App{config: &config.Config{DataDir: t.TempDir()}, log: slog.New(slog.DiscardHandler), metrics: newMetrics()}
			connector, _ := a.connector(settings)
			began := time.Now()
			message := connectors.MessageChange{RecordID: "1", ContactRecordID: "1", WAMID: "w", BusinessNumber: "1", Text: "x", Direction: connectors.In, At: began}
			if settings.Kind == config.Bitrix24 { // HubSpot's first call is a large one
				failed := connector.AttachFile(t.Context(), connectors.FileChange{Message: message, Name: "x.pdf", Content: []byte("x"), InDoubt: true}).Err
				if took := time.Since(began); failed == nil || failed.Class != connectors.Transient || took < call || took > batch {
					t.Errorf("a call fails with %v after %v", failed, took)
				}
			}
			began = time.Now()
			r := connector.UpdateMessages(t.Context(), []connectors.MessageChange{message})
			if r[0].Err == nil || r[0].Err.Class != connectors.Transient {
				t.Errorf("a batch fails with %v", r[0].Err)
			}
			if took := time.Since(began); took < batch || took > 5*batch {
				t.Errorf("a batch took %v", took)
			}
		})
	}
}
