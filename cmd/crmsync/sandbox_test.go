package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crmsync/config"
)

func TestListeningEverywhere(t *testing.T) {
	for host, prefix := range map[string]string{
		"0.0.0.0": "http://127.0.0.1:", "::": "http://[::1]:", "::1": "http://[::1]:", "localhost": "http://localhost:",
	} {
		t.Run(host, func(t *testing.T) {
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("NOT RUN: %v", err)
			}
			l.Close()
			info := simulate(t, "--listen", host)
			for _, address := range []string{info.Worker.URL, info.Worker.Webhooks["whatsapp"], info.WhatsApp.URL, info.HubSpot.URL} {
				if !strings.HasPrefix(address, prefix) {
					t.Errorf("address %s, want %s…", address, prefix)
				}
			}
			stats(t, info)
			if c, err := config.Load(info.Config, nil); err != nil || !strings.HasPrefix(c.Listen, strings.Trim(net.JoinHostPort(host, ""), ":")) {
				t.Errorf("the written configuration: %v %+v", err, c)
			}
		})
	}
}

func TestSomebodysOwnFilesAreNotOverwritten(t *testing.T) {
	for _, name := range []string{"crmsync.yaml", "mapping.yaml"} {
		dir := t.TempDir()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("# mine\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"simulate", "--write-config", dir}, {"sandbox", "--data", dir}} {
			if _, errs, code := runCommand(t, args...); code != exitFailed || !strings.Contains(errs, "that crmsync has not written") {
				t.Errorf("%v with a %s there: exit code %d\n%s", args, name, code, errs)
			}
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "# mine\n" {
			t.Errorf("%s is %q now (error %v)", name, text, err)
		}
	}
}

func TestAWrittenConfigurationIsWrittenAgainAndHasAnAbsolutePath(t *testing.T) {
	if _, err := binary(); err != nil { // built before the folder changes
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for range 2 {
		p := start(t, nil, "simulate", "--output", "json", "--write-config", "here")
		if info := p.info(); !filepath.IsAbs(info.Config) || !strings.HasSuffix(info.Config, "/here/crmsync.yaml") {
			t.Errorf("config %s", info.Config)
		}
		p.stop()
	}
}

func TestSimulateSaysWhatAWorkerNeeds(t *testing.T) {
	p := start(t, nil, "simulate")
	var text string
	for !strings.Contains(text, "Ctrl-C") {
		text += p.line(5*time.Second) + "\n"
	}
	for _, want := range []string{"WhatsApp token ", "WhatsApp app secret ", "WhatsApp verify token ", "HubSpot token "} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing is said of the %s:\n%s", want, text)
		}
	}
}

func TestAnInterruptedSandboxStopsAtOnce(t *testing.T) {
	for name, reached := range map[string]func(p *process, temporary string) bool{
		"while starting": func(_ *process, temporary string) bool { return len(entries(t, temporary)) > 0 },
		"before the sample traffic is through": func(p *process, _ string) bool {
			return strings.Contains(p.line(10*time.Second), "are running")
		},
	} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			p := start(t, []string{"TMPDIR=" + temporary}, "sandbox")
			eventually(t, 10*time.Second, name, func() bool { return reached(p, temporary) })
			if code := p.stop(); code != 0 {
				t.Errorf("exit code %d; %s", code, p.errors)
			}
			for line := range p.lines {
				if strings.Contains(line, "What just happened") {
					t.Error("it tells the story all the same")
				}
			}
			if left := entries(t, temporary); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// sandbox | head -1
func TestASandboxThatNobodyReadsLeavesNothingBehind(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	cmd := exec.Command(path, "sandbox")
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer kill.Stop()
	bufio.NewScanner(out).Scan()
	out.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if left := entries(t, temporary); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
