package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The sample fits the accounts once its fields are there, and maps 25 fields or more
// in each. What does not fit is said line by line; --fix creates what can be.
func TestAMappingIsComparedWithTheAccounts(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	file := filepath.Join(filepath.Dir(info.Config), "mapping.yaml")
	check := func(file string, more ...string) (r mappingReport, code int) {
		t.Helper()
		out, errs, code := runCommand(t, append([]string{"mapping", "check", file, "--live", "--config", info.Config, "--output", "json"}, more...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%s%s: %v", out, errs, err)
		}
		return r, code
	}
	if r, code := check(file); code != 1 || len(r.Fields) < 40 || !r.Fields[1].Fixable || r.Fields[len(r.Fields)-1].Line == 0 {
		t.Errorf("before the fields are there: exit code %d, %d findings", code, len(r.Fields))
	}
	if r, code := check(file, "--fix"); code != 0 {
		t.Errorf("--fix: exit code %d, %v", code, r.Fields)
	}
	r, code := check(file)
	if code != 0 || len(r.Fields) > 0 || !r.OK {
		t.Errorf("the sample: exit code %d, %v", code, r.Fields)
	}
	out, _, code := runCommand(t, "mapping", "check", file)
	if strings.Count(out, "26 contact fields") != 3 || code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}

	odd := filepath.Join(t.TempDir(), "odd.yaml")
	text := "version: 1\naccounts:\n  hubspot:\n    contact:\n      phone: phone\n      frstname: first_name\n      createdate: consent_at\n      crmsync_unread_count: last_name\n" +
		"      crmsync_consent: {field: consent, options: {marketing: yes_please, \"*\": unknown}}\n" +
		"  zoho:\n    contact:\n      Last_Name: {field: last_name, max_length: 500}\n      Frst_Name: {field: first_name, direction: from}\n" +
		"  bitrix24:\n    contact:\n      NAME: first_name\n      MADE_UP: email\n"
	if err := os.WriteFile(odd, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runCommand(t, "mapping", "check", odd, "--live", "--config", info.Config)
	t.Log(out)
	for _, want := range []string{
		"odd.yaml:6:7: hubspot, frstname: the property does not exist in HubSpot and the mapping writes it; did you mean firstname? (--fix creates it)",
		"odd.yaml:7:7: hubspot, createdate: the property is read-only in HubSpot",
		"odd.yaml:8:7: hubspot, crmsync_unread_count: the property is of type number",
		"warning: " + odd + ":9:7: hubspot, crmsync_consent: the property lacks options, add them in HubSpot: yes_please",
		"odd.yaml:12:7: zoho, Last_Name: max_length is 500 and the account's field holds",
		"odd.yaml:13:7: zoho, Frst_Name: the account has no such field to read; did you mean First_Name?",
		"odd.yaml:17:7: bitrix24, MADE_UP: Bitrix24 has no such field",
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, and %q is not said\n%s", code, want, errs)
		}
	}
}
