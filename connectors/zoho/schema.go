package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

// What crmsync brings along. These are the API names that Zoho derives from
// the labels they are created with; what a field is called in truth is read
// from the organisation. Names stay when people change labels.
const (
	// keyField is unique and tells contacts apart.
	keyField = "WA_ID"

	messageModule = "WhatsApp_Messages"
	// messageKeyField is unique and tells messages apart; a wamid alone may
	// stand for one message on each of two business numbers.
	messageKeyField = "WA_Message_ID"
	displayField    = "Name"
	wamidField      = "WAMID"
	contactField    = "Contact"
	directionField  = "Direction"
	bodyField       = "Body"
	statusField     = "Status"
	sentField       = "Sent_Time"

	// parentField is the contact of a note.
	parentField = "Parent_Id"
)

// A definition is a field of a module. An organisation's fields have some forty
// more properties, of which any may be missing (Zoho: field-meta).
type definition struct {
	ID        value           `json:"id"`
	APIName   string          `json:"api_name"`
	Label     string          `json:"field_label"`
	DataType  string          `json:"data_type"`
	Length    int             `json:"length"`
	Mandatory bool            `json:"system_mandatory"`
	ReadOnly  bool            `json:"read_only"`
	Locked    bool            `json:"field_read_only"`
	Custom    bool            `json:"custom_field"`
	Unique    json.RawMessage `json:"unique"`
	Operation *struct {
		Update *bool `json:"api_update"`
	} `json:"operation_type"`
	Options []struct {
		Display value  `json:"display_value"`
		Actual  value  `json:"actual_value"`
		Type    string `json:"type"`
	} `json:"pick_list_values"`
}

// unique reports whether Zoho refuses a value twice. A field that is not says
// {} or nothing.
func (d *definition) unique() bool {
	var u map[string]json.RawMessage
	return json.Unmarshal(d.Unique, &u) == nil && len(u) > 0
}

// readOnly reports whether the API refuses to write the field.
func (d *definition) readOnly() bool {
	return d.ReadOnly || d.Locked || d.Operation != nil && d.Operation.Update != nil && !*d.Operation.Update
}

// options are the values that can be chosen.
func (d *definition) options() []string {
	var list []string
	for _, o := range d.Options {
		v := string(o.Actual)
		if v == "" {
			v = string(o.Display)
		}
		if v != "" && v != "-None-" && o.Type != "unused" {
			list = append(list, v)
		}
	}
	return list
}

// A schema is what is known of an organisation.
type schema struct {
	// read is when the fields of contacts were read.
	read time.Time
	// contacts are the fields of contacts, by API name; key is the API name
	// of our unique field, empty if there is none.
	contacts map[string]definition
	key      string
	// module are the fields of the messages' module; nil when messages are
	// notes. Its values are the API names of those that we know by the names
	// above.
	module map[string]string
}

// phones are the fields that people keep a number in.
func (s *schema) phones() []string {
	var list []string
	for _, n := range []string{"Phone", "Mobile"} {
		if _, ok := s.contacts[n]; ok {
			list = append(list, n)
		}
	}
	return list
}

// see finds the key among the fields of contacts.
func (s *schema) see(have map[string]definition) {
	s.contacts, s.key, s.read = have, "", time.Now()
	if d, ok := find(have, keyField); ok && d.unique() && d.DataType == "text" {
		s.key = d.APIName
	}
}

// seeModule finds out whether messages have a module, and what its fields are
// called. It needs the key, the contact and the text; the others may be
// missing.
func (s *schema) seeModule(have map[string]definition) {
	s.module = map[string]string{}
	for _, n := range []string{messageKeyField, wamidField, contactField, directionField, bodyField, statusField, sentField} {
		d, ok := find(have, n)
		if ok && (n != messageKeyField || d.unique()) && (n != contactField || d.DataType == "lookup") {
			s.module[n] = d.APIName
		}
	}
	for _, n := range []string{messageKeyField, contactField, bodyField} {
		if s.module[n] == "" {
			s.module = nil
			return
		}
	}
}

// find looks for a field by its API name, else by the label it was created
// with: Zoho may have derived another name from that, such as when an earlier
// field had it.
func find(have map[string]definition, apiName string) (definition, bool) {
	if d, ok := have[apiName]; ok {
		return d, true
	}
	for _, d := range have {
		if d.Custom && d.Label == labelFor(apiName) {
			return d, true
		}
	}
	return definition{}, false
}

// labelFor is the label from which Zoho derives an API name.
func labelFor(apiName string) string { return strings.ReplaceAll(apiName, "_", " ") }

// definitions are the fields of a module, by API name; of a module that does
// not exist there are none.
func (c *Client) definitions(ctx context.Context, module string) (map[string]definition, *connectors.Error) {
	a, err := c.do(ctx, call{method: http.MethodGet, path: "settings/fields", query: url.Values{"module": {module}}, batched: true})
	if err != nil {
		if err.Code == "INVALID_MODULE" && module != contacts {
			return nil, nil
		}
		return nil, err
	}
	have := make(map[string]definition, len(a.Fields))
	for _, raw := range a.Fields {
		var d definition
		// One odd field must not make the others vanish.
		_ = json.Unmarshal(raw, &d)
		if d.APIName != "" {
			have[d.APIName] = d
		}
	}
	if len(have) == 0 && module == contacts {
		return nil, garbled()
	}
	return have, nil
}

// learned is the schema: from Setup, or read now. Fields that are wanted and
// not known are looked for again, at most once a minute.
func (c *Client) learned(ctx context.Context, wanted ...string) (*schema, *connectors.Error) {
	enough := func(s *schema) bool {
		if s == nil {
			return false
		}
		missing := s.key == "" || slices.ContainsFunc(wanted, func(n string) bool { _, ok := s.contacts[n]; return !ok })
		return !missing || time.Since(s.read) < time.Minute
	}
	known := func() *schema {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.schema
	}
	if s := known(); enough(s) {
		return s, nil
	}
	c.learning.Lock()
	defer c.learning.Unlock()
	old := known()
	if enough(old) {
		return old, nil
	}
	have, err := c.definitions(ctx, contacts)
	if err != nil {
		return nil, err
	}
	s := &schema{}
	if old != nil {
		*s = *old
	}
	s.see(have)
	if old == nil {
		have, err := c.definitions(ctx, messageModule)
		if err != nil {
			return nil, err
		}
		s.seeModule(have)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schema = s
	return s, nil
}
