package stress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// Target is the worker that gets the load.
type Target struct {
	// Name is what a reader of the report knows it by.
	Name string
	// Webhook is where it takes WhatsApp's webhooks, signed with AppSecret.
	Webhook, AppSecret string
	// PhoneNumberID and WABAID are the business's.
	PhoneNumberID, WABAID string
	// Worker is where its metrics are.
	Worker string
	// CRMs are the simulators in which to look for the messages. Without any,
	// nobody knows what became of them.
	CRMs []sandbox.CRM
	// PID is its process if it is a child of this one, otherwise 0.
	PID int
	// Ended is closed when that process has ended; nil if there is none.
	Ended <-chan struct{}
}

// ReadTarget reads the line that `simulate` and `sandbox` print.
func ReadTarget(name string, in io.Reader) (*Target, error) {
	text, err := bufio.NewReader(in).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var info sandbox.Info
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("%s does not begin with the line that `crmsync simulate --output json` prints: %w", name, err)
	}
	if info.Worker == nil {
		return nil, fmt.Errorf("%s names no worker; give `crmsync simulate` --write-config, and start the worker with what it writes", name)
	}
	return target(info), nil
}

func target(info sandbox.Info) *Target {
	return &Target{
		Name: info.Worker.URL, Worker: info.Worker.URL, Webhook: info.Worker.Webhooks["whatsapp"],
		AppSecret: info.WhatsApp.AppSecret, PhoneNumberID: info.WhatsApp.PhoneNumberID, WABAID: info.WhatsApp.WABAID,
		CRMs: info.CRMs(),
	}
}

// TargetAt is a worker of which only the address for webhooks and the app
// secret are known.
func TargetAt(webhook, secret string) (*Target, error) {
	u, err := url.Parse(webhook)
	if err != nil {
		return nil, err
	}
	base, account, ok := strings.Cut(u.String(), "/webhooks/")
	if !ok || account == "" {
		return nil, fmt.Errorf("%s is not where webhooks arrive; that is …/webhooks/ACCOUNT", webhook)
	}
	return &Target{Name: base, Worker: base, Webhook: webhook, AppSecret: secret, PhoneNumberID: "106540352242922", WABAID: "102290129340398"}, nil
}

// AddCRM adds a simulated CRM, said as ACCOUNT=URL.
func (t *Target) AddCRM(text string) error {
	account, address, ok := strings.Cut(text, "=")
	if u, err := url.Parse(address); !ok || account == "" || err != nil || u.Host == "" {
		return fmt.Errorf("%q is not ACCOUNT=URL, such as hubspot=http://127.0.0.1:9002", text)
	}
	t.CRMs = append(t.CRMs, sandbox.CRM{Account: account, Name: account, URL: strings.TrimSuffix(address, "/")})
	return nil
}

// start waits until the worker delivers to every account, and notes what the
// CRMs have counted so far.
func (r *run) start(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := r.ready(within); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the worker at %s is not ready: %w", r.target.Worker, err)
	}
	var err error
	if r.before, err = r.stats(ctx); err != nil {
		return err
	}
	if err := r.unused(ctx); err != nil {
		return err
	}
	r.machine, r.began = describe(), time.Now()
	return nil
}

func (r *run) ready(ctx context.Context) error {
	for {
		err := r.isReady(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-r.target.Ended:
			return errors.New("its process has ended")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *run) isReady(ctx context.Context) error {
	var report struct{ Accounts map[string]string }
	if err := r.get(ctx, r.target.Worker+"/readyz", &report); err != nil {
		return err
	}
	for account, state := range report.Accounts {
		if state != "ok" {
			return fmt.Errorf("%s: %s", account, state)
		}
	}
	return nil
}

// get reads JSON.
func (r *run) get(ctx context.Context, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := r.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", request.URL.Path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", request.URL.Path, err)
	}
	_, err = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return err
}

// peakMemory is the most memory that a process has had, in bytes; 0 where the
// system does not tell.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
