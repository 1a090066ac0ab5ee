package bitrix24

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// events are the events about contacts (Bitrix24: events of contacts).
var events = map[string]connectors.RecordChange{
	"ONCRMCONTACTADD":    connectors.RecordCreated,
	"ONCRMCONTACTUPDATE": connectors.RecordUpdated,
	"ONCRMCONTACTDELETE": connectors.RecordDeleted,
}

var eventNames = []string{"ONCRMCONTACTADD", "ONCRMCONTACTUPDATE", "ONCRMCONTACTDELETE"}

// Subscribe binds the events about contacts to the address, unless they are.
// Bindings last until the application is removed or gets a new version, so
// this belongs to every start. Bitrix24 chooses its own token.
func (c *Client) Subscribe(ctx context.Context, s connectors.Subscription) (time.Time, error) {
	if c.tokens == nil {
		return time.Time{}, notOffered("only applications may bind events: add an outgoing webhook in Bitrix24 for contacts created, updated and deleted")
	}
	bound, err := c.bound(ctx, s.Address)
	if err != nil {
		return time.Time{}, err
	}
	for _, event := range eventNames {
		if bound[event] {
			continue
		}
		if _, err := c.call(ctx, plain, eventBind, params{"event": event, "handler": s.Address}); err != nil {
			// It says no when somebody else has just done it.
			if again, e := c.bound(ctx, s.Address); e != nil || !again[event] {
				return time.Time{}, err
			}
		}
	}
	return time.Time{}, nil
}

// bound are the events that go to an address.
func (c *Client) bound(ctx context.Context, address string) (map[string]bool, *connectors.Error) {
	env, err := c.call(ctx, plain, eventGet, nil)
	if err != nil {
		return nil, err
	}
	var have list[struct {
		Event   value `json:"event"`
		Handler value `json:"handler"`
		Offline flag  `json:"offline"`
	}]
	_ = json.Unmarshal(env.Result, &have)
	bound := map[string]bool{}
	for _, h := range have {
		if string(h.Handler) == address && !bool(h.Offline) {
			bound[strings.ToUpper(string(h.Event))] = true
		}
	}
	return bound, nil
}

// A Receiver understands the events of one portal.
type Receiver struct {
	token, member string
}

var _ connectors.Receiver = (*Receiver)(nil)

// NewReceiver returns a receiver of events that carry an application token:
// that of the outgoing webhook or, of an application, the one that came with
// its installation. An empty token matches nothing, an empty member id every
// portal.
func NewReceiver(applicationToken, memberID string) *Receiver {
	return &Receiver{token: applicationToken, member: memberID}
}

// Challenge is not part of Bitrix24's webhooks.
func (r *Receiver) Challenge(url.Values) (string, bool) { return "", false }

// Verify reports whether the body carries the application token: there is no
// signature (Bitrix24: safe event handlers).
func (r *Receiver) Verify(_ http.Header, body []byte) bool {
	form, _ := url.ParseQuery(string(body))
	known := equal(form["auth[application_token]"], r.token) && r.token != ""
	member := equal(form["auth[member_id]"], r.member) || r.member == ""
	return known && member
}

// equal compares in a time that does not tell how much is right.
func equal(got []string, want string) bool {
	if len(got) != 1 {
		return false
	}
	a, b := sha256.Sum256([]byte(got[0])), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Split makes a fact of the one event that a body holds. It says only whose
// record has changed.
func (r *Receiver) Split(body []byte) []connectors.Fact {
	raw := withoutAuth(body)
	form, err := url.ParseQuery(string(raw))
	f := connectors.Fact{Type: connectors.TypeWord(form.Get("event"))}
	if seconds, e := strconv.ParseInt(form.Get("ts"), 10, 64); e == nil && seconds > 0 && seconds < 1e11 {
		f.At = time.Unix(seconds, 0).UTC()
	}
	event := strings.ToUpper(form.Get("event"))
	id := cmp.Or(form.Get("data[FIELDS][ID]"), form.Get("data[ID]"))
	change, known := events[event]
	switch {
	case err != nil:
		f.Reason = "the body is not a form"
	case event == "":
		f.Reason = "event is missing"
	case known && !isID(id):
		f.Reason = "data[FIELDS][ID] is not an id"
	case known && f.At.IsZero():
		// Without it the same event could not be told from the next one.
		f.Reason = "ts is not a time"
	case known:
		f.Kind = connectors.KindRecord
		f.Key = strings.Join([]string{"record", strings.ToLower(event), id, strconv.FormatInt(f.At.Unix(), 10)}, ":")
		f.Record = &connectors.RecordNews{ID: id, Change: change}
		return []connectors.Fact{f}
	default:
		f.Kind, f.Key, f.Raw = connectors.KindOther, "other:"+connectors.Digest(raw), raw
		return []connectors.Fact{f}
	}
	f.Kind, f.Key, f.Raw = connectors.KindMalformed, "malformed:"+connectors.Digest(raw), raw
	return []connectors.Fact{f}
}

// withoutAuth is the body without the tokens that came with it.
func withoutAuth(body []byte) []byte {
	var kept []string
	for pair := range strings.SplitSeq(string(body), "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name != "auth" && !strings.HasPrefix(strings.ToLower(name), "auth[") && !strings.HasPrefix(strings.ToLower(name), "auth%5b") {
			kept = append(kept, pair)
		}
	}
	return []byte(strings.Join(kept, "&"))
}
