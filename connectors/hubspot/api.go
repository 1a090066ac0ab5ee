package hubspot

import (
	"bytes"
	"encoding/json"
	"strings"
)

// paths are where a version of the API keeps its resources. HubSpot's dated
// versions put the version behind the API's name, the numbered ones before it,
// and associations were at number 4 when objects were at 3.
type paths struct {
	objects, properties, associations, owners, account, files string
}

func pathsOf(version string) paths {
	if strings.HasPrefix(version, "v") {
		return paths{
			objects:      "/crm/" + version + "/objects/",
			properties:   "/crm/" + version + "/properties/",
			associations: "/crm/v4/objects/",
			owners:       "/crm/" + version + "/owners",
			account:      "/account-info/" + version + "/details",
			files:        "/files/" + version + "/files",
		}
	}
	return paths{
		objects:      "/crm/objects/" + version + "/",
		properties:   "/crm/properties/" + version + "/",
		associations: "/crm/objects/" + version + "/",
		owners:       "/crm/owners/" + version,
		account:      "/account-info/" + version + "/details",
		files:        "/files/" + version + "/files",
	}
}

// The objects that crmsync writes.
const (
	contacts       = "contacts"
	communications = "communications"
)

// An input is one record of a batch call.
type input struct {
	ID           string            `json:"id,omitempty"`
	IDProperty   string            `json:"idProperty,omitempty"`
	Properties   map[string]string `json:"properties,omitempty"`
	Associations []association     `json:"associations,omitempty"`
	// TraceID is what makes HubSpot answer record by record: with one in
	// every input of a batch it writes the good ones and names the others
	// (HubSpot: error handling, multi-status errors).
	TraceID string `json:"objectWriteTraceId,omitempty"`
}

type association struct {
	To    reference         `json:"to"`
	Types []associationType `json:"types"`
}

type reference struct {
	ID string `json:"id"`
}

type associationType struct {
	Category string `json:"associationCategory"`
	ID       int    `json:"associationTypeId"`
}

// communicationToContact is directional: 82 is the way back and is refused
// (HubSpot: associations guide).
var communicationToContact = associationType{Category: "HUBSPOT_DEFINED", ID: 81}

type batch struct {
	Inputs     []input  `json:"inputs"`
	IDProperty string   `json:"idProperty,omitempty"`
	Properties []string `json:"properties,omitempty"`
}

type batchAnswer struct {
	Status  string   `json:"status"`
	Results []object `json:"results"`
	Errors  []fault  `json:"errors"`
}

// An object is a record as HubSpot shows it.
type object struct {
	ID         value            `json:"id"`
	Properties map[string]value `json:"properties"`
	Archived   bool             `json:"archived"`
	New        bool             `json:"new"`
	CreatedAt  value            `json:"createdAt"`
	UpdatedAt  value            `json:"updatedAt"`
	ArchivedAt value            `json:"archivedAt"`
}

type searchRequest struct {
	FilterGroups []filterGroup `json:"filterGroups"`
	Sorts        []sorting     `json:"sorts,omitempty"`
	Properties   []string      `json:"properties"`
	Limit        int           `json:"limit"`
	After        string        `json:"after,omitempty"`
}

type filterGroup struct {
	Filters []filter `json:"filters"`
}

type filter struct {
	PropertyName string   `json:"propertyName"`
	Operator     string   `json:"operator"`
	Value        string   `json:"value,omitempty"`
	Values       []string `json:"values,omitempty"`
}

type sorting struct {
	PropertyName string `json:"propertyName"`
	Direction    string `json:"direction"`
}

type page struct {
	Results []object `json:"results"`
	Paging  paging   `json:"paging"`
}

type associationPage struct {
	Results []struct {
		ID         value `json:"id"`
		ToObjectID value `json:"toObjectId"`
	} `json:"results"`
	Paging paging `json:"paging"`
}

type paging struct {
	Next struct {
		After value `json:"after"`
	} `json:"next"`
}

// A property is the definition of a field.
type property struct {
	Name           string   `json:"name"`
	Label          string   `json:"label"`
	GroupName      string   `json:"groupName,omitempty"`
	Type           string   `json:"type"`
	FieldType      string   `json:"fieldType"`
	HasUniqueValue bool     `json:"hasUniqueValue,omitempty"`
	Options        []option `json:"options,omitempty"`

	// ReferencedObjectType is OWNER for a property that holds an owner's id.
	ReferencedObjectType string `json:"referencedObjectType,omitempty"`

	Calculated   bool          `json:"calculated,omitempty"`
	Modification *modification `json:"modificationMetadata,omitempty"`
}

type modification struct {
	ReadOnlyValue bool `json:"readOnlyValue"`
}

type option struct {
	Label        string `json:"label"`
	Value        string `json:"value"`
	DisplayOrder int    `json:"displayOrder"`
	Hidden       bool   `json:"hidden"`
}

type owner struct {
	ID        value `json:"id"`
	Email     value `json:"email"`
	FirstName value `json:"firstName"`
	LastName  value `json:"lastName"`
	Type      value `json:"type"`
}

type ownerPage struct {
	Results []owner `json:"results"`
	Paging  paging  `json:"paging"`
}

type propertyGroup struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	DisplayOrder int    `json:"displayOrder"`
}

// A fault is the general form of an error, of a whole call or of one record
// in a batch. Every part may be missing (HubSpot: error handling).
type fault struct {
	Status     value             `json:"status"`
	Message    value             `json:"message"`
	Category   value             `json:"category"`
	Context    map[string]values `json:"context"`
	PolicyName value             `json:"policyName"`
	ErrorType  value             `json:"errorType"`
	ID         value             `json:"id"`

	Errors            []detail `json:"errors"`
	ValidationResults []detail `json:"validationResults"`
	IdentityProfile   struct {
		VID value `json:"vid"`
	} `json:"identityProfile"`
}

// A detail is one property that was refused, in any of the three layouts in
// which HubSpot says so.
type detail struct {
	Code    value             `json:"code"`
	Error   value             `json:"error"`
	Name    value             `json:"name"`
	In      value             `json:"in"`
	Context map[string]values `json:"context"`
}

// A value is a text, whatever JSON made of it; null is empty.
type value string

func (v *value) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*v = ""
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(v))
	default:
		*v = value(b)
	}
	return nil
}

// values is a list of texts, or one that came without a list.
type values []value

func (v *values) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]value)(v))
	}
	var one value
	if err := one.UnmarshalJSON(b); err != nil {
		return err
	}
	*v = values{one}
	return nil
}
