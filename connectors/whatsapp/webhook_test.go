package whatsapp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"crmsync/connectors/whatsapp"
)

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	// As Meta writes it: escaped, in lower case, slashes too.
	body := []byte(`{"text":"caff\u00e8 \ud83d\ude42 https:\/\/x.it @"}`)
	good := sign("current", body)
	tests := map[string]struct {
		secrets []string
		header  http.Header
		body    []byte
		want    bool
	}{
		"signed with the secret":               {[]string{"current"}, headers(good), body, true},
		"signed before the rotation":           {[]string{"next", "current"}, headers(good), body, true},
		"signed after the rotation":            {[]string{"current", "previous"}, headers(good), body, true},
		"signed with another app's secret":     {[]string{"other", "third"}, headers(good), body, false},
		"not signed":                           {[]string{"current"}, http.Header{}, body, false},
		"signed twice":                         {[]string{"current"}, headers(good, good), body, false},
		"signed well and badly":                {[]string{"current"}, headers(good, "sha256=00"), body, false},
		"signed in upper case":                 {[]string{"current"}, headers("sha256=" + strings.ToUpper(good[7:])), body, false},
		"prefix in upper case":                 {[]string{"current"}, headers("SHA256=" + good[7:]), body, false},
		"without prefix":                       {[]string{"current"}, headers(good[7:]), body, false},
		"prefix of the older signature":        {[]string{"current"}, headers("sha1=" + good[7:]), body, false},
		"cut short":                            {[]string{"current"}, headers(good[:len(good)-1]), body, false},
		"too long":                             {[]string{"current"}, headers(good + "0"), body, false},
		"prefix alone":                         {[]string{"current"}, headers("sha256="), body, false},
		"empty header":                         {[]string{"current"}, headers(""), body, false},
		"space around":                         {[]string{"current"}, headers(" " + good), body, false},
		"not hex":                              {[]string{"current"}, headers("sha256=" + strings.Repeat("z", 64)), body, false},
		"body changed by one byte":             {[]string{"current"}, headers(good), append([]byte(" "), body...), false},
		"body written again without escapes":   {[]string{"current"}, headers(good), []byte(`{"text":"caffè 🙂 https://x.it @"}`), false},
		"empty body, signed":                   {[]string{"current"}, headers(sign("current", nil)), nil, true},
		"no secret configured":                 {nil, headers(sign("", body)), body, false},
		"empty secret configured":              {[]string{""}, headers(sign("", body)), body, false},
		"empty previous secret is no way in":   {[]string{"current", ""}, headers(sign("", body)), body, false},
		"older signature beside does not harm": {[]string{"current"}, beside(headers(good), "X-Hub-Signature", "sha1=00"), body, true},
		"older signature alone":                {[]string{"current"}, beside(http.Header{}, "X-Hub-Signature", good), body, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := whatsapp.NewReceiver(tt.secrets, "").Verify(tt.header, tt.body); got != tt.want {
				t.Errorf("Verify = %v, want %v", got, tt.want)
			}
		})
	}
}

func headers(signatures ...string) http.Header {
	return http.Header{"X-Hub-Signature-256": signatures}
}

func beside(h http.Header, name, value string) http.Header {
	h.Set(name, value)
	return h
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		token, query string
		want         string
		ok           bool
	}{
		"the address is saved":        {"tok", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=tok", "1158201444", true},
		"a challenge is not a number": {"tok", "hub.mode=subscribe&hub.challenge=a%26b&hub.verify_token=tok", "a&b", true},
		"wrong token":                 {"tok", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=tok2", "", false},
		"token cut short":             {"tok", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=to", "", false},
		"no token":                    {"tok", "hub.mode=subscribe&hub.challenge=1", "", false},
		"two tokens":                  {"tok", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=tok&hub.verify_token=x", "", false},
		"another mode":                {"tok", "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=tok", "", false},
		"no mode":                     {"tok", "hub.challenge=1&hub.verify_token=tok", "", false},
		"no challenge":                {"tok", "hub.mode=subscribe&hub.verify_token=tok", "", false},
		"empty challenge":             {"tok", "hub.mode=subscribe&hub.challenge=&hub.verify_token=tok", "", false},
		"names without a dot":         {"tok", "mode=subscribe&challenge=1&verify_token=tok", "", false},
		"nothing":                     {"tok", "", "", false},
		"no token configured":         {"", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := whatsapp.NewReceiver(nil, tt.token).Challenge(query)
			if got != tt.want || ok != tt.ok {
				t.Errorf("Challenge = %q %v, want %q %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
