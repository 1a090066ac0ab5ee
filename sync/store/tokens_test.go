package store_test

import (
	"context"
	"testing"

	"crmsync/sync/store"
)

// A token outlives the program and is seen by every replica, for as long as
// the configured one that it stands for.
func TestARefreshTokenIsKeptForWhatItReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, reopen func() (*store.DB, error)) {
		ctx := context.Background()
		kept := func(db *store.DB, account, instead string) string {
			t.Helper()
			token, err := db.RefreshToken(ctx, account, instead)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		keep := func(account, instead, token string) {
			t.Helper()
			if err := db.KeepRefreshToken(ctx, account, instead, token); err != nil {
				t.Fatal(err)
			}
		}
		if got := kept(db, "hubspot", "first"); got != "" {
			t.Errorf("%q is kept before anything was", got)
		}
		keep("hubspot", "first", "r1")
		keep("hubspot", "first", "r2")
		keep("portal", "first", "p1")
		other, err := reopen()
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if got := kept(other, "hubspot", "first"); got != "r2" {
			t.Errorf("%q is kept, want r2", got)
		}
		if got := kept(db, "portal", "first"); got != "p1" {
			t.Errorf("%q is kept, want p1", got)
		}
		// Somebody has installed the app again.
		if got := kept(db, "hubspot", "second"); got != "" {
			t.Errorf("%q is kept instead of another token", got)
		}
		keep("hubspot", "second", "s1")
		if got := kept(db, "hubspot", "first"); got != "r2" {
			t.Errorf("a replica that has not heard of it gets %q, want r2", got)
		}
	})
}
