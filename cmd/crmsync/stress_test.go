package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"crmsync/cmd/internal/sandbox"
	"crmsync/cmd/internal/stress"
)

// A short run of the real thing: simulators at their documented quotas, a
// worker, and the numbers that come out.
func TestStressShowsThatEveryMessageArrivedOnce(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	page := filepath.Join(t.TempDir(), "report.html")
	// Other tests run beside this one, and the race detector slows all of it.
	out, errs, code := runCommand(t, "stress", "--rate", "20/s", "--for", "3s", "--people", "20", "--outgoing", "20%", "--duplicates", "20%",
		"--max-delay", "20s", "--seed", "5", "--output", "json", "--report", page)
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	r := readResult(t, out)
	if !r.Passed || r.Seed != 5 || r.Sent != 60 || r.Acknowledged != 60 || r.Webhooks.Errors != 0 || r.Webhooks.Sent < 70 || r.Webhooks.P99 <= 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Accounts) != 3 {
		t.Fatalf("accounts %+v, want three", r.Accounts)
	}
	for _, a := range r.Accounts {
		if a.InCRM != 60 || a.Lost+a.Doubled+a.PeopleDoubled+a.Behind > 0 || a.P50 <= 0 || a.P50 > a.P99 || a.P99 > a.Max || a.Calls == 0 || a.QuotaRefusals > 0 {
			t.Errorf("%+v", a)
		}
	}
	if w := r.Worker; w.CPUSeconds <= 0 || w.PeakMemory < 10<<20 || w.PeakGoroutines == 0 || w.PeakFiles == 0 || len(w.Samples) < 3 {
		t.Errorf("worker %+v", w)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Passed.") {
		t.Errorf("the report: %v %.200s", err, text)
	}
	if left := entries(t, temporary); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A worker that answers 200 and forgets, and a CRM that shows a message twice.
func TestStressFindsWhatIsLostAndWhatIsDoubled(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	serve(t, info)
	dir := t.TempDir()
	secret := filepath.Join(dir, "app_secret")
	if err := os.WriteFile(secret, []byte(info.WhatsApp.AppSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker, err := url.Parse(info.Worker.URL)
	if err != nil {
		t.Fatal(err)
	}
	var forget sync.Once
	var twice atomic.Value // which message
	proxy := httputil.NewSingleHostReverseProxy(worker)
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forgotten := false
		if strings.HasPrefix(r.URL.Path, "/webhooks/") {
			forget.Do(func() { forgotten = true })
		}
		if forgotten {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer lossy.Close()
	simulator, err := url.Parse(info.HubSpot.URL)
	if err != nil {
		t.Fatal(err)
	}
	doubling := httputil.NewSingleHostReverseProxy(simulator)
	doubling.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path != "/_sim/messages" {
			return nil
		}
		var list []sandbox.SimMessage
		err := json.NewDecoder(r.Body).Decode(&list)
		for _, m := range list {
			if twice.CompareAndSwap(nil, m.WAMID); m.WAMID == twice.Load() {
				list = append(list, m)
			}
		}
		text, _ := json.Marshal(list)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(text))), int64(len(text))
		r.Header.Del("Content-Length")
		return err
	}
	crm := httptest.NewServer(doubling)
	defer crm.Close()

	out, errs, code := runCommand(t, "stress", "--target", lossy.URL+"/webhooks/whatsapp", "--app-secret-file", secret, "--crm", "hubspot="+crm.URL,
		"--rate", "20/s", "--for", "2s", "--duplicates", "0%", "--outgoing", "0%", "--grace", "3s", "--max-delay", "20s", "--output", "json")
	if code != exitFailed {
		t.Errorf("exit code %d, want %d\n%s", code, exitFailed, errs)
	}
	r := readResult(t, out)
	if r.Passed || r.Acknowledged != 40 || len(r.Accounts) != 1 || r.Accounts[0].Lost != 1 || r.Accounts[0].InCRM != 39 || r.Accounts[0].Doubled != 1 {
		t.Errorf("%+v", r)
	}
}

func readResult(t *testing.T, out string) stress.Result {
	t.Helper()
	var r stress.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func TestStressTakesTheLineThatSimulatePrints(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	line, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "target.json")
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runCommand(t, "stress", "--target", file, "--rate", "600/min", "--for", "2s", "--max-delay", "20s")
	if code != 0 || !strings.Contains(out, "Passed: each message is in each CRM once, and in time.") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
}

func TestStressOfOneCRMAlone(t *testing.T) {
	out, errs, code := runCommand(t, "stress", "--only", "zoho", "--rate", "10/s", "--for", "2s", "--max-delay", "20s", "--output", "json")
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	if r := readResult(t, out); len(r.Accounts) != 1 || r.Accounts[0].Account != "zoho" || r.Accounts[0].InCRM != 20 {
		t.Errorf("%+v", r.Accounts)
	}
}

func TestStressSaysWhatIsWrongWithItsCommandLine(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--rate 5000", `--rate is "5000"; write a rate such as 5000/min or 100/s`},
		{"--rate fast/s", "write a rate"},
		{"--rate -1/s", "write a rate"},
		{"--rate 1/s --ramp", "exclude one another"},
		{"--from 1/s", "are for --ramp"},
		{"--rate 1e-10/min", "write a rate"},
		{"--ramp --from 0.5/h", "write a rate"},
		{"--max-delay 0s", "--max-delay"},
		{"--grace -5s", "--grace"},
		{"--for 0s", "--for"},
		{"--max-errors 200%", "write a percentage"},
		{"--people 0", "1 to 1,000,000"},
		{"--quota some", "documented or off"},
		{"--only hubspot,siebel", "hubspot, zoho and bitrix24, or some of them"},
		{"--target x --quota off", "without --target"},
		{"--target http://127.0.0.1:1/webhooks/whatsapp", "--app-secret-file is missing"},
		{"--crm hubspot=http://x", "go with a --target"},
		{"--output xml", "text or json"},
		{"now", "unknown command"},
	} {
		_, errs, code := runCommand(t, append([]string{"stress"}, strings.Fields(test.args)...)...)
		if code != exitUsage || !strings.Contains(errs, test.want) {
			t.Errorf("stress %s: exit code %d\n%s", test.args, code, errs)
		}
	}
	for _, test := range []struct{ content, want string }{
		{"hello", "does not begin with the line"},
		{`{"whatsapp":{}}`, "names no worker"},
	} {
		file := filepath.Join(t.TempDir(), "target.json")
		if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := runCommand(t, "stress", "--target", file); code != exitFailed || !strings.Contains(errs, test.want) {
			t.Errorf("a target %s: exit code %d\n%s", test.content, code, errs)
		}
	}
}
