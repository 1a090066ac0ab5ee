package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/audit"
	"crmsync/sync/directory"
)

// A Comparison compares an account with what it was told. It reads and writes
// nothing.
type Comparison struct {
	Account   string
	Connector interface {
		ReadContacts(ctx context.Context, ids, fields []string) []connectors.Reading
		FindMessages(ctx context.Context, changes []connectors.MessageChange) []connectors.Result
		Limits() connectors.Limits
	}
	Store interface {
		Sample(ctx context.Context, account string, kind directory.EntityKind, n int) ([]directory.Work, error)
		StillAgreed(ctx context.Context, account string, kind directory.EntityKind, list []directory.Work) ([]directory.Work, error)
	}
	Mapping *mapping.Mapping
	// Wait returns when the account may be called; Rest is how long it is left
	// alone after each call, so that deliveries have nearly all of its quota.
	Wait func(ctx context.Context) error
	Rest time.Duration
}

const (
	// perComparison is how many messages are looked for at once, where each may
	// take a request of its own.
	perComparison = 20
	// lookAgainAfter is when what differs is looked at once more: an account
	// may be in the middle of a change.
	lookAgainAfter = 2 * time.Second
)

// Run compares at most n records, half of them contacts if there are so many.
// What was found until then is returned with an error too.
func (c *Comparison) Run(ctx context.Context, n int) (*audit.Consistency, error) {
	found := &audit.Consistency{Account: c.Account, At: time.Now().UTC().Truncate(time.Millisecond), Drifts: []audit.Drift{}}
	err := c.run(ctx, n, found)
	slices.SortFunc(found.Drifts, func(x, y audit.Drift) int {
		return cmp.Or(cmp.Compare(x.Entity.Kind, y.Entity.Kind), cmp.Compare(x.Entity.ID, y.Entity.ID))
	})
	if err != nil {
		found.Problem = err.Error()
	}
	return found, err
}

func (c *Comparison) run(ctx context.Context, n int, found *audit.Consistency) error {
	messages, err := c.Store.Sample(ctx, c.Account, directory.MessageEntity, n)
	if err != nil {
		return err
	}
	contacts, err := c.Store.Sample(ctx, c.Account, directory.ContactEntity, max(n-len(messages), (n+1)/2))
	if err != nil {
		return err
	}
	messages = messages[:min(len(messages), n-len(contacts))]
	if found.Contacts, err = c.kind(ctx, directory.ContactEntity, contacts, c.contacts, found); err != nil {
		return err
	}
	found.Messages, err = c.kind(ctx, directory.MessageEntity, messages, c.messages, found)
	return err
}

// kind compares entities of one kind and returns how many it has.
func (c *Comparison) kind(ctx context.Context, kind directory.EntityKind, list []directory.Work, look func(context.Context, []directory.Work) ([]*audit.Drift, error), found *audit.Consistency) (compared int, err error) {
	var odd []directory.Work
	limits := c.Connector.Limits()
	most := limits.Messages
	if limits.Calls <= 1 {
		most = min(most, perComparison)
	}
	if kind == directory.ContactEntity {
		most = limits.Contacts
	}
	for part := range slices.Chunk(list, max(most, 1)) {
		drifts, err := patiently(ctx, part, look)
		if err != nil {
			return compared, err
		}
		compared += len(part)
		for i, d := range drifts {
			if d != nil {
				odd = append(odd, part[i])
			}
		}
	}
	if len(odd) == 0 {
		return compared, nil
	}
	// What has changed since it was sampled says nothing.
	if !sleep(ctx, max(lookAgainAfter, limits.LookAfter)) {
		return compared, ctx.Err()
	}
	for part := range slices.Chunk(odd, max(most, 1)) {
		drifts, err := patiently(ctx, part, look)
		if err != nil {
			return compared, err
		}
		still, err := c.Store.StillAgreed(ctx, c.Account, kind, part)
		if err != nil {
			return compared, err
		}
		for i, d := range drifts {
			same := func(w directory.Work) bool { return w.Link.Entity == part[i].Link.Entity }
			if d != nil && slices.ContainsFunc(still, same) {
				found.Add(*d)
			}
		}
	}
	return compared, nil
}

