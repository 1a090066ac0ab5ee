package deliver_test

import (
	"context"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// An account refuses somebody's value, since another record has it: an e-mail
// address that two people share. The record that it names is that other
// person's, and is not taken over.
func TestAValueThatAnotherContactHasTakesOverNoRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	h.receive("w1", "16315555555")
	h.receive("w2", "16315556666")
	h.settled(4)
	h.vendor.mu.Lock()
	h.vendor.reject["record of 16315556666"] = &connectors.Error{Class: connectors.Conflict, Code: "CONFLICT", Field: "email", RecordID: "record of 16315555555", Status: 409}
	h.vendor.mu.Unlock()
	h.receive("w3", "16315556666")
	h.eventually("it is given up", func() bool { return h.states()[directory.Dead] == 1 })
	select {
	case letter := <-h.letters:
		if letter.Class != connectors.Rejected || letter.Code != "CONFLICT" || letter.Field != "email" || letter.RecordID != "record of 16315556666" {
			t.Errorf("letter = %+v", letter)
		}
	case <-time.After(time.Second):
		t.Error("there is no letter")
	}
	holders, err := h.db.Holders(context.Background(), "crm", []string{"record of 16315555555", "record of 16315556666"})
	if err != nil || len(holders["record of 16315555555"]) != 1 || len(holders["record of 16315556666"]) != 1 {
		t.Errorf("holders %v, error %v", holders, err)
	}
	h.vendor.mu.Lock()
	defer h.vendor.mu.Unlock()
	if got := h.vendor.contacts["record of 16315555555"]["last"]; got != "text of w1" {
		t.Errorf("the other one's record shows %v", got)
	}
}
