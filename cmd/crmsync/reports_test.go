package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
)

// Once a minute, as the schedule says: a load record, and a daily report as JSON,
// as a page and to whoever wants it.
func TestADayIsReported(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	defer receiver.Close()
	info := simulate(t)
	file, err := os.OpenFile(info.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("notify:\n  - {url: " + receiver.URL + ", private: true, format: slack, daily_report: true}\n  - {url: " + receiver.URL + ", private: true}\n"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	const often = "* * * * *"
	worker := serve(t, info, "CRMSYNC_JOBS_LOAD_RECORD="+often, "CRMSYNC_JOBS_DAILY_REPORT="+often)
	load := newLoad(info)
	load.post("wamid.1", "16315551234", "this is secret text")
	for _, crm := range info.CRMs() {
		eventually(t, 20*time.Second, crm.Name+" has the message", func() bool { return len(textsIn(t, crm, "16315551234")) == 1 })
	}
	dir := filepath.Join(filepath.Dir(info.Config), "data", "reports")
	files := func(pattern string) []string {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		return found
	}
	eventually(t, 130*time.Second, "the day is reported", func() bool {
		pages := files("daily-*.html")
		text := ""
		if len(pages) > 0 {
			raw, _ := os.ReadFile(strings.TrimSuffix(pages[len(pages)-1], ".html") + ".json")
			text = string(raw)
		}
		return strings.Contains(text, `"message": 1`)
	})
	reports := files("daily-*.json")
	text, err := os.ReadFile(reports[len(reports)-1])
	if err != nil {
		t.Fatal(err)
	}
	var r app.DailyReport
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if !r.Audit.Closes || len(r.Accounts) != 4 || len(r.Workers) != 1 || len(r.Drift) != 3 || r.Letters.Open != 0 || r.Answers.Count == 0 {
		t.Errorf("%s", text)
	}
	for _, a := range r.Accounts {
		if a.Kind != "whatsapp" && (a.Out() < 2 || a.Delays.Count == 0 || a.Delays.P99 <= 0 || a.Called() == 0 || a.Backlog != 0) {
			t.Errorf("%s: %+v", a.Account, a.AccountLoad)
		}
	}
	lines, err := os.ReadFile(filepath.Join(dir, "load.jsonl"))
	if err != nil || !strings.Contains(string(lines), `"to":"`) || !json.Valid([]byte(strings.SplitN(string(lines), "\n", 2)[0])) {
		t.Errorf("%s, error %v", lines, err)
	}
	page, _ := os.ReadFile(strings.TrimSuffix(reports[len(reports)-1], ".json") + ".html")
	if !strings.Contains(string(page), "The audit closes") || strings.Contains(string(page), "http://") || strings.Contains(string(page), "https://") {
		t.Errorf("%s", page)
	}
	for _, secret := range []string{"secret text", "16315551234"} {
		if strings.Contains(string(page)+string(text)+string(lines), secret) {
			t.Errorf("the report has %q", secret)
		}
	}
	select {
	case body := <-told:
		if !strings.HasPrefix(body, `{"text":"*crmsync, `) || !strings.Contains(body, "hubspot: received") {
			t.Errorf("told %s", body)
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody was told")
	}
	if !strings.Contains(worker.errors.String(), `"msg":"daily report"`) {
		t.Error("the log does not say where it is")
	}
}
