package whatsapp

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"crmsync/connectors"
)

// deletedText is what remains of a message that its sender deleted.
const deletedText = "[This message was deleted]"

// content renders a message of a type as a person reads it, never empty, and
// fills in what else the type carries, and what of it the person has written. It
// reports whether the type is known.
func content(p part, kind string, m *connectors.Message) (text string, known bool) {
	m.Rendered, m.Said = true, ""
	switch kind {
	case "edit":
		edit := p.object("edit")
		m.Target = edit.need("original_message_id")
		return edited(edit.object("message"), m)
	case "revoke":
		m.Target, m.Revoked = p.object("revoke").need("original_message_id"), true
		return deletedText, true
	}
	text, known = plain(p, kind, m)
	if strings.TrimSpace(text) == "" {
		text, m.Said = "[Empty message]", ""
	}
	if m.Said == text {
		m.Rendered, m.Said = false, ""
	}
	return text, known
}

func edited(p part, m *connectors.Message) (text string, known bool) {
	kind := p.text("type")
	if !p.present || kind == "edit" || kind == "revoke" {
		return "[Edited message]", false
	}
	return content(p, kind, m)
}

// plain renders the types that are messages of their own.
func plain(p part, kind string, m *connectors.Message) (text string, known bool) {
	if hasObject[kind] {
		return describe(p, p.object(kind), kind, m)
	}
	return describe(p, p.lenient().object(kind), kind, m)
}

// hasObject are the types whose content is in an object named like the type.
var hasObject = map[string]bool{
	"text": true, "image": true, "video": true, "audio": true, "document": true, "sticker": true,
	"location": true, "button": true, "interactive": true, "reaction": true, "order": true,
}

func describe(p, in part, kind string, m *connectors.Message) (text string, known bool) {
	switch kind {
	case "text":
		if in.get("body") == nil {
			in.fail("body", "is missing")
		}
		m.Said = in.text("body")
		return m.Said, true
	case "image", "video", "audio", "document", "sticker":
		m.Media, m.Said = media(in.lenient()), in.lenient().text("caption")
		return mediaText(p, in, kind, m.Media), true
	case "media_placeholder":
		// Of two texts of one time the directory keeps the greater one; this
		// is less than any that the medium itself will have.
		return "[Attachment]", true
	case "location":
		return join("[Location]", placeText(in)), true
	case "contacts":
		return cardsText(p.each(kind)), true
	case "button":
		m.Reply = &connectors.Reply{Kind: connectors.ButtonReply, ID: in.text("payload")}
		m.Said = first(in.text("text"), in.text("payload"))
		return first(m.Said, "[Button]"), true
	case "interactive":
		return replyText(in, m)
	case "reaction":
		m.ReplyTo = in.lenient().text("message_id")
		if emoji := in.text("emoji"); emoji != "" {
			return "Reacted " + emoji, true
		}
		return "Removed a reaction", true
	case "order":
		m.Said = in.text("text")
		return orderText(in), true
	case "unsupported":
		return unsupported(in.lenient().text("type")), false
	case "unknown":
		return unsupported(""), false
	}
	return unsupported(kind), false
}

func unsupported(kind string) string {
	if kind == "" {
		return "[Unsupported message]"
	}
	return "[Unsupported message: " + connectors.TypeWord(kind) + "]"
}

// join puts a space between a marker and what follows it, if anything does.
func join(marker, rest string) string {
	if rest == "" {
		return marker
	}
	return marker + " " + rest
}

func media(in part) *connectors.Media {
	m := connectors.Media{
		ID: in.id("id"), MIMEType: in.text("mime_type"), SHA256: in.text("sha256"), Filename: in.text("filename"),
	}
	if m.ID == "" {
		return nil
	}
	return &m
}

func mediaText(p, in part, kind string, m *connectors.Media) string {
	marker := "[" + strings.ToUpper(kind[:1]) + kind[1:] + "]"
	if string(in.lenient().get("voice")) == "true" {
		marker = "[Voice message]"
	}
	if m == nil && len(p.lenient().list("errors")) > 0 {
		marker += " (not available)"
	}
	name, caption := in.lenient().text("filename"), in.lenient().text("caption")
	if name != "" && caption != "" {
		name += ":"
	}
	return join(join(marker, name), caption)
}

