package hubspot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// A Receiver understands the webhooks of one HubSpot app.
type Receiver struct {
	secret []byte
	// start is what the signed text begins with: method and address.
	start string
	now   func() time.Time
}

var _ connectors.Receiver = (*Receiver)(nil)

// window is how old a webhook may be, and how far ahead its clock.
const window = 5 * time.Minute

// NewReceiver returns a receiver of webhooks to publicURL that are signed with
// the app's client secret; without a secret nothing verifies. The address is
// the one that HubSpot calls, to the letter: the signature covers it, and what
// a proxy makes of it is of no use. A nil now is the clock.
func NewReceiver(clientSecret, publicURL string, now func() time.Time) *Receiver {
	if now == nil {
		now = time.Now
	}
	return &Receiver{secret: []byte(clientSecret), start: http.MethodPost + signedURI.Replace(publicURL), now: now}
}

// signedURI decodes what HubSpot decodes in an address before it signs it, and
// nothing else (HubSpot: validating requests).
var signedURI = func() *strings.Replacer {
	var pairs []string
	for _, c := range ":/?@!$'()*,;" {
		upper := "%" + strings.ToUpper(strconv.FormatInt(int64(c), 16))
		pairs = append(pairs, upper, string(c))
		if lower := strings.ToLower(upper); lower != upper {
			pairs = append(pairs, lower, string(c))
		}
	}
	return strings.NewReplacer(pairs...)
}()

// Challenge answers nothing: HubSpot does not ask whether an address is ours.
func (*Receiver) Challenge(url.Values) (answer string, ok bool) { return "", false }

// Verify reports whether the body was signed with the app's secret not long
// ago, in version 3. HubSpot sends the signature of version 1 along, which
// holds neither the address nor the time and is not looked at.
func (r *Receiver) Verify(header http.Header, body []byte) bool {
	signatures, stamps := header.Values("X-HubSpot-Signature-v3"), header.Values("X-HubSpot-Request-Timestamp")
	if len(r.secret) == 0 || len(signatures) != 1 || len(stamps) != 1 {
		return false
	}
	stamp := stamps[0]
	// ParseInt would take a sign, which HubSpot does not write.
	ms, err := strconv.ParseUint(stamp, 10, 63)
	if err != nil {
		return false
	}
	if age := r.now().Sub(time.UnixMilli(int64(ms))); age > window || age < -window {
		return false
	}
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(r.start))
	mac.Write(body)
	mac.Write([]byte(stamp))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signatures[0]), []byte(want))
}

// Split takes a verified body apart into facts, see [connectors.Receiver]. An
// event about a contact names it and not what it holds.
func (*Receiver) Split(body []byte) []connectors.Fact { return split(body) }
