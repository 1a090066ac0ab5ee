package connectortest

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

// logged writes a message and returns it as the account shows it.
func (a *Account) logged(t *testing.T, contact string, n int) connectors.MessageChange {
	t.Helper()
	m := message(contact, n)
	r := a.CreateMessages(t.Context(), []connectors.MessageChange{m})[0]
	if r.Err != nil || r.RecordID == "" {
		t.Fatalf("message %d: %+v", n, r)
	}
	m.RecordID = r.RecordID
	return m
}

// hasFile checks that a message has one file, and which.
func (a *Account) hasFile(t *testing.T, f connectors.FileChange) {
	t.Helper()
	sum := sha256.Sum256(f.Content)
	extension := path.Ext(f.Name)
	got := a.messages(t, f.Message.WAMID)
	if len(got) != 1 || len(got[0].Files) != 1 {
		t.Fatalf("the account shows %+v, want one message with one file", got)
	}
	file := got[0].Files[0]
	if file.SHA256 != hex.EncodeToString(sum[:]) || file.Size != len(f.Content) ||
		!strings.HasPrefix(file.Name, strings.TrimSuffix(f.Name, extension)) || path.Ext(file.Name) != extension {
		t.Errorf("the account shows %+v, want %s with %d bytes", file, f.Name, len(f.Content))
	}
}

func fileOnce(t *testing.T, v Vendor) {
	a := v.open(t)
	contact := a.write(t, v.person(1))[0]
	m := a.logged(t, contact, 1)
	f := connectors.FileChange{Message: m, Name: "Angebot für Zoë [1].pdf", MIMEType: "application/pdf", Content: []byte("%PDF-1.7\r\n\x00\xff--")}
	first := a.AttachFile(t.Context(), f)
	if first.Err != nil || first.RecordID == "" || !first.Created {
		t.Fatalf("attached: %+v", first)
	}
	a.hasFile(t, f)
	f.InDoubt = true
	if again := a.AttachFile(t.Context(), f); again.Err != nil || again.RecordID != first.RecordID || again.Created {
		t.Errorf("attached again: %+v, want what is there: %+v", again, first)
	}
	m.Status = "read"
	if r := a.UpdateMessages(t.Context(), []connectors.MessageChange{m})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	a.hasFile(t, f) // still
	if found := a.FindMessages(t.Context(), []connectors.MessageChange{m})[0]; found.RecordID != m.RecordID {
		t.Errorf("the message is found as %+v, want %s", found, m.RecordID)
	}
	if s := a.stats(t); s.Messages != 1 || s.DuplicateMessages != 0 {
		t.Errorf("%+v, want one message", s)
	}

	large := connectors.FileChange{Message: a.logged(t, contact, 2), Name: "photo.jpg", MIMEType: "image/jpeg", Content: []byte(strings.Repeat("jpeg", 1_250_000))}
	if r := a.AttachFile(t.Context(), large); r.Err != nil {
		t.Fatal(r.Err)
	}
	a.hasFile(t, large)
	nowhere := f
	nowhere.Message.RecordID, nowhere.Message.ContactRecordID = "", ""
	if r := a.AttachFile(t.Context(), nowhere); r.Err == nil || r.Err.Class != connectors.Conflict {
		t.Errorf("a file of a message that is not there: %+v, want a conflict", r)
	}
}

func lostFile(t *testing.T, v Vendor) {
	// After however many calls the answer is lost, there is one file.
	for after := range 5 {
		a := v.open(t)
		f := connectors.FileChange{Message: a.logged(t, a.write(t, v.person(1))[0], 1), Name: "a.txt", MIMEType: "text/plain", Content: []byte("hello")}
		a.fault(t, map[string]any{"mode": "reset_after_commit", "after": after})
		r := a.AttachFile(t.Context(), f)
		if r.Err == nil {
			return // it takes no more calls than that
		}
		if r.Err.Class != connectors.UnknownOutcome && r.Err.Class != connectors.Transient {
			t.Errorf("after %d calls: %v, want that it may work later", after, r.Err)
		}
		a.fault(t, map[string]any{"mode": "none"})
		a.advance(t, time.Minute)
		f.InDoubt = r.Err.Class == connectors.UnknownOutcome
		if r := a.AttachFile(t.Context(), f); r.Err != nil || r.RecordID == "" {
			t.Fatalf("after %d calls, again: %+v", after, r)
		}
		a.hasFile(t, f)
	}
	t.Error("no file was attached in five calls")
}
