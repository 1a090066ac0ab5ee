package mapping

// Type is the kind of value that a contact field holds.
type Type string

// The types of contact fields.
const (
	Text   Type = "text"
	Phone  Type = "phone"
	Number Type = "number"
	Time   Type = "time"
	Enum   Type = "enum"
	Labels Type = "labels"
	Owner  Type = "owner"
)

// Info describes one of crmsync's own contact fields.
type Info struct {
	Type Type
	// Label is the field's name for people.
	Label string
	// Options are the values of an Enum.
	Options []string
}

// Contact is the catalogue of crmsync's own contact fields by name: what a
// mapping may refer to.
var Contact = map[string]Info{
	"phone":        {Phone, "Phone number", nil},
	"wa_id":        {Text, "WhatsApp id", nil},
	"user_id":      {Text, "WhatsApp user id", nil},
	"username":     {Text, "WhatsApp username", nil},
	"name":         {Text, "Name", nil},
	"first_name":   {Text, "First name", nil},
	"last_name":    {Text, "Last name", nil},
	"full_name":    {Text, "Full name", nil},
	"profile_name": {Text, "WhatsApp profile name", nil},
	"email":        {Text, "E-mail", nil},
	"language":     {Text, "Language", nil},
	"country":      {Text, "Country", nil},
	"labels":       {Labels, "WhatsApp labels", nil},
	"owner":        {Owner, "Owner", nil},

	"consent":    {Enum, "WhatsApp consent", []string{"unknown", "transactional", "marketing", "opted_out"}},
	"consent_at": {Time, "WhatsApp consent since", nil},

	"first_message_at":       {Time, "First WhatsApp message", nil},
	"first_inbound_at":       {Time, "First WhatsApp message received", nil},
	"last_message_at":        {Time, "Last WhatsApp message", nil},
	"last_inbound_at":        {Time, "Last WhatsApp message received", nil},
	"last_outbound_at":       {Time, "Last WhatsApp message sent", nil},
	"last_message_text":      {Text, "Last WhatsApp message text", nil},
	"last_message_direction": {Enum, "Last WhatsApp message direction", []string{"in", "out"}},
	"last_status":            {Enum, "Last WhatsApp message status", []string{"sent", "delivered", "read", "played", "failed"}},
	"last_status_at":         {Time, "Last WhatsApp message status since", nil},
	"unread_count":           {Number, "WhatsApp messages not answered", nil},

	"source_type":     {Text, "WhatsApp source", nil},
	"source_id":       {Text, "WhatsApp advertisement", nil},
	"source_url":      {Text, "WhatsApp source address", nil},
	"source_headline": {Text, "WhatsApp advertisement headline", nil},
	"click_id":        {Text, "WhatsApp click id", nil},

	"business_number": {Text, "WhatsApp business number id", nil},
	"business_phone":  {Phone, "WhatsApp business number", nil},
}
