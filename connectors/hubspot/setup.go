package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"crmsync/connectors"
)

// What crmsync brings along. The key is on contacts, the others are on
// communications, which have no direction, status or external id themselves.
const (
	prefix      = "crmsync_"
	group       = "crmsync"
	keyProperty = "crmsync_wa_id"
	// messageKeyProperty is unique and tells messages apart; a wamid alone
	// may stand for one message on each of two business numbers.
	messageKeyProperty = "crmsync_message_key"
	wamidProperty      = "crmsync_wamid"
	directionProperty  = "crmsync_direction"
	statusProperty     = "crmsync_status"

	bodyProperty = "hs_communication_body"
)

// A setup is one call of Setup.
type setup struct {
	client   *Client
	fix      bool
	schema   *schema
	fields   map[string]property
	findings []connectors.Finding
	// grouped are the object types that have our property group by now.
	grouped map[string]bool
}

func (s *setup) find(f connectors.Finding) { s.findings = append(s.findings, f) }

// create makes a property, and the group for it. A replica that was faster is
// no failure.
func (s *setup) create(ctx context.Context, typ string, p property) *connectors.Error {
	path := s.client.paths.properties + typ
	if !s.grouped[typ] {
		g := propertyGroup{Name: group, Label: group, DisplayOrder: -1}
		if err := s.client.call(ctx, named, http.MethodPost, path+"/groups", nil, g, nil); err != nil && !exists(err) {
			return err
		}
		if s.grouped == nil {
			s.grouped = map[string]bool{}
		}
		s.grouped[typ] = true
	}
	p.GroupName = group
	if err := s.client.call(ctx, named, http.MethodPost, path, nil, p, nil); err != nil && !exists(err) {
		return err
	}
	return nil
}

// refusal reports whether e is about the definition and not the account: the
// setup goes on and tells. A missing scope is such a case, since it need not
// concern the other calls.
func refusal(e *connectors.Error) bool {
	return !e.Class.AccountTrouble() || e.Class == connectors.Unauthorized && e.Status != http.StatusUnauthorized
}

// contacts sees to the key and the mapped fields.
func (s *setup) contacts(ctx context.Context, fields []connectors.Field) error {
	have, err := s.client.definitions(ctx, contacts)
	if err != nil {
		return err
	}
	s.fields = have

	key := property{Name: keyProperty, Label: "WhatsApp id (crmsync)", Type: "string", FieldType: "text", HasUniqueValue: true}
	if p, ok := have[keyProperty]; !ok {
		if err := s.missing(ctx, key, "crmsync recognises contacts by it"); err != nil {
			return err
		}
	} else if p.Type != "string" || !p.HasUniqueValue {
		// HubSpot ignores hasUniqueValue when a property is changed.
		s.find(connectors.Finding{
			Object: contacts, Field: keyProperty, Fatal: true,
			Problem: "the property is not a unique text: delete it in HubSpot and run the setup again",
		})
	}

	seen := map[string]bool{keyProperty: true}
	for _, f := range fields {
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		p, ok := have[f.Name]
		if !ok {
			if err := s.missing(ctx, define(f), "the mapping writes it"); err != nil {
				return err
			}
			continue
		}
		if problem, fatal := compare(f, p); problem != "" {
			s.find(connectors.Finding{Object: contacts, Field: f.Name, Problem: problem, Fatal: fatal})
		}
	}
	return nil
}

// missing creates a property of contacts, or finds that it is missing.
func (s *setup) missing(ctx context.Context, p property, why string) error {
	f := connectors.Finding{Object: contacts, Field: p.Name, Fatal: true}
	if !s.fix {
		f.Fixable = true
		f.Problem = "the property does not exist in HubSpot and " + why
		s.find(f)
		return nil
	}
	err := s.create(ctx, contacts, p)
	switch {
	case err == nil:
		s.fields[p.Name] = p
		return nil
	case !refusal(err):
		return err
	}
	f.Problem = fmt.Sprintf("HubSpot refuses to create the property: %s", err)
	s.find(f)
	return nil
}

// define is how a field is created that HubSpot does not have.
func define(f connectors.Field) property {
	p := property{Name: f.Name, Label: f.Label, Type: "string", FieldType: "text"}
	if p.Label == "" {
		p.Label = f.Name
	}
	switch f.Type {
	case connectors.TypeLong:
		p.FieldType = "textarea"
	case connectors.TypeNumber:
		p.Type, p.FieldType = "number", "number"
	case connectors.TypeBool:
		p.Type, p.FieldType = "bool", "booleancheckbox"
		p.Options = []option{{Label: "Yes", Value: "true"}, {Label: "No", Value: "false", DisplayOrder: 1}}
	case connectors.TypeTime:
		p.Type, p.FieldType = "datetime", "date"
	case connectors.TypeEnum:
		p.Type, p.FieldType, p.Options = "enumeration", "select", options(f.Options)
	case connectors.TypeLabels:
		p.Type, p.FieldType, p.Options = "enumeration", "checkbox", options(f.Options)
	}
	return p
}