func placeText(in part) string {
	var said []string
	for _, name := range []string{"name", "address"} {
		if s := in.lenient().text(name); s != "" {
			said = append(said, s)
		}
	}
	text := strings.Join(said, ", ")
	lat, ok := coordinate(in, "latitude", 90)
	long, ok2 := coordinate(in, "longitude", 180)
	if ok && ok2 {
		return strings.TrimPrefix(fmt.Sprintf("%s (%s, %s)", text, lat, long), " ")
	}
	return text
}

func coordinate(in part, name string, most float64) (string, bool) {
	f, ok := in.get(name).number()
	if !ok || math.IsNaN(f) || math.Abs(f) > most {
		return "", false
	}
	return strconv.FormatFloat(f, 'f', -1, 64), true
}

// cardsText names the people and companies of shared contact cards.
func cardsText(cards []part) string {
	var names []string
	for _, card := range cards {
		if name := cardName(card.lenient()); name != "" {
			names = append(names, name)
		}
	}
	if len(cards) > 1 {
		return join("[Contacts]", strings.Join(names, ", "))
	}
	return join("[Contact]", strings.Join(names, ", "))
}

func cardName(card part) string {
	name := card.object("name")
	given := strings.TrimSpace(name.text("first_name") + " " + name.text("last_name"))
	phone := ""
	for _, p := range card.each("phones") {
		phone = first(phone, p.id("phone"), p.id("wa_id"))
	}
	return first(name.text("formatted_name"), given, card.object("org").text("company"), phone)
}

// replyText renders the answer to an interactive message.
func replyText(in part, m *connectors.Message) (text string, known bool) {
	kind := in.text("type")
	switch kind {
	case "button_reply", "list_reply":
		reply := in.object(kind)
		m.Reply = &connectors.Reply{Kind: connectors.ReplyKind(strings.TrimSuffix(kind, "_reply")), ID: reply.id("id")}
		m.Said = first(reply.text("title"), reply.text("description"), reply.id("id"))
		return first(m.Said, "[Reply]"), true
	case "nfm_reply":
		reply := in.object(kind)
		if reply.lenient().text("name") == "address_message" {
			m.Said = first(reply.text("body"), formText(reply.lenient().text("response_json")))
			return join("[Address]", m.Said), true
		}
		m.Said = first(formText(reply.lenient().text("response_json")), reply.text("body"))
		return join("[Form]", m.Said), true
	case "call_permission_reply":
		return join("[Call permission]", in.object(kind).text("response")), true
	}
	return unsupported(strings.TrimSuffix("interactive "+kind, " ")), false
}

// formText renders the answers of a form, which come as JSON in a string.
func formText(answers string) string {
	answers = strings.Trim(answers, " \t\r\n")
	if !json.Valid([]byte(answers)) {
		return ""
	}
	var said []string
	for _, m := range value(answers).members() {
		if m.name == "flow_token" || m.value == nil {
			continue
		}
		said = append(said, m.name+": "+answerText(m.value))
	}
	return strings.Join(said, ", ")
}

func answerText(v value) string {
	switch {
	case v.isText():
		return v.text()
	case v.isArray():
		var all []string
		for _, e := range v.elements() {
			all = append(all, answerText(e))
		}
		return strings.Join(all, "; ")
	case v.isObject():
		return formText(string(v))
	}
	return string(v)
}

func orderText(in part) string {
	items := 0
	for _, item := range in.each("product_items") {
		quantity, ok := item.get("quantity").number()
		if !ok || quantity < 1 || quantity > 1e6 {
			quantity = 1
		}
		items += int(quantity)
	}
	text := fmt.Sprintf("[Order] %d items", items)
	if items == 1 {
		text = "[Order] 1 item"
	}
	if said := in.text("text"); said != "" {
		text += ": " + said
	}
	return text
}
