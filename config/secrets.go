package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A secretKey is a place of a secret in the configuration.
type secretKey struct {
	value   *Secret
	file    *string
	path    []string
	account string
}

func (c *Config) secrets() []secretKey {
	all := []secretKey{
		{&c.Database.URL, &c.Database.URLFile, []string{"database", "url"}, ""},
		{&c.NATS.Token, &c.NATS.TokenFile, []string{"nats", "token"}, ""},
	}
	for i := range c.Notify {
		n := &c.Notify[i]
		all = append(all, secretKey{&n.URL, &n.URLFile, []string{"notify", strconv.Itoa(i), "url"}, ""})
	}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		add := func(key string, value *Secret, file *string) {
			all = append(all, secretKey{value, file, []string{"accounts", strconv.Itoa(i), key}, a.Name})
		}
		add("token", &a.Token, &a.TokenFile)
		add("app_secret", &a.AppSecret, &a.AppSecretFile)
		add("app_secret_previous", &a.AppSecretPrevious, &a.AppSecretPreviousFile)
		add("verify_token", &a.VerifyToken, &a.VerifyTokenFile)
		add("client_secret", &a.ClientSecret, &a.ClientSecretFile)
		add("refresh_token", &a.RefreshToken, &a.RefreshTokenFile)
		add("webhook_url", &a.WebhookURL, &a.WebhookURLFile)
		add("webhook_token", &a.WebhookToken, &a.WebhookTokenFile)
	}
	return all
}

// secrets reads the secrets that are kept in files.
func (p *parser) secrets() {
	for _, s := range p.config.secrets() {
		p.secret(s.value, *s.file, s.path...)
	}
}

func (p *parser) secret(into *Secret, file string, path ...string) {
	if file == "" {
		return
	}
	key := path[len(path)-1]
	at := append(append([]string(nil), path[:len(path)-1]...), key+"_file")
	if into.Reveal() != "" {
		p.at(at, "both %s and %s_file are set; keep one", key, key)
		return
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(p.file), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.at(at, "%s_file: %s cannot be read: %s", key, file, reason(err))
		return
	}
	*into = NewSecret(strings.TrimRight(string(text), "\r\n"))
	if strings.TrimSpace(into.Reveal()) == "" {
		p.at(at, "%s_file: %s is empty", key, file)
	}
}
