package app

import (
	"log/slog"
	"testing"
	"time"

	"crmsync/config"
	"crmsync/connectors/zoho"
)

// An account's refresh token is replaced by one of another company. The access
// token that was kept still opens the first one's CRM: it is not used.
func TestAKeptAccessTokenIsOnlyForTheGrantItCameFrom(t *testing.T) {
	a := &App{config: &config.Config{DataDir: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
	account := func(refresh string) config.Account {
		return config.Account{Name: "zoho", Kind: config.Zoho, ClientID: "1000.CLIENT", RefreshToken: config.NewSecret(refresh)}
	}
	now := time.Now().UTC()
	a.keepToken(account("1000.FIRST"))(zoho.AccessToken{Value: "1000.ACCESS", Until: now.Add(time.Hour), Issued: []time.Time{now}})
	if kept := a.keptToken(account("1000.FIRST")); kept.Value != "1000.ACCESS" || len(kept.Issued) != 1 || !kept.Until.After(now) {
		t.Errorf("kept: %+v", kept)
	}
	if kept := a.keptToken(account("1000.SECOND")); kept.Value != "" {
		t.Errorf("with another refresh token %+v is used", kept)
	}
}
