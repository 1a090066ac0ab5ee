package bitrix24

import (
	"testing"
	"time"

	"crmsync/connectors"
)

func TestFilesLeaveTheExecutionTimeToMessages(t *testing.T) {
	c := New(Options{WebhookURL: "http://127.0.0.1:1/rest/1/secret/"}) // nobody answers
	file := connectors.FileChange{Message: connectors.MessageChange{RecordID: "1", ContactRecordID: "1", WAMID: "w"}, Name: "a", Content: []byte("x")}
	if r := c.AttachFile(t.Context(), file); r.Err == nil || r.Err.Class != connectors.Transient {
		t.Fatalf("with time left: %+v, want a call", r.Err)
	}
	s := c.budget.of(commentAdd)
	s.used, s.noted = allowance/2+time.Second, time.Now()
	if r := c.AttachFile(t.Context(), file); r.Err == nil || r.Err.Class != connectors.Throttled || !r.Err.Held || r.Err.RetryAfter == 0 {
		t.Errorf("with half of it used: %+v, want none", r.Err)
	}
}
