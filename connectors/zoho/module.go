package zoho

import (
	"context"
	"fmt"
	"net/http"

	"crmsync/connectors"
)

// A newModule is a module to be created (Zoho: create-custom-module-api).
type newModule struct {
	Plural   string      `json:"plural_label"`
	Singular string      `json:"singular_label"`
	APIName  string      `json:"api_name"`
	Profiles []reference `json:"profiles"`
	Display  newField    `json:"display_field"`
}

// moduleFields are what a message's record has beside its name.
func moduleFields() []newField {
	field := func(apiName, dataType string) newField {
		return newField{apiName: apiName, Label: labelFor(apiName), DataType: dataType}
	}
	wamid := field(wamidField, "text")
	wamid.Length = 255
	contact := field(contactField, "lookup")
	contact.Lookup = map[string]any{"module": map[string]string{"api_name": contacts}, "display_label": "WhatsApp Messages"}
	direction := field(directionField, "picklist")
	direction.Options = options([]string{"in", "out"})
	body := field(bodyField, "textarea")
	body.Textarea = map[string]any{"type": "large"}
	status := field(statusField, "picklist")
	status.Options = options([]string{"sent", "delivered", "read", "played", "failed"})
	return []newField{uniqueText(messageKeyField), wamid, contact, direction, body, status, field(sentField, "datetime")}
}

// without is what messages lack where the module lacks a field.
var without = map[string]string{
	messageKeyField: "messages become notes, and looking for one reads all notes of its contact",
	contactField:    "messages become notes, and looking for one reads all notes of its contact",
	bodyField:       "messages become notes, and looking for one reads all notes of its contact",
	wamidField:      "messages do not show WhatsApp's id",
	directionField:  "the direction of messages shows in their names only",
	statusField:     "the delivery status of messages is not written",
	sentField:       "the time of messages shows in their names only",
}

// messages sees to the module of messages. Not every edition allows one;
// without it messages are notes.
func (s *setup) messages(ctx context.Context) error {
	have, err := s.client.definitions(ctx, messageModule)
	if err != nil {
		if !refusal(err) {
			return err
		}
		s.find(connectors.Finding{Object: messageModule, Problem: fmt.Sprintf("the module cannot be looked at (%s): messages become notes", err)})
		return nil
	}
	if len(have) == 0 {
		f := connectors.Finding{Object: messageModule}
		if !s.fix {
			f.Fixable = true
			f.Problem = "the module does not exist in Zoho: messages become notes, and looking for one reads all notes of its contact"
			s.find(f)
			return nil
		}
		err := s.createModule(ctx)
		if err != nil && !refusal(err) {
			return err
		}
		// A replica may have been faster.
		have, again := s.client.definitions(ctx, messageModule)
		switch {
		case again != nil:
			return again
		case len(have) == 0 && err != nil:
			f.Problem = fmt.Sprintf("Zoho refuses to create the module (%s): messages become notes, and looking for one reads all notes of its contact", err)
			s.find(f)
			return nil
		case len(have) == 0:
			f.Problem = "Zoho has created the module but does not show it yet: run the setup again"
			f.Fixable = true
			s.find(f)
			return nil
		}
		return s.messageFields(ctx, have)
	}
	return s.messageFields(ctx, have)
}

func (s *setup) messageFields(ctx context.Context, have map[string]definition) error {
	var missing []newField
	for _, f := range moduleFields() {
		d, ok := find(have, f.apiName)
		switch {
		case !ok:
			missing = append(missing, f)
		case f.Unique != nil && !d.unique(), f.DataType == "lookup" && d.DataType != f.DataType:
			s.find(connectors.Finding{
				Object: messageModule, Field: f.apiName,
				Problem: "the field is not the one that the setup would create: delete it in Zoho and run the setup again; meanwhile " + without[f.apiName],
			})
		}
	}
	have, err := s.complete(ctx, messageModule, have, missing, func(f newField) connectors.Finding {
		return connectors.Finding{Field: f.apiName, Problem: without[f.apiName]}
	})
	if err != nil {
		return err
	}
	s.schema.seeModule(have)
	return nil
}

// createModule makes the module, for everybody who may see contacts today: the
// profiles of the active users.
func (s *setup) createModule(ctx context.Context) *connectors.Error {
	_, profiles, err := s.client.activeUsers(ctx)
	if err != nil {
		return err
	}
	m := newModule{
		Plural: labelFor(messageModule), Singular: "WhatsApp Message", APIName: messageModule,
		Display: newField{Label: displayField, DataType: "text"},
	}
	for _, p := range profiles {
		m.Profiles = append(m.Profiles, reference{p})
	}
	a, err := s.client.do(ctx, call{
		method: http.MethodPost, path: "settings/modules", in: map[string]any{"modules": []newModule{m}}, batched: true,
	})
	if err != nil {
		return err
	}
	_, err = created(a)
	return err
}