// patiently looks again a few times when an account is in trouble that may pass.
func patiently(ctx context.Context, part []directory.Work, look func(context.Context, []directory.Work) ([]*audit.Drift, error)) (drifts []*audit.Drift, err error) {
	const tries = 5
	for try := 1; ; try++ {
		if drifts, err = look(ctx, part); err == nil || try == tries {
			return drifts, err
		}
		e, ok := errors.AsType[*connectors.Error](err)
		if !ok || !e.Class.AccountTrouble() || e.Class == connectors.Unauthorized || !sleep(ctx, min(max(e.RetryAfter, 5*time.Second), time.Minute)) {
			return nil, err
		}
	}
}

// call makes a call in its turn.
func (c *Comparison) call(ctx context.Context, f func()) error {
	if err := c.Wait(ctx); err != nil {
		return err
	}
	f()
	if !sleep(ctx, c.Rest) {
		return ctx.Err()
	}
	return nil
}

// contacts looks at contacts and returns a drift or nil for each.
func (c *Comparison) contacts(ctx context.Context, list []directory.Work) ([]*audit.Drift, error) {
	lines := c.Mapping.Lines(c.Account)
	fields, types := make([]string, len(lines)), make(map[string]connectors.FieldType, len(lines))
	for i, l := range lines {
		fields[i], types[l.To] = l.To, connectors.FieldType(l.Theirs.Type)
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].Link.RecordID
	}
	var readings []connectors.Reading
	if err := c.call(ctx, func() { readings = c.Connector.ReadContacts(ctx, ids, fields) }); err != nil {
		return nil, err
	}
	if len(readings) != len(list) {
		return nil, fmt.Errorf("the connector gave %d readings of %d contacts", len(readings), len(list))
	}
	drifts := make([]*audit.Drift, len(list))
	for i, r := range readings {
		link := &list[i].Link
		d := &audit.Drift{Entity: link.Entity, RecordID: link.RecordID}
		switch {
		case r.Err != nil && r.Err.Class == connectors.Conflict, r.Err == nil && r.Record.ID == "":
			d.Missing = true
		case r.Err != nil:
			return nil, r.Err
		default:
			fields, _ := c.Mapping.Translate(c.Account, list[i].Contact.View())
			d.Fields = differing(fields, link.Shadow, r.Record.Fields, types)
		}
		if d.Missing || len(d.Fields) > 0 {
			drifts[i] = d
		}
	}
	return drifts, nil
}

// differing are the fields in which an account does not show what the mapping
// writes. Those that belong to the people who work there are left out.
func differing(want map[string]any, shadow map[string]string, got map[string]any, types map[string]connectors.FieldType) []string {
	var fields []string
	for name, value := range want {
		told, known := shadow[name]
		switch {
		case directory.Kept(told):
		case value == nil && (!known || told == ""): // nothing of ours to be cleared
		case !directory.Same(value, got[name], types[name]):
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return fields
}

// messages looks for messages and returns a drift or nil for each.
func (c *Comparison) messages(ctx context.Context, list []directory.Work) ([]*audit.Drift, error) {
	changes := make([]connectors.MessageChange, len(list))
	for i := range list {
		changes[i] = changeOf(list[i])
	}
	var results []connectors.Result
	if err := c.call(ctx, func() { results = c.Connector.FindMessages(ctx, changes) }); err != nil {
		return nil, err
	}
	if len(results) != len(list) {
		return nil, fmt.Errorf("the connector gave %d results for %d messages", len(results), len(list))
	}
	drifts := make([]*audit.Drift, len(list))
	for i, r := range results {
		link := &list[i].Link
		d := &audit.Drift{Entity: link.Entity, RecordID: link.RecordID}
		switch {
		case r.Err != nil && r.Err.Class == connectors.Conflict, r.Err == nil && r.RecordID == "":
			d.Missing = true
		case r.Err != nil:
			return nil, r.Err
		case r.RecordID != link.RecordID:
			d.Fields = []string{"record"} // there is another one
		default:
			continue
		}
		drifts[i] = d
	}
	return drifts, nil
}
