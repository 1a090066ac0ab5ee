package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

// ReadContacts reads records in batches. Batches do not follow merges, so what
// they miss is asked for one by one (HubSpot: using object APIs).
func (c *Client) ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading {
	readings := make([]connectors.Reading, len(ids))
	asked, err := c.asking(ctx, fields)
	if err != nil {
		for i := range readings {
			readings[i].Err = err
		}
		return readings
	}
	at := map[string][]int{}
	var unique []string
	for i, id := range ids {
		// What is no id is nobody's, and would fail the batch.
		if !isID.MatchString(id) {
			continue
		}
		if at[id] == nil {
			unique = append(unique, id)
		}
		at[id] = append(at[id], i)
	}
	for id, r := range asked.read(ctx, unique) {
		for _, i := range at[id] {
			readings[i] = r
		}
	}
	return readings
}

// An asking is a set of fields that is asked for.
type asking struct {
	client *Client
	fields []string
	// have are the definitions of those that the account has, names their
	// names.
	have  map[string]property
	names []string
}

func (c *Client) asking(ctx context.Context, fields []string) (*asking, *connectors.Error) {
	have, err := c.fieldsOf(ctx, fields)
	if err != nil {
		return nil, err
	}
	a := &asking{client: c, fields: fields, have: have}
	for name := range have {
		a.names = append(a.names, name)
	}
	if len(a.names) == 0 {
		// Without any, HubSpot would answer with those that it thinks fit.
		a.names = []string{"hs_object_id"}
	}
	slices.Sort(a.names)
	return a, nil
}

// read reads records by id, under which they are returned even if they have
// been merged into others since.
func (a *asking) read(ctx context.Context, ids []string) map[string]connectors.Reading {
	readings := a.stored(ctx, ids)
	survivors := map[string]string{}
	var living []string
	var trouble *connectors.Error
	for _, id := range ids {
		if r := readings[id]; r.Record.ID != "" || r.Err != nil {
			continue
		}
		if trouble != nil {
			readings[id] = connectors.Reading{Err: trouble}
			continue
		}
		s, err := a.client.survivor(ctx, id)
		switch {
		case err == nil:
			survivors[id] = s
			if !slices.Contains(living, s) {
				living = append(living, s)
			}
		case err.Code != "OBJECT_NOT_FOUND":
			readings[id] = connectors.Reading{Err: err}
			if err.Class.AccountTrouble() {
				trouble = err
			}
		}
	}
	found := a.stored(ctx, living)
	for id, s := range survivors {
		readings[id] = found[s]
	}
	return readings
}

// stored reads records that have these very ids.
func (a *asking) stored(ctx context.Context, ids []string) map[string]connectors.Reading {
	readings := make(map[string]connectors.Reading, len(ids))
	var trouble *connectors.Error
	for chunk := range slices.Chunk(ids, perBatch) {
		var objects []object
		err := trouble
		if err == nil {
			objects, _, err = a.client.read(ctx, contacts, "", chunk, a.names)
		}
		if err != nil {
			if err.Class.AccountTrouble() {
				trouble = err
			}
			for _, id := range chunk {
				readings[id] = connectors.Reading{Err: err}
			}
			continue
		}
		for i := range objects {
			if !objects[i].Archived {
				readings[string(objects[i].ID)] = connectors.Reading{Record: a.record(&objects[i])}
			}
		}
	}
	return readings
}

func (a *asking) record(o *object) connectors.Record {
	r := connectors.Record{
		ID: string(o.ID), Fields: make(map[string]any, len(a.fields)),
		CreatedAt: moment(o.CreatedAt), UpdatedAt: moment(o.UpdatedAt),
	}
	for _, name := range a.fields {
		p := a.have[name]
		r.Fields[name] = p.typed(o.Properties[name])
	}
	return r
}

// ListUsers lists the owners, those that are deactivated too. Queues own no
// contacts.
func (c *Client) ListUsers(ctx context.Context) ([]connectors.User, error) {
	var users []connectors.User
	for _, active := range []bool{true, false} {
		owners, err := c.listOwners(ctx, active)
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			if o.Type == "QUEUE" {
				continue
			}
			users = append(users, connectors.User{
				// Not the user id, which is refused where an owner is wanted
				// (HubSpot: owners guide).
				ID:     string(o.ID),
				Name:   strings.TrimSpace(string(o.FirstName + " " + o.LastName)),
				Email:  string(o.Email),
				Active: active,
			})
		}
	}
	return users, nil
}

func (c *Client) listOwners(ctx context.Context, active bool) (all []owner, _ *connectors.Error) {
	q := url.Values{"limit": {"100"}}
	if !active {
		q.Set("archived", "true")
	}
	for {
		var p ownerPage
		if err := c.call(ctx, batched, http.MethodGet, c.paths.owners, q, nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Results...)
		after := string(p.Paging.Next.After)
		if after == "" || after == q.Get("after") {
			return all, nil
		}
		q.Set("after", after)
	}
}

// Subscribe is not offered: HubSpot's subscriptions belong to the app and not
// to the account that it is installed in, and those of a private app are only
// to be had on its page (HubSpot: webhooks guide).
func (c *Client) Subscribe(context.Context, connectors.Subscription) (renewBy time.Time, err error) {
	return time.Time{}, &connectors.Error{
		Class: connectors.Rejected, Code: connectors.NotOffered,
		Reason: "HubSpot's webhooks are part of the app: enter the address and subscribe to contacts on the app's page in HubSpot",
	}
}