func options(values []string) []option {
	list := make([]option, len(values))
	for i, v := range values {
		list[i] = option{Label: v, Value: v, DisplayOrder: i}
	}
	return list
}

// holds are the types of HubSpot that can hold a type of field.
var holds = map[connectors.FieldType][]string{
	connectors.TypeText:   {"string", "phone_number", "enumeration"},
	connectors.TypeLong:   {"string"},
	connectors.TypePhone:  {"string", "phone_number"},
	connectors.TypeNumber: {"number", "string"},
	connectors.TypeBool:   {"bool", "enumeration", "string"},
	connectors.TypeTime:   {"datetime", "date", "string"},
	connectors.TypeEnum:   {"enumeration", "string"},
	connectors.TypeLabels: {"enumeration", "string"},
	connectors.TypeOwner:  {"enumeration", "string", "number"},
}

// compare says what is wrong with a property that a mapping writes to.
func compare(f connectors.Field, p property) (problem string, fatal bool) {
	want, ok := holds[f.Type]
	switch {
	case p.readOnly():
		return "the property is read-only in HubSpot: take it out of the mapping", true
	case ok && !slices.Contains(want, p.Type):
		return fmt.Sprintf("the property is of type %s in HubSpot and cannot hold a %s", p.Type, f.Type), true
	case f.Type == connectors.TypeLabels && p.Type == "enumeration" && p.FieldType != "checkbox":
		return "the property holds one option only: labels need multiple checkboxes", true
	case f.Type == connectors.TypeText && p.Type == "enumeration":
		return "the property takes only its options: contacts with another value will be refused", false
	}
	// Labels come into being as they are written.
	if p.Type != "enumeration" || f.Type != connectors.TypeEnum {
		return "", false
	}
	var lacking []string
	for _, o := range f.Options {
		if !slices.ContainsFunc(p.Options, func(have option) bool { return have.Value == o }) {
			lacking = append(lacking, o)
		}
	}
	if len(lacking) > 0 {
		// Not ours to mend: HubSpot replaces the whole list of options, and
		// one that a person adds at the same time would be lost.
		return "the property lacks options, add them in HubSpot: " + strings.Join(lacking, ", "), false
	}
	return "", false
}

// communications sees to what messages need. Whether an account allows own
// properties on communications is nowhere documented, so it is tried; without
// them messages carry what they would hold as a last line.
func (s *setup) communications(ctx context.Context) error {
	have, err := s.client.definitions(ctx, communications)
	if err != nil {
		if !refusal(err) {
			return err
		}
		s.find(connectors.Finding{
			Object: communications, Fatal: true,
			Problem: fmt.Sprintf("the account's messages cannot be reached: %s", err),
		})
		return nil
	}
	wanted := []property{
		{Name: messageKeyProperty, Label: "WhatsApp number and message id (crmsync)", Type: "string", FieldType: "text", HasUniqueValue: true},
		{Name: wamidProperty, Label: "WhatsApp message id (crmsync)", Type: "string", FieldType: "text"},
		{Name: directionProperty, Label: "WhatsApp direction (crmsync)", Type: "enumeration", FieldType: "select", Options: options([]string{"in", "out"})},
		{Name: statusProperty, Label: "WhatsApp status (crmsync)", Type: "enumeration", FieldType: "select", Options: options([]string{"sent", "delivered", "read", "played", "failed"})},
	}
	lost := map[string]string{
		messageKeyProperty: "messages carry their id in a last line, and looking for one reads the contact's timeline",
		wamidProperty:      "the message's id is visible in a last line only",
		directionProperty:  "the direction is visible in a last line only",
		statusProperty:     "delivery status is visible in a last line only",
	}
	for _, p := range wanted {
		f := connectors.Finding{Object: communications, Field: p.Name}
		if there, ok := have[p.Name]; ok {
			if p.HasUniqueValue && !there.HasUniqueValue {
				f.Problem = "the property is not unique: " + lost[p.Name] + "; delete it in HubSpot and run the setup again"
				s.find(f)
			}
			continue
		}
		if !s.fix {
			f.Fixable = true
			f.Problem = "the property does not exist in HubSpot: " + lost[p.Name]
			s.find(f)
			continue
		}
		err := s.create(ctx, communications, p)
		switch {
		case err == nil:
			have[p.Name] = p
		case !refusal(err):
			return err
		default:
			f.Problem = fmt.Sprintf("HubSpot refuses the property (%s): %s", err, lost[p.Name])
			s.find(f)
		}
	}
	s.schema.see(have)
	return nil
}
