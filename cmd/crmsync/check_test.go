package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// edit changes a written configuration.
func edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnAccountWithoutAMappingIsRefused(t *testing.T) {
	info := simulate(t)
	edit(t, info.Config, "  - name: hubspot\n", "  - name: hubspot-eu\n")
	for _, command := range []string{"check", "serve"} {
		out, errs, code := runCommand(t, command, "--config", info.Config)
		if code != exitFailed || !strings.Contains(out+errs, "mapping.yaml: there are no fields for account hubspot-eu") {
			t.Errorf("%s: exit code %d\n%s%s", command, code, out, errs)
		}
	}
	// An account more in the mapping is no fault.
	edit(t, info.Config, "hubspot-eu", "hubspot")
	edit(t, filepath.Join(filepath.Dir(info.Config), "mapping.yaml"), "accounts:\n", "accounts:\n  another:\n    contact:\n      Phone: phone\n")
	if out, _, code := runCommand(t, "check", "--config", info.Config); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestAMistypedVariableIsNoted(t *testing.T) {
	info := simulate(t)
	t.Setenv("CRMSYNC_LISTNE", "x")
	const want = "nothing reads CRMSYNC_LISTNE; did you mean CRMSYNC_LISTEN?"
	if out, _, code := runCommand(t, "check", "--config", info.Config); code != 0 || !strings.Contains(out, "note: environment: "+want) {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
	if worker := serve(t, info); !strings.Contains(worker.errors.String(), want) {
		t.Errorf("log:\n%s", worker.errors)
	}
}

func TestCheckLiveSaysWhatDoesNotAnswer(t *testing.T) {
	info := simulate(t)
	address := strings.TrimPrefix(info.HubSpot.URL, "http://")
	edit(t, info.Config, info.HubSpot.Token, "pat-wrong")
	out, _, code := runCommand(t, "check", "--live", "--config", info.Config)
	if code != exitFailed || !strings.Contains(out, address+": unauthorized") {
		t.Errorf("exit code %d, want the address of the account:\n%s", code, out)
	}
	edit(t, info.Config, `data_dir: "data"`, "data_dir: mapping.yaml/data")
	out, _, code = runCommand(t, "check", "--live", "--config", info.Config)
	if code != exitFailed || !strings.Contains(out, "FAIL  broker embedded") || !strings.Contains(out, "FAIL  database SQLite") {
		t.Errorf("a data directory that cannot be: exit code %d\n%s", code, out)
	}
}

func TestTheEmbeddedDatabaseIsItsOwnersOnly(t *testing.T) {
	info := simulate(t)
	serve(t, info)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(info.Config), "data", "crmsync.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v (error %v)", files, err)
	}
	for _, file := range files {
		if stat, err := os.Stat(file); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (error %v)", file, stat.Mode(), err)
		}
	}
}
