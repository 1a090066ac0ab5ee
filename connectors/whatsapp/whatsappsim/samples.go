package whatsappsim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// GuideMessage is the inbound text of the Cloud API guide's first webhook
// example, dated now and with an id of its own.
func (s *Server) GuideMessage(now time.Time) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":%q,"phone_number_id":%q},`+
		`"contacts":[{"profile":{"name":"Kerry Fisher"},"wa_id":"16315555555"}],`+
		`"messages":[{"from":"16315555555","id":%q,"timestamp":"%d","type":"text","text":{"body":"Hello!"}}]},"field":"messages"}]}]}`,
		s.opt.WABAID, digits(s.opt.DisplayPhone), s.opt.PhoneNumberID, newWAMID("16315555555", false), now.Unix()))
}

// SampleTraffic is a working day of a small business in whole webhook bodies:
// the guide's message first, then one of each kind a receiver must be able to
// tell apart. Ids are new at every call.
func (s *Server) SampleTraffic(now time.Time) []json.RawMessage {
	stamp := strconv.FormatInt(now.Unix(), 10)
	bodies := []json.RawMessage{s.GuideMessage(now)}
	for _, in := range []Inbound{
		{From: "393331234567", Name: "Giulia Bianchi", Text: "Perché no? Così è già più città 😀 grazie!"},
		{From: "393331234567", Name: "Giulia Bianchi", Type: "image", Text: "la ricevuta di ieri"},
		{From: "393471112233", Name: "Marco Ferri", Type: "audio"},
		{From: "393471112233", Name: "Marco Ferri", Type: "document", Text: "preventivo firmato"},
		{From: "4915112345678", Name: "Jürgen Groß", Type: "location"},
		{From: "4915112345678", Name: "Jürgen Groß", Type: "contacts"},
		{From: "393885550101", Name: "Chiara D'Angelo", Type: "list_reply", Text: "Martedì 10:00"},
		{From: "393885550101", Name: "Chiara D'Angelo", Type: "button", Text: "Confermo"},
		{From: "393331234567", Name: "Giulia Bianchi", Type: "reaction", Text: "👍"},
		{From: "393885550101", Name: "Chiara D'Angelo", Type: "order", Text: "Consegna in settimana, per favore"},
		{From: "972501234567", Name: "נועה לוי", Text: "שלום, מתי אתם פתוחים? مرحبا"},
		{UserID: "US.13491208655302741918", Name: "Sam Rivers", Username: "sam.rivers", Phone: PhoneAbsent, Text: "Hi, I found you by your username."},
		{From: "16505550123", Name: "Dana Scott", Text: "Is the offer in your ad still on?", Referral: json.RawMessage(referral)},
		{From: "556992345678", Name: "João Conceição", Text: "Olá! Vocês entregam em Porto Velho?"},
		{From: "393471112233", Name: "Marco Ferri", Type: "user_preferences", Text: "stop"},
	} {
		in.Timestamp = stamp
		if in.Type == "user_preferences" {
			in.Timestamp = float64(now.Unix())
		}
		u, _ := s.event(in)
		bodies = append(bodies, s.document([]update{u}))
	}
	return bodies
}

// referral is what a click on an advertisement adds to the first message.
const referral = `{"source_url":"https://fb.me/3cr4Wqqkv","source_id":"120226305854810726","source_type":"ad",` +
	`"headline":"Chat with us","body":"Summer sale: 20% off","media_type":"image",` +
	`"image_url":"https://scontent.example.com/ad.jpg",` +
	`"ctwa_clid":"Aff-n8ZTODiE79d22KtAwQKj9e_mIEOOj27vDVwFjN80dp4_0NiNhEgpGo0AHemvuSoifXaytfTzcchptiErTKCqTrJ5nW1h7IHYeYymGb5K5J5iTROpBhWAGaIAeUzHL50",` +
	`"welcome_message":{"text":"Hi! How can we help?"}}`
