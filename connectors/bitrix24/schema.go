package bitrix24

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

const (
	// keyField tells contacts apart. Like everything in Bitrix24 it is not
	// unique. The origin says the same, once more, on records that crmsync
	// has made: one pair per record, so another program may overwrite it.
	keyField   = "UF_CRM_CRMSYNC_WA_ID"
	originator = "crmsync"

	multifield = "crm_multifield"
	userPrefix = "UF_CRM_"

	// fresh is how old what is known of a portal may be when something turns
	// out to be missing in it.
	fresh = 10 * time.Second
	// dated is how old it may be before it is read again in any case.
	dated = 10 * time.Minute
)

// A schema is what is known of a portal's contacts. It is never changed, only
// replaced.
type schema struct {
	fields map[string]descriptor
	at     time.Time
	dates  dateFilter
}

// acquire takes a semaphore.
func acquire(ctx context.Context, s chan struct{}) *connectors.Error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &connectors.Error{Class: connectors.Transient, Reason: "cancelled before the call"}
	}
}

func (c *Client) current() *schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.schema
}

// learned is the schema, read if that has not been done.
func (c *Client) learned(ctx context.Context) (*schema, *connectors.Error) {
	if s := c.current(); s != nil {
		return s, nil
	}
	return c.relearned(ctx, fresh)
}

// relearned is a schema not older than age.
func (c *Client) relearned(ctx context.Context, age time.Duration) (*schema, *connectors.Error) {
	if err := acquire(ctx, c.learning); err != nil {
		return nil, err
	}
	defer func() { <-c.learning }()
	return c.learn(ctx, age)
}

// learn is relearned for who holds learning.
func (c *Client) learn(ctx context.Context, age time.Duration) (*schema, *connectors.Error) {
	old := c.current()
	if old != nil && time.Since(old.at) < age {
		return old, nil
	}
	env, err := c.call(ctx, batched, contactFields, nil)
	if err != nil {
		return nil, err
	}
	s := &schema{at: time.Now()}
	var have section[descriptor]
	if json.Unmarshal(env.Result, &have) != nil || len(have) == 0 {
		return nil, &connectors.Error{Class: connectors.Transient, Status: 200, Reason: "the list of fields is not what Bitrix24 documents"}
	}
	s.fields = have
	if old != nil {
		s.dates = old.dates
	}
	c.mu.Lock()
	c.schema = s
	c.mu.Unlock()
	return s, nil
}

// item is the id of an enumeration's value, empty if it has none such. Case is
// overlooked when nothing fits exactly.
func (d *descriptor) item(text string) string {
	loose := ""
	for _, it := range d.Items {
		if string(it.Value) == text {
			return string(it.ID)
		}
		if loose == "" && strings.EqualFold(string(it.Value), text) {
			loose = string(it.ID)
		}
	}
	return loose
}

// itemText is the value with an id.
func (d *descriptor) itemText(id string) string {
	for _, it := range d.Items {
		if string(it.ID) == id {
			return string(it.Value)
		}
	}
	return ""
}

func (d *descriptor) lacking(values []string) []string {
	var all []string
	for _, v := range values {
		if v != "" && d.item(v) == "" && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// extend adds values to an enumeration, which takes an administrator of the
// CRM, and returns the schema with them. Values that are there already go
// along with their ids, for whether the list is replaced or added to is not
// documented (Bitrix24: user fields of contacts).
func (c *Client) extend(ctx context.Context, name string, values []string) (*schema, *connectors.Error) {
	if err := acquire(ctx, c.learning); err != nil {
		return nil, err
	}
	defer func() { <-c.learning }()
	s, err := c.learn(ctx, fresh)
	if err != nil {
		return nil, err
	}
	d := s.fields[name]
	lacking := d.lacking(values)
	if len(lacking) == 0 {
		return s, nil
	}
	env, err := c.call(ctx, plain, fieldList, params{"filter": params{"FIELD_NAME": name}, "order": params{"ID": "ASC"}})
	if err != nil {
		return nil, err
	}
	var found list[struct {
		ID   value `json:"ID"`
		Name value `json:"FIELD_NAME"`
	}]
	_ = json.Unmarshal(env.Result, &found)
	id := ""
	for _, f := range found {
		if string(f.Name) == name {
			id = string(f.ID)
		}
	}
	if id == "" {
		return nil, noSuchField(name)
	}
	all := make([]params, 0, len(d.Items)+len(lacking))
	for _, it := range d.Items {
		all = append(all, params{"ID": string(it.ID), "VALUE": string(it.Value)})
	}
	for _, v := range lacking {
		all = append(all, params{"VALUE": v})
	}
	if _, err := c.call(ctx, plain, fieldUpdate, params{"id": id, "fields": params{"LIST": all}}); err != nil {
		return nil, err
	}
	return c.learn(ctx, 0)
}

func noSuchField(name string) *connectors.Error {
	return &connectors.Error{Class: connectors.Rejected, Code: "NO_SUCH_FIELD", Field: name, Reason: "the field does not exist in Bitrix24"}
}

// A staff is who works with the portal.
type staff struct {
	users []connectors.User
	at    time.Time
}

// people lists the portal's users, at most age old.
func (c *Client) people(ctx context.Context, age time.Duration) (*staff, *connectors.Error) {
	if err := acquire(ctx, c.learning); err != nil {
		return nil, err
	}
	defer func() { <-c.learning }()
	c.mu.Lock()
	s := c.staff
	c.mu.Unlock()
	if s != nil && time.Since(s.at) < age {
		return s, nil
	}
	s = &staff{at: time.Now()}
	var err *connectors.Error
	if s.users, err = c.readUsers(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.staff = s
	c.mu.Unlock()
	return s, nil
}

// owner is the id of an active user with an e-mail address, empty for none.
func (s *staff) owner(email string) string {
	for _, u := range s.users {
		if u.Active && strings.EqualFold(u.Email, email) {
			return u.ID
		}
	}
	return ""
}

// lengths are how many characters fields hold (Bitrix24: field length limits).
// What is longer is cut without notice or refused, depending on the field.
var lengths = map[string]int{
	"NAME": 50, "SECOND_NAME": 50, "LAST_NAME": 50, "TYPE_ID": 50, "SOURCE_ID": 50, "POST": 255,
	"ORIGINATOR_ID": 255, "ORIGIN_ID": 255, "ORIGIN_VERSION": 255,
	"UTM_SOURCE": 600, "UTM_MEDIUM": 600, "UTM_CAMPAIGN": 600, "UTM_CONTENT": 600, "UTM_TERM": 600,
	"PHONE": 250, "EMAIL": 250, "WEB": 250, "IM": 250, "LINK": 250,
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if n <= 0 || len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// names are the fields of a schema, in order.
func (s *schema) names() []string { return slices.Sorted(maps.Keys(s.fields)) }
