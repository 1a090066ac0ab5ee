package zohosim

import (
	"slices"
	"strings"
	"time"
)

const messagesModule = "WhatsApp_Messages"

// logged is what an integration wrote about a WhatsApp message.
type logged struct {
	// is tells a message from other notes and records.
	is                             bool
	wamid, direction, status, text string
	contact                        *record
	at                             time.Time
}

// message reads a logged message: from a record of the custom module, or from
// a note whose last paragraph is such as "— WhatsApp in · delivered · wamid.X".
func message(r *record) logged {
	text := func(name string) string { v, _ := r.now.values[name].(string); return v }
	switch r.module.name {
	case messagesModule:
		l := logged{is: true, wamid: text("WAMID"), direction: text("Direction"), status: text("Status"), text: text("Body"), at: r.created}
		l.contact, _ = r.now.values["Contact"].(*record)
		if at, is := r.now.values["Sent_Time"].(time.Time); is {
			l.at = at
		}
		return l
	case notesModule:
		l := marked(text("Note_Content"))
		l.contact, _ = r.now.values["Parent_Id"].(*record)
		l.at = r.created
		return l
	}
	return logged{}
}

func marked(text string) logged {
	const mark = "— WhatsApp "
	at := strings.LastIndex(text, mark)
	if at < 0 || at > 0 && !strings.HasSuffix(text[:at], "\n\n") {
		return logged{}
	}
	parts := strings.Split(strings.TrimPrefix(text[at:], mark), " · ")
	last := parts[len(parts)-1]
	if len(parts) < 2 || len(parts) > 3 || !slices.Contains([]string{"in", "out"}, parts[0]) || last == "" || strings.ContainsAny(last, " \n") {
		return logged{}
	}
	l := logged{is: true, direction: parts[0], wamid: last, text: strings.TrimSuffix(text[:at], "\n\n")}
	if len(parts) == 3 {
		l.status = parts[1]
	}
	return l
}
