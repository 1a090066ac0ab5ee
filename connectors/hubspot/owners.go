package hubspot

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	"crmsync/connectors"
)

// owners are the ids of the active owners by their e-mail addresses, in lower
// case, as they were at some time.
type owners struct {
	byEmail map[string]string
	at      time.Time
}

// ownersFor is how long the list of owners is good for.
const ownersFor = 5 * time.Minute

// ownerID is the id of an active owner. Somebody who is not on a list from
// before since may be new.
func (c *Client) ownerID(ctx context.Context, email string, since time.Time) (string, *connectors.Error) {
	email = strings.ToLower(strings.TrimSpace(email))
	c.mu.Lock()
	o := c.owners
	c.mu.Unlock()
	id, ok := o.byEmail[email]
	if stale := time.Since(o.at) > ownersFor; stale || !ok && o.at.Before(since) {
		list, err := c.listOwners(ctx, true)
		if err != nil {
			return "", err
		}
		o = owners{map[string]string{}, time.Now()}
		for _, owner := range list {
			if owner.Type != "QUEUE" && owner.Email != "" {
				o.byEmail[strings.ToLower(string(owner.Email))] = string(owner.ID)
			}
		}
		c.mu.Lock()
		c.owners = o
		c.mu.Unlock()
		id, ok = o.byEmail[email]
	}
	if !ok {
		return "", &connectors.Error{
			Class: connectors.Rejected, Code: "INVALID_OWNER_ID",
			Reason: "no active owner in HubSpot has this e-mail address",
		}
	}
	return id, nil
}

// assign puts the ids of owners where changes have their e-mail addresses.
func (w *writing) assign(ctx context.Context, changes []connectors.ContactChange) {
	known, start := w.client.learnedFields().by, time.Now()
	var trouble *connectors.Error
	for i := range changes {
		for name, v := range changes[i].Fields {
			p := known[name]
			p.Name = name
			email, ok := v.(string)
			if !ok || !strings.Contains(email, "@") || !p.ownedBy() {
				continue
			}
			id, err := "", trouble
			if err == nil {
				id, err = w.client.ownerID(ctx, email, start)
			}
			if err != nil {
				if err.Class.AccountTrouble() {
					trouble = err
				}
				w.results[i].Err = about(name, err)
				break
			}
			changes[i].Fields = maps.Clone(changes[i].Fields)
			changes[i].Fields[name] = id
		}
	}
}

// about makes a failure of what a field needs one of the records that have the
// field. A token without the scope for it is no reason to stop the others.
func about(field string, err *connectors.Error) *connectors.Error {
	e := *err
	e.Field = field
	if e.Class == connectors.Unauthorized && e.Status != http.StatusUnauthorized {
		e.Class = connectors.Rejected
	}
	return &e
}
