package hubspot

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"crmsync/connectors"
)

// What a property takes (HubSpot: property field types).
const (
	maxOptions = 5000
	// maxOption is how many characters label, value and description of an
	// option have together.
	maxOption = 3000
)

// label adds the options that the changes' labels need to their properties,
// with one call for each property.
func (w *writing) label(ctx context.Context, changes []connectors.ContactChange) {
	known := w.client.learnedFields().by
	lacking, needed := map[string][]string{}, map[string][]int{}
	for i, ch := range changes {
		for name, v := range ch.Fields {
			p := known[name]
			labels, ok := v.([]string)
			if !ok || w.results[i].Err != nil || p.fieldType() != connectors.TypeLabels {
				continue
			}
			for _, l := range labels {
				switch {
				case l == "" || p.has(l):
				case strings.Contains(l, ";"):
					w.results[i].Err = badLabel(name, "a label with a semicolon would be two in HubSpot")
				case 2*connectors.Length(l) > maxOption:
					w.results[i].Err = badLabel(name, "a label is too long for HubSpot")
				default:
					if !slices.Contains(lacking[name], l) {
						lacking[name] = append(lacking[name], l)
					}
					needed[name] = append(needed[name], i)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lacking)) {
		if err := w.client.addOptions(ctx, name, lacking[name]); err != nil {
			for _, i := range needed[name] {
				w.results[i].Err = about(name, err)
			}
		}
	}
}

func badLabel(field, reason string) *connectors.Error {
	return &connectors.Error{Class: connectors.Rejected, Code: "INVALID_OPTION", Field: field, Reason: reason}
}

func (p *property) has(option string) bool {
	for i := range p.Options {
		if p.Options[i].Value == option {
			return true
		}
	}
	return false
}

// addOptions adds options to a property. HubSpot takes only whole lists and
// knows no versions of them (HubSpot: properties guide), so the list is read
// just before it is written, and what is in it goes back as it came.
func (c *Client) addOptions(ctx context.Context, name string, values []string) *connectors.Error {
	select {
	case c.editing <- struct{}{}:
		defer func() { <-c.editing }()
	case <-ctx.Done():
		return &connectors.Error{Class: connectors.Transient, Reason: "cancelled before the call"}
	}

	path := c.paths.properties + contacts + "/" + url.PathEscape(name)
	var now struct {
		property
		Options []json.RawMessage `json:"options"`
	}
	if err := c.call(ctx, named, http.MethodGet, path, nil, nil, &now); err != nil {
		if err.Status == http.StatusNotFound {
			err = &connectors.Error{Class: connectors.Rejected, Code: "PROPERTY_DOESNT_EXIST", Status: err.Status, Reason: reasons["PROPERTY_DOESNT_EXIST"]}
		}
		return err
	}
	p, order := now.property, 0
	p.Name = name
	for _, raw := range now.Options {
		var o option
		if json.Unmarshal(raw, &o) != nil {
			return &connectors.Error{Class: connectors.Transient, Reason: "an option of the property cannot be read"}
		}
		p.Options = append(p.Options, o)
		order = max(order, o.DisplayOrder+1)
	}
	before := len(p.Options)
	for _, v := range values {
		if !p.has(v) {
			p.Options = append(p.Options, option{Label: v, Value: v, DisplayOrder: order})
			order++
		}
	}
	if len(p.Options) > maxOptions {
		return &connectors.Error{Class: connectors.Rejected, Code: "TOO_MANY_OPTIONS", Reason: "the property has as many options as HubSpot allows"}
	}
	if added := p.Options[before:]; len(added) > 0 {
		list := slices.Clone(now.Options)
		for _, o := range added {
			raw, err := json.Marshal(o)
			if err != nil {
				return &connectors.Error{Class: connectors.Rejected, Reason: "a label cannot be written as JSON"}
			}
			list = append(list, raw)
		}
		in := map[string]any{"options": list}
		err := c.call(ctx, named, http.MethodPatch, path, nil, in, nil)
		if err != nil && err.Class == connectors.Conflict {
			err = &connectors.Error{Class: connectors.Rejected, Code: err.Code, Status: err.Status, Reason: "HubSpot refuses to add an option to the property"}
		}
		if err != nil {
			return err
		}
	}
	c.learnField(p)
	return nil
}

// learnField keeps one definition that is newer than the others.
func (c *Client) learnField(p property) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := maps.Clone(c.fields.by)
	if by == nil {
		by = map[string]property{}
	}
	by[p.Name] = p
	c.fields.by = by
}

// missedLabels sees to labels that HubSpot has refused although their options
// had been there: a person has taken one away, or it is too new to be known
// everywhere. The next attempt looks at the property again.
func (w *writing) missedLabels() {
	known := w.client.learnedFields().by
	for i := range w.results {
		e := w.results[i].Err
		if e == nil || e.Code != "INVALID_OPTION" || e.Status == 0 {
			continue
		}
		p := known[e.Field]
		if p.fieldType() != connectors.TypeLabels {
			continue
		}
		p.Options = nil
		w.client.learnField(p)
		again := *e
		again.Class, again.Reason = connectors.Unknown, "HubSpot does not know an option that was there, or does not know it yet"
		w.results[i].Err = &again
	}
}
