package connectortest

import (
	"bytes"
	"net/http"
	"testing"

	"crmsync/connectors"
)

// A Webhook is a receiver with a webhook that it accepts.
type Webhook struct {
	Receiver connectors.Receiver
	Header   http.Header
	Body     []byte
	// Record is the contact that the webhook is about.
	Record string
	// Stale is the same webhook signed long ago, nil if the vendor's webhooks
	// carry no time.
	Stale http.Header
	// Secret is what in header or body proves where it comes from.
	Secret string
}

func webhooks(t *testing.T, v Vendor) {
	if v.Webhook == nil {
		t.Fatal("Vendor.Webhook is nil: give a receiver with a webhook that it accepts, or say in Cannot why there are none")
	}
	w := v.Webhook(t)
	if !w.Receiver.Verify(w.Header, w.Body) {
		t.Fatal("the webhook itself is refused")
	}
	facts := w.Receiver.Split(w.Body)
	if len(facts) != 1 || facts[0].Kind != connectors.KindRecord || facts[0].Record == nil || facts[0].Record.ID != w.Record {
		t.Fatalf("facts = %+v, want news of record %s", facts, w.Record)
	}
	if again := w.Receiver.Split(w.Body); again[0].Key != facts[0].Key || facts[0].Key == "" {
		t.Errorf("keys %q and %q, want the same for a webhook that comes twice", facts[0].Key, again[0].Key)
	}
	other := "x" + w.Secret[1:]
	if other == w.Secret { // a signature may begin so
		other = "y" + w.Secret[1:]
	}
	forged := w.Header.Clone()
	for name, values := range forged {
		for i := range values {
			forged[name][i] = string(bytes.ReplaceAll([]byte(values[i]), []byte(w.Secret), []byte(other)))
		}
	}
	body := bytes.ReplaceAll(w.Body, []byte(w.Secret), []byte(other))
	if w.Receiver.Verify(forged, body) {
		t.Error("a forged webhook is accepted")
	}
	if w.Receiver.Verify(http.Header{}, nil) {
		t.Error("an empty webhook is accepted")
	}
	if w.Stale != nil && w.Receiver.Verify(w.Stale, w.Body) {
		t.Error("a webhook signed long ago is accepted")
	}
	for _, broken := range [][]byte{w.Body[:len(w.Body)/2], []byte("\x00\xff"), []byte("[]"), []byte("null"), []byte("{"), []byte("%zz=&&&")} {
		for _, f := range w.Receiver.Split(broken) { // never panics
			if f.Kind == connectors.KindRecord && (f.Record == nil || f.Record.ID == "") {
				t.Errorf("%q became news of nothing", broken)
			}
		}
	}
}
