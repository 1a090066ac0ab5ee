package mapping

// Type is the kind of value that a contact field holds.
type Type string

// The types of contact fields.
const (
	Text Type = "text"
	// Long is text of more than 255 characters.
	Long   Type = "long_text"
	Phone  Type = "phone"
	Number Type = "number"
	Time   Type = "time"
	Enum   Type = "enum"
	Labels Type = "labels"
	Owner  Type = "owner"
	// Bool is yes or no; none of crmsync's own fields is.
	Bool Type = "bool"
	// Decimal is a number that need not be whole; none of crmsync's own fields is.
	Decimal Type = "decimal"
)

// Info describes one of crmsync's own contact fields.
type Info struct {
	Type Type
	// Label is the field's name for people.
	Label string
	// Options are the values of an Enum.
	Options []string
	// Shared fields are the business's own: what people enter in one account is
	// carried to the others. The others follow from WhatsApp, and what people
	// enter there is overwritten.
	Shared bool
	// Guess is set where people who have entered it themselves know it better
	// than WhatsApp. Fields of the same guess go together, as the parts of a
	// name do.
	Guess string
}

// Contact is the catalogue of crmsync's own contact fields by name: what a
// mapping may refer to.
var Contact = map[string]Info{
	"phone":        {Type: Phone, Shared: true, Label: "Phone number"},
	"wa_id":        {Type: Text, Label: "WhatsApp id"},
	"user_id":      {Type: Text, Label: "WhatsApp user id"},
	"username":     {Type: Text, Label: "WhatsApp username"},
	"name":         {Type: Text, Label: "Name", Guess: "name"},
	"first_name":   {Type: Text, Shared: true, Label: "First name", Guess: "name"},
	"last_name":    {Type: Text, Shared: true, Label: "Last name", Guess: "name"},
	"full_name":    {Type: Text, Shared: true, Label: "Full name", Guess: "name"},
	"profile_name": {Type: Text, Label: "WhatsApp profile name"},
	"email":        {Type: Text, Shared: true, Label: "E-mail"},
	"language":     {Type: Text, Shared: true, Label: "Language", Guess: "language"},
	"country":      {Type: Text, Shared: true, Label: "Country", Guess: "country"},
	"labels":       {Type: Labels, Shared: true, Label: "WhatsApp labels"},
	"owner":        {Type: Owner, Label: "Owner"},
	"priority":     {Type: Enum, Shared: true, Label: "Priority", Options: priorities},

	"consent":    {Type: Enum, Shared: true, Label: "WhatsApp consent", Options: []string{"unknown", "transactional", "marketing", "opted_out"}},
	"consent_at": {Type: Time, Label: "WhatsApp consent since"},

	"first_message_at":       {Type: Time, Label: "First WhatsApp message"},
	"first_inbound_at":       {Type: Time, Label: "First WhatsApp message received"},
	"last_message_at":        {Type: Time, Label: "Last WhatsApp message"},
	"last_inbound_at":        {Type: Time, Label: "Last WhatsApp message received"},
	"last_outbound_at":       {Type: Time, Label: "Last WhatsApp message sent"},
	"last_message_text":      {Type: Long, Label: "Last WhatsApp message text"},
	"last_message_direction": {Type: Enum, Label: "Last WhatsApp message direction", Options: []string{"in", "out"}},
	"last_status":            {Type: Enum, Label: "Last WhatsApp message status", Options: []string{"sent", "delivered", "read", "played", "failed"}},
	"last_status_at":         {Type: Time, Label: "Last WhatsApp message status since"},
	"unread_count":           {Type: Number, Label: "WhatsApp messages not answered"},

	"source_type":     {Type: Text, Label: "WhatsApp source"},
	"source_id":       {Type: Text, Label: "WhatsApp advertisement"},
	"source_url":      {Type: Long, Label: "WhatsApp source address"},
	"source_headline": {Type: Text, Label: "WhatsApp advertisement headline"},
	"click_id":        {Type: Text, Label: "WhatsApp click id"},

	"business_number": {Type: Text, Label: "WhatsApp business number id"},
	"business_phone":  {Type: Phone, Label: "WhatsApp business number"},
}
