package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/zoho"
	"crmsync/sync/store"
)

// keptZoho is the file with an account's access token. For names what it was
// asked with: with another client or refresh token configured, the account may
// be another company's.
type keptZoho struct {
	zoho.AccessToken
	For string `json:"for"`
}

func zohoGrant(c config.Account) string {
	return connectors.Digest([]byte(c.AccountsURL + " " + c.ClientID + " " + c.RefreshToken.Reveal()))
}

// keptToken is the access token that an account used last, from a file in the
// data directory. Zoho issues only a few.
func (a *App) keptToken(c config.Account) zoho.AccessToken {
	var kept keptZoho
	text, err := os.ReadFile(a.tokenFile(c.Name))
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.For != zohoGrant(c) {
		return zoho.AccessToken{} // there is none; another is asked for
	}
	return kept.AccessToken
}

// keepToken keeps an access token over restarts.
func (a *App) keepToken(c config.Account) func(zoho.AccessToken) {
	return func(token zoho.AccessToken) {
		if _, err := os.Stat(a.config.DataDir); err != nil {
			return // a check before the first start leaves nothing behind
		}
		text, err := json.Marshal(keptZoho{token, zohoGrant(c)})
		if err == nil {
			err = replaceFile(a.tokenFile(c.Name), text)
		}
		if err != nil {
			a.log.Warn("cannot keep the access token; the next start asks for another", "account", c.Name, "error", err)
		}
	}
}

func (a *App) tokenFile(account string) string {
	return filepath.Join(a.config.DataDir, "tokens", account+".json")
}

// refreshTokens keep, in the database, the refresh tokens that an account's
// vendor gives in place of the configured one. When that is another, because
// somebody has installed the app again, what was kept does not count any more.
func (a *App) refreshTokens(c config.Account) (load func(context.Context) (string, error), save func(context.Context, string) error) {
	instead := connectors.Digest([]byte(c.ClientID + " " + c.RefreshToken.Reveal()))
	load = func(ctx context.Context) (string, error) {
		if a.store == nil && !hasStore(a.config) {
			return "", nil // a check before the first start
		}
		db, err := a.database(ctx)
		if err != nil {
			return "", err
		}
		return db.RefreshToken(ctx, c.Name, instead)
	}
	save = func(ctx context.Context, token string) error {
		db, err := a.database(ctx)
		if err == nil {
			err = db.KeepRefreshToken(ctx, c.Name, instead, token)
		}
		if err != nil {
			a.log.Error("cannot keep the new refresh token; the account waits until it can be kept", "account", c.Name, "error", err)
		}
		return err
	}
	return load, save
}

// database is the one that a worker has open, or that a check opens when it
// turns out to need it.
func (a *App) database(ctx context.Context) (*store.DB, error) {
	if a.store != nil {
		return a.store, nil
	}
	if a.config.Database.URL.IsZero() {
		if err := os.MkdirAll(a.config.DataDir, 0o700); err != nil {
			return nil, err
		}
	}
	db, err := OpenStore(ctx, a.config)
	if err == nil {
		a.store = db
	}
	return db, err
}

// replaceFile writes a file for its owner's eyes, whole or not at all.
func replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
