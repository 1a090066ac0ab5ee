package bitrix24

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

const contacts = "contacts"

// A setup is one call of Setup.
type setup struct {
	client   *Client
	fix      bool
	schema   *schema
	findings []connectors.Finding
}

func (s *setup) find(f connectors.Finding) { s.findings = append(s.findings, f) }

// refusal reports whether e is about the definition and not the account: the
// setup goes on and tells. That somebody is no administrator is such a case.
func refusal(e *connectors.Error) bool {
	switch e.Class {
	case connectors.Rejected, connectors.Conflict, connectors.Unknown:
		return true
	}
	return e.Code == "ACCESS_DENIED" || e.Code == "INSUFFICIENT_SCOPE" || e.Code == "ERROR_METHOD_NOT_FOUND" || e.Code == "ALLOWED_ONLY_INTRANET_USER"
}

// contacts sees to the key and the mapped fields.
func (s *setup) contacts(ctx context.Context, fields []connectors.Field) error {
	var err *connectors.Error
	if s.schema, err = s.client.relearned(ctx, 0); err != nil {
		return err
	}
	var missing []connectors.Field
	seen := map[string]bool{}
	key := connectors.Field{Name: keyField, Label: "WhatsApp id (crmsync)", Type: connectors.TypeText}
	for _, f := range append([]connectors.Field{key}, fields...) {
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		d, ok := s.schema.fields[f.Name]
		if !ok {
			missing = append(missing, f)
			continue
		}
		if problem := compare(f, &d); problem != "" {
			s.find(connectors.Finding{Object: contacts, Field: f.Name, Problem: problem, Fatal: true})
			continue
		}
		if err := s.options(ctx, f, &d); err != nil {
			return err
		}
	}
	made, failure := s.create(ctx, missing)
	if failure != nil {
		return failure
	}
	for _, name := range s.schema.names() {
		d := s.schema.fields[name]
		if bool(d.Required) && !seen[name] && !bool(d.ReadOnly) {
			s.find(connectors.Finding{
				Object: contacts, Field: name,
				Problem: "the field must be filled in Bitrix24 and the mapping does not write it: contacts that crmsync adds will be refused",
			})
		}
	}
	if made {
		if s.schema, err = s.client.relearned(ctx, 0); err != nil {
			return err
		}
		// A list may have been created without the values.
		for _, f := range fields {
			if d, ok := s.schema.fields[f.Name]; ok {
				if err := s.options(ctx, f, &d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var isUserField = regexp.MustCompile(`^UF_CRM_[A-Z0-9_]{1,43}$`)

// create creates user fields, or finds that they are missing.
func (s *setup) create(ctx context.Context, fields []connectors.Field) (made bool, err error) {
	var cmds []command
	outcomes := make([]outcome, len(fields))
	for i, f := range fields {
		switch {
		case !isUserField.MatchString(f.Name):
			s.find(connectors.Finding{
				Object: contacts, Field: f.Name, Fatal: true,
				Problem: "Bitrix24 has no such field: own fields begin with UF_CRM_, followed by capitals, digits and underscores, 50 characters in all",
			})
		case !s.fix:
			why := "the mapping writes it"
			if f.Name == keyField {
				why = "crmsync recognises contacts by it"
			}
			s.find(connectors.Finding{
				Object: contacts, Field: f.Name, Fatal: true, Fixable: true,
				Problem: "the field does not exist in Bitrix24 and " + why,
			})
		default:
			cmds = append(cmds, command{method: fieldAdd, params: params{"fields": define(f)}, done: func(o outcome) { outcomes[i] = o; made = made || o.err == nil }})
		}
	}
	s.client.run(ctx, cmds)
	for i, f := range fields {
		err := outcomes[i].err
		if err == nil {
			continue
		}
		// A replica may have been faster.
		if have, e := s.client.relearned(ctx, 0); e == nil && have.fields[f.Name].Type != "" {
			made = true
			continue
		}
		if !refusal(err) {
			return made, err
		}
		s.find(connectors.Finding{
			Object: contacts, Field: f.Name, Fatal: true,
			Problem: fmt.Sprintf("Bitrix24 refuses to create the field, which takes an administrator of the CRM: %s", err),
		})
	}
	return made, nil
}

// define is how a field is created that Bitrix24 does not have.
func define(f connectors.Field) params {
	label := f.Label
	if label == "" {
		label = f.Name
	}
	p := params{"FIELD_NAME": strings.TrimPrefix(f.Name, userPrefix), "USER_TYPE_ID": "string", "LABEL": label, "EDIT_FORM_LABEL": label, "SHOW_FILTER": "Y"}
	switch f.Type {
	case connectors.TypeNumber:
		p["USER_TYPE_ID"] = "double"
	case connectors.TypeBool:
		p["USER_TYPE_ID"] = "boolean"
	case connectors.TypeTime:
		p["USER_TYPE_ID"] = "datetime"
	case connectors.TypeEnum, connectors.TypeLabels:
		p["USER_TYPE_ID"] = "enumeration"
		var all []params
		for _, o := range f.Options {
			all = append(all, params{"VALUE": o})
		}
		if len(all) > 0 {
			p["LIST"] = all
		}
		if f.Type == connectors.TypeLabels {
			p["MULTIPLE"] = "Y"
		}
	}
	return p
}

// holds are the types of Bitrix24 that can hold a type of field.
var holds = map[connectors.FieldType][]string{
	connectors.TypeText:   {"string", "crm_status", multifield, "url", "enumeration"},
	connectors.TypeLong:   {"string"},
	connectors.TypePhone:  {multifield, "string"},
	connectors.TypeNumber: {"double", "integer", "string"},
	connectors.TypeBool:   {"boolean", "char", "string"},
	connectors.TypeTime:   {"datetime", "date", "string"},
	connectors.TypeEnum:   {"enumeration", "crm_status", "string"},
	connectors.TypeLabels: {"enumeration", "string"},
	connectors.TypeOwner:  {"user", "employee"},
}

// compare says what is wrong with a field that a mapping writes to.
func compare(f connectors.Field, d *descriptor) string {
	want, ok := holds[f.Type]
	switch {
	case bool(d.ReadOnly):
		return "the field is read-only in Bitrix24: take it out of the mapping"
	case ok && !slices.Contains(want, d.Type):
		return fmt.Sprintf("the field is of type %s in Bitrix24 and cannot hold a %s", d.Type, f.Type)
	case f.Type == connectors.TypeLabels && !bool(d.Multiple):
		return "the field holds one value only: labels need a multiple field"
	case f.Name == keyField && bool(d.Multiple):
		return "the field is multiple: delete it in Bitrix24 and run the setup again"
	}
	return ""
}

// options sees to the values of an enumeration.
func (s *setup) options(ctx context.Context, f connectors.Field, d *descriptor) error {
	if d.Type != "enumeration" {
		return nil
	}
	lacking := d.lacking(f.Options)
	if len(lacking) == 0 {
		return nil
	}
	finding := connectors.Finding{Object: contacts, Field: f.Name, Fixable: !s.fix}
	finding.Problem = "the field lacks values: " + strings.Join(lacking, ", ")
	if s.fix {
		_, err := s.client.extend(ctx, f.Name, f.Options)
		switch {
		case err == nil:
			return nil
		case !refusal(err):
			return err
		}
		finding.Problem = fmt.Sprintf("the field lacks values, add them in Bitrix24: %s (%s)", strings.Join(lacking, ", "), err)
	}
	s.find(finding)
	return nil
}

// scopes sees to what the webhook or application may do. Portals that do not
// tell are not a finding.
func (s *setup) scopes(ctx context.Context, fields []connectors.Field) error {
	env, err := s.client.call(ctx, plain, scope, nil)
	if err != nil {
		if refusal(err) {
			return nil
		}
		return err
	}
	var have list[string]
	if json.Unmarshal(env.Result, &have) != nil || len(have) == 0 {
		return nil
	}
	if !slices.Contains(have, "crm") {
		s.find(connectors.Finding{Problem: "the scope crm is missing: add it to the webhook or application", Fatal: true})
	}
	owners := slices.ContainsFunc(fields, func(f connectors.Field) bool { return f.Type == connectors.TypeOwner })
	if owners && !slices.ContainsFunc(have, func(x string) bool { return x == "user" || x == "user_basic" }) {
		s.find(connectors.Finding{Problem: "the scope user_basic is missing: owners can be named by id only, not by e-mail address"})
	}
	return nil
}

// A dateFilter is how a portal wants the times of filters. There is a report
// of one that takes no notice of times with an offset.
type dateFilter struct {
	// zone is the portal's, set when times have to be without an offset.
	zone *time.Location
	// broken says that the filter has no effect in either form.
	broken bool
}

func (d dateFilter) works() bool { return !d.broken }

func (d dateFilter) text(t time.Time) string {
	if d.zone != nil {
		return t.In(d.zone).Format(time.DateTime)
	}
	return instant(t)
}

// dates tries the filter on changes with a time that nothing can have been
// changed after.
func (s *setup) dates(ctx context.Context) error {
	later := time.Now().Add(48 * time.Hour)
	try := func(d dateFilter) (works bool, portal time.Time, failure *connectors.Error) {
		env, err := s.client.call(ctx, batched, contactList, params{
			"select": []string{"ID"}, "filter": params{">=DATE_MODIFY": d.text(later)}, "order": params{"ID": "ASC"}, "start": -1,
		})
		if err != nil {
			return false, portal, err
		}
		var found list[contact]
		works = json.Unmarshal(env.Result, &found) == nil && len(found) == 0
		portal, _ = time.Parse(time.RFC3339, string(env.Time.DateFinish))
		return works, portal, nil
	}
	var d dateFilter
	works, portal, err := try(d)
	if err == nil && !works {
		d.zone = time.FixedZone("portal", 0)
		if !portal.IsZero() {
			d.zone = portal.Location()
		}
		works, _, err = try(d)
	}
	if err != nil {
		if refusal(err) {
			return nil
		}
		return err
	}
	if !works {
		d = dateFilter{broken: true}
		s.find(connectors.Finding{Object: contacts, Field: "DATE_MODIFY", Problem: "Bitrix24 takes no notice of the filter by time: every sync reads all contacts"})
	}
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.client.schema != nil {
		again := *s.client.schema
		again.dates = d
		s.client.schema = &again
	}
	return nil
}
