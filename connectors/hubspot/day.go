package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/internal/rest"
)

// daily is the code of the limit per day, HubSpot's own word.
const daily = "DAILY"

// A day is what is known of an account's quota per day, which all of its apps
// share. HubSpot tells it in the headers of every answer but those of searches
// and those to public apps, which have none (HubSpot: API usage guidelines).
type day struct {
	mu sync.Mutex
	// until is when the next call may be made.
	until time.Time
	// zone is the account's time zone, in which the day ends; asked is when
	// the account was last asked for it.
	zone  *time.Location
	asked time.Time
}

const (
	// The last hundredth is left to the account's other apps, and to people
	// who set things up.
	reserve = 100
	// With a twentieth left it is time to learn when the day ends, since
	// without quota HubSpot would not say.
	scarce = 20
	// blind is how long to wait when that is not known.
	blind = rest.MaxRetryAfter
)

// spent is the failure of a call that the day's quota has no room for.
func (d *day) spent(now time.Time) *connectors.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !now.Before(d.until) {
		return nil
	}
	return &connectors.Error{
		Class: connectors.Throttled, Code: daily, RetryAfter: d.until.Sub(now),
		Reason: "the account's calls per day are used up, by all of its apps together",
	}
}

// window passes on what the headers of an answer say about the quota in a
// moving window. It depends on the account's tier, and people buy more.
func (c *Client) window(h http.Header) {
	most, err := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Max"))
	length, err2 := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Interval-Milliseconds"))
	if c.granted != nil && err == nil && err2 == nil && most > 0 && length > 0 {
		c.granted(most, time.Duration(length)*time.Millisecond)
	}
}

// today reads off the headers of an answer how much of the day's quota is left.
func (c *Client) today(ctx context.Context, h http.Header) {
	limit, err := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Daily"))
	left, err2 := strconv.Atoi(h.Get("X-HubSpot-RateLimit-Daily-Remaining"))
	if err != nil || err2 != nil || limit <= 0 {
		return
	}
	if left <= limit/scarce && c.day.ask(time.Now()) {
		c.learnZone(ctx)
	}
	if left <= limit/reserve {
		c.day.end(time.Now(), 0)
	}
}

// end is told that the day's quota is used up, and how long HubSpot asks to
// wait, 0 if it does not. It returns how long that is.
func (d *day) end(now time.Time, wait time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case wait > 0:
		d.until = now.Add(wait)
	case now.Before(d.until):
		// Known already.

	// A day that has only just begun cannot be used up: what ends when we
	// think so is not HubSpot's day.
	case d.zone == nil, now.Sub(d.until) < time.Hour:
		d.until = now.Add(blind)
	default:
		l := now.In(d.zone)
		// Clocks need not agree to the second.
		d.until = time.Date(l.Year(), l.Month(), l.Day()+1, 0, 1, 0, 0, d.zone)
	}
	return d.until.Sub(now)
}

// ask reports whether the account should be asked for its time zone, at most
// once an hour.
func (d *day) ask(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.zone != nil || now.Sub(d.asked) < time.Hour {
		return false
	}
	d.asked = now
	return true
}

// learnZone asks the account for its time zone. Not to learn it is no failure.
func (c *Client) learnZone(ctx context.Context) {
	a, err := c.rest.Do(ctx, rest.Request{Method: http.MethodGet, Path: c.version.in(c.paths.account)})
	if err != nil || !a.OK() {
		return
	}
	var account struct {
		TimeZone string `json:"timeZone"`
		Offset   *int   `json:"utcOffsetMilliseconds"`
	}
	if a.Decode(&account) != nil {
		return
	}
	zone, err := time.LoadLocation(account.TimeZone)
	if err != nil || account.TimeZone == "" {
		// The program may run without a time zone database.
		if account.Offset == nil {
			return
		}
		zone = time.FixedZone("account", *account.Offset/1000)
	}
	c.day.mu.Lock()
	defer c.day.mu.Unlock()
	c.day.zone = zone
}
