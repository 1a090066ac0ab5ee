package hubspot_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/hubspotsim"
)

// filed is an account with one message, whose calls something may answer first.
type filed struct {
	*account
	message connectors.MessageChange
	before  atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

func newFiled(t *testing.T, o hubspotsim.Options, token string) *filed {
	t.Helper()
	o.Token, o.Quota = "t", "off"
	f := &filed{}
	sim := hubspotsim.New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := f.before.Load(); before == nil || !(*before)(w, r) {
			sim.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { server.Close(); sim.Close() })
	f.account = &account{t: t, sim: sim, url: server.URL, Client: hubspot.New(hubspot.Options{BaseURL: server.URL, Token: hubspot.StaticToken("t")})}
	if _, err := f.Setup(t.Context(), fields, true); err != nil {
		t.Fatal(err)
	}
	f.message = message(f.write(person(1, nil))[0], 1)
	r := f.CreateMessages(t.Context(), []connectors.MessageChange{f.message})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	f.message.RecordID = r.RecordID
	f.Client = hubspot.New(hubspot.Options{BaseURL: server.URL, Token: hubspot.StaticToken(token), Timeout: time.Second})
	return f
}

func (f *filed) answer(do func(w http.ResponseWriter, r *http.Request) bool) { f.before.Store(&do) }

func (f *filed) attach() connectors.Result {
	f.t.Helper()
	return f.AttachFile(f.t.Context(), connectors.FileChange{Message: f.message, Name: "a.pdf", MIMEType: "application/pdf", Content: []byte("content")})
}

// upload posts a file as a person would and returns its id.
func (f *filed) upload() string {
	f.t.Helper()
	form := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"contract.pdf\"\r\n\r\na person's\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"folderPath\"\r\n\r\n/x\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"options\"\r\n\r\n{\"access\":\"PRIVATE\"}\r\n--B--\r\n"
	r := httptest.NewRequest(http.MethodPost, "/files/2026-09/files", strings.NewReader(form))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	r.Header.Set("Authorization", "Bearer t")
	rec := httptest.NewRecorder()
	f.sim.ServeHTTP(rec, r)
	var made struct{ ID string }
	if err := json.Unmarshal(rec.Body.Bytes(), &made); err != nil || made.ID == "" {
		f.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return made.ID
}

func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/files/")
}

func TestAPersonsFileStays(t *testing.T) {
	t.Parallel()
	f := newFiled(t, hubspotsim.Options{}, "t")
	theirs := f.upload()
	f.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if isUpload(r) { // while ours is on its way
			rec := httptest.NewRecorder()
			edit := httptest.NewRequest(http.MethodPatch, "/crm/objects/2026-09/communications/"+f.message.RecordID,
				strings.NewReader(`{"properties":{"hs_attachment_ids":"`+theirs+`"}}`))
			edit.Header.Set("Authorization", "Bearer t")
			edit.Header.Set("Content-Type", "application/json")
			f.sim.ServeHTTP(rec, edit)
			if rec.Code != http.StatusOK {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		}
		return false
	})
	if r := f.attach(); r.Err != nil || !r.Created {
		t.Fatalf("%+v", r)
	}
	if got := f.sim.Messages(f.message.WAMID, "")[0].Files; len(got) != 2 {
		t.Errorf("the message shows %+v, want their file and ours", got)
	}
	if r := f.attach(); r.Err != nil || r.Created {
		t.Errorf("again: %+v, want the one that is there", r)
	}
}

// What is wrong with a file or with files is no trouble of the account.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options hubspotsim.Options
		scopes  []string
		answer  func(w http.ResponseWriter, r *http.Request) bool
		class   connectors.Class
		code    string
	}{
		"no scope for files": {scopes: []string{"crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read"}, class: connectors.Rejected, code: "MISSING_SCOPES"},
		"no scope at all":    {scopes: []string{"files"}, class: connectors.Unauthorized, code: "MISSING_SCOPES"},
		"no property":        {options: hubspotsim.Options{CommunicationAttachments: "refused"}, class: connectors.Rejected, code: "NO_FILES"},
		"too large, says a proxy": {answer: func(w http.ResponseWriter, r *http.Request) bool {
			if isUpload(r) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				_, _ = w.Write([]byte("<html>"))
			}
			return isUpload(r)
		}, class: connectors.Rejected, code: "TOO_LARGE"},
		"an answer that is lost": {answer: func(_ http.ResponseWriter, r *http.Request) bool {
			if isUpload(r) {
				panic(http.ErrAbortHandler)
			}
			return false
		}, class: connectors.UnknownOutcome},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := "t"
			if tt.scopes != nil {
				token, tt.options.Tokens = "few", map[string][]string{"few": tt.scopes}
			}
			f := newFiled(t, tt.options, token)
			uploads := atomic.Int64{}
			f.answer(func(w http.ResponseWriter, r *http.Request) bool {
				if isUpload(r) {
					uploads.Add(1)
				}
				return tt.answer != nil && tt.answer(w, r)
			})
			if r := f.attach(); r.Err == nil || r.Err.Class != tt.class || r.Err.Code != tt.code || strings.Contains(r.Err.Error(), "a.pdf") {
				t.Errorf("%+v, want %s %s", r.Err, tt.class, tt.code)
			}
			if name == "no property" && uploads.Load() > 0 {
				t.Error("a file was uploaded that no message can have")
			}
		})
	}
}
