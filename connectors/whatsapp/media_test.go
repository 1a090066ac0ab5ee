package whatsapp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
	"crmsync/connectors/whatsapp/whatsappsim"
)

const number = "200100300400500"

// media is a simulated number, of which the calls can be seen and answered
// first.
type media struct {
	*testing.T
	sim    *whatsappsim.Server
	url    string
	now    atomic.Int64 // what the clock is ahead, in nanoseconds
	calls  atomic.Int64
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func newMedia(t *testing.T, forms whatsappsim.MediaForms) *media {
	t.Helper()
	m := &media{T: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.calls.Add(1)
		if m.before == nil || !m.before(w, r) {
			m.sim.ServeHTTP(w, r)
		}
	}))
	m.url = server.URL
	m.sim = whatsappsim.New(whatsappsim.Options{
		PhoneNumberID: number, Token: "s3cret", Media: forms, BaseURL: server.URL,
		Clock: func() time.Time { return time.Now().Add(time.Duration(m.now.Load())) },
	})
	t.Cleanup(server.Close)
	return m
}

func (m *media) client(token string) *whatsapp.Client {
	return whatsapp.NewClient(whatsapp.Options{BaseURL: m.url, APIVersion: "v24.0", Token: token, MaxFile: 1000})
}

// add makes a file and returns it as a message would name it.
func (m *media) add(content []byte) connectors.Media {
	m.Helper()
	stored, err := m.sim.AddMedia(whatsappsim.Media{MIMEType: "image/png", Content: content})
	if err != nil {
		m.Fatal(err)
	}
	return connectors.Media{ID: stored.ID, MIMEType: stored.MIMEType, SHA256: stored.SHA256}
}

func TestAFileIsDownloaded(t *testing.T) {
	t.Parallel()
	for _, forms := range []whatsappsim.MediaForms{{}, {WebhookSHA256: "hex", AnswerSHA256: "base64", SizeAsText: true}} {
		m := newMedia(t, forms)
		content := bytes.Repeat([]byte{0, 255, 'x'}, 333)
		file := m.add(content)
		hexSum := file.SHA256
		raw, _ := hexBytes(hexSum)
		for _, sum := range []string{hexSum, strings.ToUpper(hexSum), base64.StdEncoding.EncodeToString(raw), ""} {
			file.SHA256 = sum
			got, err := m.client("s3cret").Download(t.Context(), number, file)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("digest %q: %d bytes, %v", sum, len(got), err)
			}
		}
	}
}

func hexBytes(s string) ([]byte, error) {
	var b []byte
	_, err := fmt.Sscanf(s, "%x", &b)
	return b, err
}

func TestWhatADownloadCanFailFor(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		do    func(m *media, f *connectors.Media)
		token string
		class connectors.Class
		code  string
	}{
		"too large":              {func(m *media, f *connectors.Media) { *f = m.add(make([]byte, 1001)) }, "s3cret", connectors.Rejected, connectors.Unwanted},
		"gone":                   {func(m *media, f *connectors.Media) { m.sim.RemoveMedia(f.ID) }, "s3cret", connectors.Rejected, "100"},
		"older than seven days":  {func(m *media, _ *connectors.Media) { m.now.Store(int64(8 * 24 * time.Hour)) }, "s3cret", connectors.Rejected, "100"},
		"of another number":      {func(m *media, f *connectors.Media) { f.SHA256 = "" }, "s3cret", connectors.Unknown, "100"},
		"another file":           {func(_ *media, f *connectors.Media) { f.SHA256 = strings.Repeat("0", 64) }, "s3cret", connectors.Unknown, "DAMAGED"},
		"an id that is a path":   {func(_ *media, f *connectors.Media) { f.ID = "1/../me" }, "s3cret", connectors.Rejected, "NO_SUCH_FILE"},
		"a token of nobody":      {func(*media, *connectors.Media) {}, "other", connectors.Unauthorized, "190"},
		"slow down":              {answer("", 400, `{"error":{"code":80007,"message":"x"}}`), "s3cret", connectors.Throttled, "80007"},
		"slow down, as 429":      {answer("", 429, `x`), "s3cret", connectors.Throttled, ""},
		"an outage":              {answer("", 503, `<html>`), "s3cret", connectors.Transient, ""},
		"an outage at the bytes": {answer("attachments", 500, ``), "s3cret", connectors.Transient, ""},
		"no permission":          {answer("", 403, `{"error":{"code":10}}`), "s3cret", connectors.Unauthorized, "10"},
		"a login page":           {answer("", 302, ``), "s3cret", connectors.Transient, ""},
		"no JSON":                {answer("", 200, `<html>`), "s3cret", connectors.Transient, ""},
		"bytes that do not end":  {endless, "s3cret", connectors.Transient, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMedia(t, whatsappsim.MediaForms{})
			file := m.add([]byte("hello"))
			tt.do(m, &file)
			to := number
			if name == "of another number" {
				to = "1"
			}
			_, err := m.client(tt.token).Download(t.Context(), to, file)
			if err == nil || err.Class != tt.class || err.Code != tt.code {
				t.Fatalf("got %v, want %s %s", err, tt.class, tt.code)
			}
			for _, secret := range []string{"s3cret", "other", file.ID, strings.TrimPrefix(m.url, "http://")} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the failure %q tells %q", err, secret)
				}
			}
		})
	}
}

