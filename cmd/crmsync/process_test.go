package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "crmsync-bin-")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "crmsync")
	// Tests that start processes mostly wait; what measures runs by itself,
	// before those.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = parallel.Value.Set("4")
	}
	code := storetest.Run(m)
	_ = os.RemoveAll(dir) // a leftover is the temporary folder's concern
	os.Exit(code)
}

var built string // where binary builds

// binary builds the program as it is shipped, once, or takes the one that
// CRMSYNC names.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CRMSYNC"); path != "" {
		return path, nil
	}
	build := exec.Command("go", "build", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return built, nil
})

// process is a running crmsync, or something around it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of standard output
	errors *lockedBuffer
	ended  chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs crmsync with arguments, and env over the test's environment. It
// is killed at the end of the test.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return startCommand(t, env, append([]string{path}, args...)...)
}

func startCommand(t *testing.T, env []string, command ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), lines: make(chan string, 1000), errors: &lockedBuffer{}, ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.errors
	// A test that dies takes its processes with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	started.Lock()
	defer started.Unlock()
	started.by[t.Name()] = append(started.by[t.Name()], p)
	return p
}

// kill is kill -9, of the process and what it started.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.wait(5 * time.Second)
}

// stop is SIGTERM; it returns the exit code.
func (p *process) stop() int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait(15 * time.Second)
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) wait(d time.Duration) {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
	case <-time.After(d):
		p.t.Fatalf("it did not end within %v; log:\n%s", d, p.errors)
	}
}

// line returns the next line of standard output.
func (p *process) line(within time.Duration) string {
	p.t.Helper()
	select {
	case l, ok := <-p.lines:
		if !ok {
			p.t.Fatalf("it ended; log:\n%s", p.errors)
		}
		return l
	case <-time.After(within):
		p.t.Fatalf("no line within %v; log:\n%s", within, p.errors)
	}
	return ""
}

// info reads the line that sandbox and simulate print with --output json.
func (p *process) info() sandbox.Info {
	p.t.Helper()
	var info sandbox.Info
	if err := json.Unmarshal([]byte(p.line(10*time.Second)), &info); err != nil {
		p.t.Fatal(err)
	}
	return info
}

// simulate runs the simulators with a written configuration.
func simulate(t *testing.T, args ...string) sandbox.Info {
	t.Helper()
	dir := t.TempDir()
	return start(t, nil, append([]string{"simulate", "--output", "json", "--write-config", dir}, args...)...).info()
}

// serve runs the worker for them and waits until it is ready.
func serve(t *testing.T, info sandbox.Info, env ...string) *process {
	t.Helper()
	p := start(t, env, "serve", "--config", info.Config)
	p.ready(info, 10*time.Second)
	return p
}

func (p *process) ready(info sandbox.Info, within time.Duration) {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(info.Worker.URL + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not ready within %v (%v); log:\n%s", within, err, p.errors)
		}
	}
}

// delivering waits until the worker has looked at its account and delivers.
func (p *process) delivering(info sandbox.Info) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "the account is delivered to", func() bool {
		var report struct{ Accounts map[string]string }
		get(p.t, info.Worker.URL+"/readyz", &report)
		return report.Accounts["hubspot"] == "ok"
	})
}

// get reads JSON.
func get(t *testing.T, address string, into any) {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s (error %v)", address, response.Status, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}

// post sends JSON and returns the answer's status.
func post(t *testing.T, address string, body any) int {
	t.Helper()
	status, _ := send(t, address, body)
	return status
}

// ask sends JSON and reads the answer, which has to be 200, into a value
// unless that is nil.
func ask(t *testing.T, address string, body, into any) {
	t.Helper()
	status, answer := send(t, address, body)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", address, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}

func send(t *testing.T, address string, body any) (status int, answer []byte) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(address, "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// simStats are a simulator's counts.
type simStats struct {
	Calls, Writes, Throttled, Contacts, Messages int
	DuplicateContacts                            int `json:"duplicate_contacts"`
	DuplicateMessages                            int `json:"duplicate_messages"`
	Faults, Credits                              int
}

// stats are HubSpot's.
func stats(t *testing.T, info sandbox.Info) simStats { return statsOf(t, info.CRMs()[0]) }

func statsOf(t *testing.T, crm sandbox.CRM) simStats {
	t.Helper()
	var s simStats
	get(t, crm.URL+"/_sim/stats", &s)
	return s
}

// messagesOf are HubSpot's with a wamid.
func messagesOf(t *testing.T, info sandbox.Info, wamid string) []sandbox.SimMessage {
	return messagesIn(t, info.CRMs()[0], wamid)
}

func messagesIn(t *testing.T, crm sandbox.CRM, wamid string) []sandbox.SimMessage {
	t.Helper()
	var m []sandbox.SimMessage
	get(t, crm.URL+"/_sim/messages?wamid="+url.QueryEscape(wamid), &m)
	return m
}

// eventually waits until something holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// command runs crmsync to its end.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its exit code says the rest
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ask200 reads JSON and reports whether the answer was 200.
func ask200(address string, into any) bool {
	response, err := http.Get(address)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(into) == nil
}

// started are the processes that each test has started.
var started = struct {
	sync.Mutex
	by map[string][]*process
}{by: map[string][]*process{}}

func processesOf(t *testing.T) []*process {
	started.Lock()
	defer started.Unlock()
	return started.by[t.Name()]
}
