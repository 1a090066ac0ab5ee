package hubspotsim

import (
	"net/http"
	"slices"
	"strings"
)

// attachmentIDs is the property that names the files of a message.
const attachmentIDs = "hs_attachment_ids"

// loggedFrom is the property that tells logged messages from those of
// HubSpot's own inbox.
const loggedFrom = "hs_communication_logged_from"

// checkCommunication holds the rules for logged messages. HubSpot: the
// communications guide.
func checkCommunication(props map[string]string) *refusal {
	if props[loggedFrom] != "CRM" {
		return refuse(http.StatusBadRequest, validation,
			"Logged SMS, WhatsApp and LinkedIn message objects must have hs_communication_logged_from set to CRM")
	}
	for _, name := range []string{"hs_communication_channel_type", "hs_timestamp"} {
		if props[name] == "" {
			return refuse(http.StatusBadRequest, validation, "Error creating COMMUNICATION.  Some required properties were not set.").
				with("properties", name)
		}
	}
	return nil
}

// logged is what an integration wrote about a WhatsApp message.
type logged struct{ wamid, direction, status, text string }

// message reads a logged message: from custom properties, or from a last
// paragraph of the body such as "— WhatsApp in · delivered · wamid.X".
func message(props map[string]string) logged {
	m := logged{text: props["hs_communication_body"]}
	if at := strings.LastIndex(m.text, "— WhatsApp "); at >= 0 && (at == 0 || strings.HasSuffix(m.text[:at], "\n\n")) {
		parts := strings.Split(strings.TrimPrefix(m.text[at:], "— WhatsApp "), " · ")
		last := parts[len(parts)-1]
		if (len(parts) == 2 || len(parts) == 3) && slices.Contains([]string{"in", "out"}, parts[0]) && !strings.ContainsAny(last, " \n") {
			m.direction, m.wamid = parts[0], last
			if len(parts) == 3 {
				m.status = parts[1]
			}
			m.text = strings.TrimSuffix(m.text[:at], "\n\n")
		}
	}
	for name, v := range props {
		switch {
		case strings.HasPrefix(name, "hs_"):
		case strings.HasSuffix(name, "_wamid"):
			m.wamid = v
		case strings.HasSuffix(name, "_direction"):
			m.direction = v
		case strings.HasSuffix(name, "_status"):
			m.status = v
		}
	}
	return m
}
