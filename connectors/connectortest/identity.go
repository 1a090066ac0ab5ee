package connectortest

import (
	"slices"
	"strings"
	"testing"

	"crmsync/connectors"
)

// identity is asked of an account that is not set up, and stays so.
func identity(t *testing.T, v Vendor) {
	a := v.Open(t)
	names, err := a.Identity(t.Context())
	if err != nil || len(names) == 0 {
		t.Fatalf("names %q, failure %v", names, err)
	}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, " \t\n") {
			t.Errorf("%q is no name: it is empty, or holds a space", name)
		}
		for _, secret := range a.Secrets {
			if strings.Contains(name, secret) {
				t.Errorf("the name %q holds a secret", name)
			}
		}
	}
	if again, err := a.Identity(t.Context()); err != nil || !slices.Equal(again, names) {
		t.Errorf("first %q, then %q (failure %v)", names, again, err)
	}
	if n := a.writes(t); n != 0 {
		t.Errorf("asking for the name took %d writes", n)
	}
	// Who cannot be asked now has not been asked; who need not be knows.
	for _, mode := range []string{"outage", "reset", "garbage", "silence", "throttle"} {
		a.fault(t, map[string]any{"mode": mode})
		again, err := a.Identity(t.Context())
		if e := connectors.AsError(err); e != nil && (e.Code == connectors.NotOffered || !e.Class.AccountTrouble()) || e == nil && !slices.Equal(again, names) {
			t.Errorf("%s: names %q, failure %v; want those names or the account's trouble", mode, again, err)
		}
		a.fault(t, map[string]any{"mode": "none"})
	}
	if again, err := a.Identity(t.Context()); err != nil || !slices.Equal(again, names) {
		t.Errorf("after the faults %q (failure %v)", again, err)
	}
}
