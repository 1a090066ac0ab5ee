package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crmsync/mapping"
)

func TestTheExamplesOfTheSampleMappingPass(t *testing.T) {
	t.Parallel()
	out, errs, code := runCommand(t, "mapping", "check", sampleMapping)
	if code != 0 || !strings.Contains(out, "3 examples: all as expected\n") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

func TestAMappingThatBreaksItsExamplesIsFoundOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "mapping.yaml")
	examples := filepath.Join(dir, "mapping.examples")
	source, err := os.ReadFile(sampleMapping)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := runCommand(t, "mapping", "check", file)
	if code != 0 || strings.Contains(out, "example") {
		t.Errorf("without a folder: exit code %d: %s", code, out)
	}
	if err := os.CopyFS(examples, os.DirFS("../../config/mapping.examples")); err != nil {
		t.Fatal(err)
	}
	edit(t, file, "      firstname: first_name\n", "      firstname: last_name\n")
	text, err := os.ReadFile(filepath.Join(examples, "opted-out.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "firstname: ")
	line := strings.Count(before, "\n") + 1
	out, _, code = runCommand(t, "mapping", "check", file, "--output", "json")
	var report struct {
		OK       bool
		Examples int
		Findings mapping.Findings
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed || report.OK || report.Examples != 3 || len(report.Findings) != 3 {
		t.Fatalf("%v, exit code %d: %s", err, code, out)
	}
	want := mapping.Finding{File: filepath.Join(examples, "opted-out.yaml"), Line: line, Column: 16, Problem: `hubspot firstname is "Hopper", want "Grace"`}
	if report.Findings[1] != want {
		t.Errorf("finding %v, want %v", report.Findings[1], want)
	}
	if out, _, code = runCommand(t, "mapping", "check", file); code != exitFailed || !strings.Contains(out, want.String()+"\n") || strings.Contains(out, "is fine") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, _, code = runCommand(t, "mapping", "check", file, "--examples", filepath.Join(dir, "none")); code != 0 {
		t.Errorf("with another folder: exit code %d: %s", code, out)
	}

	edit(t, file, "      firstname: last_name\n", "      firstname: first_name\n")
	for name, tt := range map[string]struct{ text, says string }{
		"a missing payload":     {"payload: none.json\nexpect: {hubspot: {firstname: Ada}}\n", "odd.yaml:1:1: the payload cannot be read"},
		"a payload of nobody":   {"payload: {object: whatsapp_business_account, entry: []}\nexpect: {hubspot: {firstname: Ada}}\n", "odd.yaml:1:1: the webhook is about 0 contacts; an example has one"},
		"a payload of no JSON":  {"payload: |\n  {oops\nexpect: {hubspot: {firstname: Ada}}\n", "odd.yaml:1:1: the payload is not JSON at line 1, column 2"},
		"a fault of an example": {"contact: {frst_name: Ada}\nexpect: {hubspot: {firstname: Ada}}\n", `odd.yaml:1:11: there is no contact field "frst_name"; did you mean first_name?`},
	} {
		if err := os.WriteFile(filepath.Join(examples, "odd.yaml"), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _, code = runCommand(t, "mapping", "check", file); code != exitFailed || !strings.Contains(out, tt.says) {
			t.Errorf("%s: exit code %d: %s", name, code, out)
		}
	}
}

// An example of a contact passes at once, and does not say who it is unless it was
// told to.
func TestAnExampleIsMadeOfAContact(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	populate(t, info, 11)
	make := func(args ...string) (out, errs string, code int) {
		return runCommand(t, append([]string{"mapping", "example", mappingPath(info), "--config", info.Config, "--from-contact", "contact:11"}, args...)...)
	}
	out, errs, code := make()
	file := filepath.Join(filepath.Dir(info.Config), "mapping.examples", "contact-11.yaml")
	if code != 0 || out != file+"\n" {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text)
	for _, private := range []string{"Given", "Family", "n10@", "1631", "another colour", "00000010"} {
		if strings.Contains(string(text), private) {
			t.Errorf("the example says %q:\n%s", private, text)
		}
	}
	for _, kept := range []string{"country: US", "labels: [new, vip]", "consent: transactional", "firstname: Ada", "ada@example.com", "2026-11-01T09:00:10Z"} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("the example lacks %q:\n%s", kept, text)
		}
	}
	if out, _, code := runCommand(t, "mapping", "check", mappingPath(info)); code != 0 || !strings.Contains(out, "1 example: all as expected") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, errs, code := make(); code != exitFailed || !strings.Contains(errs, "is there already and stays as it is") {
		t.Errorf("once more: exit code %d: %s", code, errs)
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(text) {
		t.Errorf("it was written over (error %v)", err)
	}
	out, errs, code = make("--as-is", "--name", "as-it-is", "--output", "json")
	var written struct{ File string }
	if err := json.Unmarshal([]byte(out), &written); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d: %s%s", err, code, out, errs)
	}
	if text, err = os.ReadFile(written.File); err != nil || !strings.Contains(string(text), "firstname: Given10") || !strings.Contains(string(text), "n10@example.com") {
		t.Errorf("as it is (error %v):\n%s", err, text)
	}
	if out, _, code := runCommand(t, "mapping", "check", mappingPath(info)); code != 0 || !strings.Contains(out, "2 examples: all as expected") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for says, args := range map[string][]string{
		"--from-contact":   {"mapping", "example", mappingPath(info), "--config", info.Config},
		"without a folder": {"mapping", "example", mappingPath(info), "--config", info.Config, "--from-contact", "contact:1", "--name", "../x"},
	} {
		if _, errs, code := runCommand(t, args...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
}
