package zoho

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"crmsync/connectors"
)

const (
	// maxToken is how long a channel's token may be, week how long a channel
	// lives. One that asks for more lives an hour, so the clocks may differ by
	// an hour, too (Zoho: notifications/enable).
	maxToken = 50
	week     = 7 * 24 * time.Hour
	skew     = time.Hour
)

// A channel is where notifications go.
type channel struct {
	ID      string   `json:"channel_id"`
	Events  []string `json:"events"`
	Address string   `json:"notify_url"`
	Token   string   `json:"token"`
	Expiry  string   `json:"channel_expiry"`
	// Related false keeps away what happens to other records that have to do
	// with a contact: notes, messages.
	Related bool `json:"notify_on_related_action"`
}

// Subscribe opens a channel for notifications about contacts, or prolongs it.
// It is to be called again when a seventh of the channel's time is over, so
// that a week of which some days fail is no trouble. Channels die in silence.
func (c *Client) Subscribe(ctx context.Context, s connectors.Subscription) (renewBy time.Time, err error) {
	if s.Address == "" || s.Token == "" || len(s.Token) > maxToken {
		return time.Time{}, &connectors.Error{
			Class: connectors.Rejected, Code: "INVALID_SUBSCRIPTION", Field: "token",
			Reason: "Zoho's notifications need an address, and a token of at most 50 characters",
		}
	}
	now := time.Now()
	w := channel{
		ID:      channelID(s.Address),
		Events:  []string{contacts + ".create", contacts + ".edit", contacts + ".delete"},
		Address: s.Address, Token: s.Token,
		Expiry: instant(now.Add(week - skew)),
	}
	expiry, failure := c.watch(ctx, http.MethodPut, w)
	if failure != nil && failure.Code == "NOT_SUBSCRIBED" {
		expiry, failure = c.watch(ctx, http.MethodPost, w)
	}
	if failure != nil {
		return time.Time{}, failure
	}
	if expiry.IsZero() {
		expiry = now.Add(week - skew)
	}
	return now.Add(max(expiry.Sub(now)/7, time.Minute)), nil
}

// watch makes a call about one channel and says until when it lives, zero if
// Zoho does not.
func (c *Client) watch(ctx context.Context, method string, w channel) (time.Time, *connectors.Error) {
	a, err := c.do(ctx, call{method: method, path: "actions/watch", in: map[string]any{"watch": []channel{w}}})
	if err != nil {
		return time.Time{}, err
	}
	if len(a.Watch) != 1 {
		return time.Time{}, garbled()
	}
	var r answerRow
	if json.Unmarshal(a.Watch[0], &r) != nil {
		return time.Time{}, garbled()
	}
	if r.Code != "SUCCESS" {
		return time.Time{}, r.explain(a.status, "")
	}
	var expiry time.Time
	for _, e := range r.Details.Events {
		at, err := time.Parse(time.RFC3339, string(e.Expiry))
		if err == nil && (expiry.IsZero() || at.Before(expiry)) {
			expiry = at
		}
	}
	return expiry, nil
}

// channelID is a number of our own choice, the same for the same address: every
// replica means the same channel, and another installation of crmsync on the
// same organisation another one.
func channelID(address string) string {
	sum := sha256.Sum256([]byte("crmsync " + address))
	// Positive as an int64, and always of 19 digits.
	return strconv.FormatUint(1<<62|binary.BigEndian.Uint64(sum[:])>>2, 10)
}
