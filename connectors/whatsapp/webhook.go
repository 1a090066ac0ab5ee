// Package whatsapp speaks to the WhatsApp Business Cloud API.
package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"crmsync/connectors"
)

// A Receiver understands the webhooks of one Meta app.
type Receiver struct {
	secrets     [][]byte
	verifyToken string
}

var _ connectors.Receiver = (*Receiver)(nil)

// NewReceiver returns a receiver of webhooks that are signed with one of the
// app secrets: the current one and, during a rotation, the previous one. Empty
// secrets are left out; without any, nothing verifies. An empty verify token
// matches no challenge.
func NewReceiver(secrets []string, verifyToken string) *Receiver {
	r := &Receiver{verifyToken: verifyToken}
	for _, s := range secrets {
		if s != "" {
			r.secrets = append(r.secrets, []byte(s))
		}
	}
	return r
}

// Challenge answers Meta's verification of the webhook's address. Such a
// request carries no signature.
func (r *Receiver) Challenge(query url.Values) (answer string, ok bool) {
	mode, token, challenge := query["hub.mode"], query["hub.verify_token"], query["hub.challenge"]
	if len(mode) != 1 || len(token) != 1 || len(challenge) != 1 {
		return "", false
	}
	// Digests have one length, so that the comparison does not tell the
	// token's.
	got, want := sha256.Sum256([]byte(token[0])), sha256.Sum256([]byte(r.verifyToken))
	same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	if !same || r.verifyToken == "" || mode[0] != "subscribe" || challenge[0] == "" {
		return "", false
	}
	return challenge[0], true
}

// Verify reports whether the body was signed with one of the app secrets. It
// is to be given the bytes as they arrived: Meta signs the form in which every
// character outside ASCII is escaped, which no re-serialised body has.
func (r *Receiver) Verify(header http.Header, body []byte) bool {
	signatures := header.Values("X-Hub-Signature-256")
	if len(signatures) != 1 {
		return false
	}
	got, prefixed := strings.CutPrefix(signatures[0], "sha256=")
	if !prefixed {
		return false
	}
	verified := false
	for _, secret := range r.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		want := hex.EncodeToString(mac.Sum(nil)) // Meta writes lower case
		verified = hmac.Equal([]byte(got), []byte(want)) || verified
	}
	return verified
}

// Split takes a verified body apart into facts, see [connectors.Receiver].
// Names of members match exactly, and what a webhook carries beyond what is
// known never makes a part of it unreadable.
func (r *Receiver) Split(body []byte) []connectors.Fact { return split(body) }
