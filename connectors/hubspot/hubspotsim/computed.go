package hubspotsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors/internal/simcrm"
)

// value returns a property of a record in one of its states, stored or
// calculated; false is null.
func (st *store) value(r *record, v *state, name string) (string, bool) {
	if stored, ok := v.props[name]; ok {
		return stored, true
	}
	switch name {
	case "hs_object_id":
		return strconv.FormatInt(r.id, 10), true
	case "hs_object_source", "hs_object_source_label":
		return r.by.source, true
	case "hs_object_source_id":
		return r.by.id, r.by.id != ""
	}
	if st.id == contactType {
		return contactValue(r, v, name)
	}
	switch name {
	case "hs_createdate":
		return simcrm.Stamp(r.created), true
	case "hs_lastmodifieddate":
		return simcrm.Stamp(v.updated), true
	case "hs_body_preview":
		body := v.props["hs_communication_body"] + v.props["hs_task_body"]
		return body, body != ""
	}
	return "", false
}

// contactValue is value for what HubSpot calculates of contacts.
// hs_lastmodifieddate stays null: contacts have lastmodifieddate. HubSpot: the
// search guide's default properties.
func contactValue(r *record, v *state, name string) (string, bool) {
	switch name {
	case "createdate", "hs_lifecyclestage_lead_date":
		return simcrm.Stamp(r.created), true
	case "lastmodifieddate":
		return simcrm.Stamp(v.updated), true
	case "hs_is_contact", "hs_is_unworked":
		return "true", true
	case "hs_all_contact_vids":
		return strings.Join(append([]string{strconv.FormatInt(r.id, 10)}, former(v)...), ";"), true
	case "num_notes":
		return "0", true
	case "hs_pipeline":
		return "contacts-lifecycle-pipeline", true
	case "hs_email_domain":
		_, domain, has := strings.Cut(v.props["email"], "@")
		return domain, has
	case "hs_full_name_or_email":
		if full := fullName(v.props); full != "" {
			return full, true
		}
		return v.props["email"], v.props["email"] != ""
	case "hs_searchable_calculated_phone_number":
		return national(v.props["phone"])
	case "hs_searchable_calculated_mobile_number":
		return national(v.props["mobilephone"])
	}
	return "", false
}

func fullName(props map[string]string) string {
	return strings.TrimSpace(props["firstname"] + " " + props["lastname"])
}

// national are the digits of a number without its country code if it can be
// told apart, else all of them. HubSpot: the search guide.
func national(phone string) (string, bool) {
	all := simcrm.Digits(phone)
	if all == "" || !strings.HasPrefix(strings.TrimSpace(phone), "+") {
		return all, all != ""
	}
	code := 3
	switch {
	case strings.HasPrefix(all, "1"), strings.HasPrefix(all, "7"):
		code = 1
	case len(all) > 1 && slices.Contains(twoDigits, all[:2]):
		code = 2
	}
	if local := len(all) - code; local < 8 || code == 1 && local != 10 {
		return all, true
	}
	return all[code:], true
}

var twoDigits = strings.Fields("20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
	"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98")

// all returns every property that is not null.
func (st *store) all(r *record, v *state) map[string]string {
	out := map[string]string{}
	for name := range st.props {
		if value, has := st.value(r, v, name); has && value != "" {
			out[name] = value
		}
	}
	return out
}

// shownRecord is a record as HubSpot answers it.
type shownRecord struct {
	ID           string              `json:"id"`
	Properties   map[string]*string  `json:"properties"`
	History      map[string][]past   `json:"propertiesWithHistory,omitempty"`
	CreatedAt    string              `json:"createdAt"`
	UpdatedAt    string              `json:"updatedAt"`
	Archived     bool                `json:"archived"`
	ArchivedAt   string              `json:"archivedAt,omitempty"`
	New          *bool               `json:"new,omitempty"`
	Associations map[string]linkPage `json:"associations,omitempty"`
	URL          string              `json:"url,omitempty"`
	Warnings     []warning           `json:"warnings,omitempty"`
}

// past is one value of a property's history; only the newest is kept.
type past struct {
	Value      string `json:"value"`
	Timestamp  string `json:"timestamp"`
	SourceType string `json:"sourceType"`
}

// linkPage is how associations come along with a record.
type linkPage struct {
	Results []linkShown `json:"results"`
}

type linkShown struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

func (s *Server) envelope(st *store, r *record, v *state) *shownRecord {
	out := &shownRecord{
		ID: strconv.FormatInt(r.id, 10), Properties: map[string]*string{}, CreatedAt: simcrm.Stamp(r.created), UpdatedAt: simcrm.Stamp(v.updated),
		Archived: !v.archived.IsZero(),
		URL:      fmt.Sprintf("https://app.hubspot.com/contacts/%d/record/%s/%d", s.opts.PortalID, st.id, r.id),
	}
	if out.Archived {
		out.ArchivedAt = simcrm.Stamp(v.archived)
	}
	return out
}

// shown is a record with the properties asked for: null where unset, left out
// where undefined.
func (s *Server) shown(st *store, r *record, v *state, names []string) *shownRecord {
	out := s.envelope(st, r, v)
	for _, name := range append(st.usual(), names...) {
		name = strings.ToLower(strings.TrimSpace(name))
		if st.property(name) == nil {
			continue
		}
		out.Properties[name] = nil
		if value, has := st.value(r, v, name); has && value != "" {
			out.Properties[name] = &value
		}
	}
	return out
}

// usual are the properties that come unasked. HubSpot: the search guide.
func (st *store) usual() []string {
	if st.id == contactType {
		return []string{"createdate", "hs_object_id", "lastmodifieddate"}
	}
	return []string{"hs_createdate", "hs_object_id", "hs_lastmodifieddate"}
}

// asked adds what a read without any properties shows.
func (st *store) asked(names []string) []string {
	if len(names) == 0 && st.id == contactType {
		return []string{"email", "firstname", "lastname"}
	}
	return names
}

// echo is a record as a write answers it: everything stored. Of a creation
// the lead date comes as raw milliseconds, though reads give ISO.
func (s *Server) echo(st *store, r *record, created bool) *shownRecord {
	out := s.envelope(st, r, r.now)
	for name, value := range st.all(r, r.now) {
		if created && name == "hs_lifecyclestage_lead_date" {
			value = strconv.FormatInt(r.created.UnixMilli(), 10)
		}
		out.Properties[name] = &value
	}
	return out
}

func (s *Server) history(st *store, r *record, v *state, names []string) map[string][]past {
	out := map[string][]past{}
	for _, name := range names {
		if value, has := st.value(r, v, name); has {
			out[name] = []past{{value, simcrm.Stamp(v.updated), r.by.source}}
		}
	}
	return out
}

// commas splits a list in a query.
func commas(values []string) []string {
	var out []string
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimSpace(one); one != "" {
				out = append(out, one)
			}
		}
	}
	return out
}
