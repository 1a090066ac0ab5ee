package bitrix24sim

import (
	"slices"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// field is a field of contacts.
type field struct {
	// name is the classic family's, item the item family's.
	name, item, kind, title string
	readOnly, multiple      bool
	// max is the length in characters that a value may have; 0 for any.
	max        int
	statusType string
	// user is what a user field has beyond that.
	user *userField
}

// Bitrix24: contact fields, field length limits.
var contactFields = []*field{
	{name: "ID", item: "id", kind: "integer", title: "ID", readOnly: true},
	{name: "HONORIFIC", item: "honorific", kind: "crm_status", title: "Salutation", max: 50, statusType: "HONORIFIC"},
	{name: "NAME", item: "name", kind: "string", title: "First name", max: 50},
	{name: "SECOND_NAME", item: "secondName", kind: "string", title: "Second name", max: 50},
	{name: "LAST_NAME", item: "lastName", kind: "string", title: "Last name", max: 50},
	{name: "PHOTO", item: "photo", kind: "file", title: "Photo"},
	{name: "BIRTHDATE", item: "birthdate", kind: "date", title: "Date of birth"},
	{name: "TYPE_ID", item: "typeId", kind: "crm_status", title: "Contact type", max: 50, statusType: "CONTACT_TYPE"},
	{name: "SOURCE_ID", item: "sourceId", kind: "crm_status", title: "Source", max: 50, statusType: "SOURCE"},
	{name: "SOURCE_DESCRIPTION", item: "sourceDescription", kind: "string", title: "Source information"},
	{name: "COMMENTS", item: "comments", kind: "string", title: "Comment"},
	{name: "POST", item: "post", kind: "string", title: "Position", max: 255},
	{name: "ADDRESS", kind: "string", title: "Address"},
	{name: "ADDRESS_2", kind: "string", title: "Address (line 2)"},
	{name: "ADDRESS_CITY", kind: "string", title: "City"},
	{name: "ADDRESS_POSTAL_CODE", kind: "string", title: "ZIP"},
	{name: "ADDRESS_REGION", kind: "string", title: "Region"},
	{name: "ADDRESS_PROVINCE", kind: "string", title: "State / Province"},
	{name: "ADDRESS_COUNTRY", kind: "string", title: "Country"},
	{name: "ADDRESS_LOC_ADDR_ID", kind: "integer", title: "Location address ID"},
	{name: "OPENED", item: "opened", kind: "char", title: "Available to everyone"},
	{name: "EXPORT", item: "export", kind: "char", title: "Include in export"},
	{name: "HAS_PHONE", item: "hasPhone", kind: "char", title: "Has phone", readOnly: true},
	{name: "HAS_EMAIL", item: "hasEmail", kind: "char", title: "Has e-mail", readOnly: true},
	{name: "HAS_IMOL", item: "hasImol", kind: "char", title: "Has Open Channel", readOnly: true},
	{name: "ASSIGNED_BY_ID", item: "assignedById", kind: "user", title: "Responsible person"},
	{name: "CREATED_BY_ID", item: "createdBy", kind: "user", title: "Created by", readOnly: true},
	{name: "MODIFY_BY_ID", item: "updatedBy", kind: "user", title: "Modified by", readOnly: true},
	{name: "DATE_CREATE", item: "createdTime", kind: "datetime", title: "Created on", readOnly: true},
	{name: "DATE_MODIFY", item: "updatedTime", kind: "datetime", title: "Modified on", readOnly: true},
	{name: "COMPANY_ID", item: "companyId", kind: "crm_company", title: "Company"},
	{name: "COMPANY_IDS", item: "companyIds", kind: "crm_company", title: "Companies", multiple: true},
	{name: "LEAD_ID", item: "leadId", kind: "crm_lead", title: "Lead", readOnly: true},
	{name: "ORIGINATOR_ID", item: "originatorId", kind: "string", title: "External source", max: 255},
	{name: "ORIGIN_ID", item: "originId", kind: "string", title: "Item ID in data source", max: 255},
	{name: "ORIGIN_VERSION", item: "originVersion", kind: "string", title: "Original version", max: 255},
	{name: "UTM_SOURCE", item: "utmSource", kind: "string", title: "Ad system", max: 600},
	{name: "UTM_MEDIUM", item: "utmMedium", kind: "string", title: "Medium", max: 600},
	{name: "UTM_CAMPAIGN", item: "utmCampaign", kind: "string", title: "Ad campaign UTM", max: 600},
	{name: "UTM_CONTENT", item: "utmContent", kind: "string", title: "Campaign contents", max: 600},
	{name: "UTM_TERM", item: "utmTerm", kind: "string", title: "Campaign search term", max: 600},
	{name: "LAST_ACTIVITY_TIME", item: "lastActivityTime", kind: "datetime", title: "Last activity", readOnly: true},
	{name: "LAST_ACTIVITY_BY", item: "lastActivityBy", kind: "user", title: "Last activity by", readOnly: true},
	{name: "PHONE", kind: "crm_multifield", title: "Phone", multiple: true},
	{name: "EMAIL", kind: "crm_multifield", title: "E-mail", multiple: true},
	{name: "WEB", kind: "crm_multifield", title: "Website", multiple: true},
	{name: "IM", kind: "crm_multifield", title: "Messenger", multiple: true},
	{name: "LINK", kind: "crm_multifield", title: "LINK", multiple: true},
}

var multifields = []string{"PHONE", "EMAIL", "WEB", "IM", "LINK"}

func isMultifield(name string) bool { return slices.Contains(multifields, name) }

// allFields are the fields every contact has, and the portal's user fields.
func (s *Server) allFields() []*field { return append(slices.Clone(contactFields), s.userFields...) }

// field finds a field by its classic name.
func (s *Server) field(name string) *field { return s.byName[name] }

// itemField finds a field by its name in the item family, or by its classic
// name where those were asked for.
func (s *Server) itemField(name string, original bool) *field {
	if f := s.byItem[name]; f != nil && (!original || f.user == nil) {
		return f
	}
	if f := s.byName[name]; original && f != nil && f.user != nil {
		return f
	}
	return nil
}

func (s *Server) nameFields() {
	s.byName, s.byItem = map[string]*field{}, map[string]*field{}
	for _, f := range s.allFields() {
		s.byName[f.name] = f
		if f.item != "" {
			s.byItem[f.item] = f
		}
	}
}

// itemName is camel case, with an underscore kept before a number that ends
// the name. Bitrix24: crm.item.fields.
func itemName(name string) string {
	parts := strings.Split(strings.ToLower(name), "_")
	out := parts[0]
	for n, part := range parts[1:] {
		switch {
		case part == "":
		case simcrm.Digits(part) == part && n == len(parts)-2:
			out += "_" + part
		default:
			out += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return out
}

// descriptor is what crm.contact.fields and crm.item.fields say of a field.
func (f *field) descriptor(s *Server) obj {
	d := obj{
		"type": f.kind, "isRequired": f.user != nil && f.user.mandatory(), "isReadOnly": f.readOnly, "isImmutable": false,
		"isMultiple": f.multiple, "isDynamic": f.user != nil, "title": f.title,
	}
	if f.statusType != "" {
		d["statusType"] = f.statusType
	}
	if f.name == "COMPANY_ID" {
		d["isDeprecated"] = true
	}
	if f.user == nil {
		return d
	}
	label := f.user.label()
	d["title"], d["listLabel"], d["formLabel"], d["filterLabel"] = f.name, label, label, label
	if f.kind == "enumeration" {
		items := []obj{}
		for _, i := range f.user.items {
			items = append(items, obj{"ID": i.id, "VALUE": i.value})
		}
		d["items"] = items
	}
	return d
}
