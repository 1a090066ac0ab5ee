package zohosim

import (
	"regexp"
	"strconv"
	"strings"
)

// field is one field of a module.
type field struct {
	id    int64
	name  string
	label string
	// kind is Zoho's data_type.
	kind      string
	length    int
	mandatory bool
	readOnly  bool
	custom    bool
	unique    bool
	// external is "user" or "org", empty for most.
	external string
	options  []string
	// lookup is the module which a lookup points into.
	lookup string
	// area is small, large or rich_text.
	area string
	// untyped leaves json_type out, as some real entries do.
	untyped bool
}

// jsonTypes are those which are not string.
var jsonTypes = map[string]string{
	"multiselectpicklist": "jsonarray", "boolean": "boolean", "integer": "integer", "double": "double", "currency": "double",
	"percent": "double", "lookup": "jsonobject", "ownerlookup": "jsonobject", "userlookup": "jsonobject",
}

// bounds are the default and the greatest length of each kind. Zoho: create
// custom fields.
var bounds = map[string]int{
	"text": 255, "email": 100, "phone": 30, "website": 450, "integer": 9, "bigint": 18, "picklist": 120, "textarea": 2000,
	"date": 20, "datetime": 120, "boolean": 5, "double": 16, "currency": 16, "percent": 5, "lookup": 120, "ownerlookup": 120,
	"multiselectpicklist": 255, "autonumber": 255, "userlookup": 120,
}

var areas = map[string]int{"small": 2000, "large": 32000, "rich_text": 50000}

// keyed are the kinds by which records are worth finding.
func (f *field) keyed() bool {
	switch f.kind {
	case "text", "email", "phone", "website", "picklist", "bigint", "lookup", "autonumber":
		return true
	}
	return false
}

// key reports whether two records may not share a value, or only by mistake.
func (f *field) key() bool { return f.unique || f.external != "" }

// definition is the field as settings/fields shows it. Zoho: fields metadata.
func (f *field) definition(m *module, modules map[string]*module) obj {
	d := obj{
		"id": strconv.FormatInt(f.id, 10), "api_name": f.name, "field_label": f.label, "display_label": f.label, "data_type": f.kind,
		"length": f.length, "system_mandatory": f.mandatory, "read_only": f.readOnly, "field_read_only": f.readOnly, "visible": true,
		"custom_field": f.custom, "unique": obj{}, "external": nil, "virtual_field": false, "searchable": f.keyed(), "filterable": true,
		"sortable": true, "mass_update": !f.readOnly && !f.unique, "pick_list_values": []any{}, "lookup": obj{}, "tooltip": nil,
		"decimal_place": nil, "crypt": nil, "type": "used", "created_source": "default", "quick_sequence_number": nil, "businesscard_supported": true,
		"operation_type":  obj{"web_update": !f.readOnly, "api_create": !f.readOnly, "web_create": !f.readOnly, "api_update": !f.readOnly},
		"convert_mapping": nil, "currency": obj{}, "formula": obj{}, "history_tracking": nil, "multiselectlookup": obj{}, "private": nil,
		"default_value": nil, "auto_number": obj{}, "association_details": nil, "webhook": true, "display_field": f.name == m.display,
	}
	if !f.untyped {
		d["json_type"] = "string"
		if kind := jsonTypes[f.kind]; kind != "" {
			d["json_type"] = kind
		}
	}
	if f.name == "Tag" {
		d["json_type"] = "jsonarray"
	}
	if f.custom {
		d["created_source"] = "user"
	}
	if f.unique {
		d["unique"] = obj{"case_sensitive": false}
	}
	if f.external != "" {
		d["external"] = obj{"type": f.external, "show": true}
	}
	if f.kind == "textarea" {
		d["textarea"] = obj{"type": f.area}
	}
	if f.kind == "double" || f.kind == "currency" {
		d["decimal_place"] = 2
	}
	if target := modules[f.lookup]; target != nil {
		d["lookup"] = obj{
			"api_name": strings.ReplaceAll(m.plural, " ", "_"), "display_label": m.plural, "id": strconv.FormatInt(f.id+1, 10),
			"module": obj{"api_name": target.name, "id": strconv.FormatInt(target.id, 10)},
		}
	}
	var values []any
	for n, v := range f.options {
		values = append(values, obj{
			"display_value": v, "actual_value": v, "reference_value": v, "id": strconv.FormatInt(f.id*100+int64(n), 10)[:18],
			"sequence_number": n + 1, "type": "used", "colour_code": nil,
		})
	}
	if values != nil {
		d["pick_list_values"] = values
	}
	return d
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// apiName is what Zoho makes of a label.
func apiName(label string) string { return strings.Trim(notInName.ReplaceAllString(label, "_"), "_") }

// parseFields reads lines such as "Email email", "Owner ownerlookup",
// "Account_Name lookup Accounts", "Direction picklist in|out".
func parseFields(lines string) []*field {
	var fields []*field
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
		f := &field{name: parts[0], label: strings.ReplaceAll(strings.TrimSuffix(parts[0], "__s"), "_", " "), kind: parts[1]}
		f.length = bounds[f.kind]
		rest := ""
		if len(parts) > 2 {
			rest = parts[2]
		}
		for _, word := range strings.Split(rest, ";") {
			switch word {
			case "must":
				f.mandatory = true
			case "fixed":
				f.readOnly = true
			case "untyped":
				f.untyped = true
			case "large", "rich_text", "small":
				f.area = word
				f.length = areas[word]
			case "":
			default:
				switch f.kind {
				case "lookup":
					f.lookup = word
				case "picklist", "multiselectpicklist":
					f.options = strings.Split(word, "|")
				default:
					f.length, _ = strconv.Atoi(word)
				}
			}
		}
		if f.kind == "textarea" && f.area == "" {
			f.area = "small"
		}
		fields = append(fields, f)
	}
	return fields
}
