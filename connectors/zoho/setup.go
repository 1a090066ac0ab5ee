package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"crmsync/connectors"
)

// A newField is a field to be created. Zoho derives the API name from the label
// (Zoho: create-custom-field).
type newField struct {
	Label    string         `json:"field_label"`
	DataType string         `json:"data_type"`
	Length   int            `json:"length,omitempty"`
	Unique   map[string]any `json:"unique,omitempty"`
	Textarea map[string]any `json:"textarea,omitempty"`
	Lookup   map[string]any `json:"lookup,omitempty"`
	Options  []newOption    `json:"pick_list_values,omitempty"`

	// apiName is the name that is wanted.
	apiName string
}

type newOption struct {
	Display string `json:"display_value"`
	Actual  string `json:"actual_value"`
}

func options(values []string) []newOption {
	list := make([]newOption, len(values))
	for i, v := range values {
		list[i] = newOption{v, v}
	}
	return list
}

// uniqueText is a text that tells records apart. Of unique fields a module has
// two at most, in every edition.
func uniqueText(apiName string) newField {
	return newField{
		apiName: apiName, Label: labelFor(apiName), DataType: "text", Length: 255,
		Unique: map[string]any{"case_sensitive": false},
	}
}

// A setup is one call of Setup.
type setup struct {
	client   *Client
	fix      bool
	schema   *schema
	findings []connectors.Finding
}

func (s *setup) find(f connectors.Finding) { s.findings = append(s.findings, f) }

// refusal reports whether e is about the definition and not the account: the
// setup goes on and tells. A missing scope or permission is such a case, since
// it need not concern the other calls.
func refusal(e *connectors.Error) bool {
	return !e.Class.AccountTrouble() || e.Class == connectors.Unauthorized && (e.Status == http.StatusForbidden || e.Code == scopeMismatch)
}

// create makes a field and returns its id. A replica that was faster is no
// failure: what there is in the end is read, not believed.
func (s *setup) create(ctx context.Context, module string, f newField) (string, *connectors.Error) {
	a, err := s.client.do(ctx, call{
		method: http.MethodPost, path: "settings/fields", query: url.Values{"module": {module}},
		in: map[string]any{"fields": []newField{f}}, batched: true,
	})
	if err != nil {
		return "", err
	}
	return created(a)
}

// created is the id of what a call with one definition made.
func created(a *envelope) (string, *connectors.Error) {
	rows := a.rows()
	if len(rows) != 1 {
		return "", unaccounted(a.status)
	}
	var r answerRow
	if json.Unmarshal(rows[0], &r) != nil {
		return "", unaccounted(a.status)
	}
	if r.Code != "SUCCESS" {
		return "", r.explain(a.status, "")
	}
	return string(r.Details.ID), nil
}

// contacts sees to the key and the mapped fields.
func (s *setup) contacts(ctx context.Context, fields []connectors.Field) error {
	have, err := s.client.definitions(ctx, contacts)
	if err != nil {
		return err
	}
	var missing []newField
	if d, ok := find(have, keyField); !ok {
		missing = append(missing, uniqueText(keyField))
	} else if d.DataType != "text" || !d.unique() {
		s.find(connectors.Finding{
			Object: contacts, Field: keyField, Fatal: true,
			Problem: "the field is not a unique text: forbid duplicate values in Zoho, or delete it and run the setup again",
		})
	}
	seen := map[string]bool{keyField: true}
	for _, f := range fields {
		if f.Name == tagField {
			s.checkTags(f)
		}
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		d, ok := have[f.Name]
		if !ok {
			missing = append(missing, define(f))
			continue
		}
		if problem, fatal := compare(f, d); problem != "" {
			s.find(connectors.Finding{Object: contacts, Field: f.Name, Problem: problem, Fatal: fatal})
		}
	}
	if have, err = s.complete(ctx, contacts, have, missing, func(f newField) connectors.Finding {
		why := "the mapping writes it"
		if f.apiName == keyField {
			why = "crmsync recognises contacts by it"
		}
		return connectors.Finding{Field: f.apiName, Problem: why, Fatal: true}
	}); err != nil {
		return err
	}
	s.schema.see(have)
	return nil
}

// checkTags finds labels that cannot be tags.
func (s *setup) checkTags(f connectors.Field) {
	for _, o := range f.Options {
		if utf8.RuneCountInString(o) > maxTag || strings.ContainsAny(o, "<>,") {
			s.find(connectors.Finding{
				Object: contacts, Field: tagField,
				Problem: "Zoho's tags have at most 25 characters, without commas and angle brackets: shorten " + o,
			})
		}
	}
}