// answer answers calls whose path has a part.
func answer(part string, status int, body string) func(m *media, f *connectors.Media) {
	return func(m *media, _ *connectors.Media) {
		m.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
}

// endless is a file whose size is not what the API says.
func endless(m *media, _ *connectors.Media) {
	m.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "attachments") {
			return false
		}
		for range 1000 {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				break
			}
		}
		return true
	}
}

func TestAnAddressThatHasExpiredIsAskedForAgain(t *testing.T) {
	t.Parallel()
	m := newMedia(t, whatsappsim.MediaForms{})
	file := m.add([]byte("hello"))
	once := true
	m.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "attachments") && once {
			once = false
			m.now.Add(int64(6 * time.Minute))
		}
		return false
	}
	if got, err := m.client("s3cret").Download(t.Context(), number, file); err != nil || string(got) != "hello" || m.calls.Load() != 4 {
		t.Errorf("got %q, %v after %d calls", got, err, m.calls.Load())
	}
	m.before = func(http.ResponseWriter, *http.Request) bool { m.now.Add(int64(6 * time.Minute)); return false }
	m.calls.Store(0)
	if _, err := m.client("s3cret").Download(t.Context(), number, file); err == nil || err.Class != connectors.Transient || m.calls.Load() != 4 {
		t.Errorf("addresses that never last: %v after %d calls", err, m.calls.Load())
	}
}

// The address comes from an answer; the token must not follow it anywhere.
func TestTheTokenGoesToWhatsAppOnly(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	m := newMedia(t, whatsappsim.MediaForms{})
	file := m.add([]byte("hello"))
	host := strings.TrimPrefix(m.url, "http://")
	for _, address := range []string{
		thief.URL, thief.URL + "/lookaside.fbsbx.com", "http://" + host + "@" + strings.TrimPrefix(thief.URL, "http://"), "ftp://x", "", ":",
		"https://lookaside.fbsbx.com.example.com/x", "http://lookaside.fbsbx.com/x",
	} {
		m.before = func(w http.ResponseWriter, _ *http.Request) bool {
			_ = json.NewEncoder(w).Encode(map[string]string{"url": address})
			return true
		}
		if _, err := m.client("s3cret").Download(t.Context(), number, file); err == nil || err.Code != "FOREIGN_ADDRESS" {
			t.Errorf("%s: %v", address, err)
		}
	}
	if stolen.Load() != 0 {
		t.Errorf("%d calls went to somebody else", stolen.Load())
	}
}

func TestATokenIsChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		token   string
		do      func(m *media, f *connectors.Media)
		problem string
		class   connectors.Class
	}{
		"good":              {"s3cret", func(*media, *connectors.Media) {}, "", ""},
		"a token of nobody": {"other", func(*media, *connectors.Media) {}, "", connectors.Unauthorized},
		"not valid":         {"s3cret", answer("debug_token", 200, `{"data":{"is_valid":false,"error":{"code":190}}}`), "not valid", ""},
		"no permission":     {"s3cret", answer("debug_token", 200, `{"data":{"is_valid":true,"scopes":["whatsapp_business_management"]}}`), "whatsapp_business_messaging", ""},
		"an outage":         {"s3cret", answer("debug_token", 503, ``), "", connectors.Transient},
	}
	for name, tt := range tests {
		m := newMedia(t, whatsappsim.MediaForms{})
		tt.do(m, nil)
		problem, err := m.client(tt.token).Check(t.Context())
		if (tt.problem == "") != (problem == "") || !strings.Contains(problem, tt.problem) || (err != nil) != (tt.class != "") || err != nil && err.Class != tt.class {
			t.Errorf("%s: %q, %v", name, problem, err)
		}
	}
}
