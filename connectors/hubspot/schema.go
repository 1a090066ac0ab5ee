package hubspot

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"crmsync/connectors"
)

// A schema is what Setup has learnt about an account.
type schema struct {
	// key, wamid, direction and status say which of our properties
	// communications have; key only counts when it is unique.
	key, wamid, direction, status bool
	// files says that communications can have files.
	files bool
}

// complete reports whether there is a property for everything that is to be
// said about a message.
func (s *schema) complete() bool { return s.key && s.wamid && s.direction && s.status }

// learned is the schema, as far as messages need it: from Setup, or read now.
func (c *Client) learned(ctx context.Context) (*schema, *connectors.Error) {
	c.mu.Lock()
	s := c.schema
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	have, err := c.definitions(ctx, communications)
	if err != nil {
		return nil, err
	}
	s = &schema{}
	s.see(have)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schema == nil {
		c.schema = s
	}
	return c.schema, nil
}

func (s *schema) see(have map[string]property) {
	s.key = have[messageKeyProperty].HasUniqueValue
	s.wamid = have[wamidProperty].Name != ""
	s.direction = have[directionProperty].Name != ""
	s.status = have[statusProperty].Name != ""
	s.files = have[filesProperty].Name != ""
}

// fields are the properties of the account's contacts, by name, as they were
// at some time.
type fields struct {
	by map[string]property
	at time.Time
}

const (
	// fieldsFor is how long definitions are good for.
	fieldsFor = 10 * time.Minute
	// fieldsAgain is how soon they are read again for one that is missing.
	fieldsAgain = time.Minute
)

// learnFields keeps the definitions of contacts.
func (c *Client) learnFields(have map[string]property) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fields = fields{have, time.Now()}
}

// learnedFields are the definitions as far as Setup or reading has learnt them;
// the map is not changed any more.
func (c *Client) learnedFields() fields {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fields
}

// fieldsOf are the definitions of the named properties, without those that the
// account does not have.
func (c *Client) fieldsOf(ctx context.Context, names []string) (map[string]property, *connectors.Error) {
	f := c.learnedFields()
	age := time.Since(f.at)
	lacking := slices.ContainsFunc(names, func(n string) bool { return f.by[n].Name == "" })
	if f.by == nil || age > fieldsFor || lacking && age > fieldsAgain {
		have, err := c.definitions(ctx, contacts)
		if err != nil {
			return nil, err
		}
		c.learnFields(have)
		f.by = have
	}
	of := make(map[string]property, len(names))
	for _, n := range names {
		if p, ok := f.by[n]; ok {
			of[n] = p
		}
	}
	return of, nil
}

// definitions are the properties of an object type, by name.
func (c *Client) definitions(ctx context.Context, typ string) (map[string]property, *connectors.Error) {
	var list struct {
		Results []property `json:"results"`
	}
	if err := c.call(ctx, batched, http.MethodGet, c.paths.properties+typ, nil, nil, &list); err != nil {
		return nil, err
	}
	have := make(map[string]property, len(list.Results))
	for _, p := range list.Results {
		have[p.Name] = p
	}
	return have, nil
}

// dates are the properties of contacts that hold a date without a time.
func (c *Client) dates() map[string]bool {
	dates := map[string]bool{}
	for name, p := range c.learnedFields().by {
		if p.Type == "date" {
			dates[name] = true
		}
	}
	return dates
}

// Describe lists the properties of contacts. Which of them are required is
// nowhere to be read: that is set up per form of HubSpot's pages, and enforced
// on calls since September 2026 (HubSpot: API write validation enforcement).
func (c *Client) Describe(ctx context.Context) ([]connectors.FieldInfo, error) {
	have, err := c.definitions(ctx, contacts)
	if err != nil {
		return nil, err
	}
	c.learnFields(have)
	list := make([]connectors.FieldInfo, 0, len(have))
	for _, p := range have {
		list = append(list, p.info())
	}
	slices.SortFunc(list, func(a, b connectors.FieldInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func (p *property) info() connectors.FieldInfo {
	i := connectors.FieldInfo{
		Field:    connectors.Field{Name: p.Name, Label: cmp.Or(p.Label, p.Name), Type: p.fieldType()},
		ReadOnly: p.readOnly(),
	}
	switch i.Type {
	case connectors.TypeEnum, connectors.TypeLabels:
		for _, o := range p.Options {
			i.Options = append(i.Options, o.Value)
		}
	case connectors.TypeText:
		i.MaxLength = maxBody
	}
	return i
}

func (p *property) readOnly() bool {
	return p.Calculated || p.Modification != nil && p.Modification.ReadOnlyValue
}

// fieldType is what a property holds. HubSpot's types are storage, and its
// field types say how people see them (HubSpot: properties guide).
func (p *property) fieldType() connectors.FieldType {
	switch p.Type {
	case "number":
		return connectors.TypeNumber
	case "bool":
		return connectors.TypeBool
	case "date", "datetime":
		return connectors.TypeTime
	case "phone_number":
		return connectors.TypePhone
	case "enumeration":
		switch {
		case p.ownedBy():
			return connectors.TypeOwner
		case p.FieldType == "checkbox":
			return connectors.TypeLabels
		case p.FieldType == "booleancheckbox":
			return connectors.TypeBool
		}
		return connectors.TypeEnum
	}
	switch {
	case p.ownedBy():
		return connectors.TypeOwner
	case p.FieldType == "phonenumber":
		return connectors.TypePhone
	}
	return connectors.TypeText
}

// ownerProperty is whose contact it is.
const ownerProperty = "hubspot_owner_id"

// ownedBy reports whether the property holds the id of an owner.
func (p *property) ownedBy() bool {
	return p.Name == ownerProperty || p.ReferencedObjectType == "OWNER"
}