// complete creates the fields that a module lacks, or finds that they are
// missing, and returns those that it has in the end. about says of each what
// its absence means.
func (s *setup) complete(ctx context.Context, module string, have map[string]definition, missing []newField, about func(newField) connectors.Finding) (map[string]definition, *connectors.Error) {
	if len(missing) == 0 {
		return have, nil
	}
	refused := map[string]*connectors.Error{}
	ids := map[string]string{}
	if s.fix {
		for _, f := range missing {
			id, err := s.create(ctx, module, f)
			if err != nil && !refusal(err) {
				return nil, err
			}
			ids[f.apiName], refused[f.apiName] = id, err
		}
		var err *connectors.Error
		if have, err = s.client.definitions(ctx, module); err != nil {
			return nil, err
		}
	}
	for _, f := range missing {
		if _, ok := have[f.apiName]; ok {
			continue
		}
		finding := about(f)
		finding.Object = module
		why := finding.Problem
		other := ""
		for _, d := range have {
			if ids[f.apiName] != "" && string(d.ID) == ids[f.apiName] {
				other = d.APIName
			}
		}
		switch err := refused[f.apiName]; {
		case !s.fix:
			finding.Fixable = true
			finding.Problem = "the field does not exist in Zoho and " + why
		case err != nil:
			finding.Problem = fmt.Sprintf("Zoho refuses to create the field (%s), and %s", err, why)
		case other != "" && (f.apiName == keyField || module != contacts):
			// Ours are found under any name.
			continue
		case other != "":
			finding.Problem = "Zoho has given the field the API name " + other + ": use that in the mapping"
		default:
			finding.Problem = "Zoho has created the field but does not show it, and " + why
		}
		s.find(finding)
	}
	return have, nil
}

// define is how a field is created that Zoho does not have.
func define(f connectors.Field) newField {
	n := newField{apiName: f.Name, Label: labelFor(f.Name), DataType: "text", Length: 255}
	if strings.ReplaceAll(f.Label, " ", "_") == f.Name {
		n.Label = f.Label
	}
	kind := func(dataType string) { n.DataType, n.Length = dataType, 0 }
	switch f.Type {
	case connectors.TypeLong:
		kind("textarea")
		n.Textarea = map[string]any{"type": "small"}
	case connectors.TypePhone:
		n.DataType, n.Length = "phone", 30
	case connectors.TypeNumber:
		kind("double")
	case connectors.TypeBool:
		kind("boolean")
	case connectors.TypeTime:
		kind("datetime")
	case connectors.TypeEnum:
		kind("picklist")
		n.Options = options(f.Options)
	case connectors.TypeLabels:
		kind("multiselectpicklist")
		n.Options = options(f.Options)
	}
	return n
}

// holds are the types of Zoho that can hold a type of field.
var holds = map[connectors.FieldType][]string{
	connectors.TypeText:   {"text", "textarea", "email", "phone", "website", "picklist"},
	connectors.TypeLong:   {"textarea"},
	connectors.TypePhone:  {"phone", "text"},
	connectors.TypeNumber: {"integer", "bigint", "double", "currency", "percent", "decimal", "text"},
	connectors.TypeBool:   {"boolean", "picklist", "text"},
	connectors.TypeTime:   {"datetime", "date", "text"},
	connectors.TypeEnum:   {"picklist", "text"},
	connectors.TypeLabels: {"multiselectpicklist"},
	connectors.TypeOwner:  {"ownerlookup", "userlookup"},
}

// compare says what is wrong with a field that a mapping writes to.
func compare(f connectors.Field, d definition) (problem string, fatal bool) {
	want, ok := holds[f.Type]
	switch {
	case f.Name == tagField && f.Type == connectors.TypeLabels:
		return "", false // written by actions of its own, whatever its definition says
	case d.readOnly():
		return "the field is read-only in Zoho: take it out of the mapping", true
	case ok && !slices.Contains(want, d.DataType):
		return fmt.Sprintf("the field is of type %s in Zoho and cannot hold a %s", d.DataType, f.Type), true
	case f.Type == connectors.TypeText && d.DataType == "picklist":
		return "the field has a list of values: where that is restricted, contacts with another value will be refused", false
	case !strings.HasSuffix(d.DataType, "picklist") || f.Type != connectors.TypeEnum && f.Type != connectors.TypeLabels:
		return "", false
	}
	have := d.options()
	lacking := slices.DeleteFunc(slices.Clone(f.Options), func(o string) bool { return slices.Contains(have, o) })
	if len(lacking) > 0 {
		return "the field lacks values, add them in Zoho: " + strings.Join(lacking, ", "), false
	}
	return "", false
}
