package app

import (
	"encoding/json"
	"os"
	"path/filepath"

	"crmsync/connectors/zoho"
)

// keptToken is the access token that an account used last, from a file in the
// data directory. Zoho issues only a few.
func (a *App) keptToken(account string) zoho.AccessToken {
	var token zoho.AccessToken
	text, err := os.ReadFile(a.tokenFile(account))
	if err != nil || json.Unmarshal(text, &token) != nil {
		return zoho.AccessToken{} // there is none; another is asked for
	}
	return token
}

// keepToken keeps an access token over restarts.
func (a *App) keepToken(account string) func(zoho.AccessToken) {
	return func(token zoho.AccessToken) {
		if _, err := os.Stat(a.config.DataDir); err != nil {
			return // a check before the first start leaves nothing behind
		}
		text, err := json.Marshal(token)
		if err == nil {
			err = replaceFile(a.tokenFile(account), text)
		}
		if err != nil {
			a.log.Warn("cannot keep the access token; the next start asks for another", "account", account, "error", err)
		}
	}
}

func (a *App) tokenFile(account string) string {
	return filepath.Join(a.config.DataDir, "tokens", account+".json")
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
