package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
)

// A directory remembers who can own records.
type directory struct {
	mu    sync.Mutex
	list  []connectors.User
	asked time.Time
}

// How long the users are remembered, and how soon they are asked for again
// when somebody is missing.
const (
	usersFresh = 15 * time.Minute
	usersRetry = 30 * time.Second
)

// owner is the id of a user given by id, or by the e-mail address of an active
// one.
func (d *directory) owner(ctx context.Context, c *Client, who string) (string, *connectors.Error) {
	who = strings.TrimSpace(who)
	if isID.MatchString(who) {
		return who, nil
	}
	if !strings.Contains(who, "@") {
		return "", &connectors.Error{Class: connectors.Rejected, Code: "NO_SUCH_USER", Reason: "the value is neither a user's id nor an e-mail address"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for _, u := range d.list {
			if u.Active && strings.EqualFold(u.Email, who) {
				if time.Since(d.asked) < usersFresh {
					return u.ID, nil
				}
				break
			}
		}
		if !d.asked.IsZero() && time.Since(d.asked) < usersRetry {
			return "", &connectors.Error{Class: connectors.Rejected, Code: "NO_SUCH_USER", Reason: "no active user in Zoho has this e-mail address"}
		}
		list, _, err := c.activeUsers(ctx)
		if err != nil {
			return "", err
		}
		d.list, d.asked = list, time.Now()
	}
}

// activeUsers are those who can own records, and the ids of their profiles.
func (c *Client) activeUsers(ctx context.Context) (users []connectors.User, profiles []string, failure *connectors.Error) {
	seen := map[string]bool{}
	for page := 1; ; page++ {
		q := url.Values{"type": {"ActiveUsers"}, "per_page": {"200"}, "page": {strconv.Itoa(page)}}
		a, err := c.do(ctx, call{method: http.MethodGet, path: "users", query: q})
		if err != nil {
			return nil, nil, err
		}
		fresh := false
		for _, raw := range a.Users {
			var u struct {
				ID      value     `json:"id"`
				Email   value     `json:"email"`
				Name    value     `json:"full_name"`
				Status  value     `json:"status"`
				Profile reference `json:"profile"`
			}
			if json.Unmarshal(raw, &u) != nil || id(u.ID) == "" {
				return nil, nil, garbled()
			}
			if seen[string(u.ID)] {
				continue
			}
			seen[string(u.ID)], fresh = true, true
			users = append(users, connectors.User{ID: string(u.ID), Name: string(u.Name), Email: string(u.Email), Active: u.Status == "active"})
			if p := u.Profile.ID; isID.MatchString(p) && !seen["profile "+p] {
				seen["profile "+p] = true
				profiles = append(profiles, p)
			}
		}
		if !a.Info.More {
			return users, profiles, nil
		}
		if !fresh {
			// A page without anybody new would go on for ever.
			return nil, nil, garbled()
		}
	}
}
