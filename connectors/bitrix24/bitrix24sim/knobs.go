package bitrix24sim

// Knobs are what Bitrix24 leaves undocumented or does one way here and
// another there. A client has to get along with every setting.
type Knobs struct {
	// RenamedTo is the portal's new address, such as "https://new.example":
	// every call is answered by a redirection to it.
	RenamedTo string `json:"renamed_to"`
	// SparseTime leaves operating and operating_reset_at out of an answer's
	// time and makes its other numbers integers.
	SparseTime bool `json:"sparse_time"`
	// RefuseLong refuses over-long values, which are cut otherwise.
	RefuseLong bool `json:"refuse_long"`
	// IgnoreOffset reads the date in a filter as the portal's, whatever its offset.
	IgnoreOffset bool `json:"ignore_offset"`
	// KeepModified leaves DATE_MODIFY alone when a comment or an activity is added.
	KeepModified bool `json:"keep_modified"`
	// ItemClears lets crm.item.update clear a field with an empty value, which it
	// was seen not to do.
	ItemClears bool `json:"item_clears"`
	// KeepFiles lets an update of a comment without FILES leave its files alone,
	// and {"id": …} in FILES keep one, as the pages on file fields have it. By
	// default an update without FILES takes them away, as in the product's code.
	KeepFiles bool `json:"keep_files"`
	// NoXMLIDFilter lets tasks.task.list pass over XML_ID in a filter, so that it
	// finds all tasks: the page on it does not have the field.
	NoXMLIDFilter bool `json:"no_xml_id_filter"`
	// OutageBody is "html", "json", "overload" or, by default, JSON for 500,
	// OVERLOAD_LIMIT for 401, and HTML for all else.
	OutageBody string `json:"outage_body"`

	// EventDelayMS holds events back, in milliseconds.
	EventDelayMS int `json:"event_delay_ms"`
	// ReorderEvents sends every other event after its successor.
	ReorderEvents bool `json:"reorder_events"`
	// DropEvents and DuplicateEvents are shares between 0 and 1.
	DropEvents      float64 `json:"drop_events"`
	DuplicateEvents float64 `json:"duplicate_events"`
	// NoHandlerID leaves event_handler_id out of what the outgoing webhook
	// sends, as was seen once.
	NoHandlerID bool `json:"no_handler_id"`
	// WrongApplicationToken sends events with another token.
	WrongApplicationToken bool `json:"wrong_application_token"`
}

// Knobs returns the present setting.
func (s *Server) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs replaces the whole setting.
func (s *Server) SetKnobs(k Knobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
}
