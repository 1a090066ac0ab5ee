package hubspotsim

// The properties every account has; a choice of the two hundred.

func contactProperties() []*property {
	ps := []*property{
		field("email", "Email", "string", "text"),
		field("hs_additional_emails", "Additional email addresses", "enumeration", "checkbox"),
		field("firstname", "First Name", "string", "text"),
		field("lastname", "Last Name", "string", "text"),
		field("phone", "Phone Number", "string", "phonenumber"),
		field("mobilephone", "Mobile Phone Number", "string", "phonenumber"),
		field("company", "Company Name", "string", "text"),
		field("jobtitle", "Job Title", "string", "text"),
		field("website", "Website URL", "string", "text"),
		field("address", "Street Address", "string", "text"),
		field("city", "City", "string", "text"),
		field("state", "State/Region", "string", "text"),
		field("zip", "Postal Code", "string", "text"),
		field("country", "Country/Region", "string", "text"),
		field("date_of_birth", "Date of birth", "string", "text"),
		field("closedate", "Close Date", "datetime", "date"),
		field("annualrevenue", "Annual Revenue", "string", "text"),
		field("numemployees", "Number of Employees", "number", "number"),
		choice("lifecyclestage", "Lifecycle Stage", "radio", lifecycle...),
		choice("hs_lead_status", "Lead Status", "radio", "NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "CONNECTED"),
		choice("hs_language", "Preferred language", "select",
			"en", "en-gb", "en-us", "it", "it-it", "es", "es-mx", "de", "fr", "pt", "pt-br", "nl", "pl", "tr", "ar", "ja", "zh-cn"),
		field("hubspot_owner_id", "Contact owner", "enumeration", "select"),
		locked("createdate", "Create Date", "datetime", false),
		locked("lastmodifieddate", "Last Modified Date", "datetime", false),
		locked("hs_lastmodifieddate", "Last modified", "datetime", false),
		locked("hs_merged_object_ids", "Merged record IDs", "string", false),
		locked("hs_email_domain", "Email Domain", "string", true),
		locked("hs_full_name_or_email", "Full name or email", "string", true),
		locked("hs_is_contact", "Is a contact", "bool", true),
		locked("hs_is_unworked", "Contact unworked", "bool", true),
		locked("hs_all_contact_vids", "All vids for a contact", "string", true),
		locked("hs_lifecyclestage_lead_date", "Became a Lead Date", "datetime", true),
		locked("hs_searchable_calculated_phone_number", "Calculated Phone Number with country code", "string", true),
		locked("hs_searchable_calculated_mobile_number", "Calculated Mobile Number without country code", "string", true),
		locked("num_notes", "Number of Sales Activities", "number", true),
		locked("hs_pipeline", "Pipeline", "string", false),
	}
	return append(ps, everyObject()...)
}

func communicationProperties() []*property {
	ps := []*property{
		choice("hs_communication_channel_type", "Channel Type", "select", channels...),
		choice(loggedFrom, "Logged From", "select", "CRM"),
		field("hs_communication_body", "Communication Body", "string", "html"),
		field("hs_timestamp", "Activity date", "datetime", "date"),
		field("hubspot_owner_id", "Activity assigned to", "enumeration", "select"),
		field(attachmentIDs, "Attached file IDs", "string", "text"),
		locked("hs_createdate", "Create date", "datetime", false),
		locked("hs_lastmodifieddate", "Last modified date", "datetime", false),
		locked("hs_body_preview", "Body preview", "string", true),
		locked("hs_body_preview_html", "HTML body preview", "string", true),
		locked("hs_body_preview_is_truncated", "Body preview truncated", "bool", true),
		locked("hs_communication_conversations_thread_id", "Conversation thread id", "number", false),
		locked("hs_communication_conversation_first_message_at", "First message at", "datetime", false),
	}
	return append(ps, everyObject()...)
}

func everyObject() []*property {
	return []*property{
		locked("hs_object_id", "Record ID", "number", false),
		locked("hs_object_source", "Record source", "string", false),
		locked("hs_object_source_id", "Record source ID", "string", false),
		locked("hs_object_source_label", "Record source", "string", false),
		locked("hs_unique_creation_key", "Unique creation key", "string", false),
	}
}

var (
	lifecycle = []string{
		"subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist", "other",
	}
	channels = []string{"WHATS_APP", "LINKEDIN_MESSAGE", "SMS"}
)

func field(name, label, kind, fieldType string) *property {
	return &property{
		Name: name, Label: label, Type: kind, FieldType: fieldType, HubSpotDefined: true, FormField: true, Options: []option{},
		Modification: &readOnly{ReadOnlyDefinition: true},
	}
}

func choice(name, label, fieldType string, values ...string) *property {
	p := field(name, label, "enumeration", fieldType)
	for n, v := range values {
		p.Options = append(p.Options, option{Label: v, Value: v, DisplayOrder: n})
	}
	return p
}

// locked is a property whose value only HubSpot sets.
func locked(name, label, kind string, calculated bool) *property {
	p := field(name, label, kind, map[string]string{"string": "text", "number": "number", "datetime": "date", "bool": "booleancheckbox"}[kind])
	p.Calculated, p.FormField = calculated, false
	p.Modification.ReadOnlyValue = true
	return p
}
