package whatsappsim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A client that repeats a send whose answer was lost sends it twice: the
// message was accepted the first time.
func TestASendWhoseAnswerIsLostWasAccepted(t *testing.T) {
	t.Parallel()
	s := New(Options{Token: "t", PhoneNumberID: "1"})
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	fault := func(body string) {
		t.Helper()
		res, err := http.Post(server.URL+"/_sim/faults", "application/json", strings.NewReader(body))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("faults: %v %v", res, err)
		}
		res.Body.Close()
	}
	send := func() (int, error) {
		body := strings.NewReader(`{"messaging_product":"whatsapp","to":"+393331234567","text":{"body":"Ciao"}}`)
		r, err := http.NewRequest(http.MethodPost, server.URL+"/v24.0/1/messages", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer t")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		return res.StatusCode, nil
	}
	fault(`{"mode":"reset_after_commit"}`)
	if status, err := send(); err == nil {
		t.Fatalf("answered %d, want a cut connection", status)
	}
	fault(`{"mode":"none"}`)
	fault(`{"mode":"outage","status":503}`)
	if status, err := send(); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("answered %d (error %v) in an outage, want 503", status, err)
	}
	fault(`{"mode":"none"}`)
	if status, err := send(); err != nil || status != http.StatusOK {
		t.Errorf("answered %d (error %v), want 200", status, err)
	}
	for mode, want := range map[string]int{"throttle": http.StatusBadRequest, "expire_token": http.StatusUnauthorized, "reject": http.StatusBadRequest} {
		fault(`{"mode":"` + mode + `","times":1}`)
		if status, err := send(); err != nil || status != want {
			t.Errorf("%s: answered %d (error %v), want %d", mode, status, err, want)
		}
	}
	if st := s.Stats(); st.Messages != 2 || st.Faults != 5 {
		t.Errorf("%d messages and %d faults, want 2 and 5", st.Messages, st.Faults)
	}
}
