package mapping_test

import (
	"strings"
	"testing"
	"time"

	"crmsync/mapping"
)

func TestHowAMessageIsLogged(t *testing.T) {
	t.Parallel()
	hello := mapping.Message{Text: "Ciao", Kind: "text", Direction: "in", Status: "", At: time.Date(2026, 11, 21, 22, 30, 0, 0, time.UTC)}
	read := mapping.Message{Text: "Salve", Kind: "text", Direction: "out", Status: "read", At: hello.At}
	tests := map[string]struct {
		settings string
		msg      mapping.Message
		want     string
	}{
		"as it is":               {"{}", hello, "Ciao"},
		"with its time":          {"{text: \"${local_time} ${text}\", time_zone: Europe/Rome}", hello, "2026-11-21 23:30 Ciao"},
		"in the reader's words":  {"{text: \"${direction_word} ${status_word} ${text}\", language: it}", read, "da noi letto Salve"},
		"in words of their own":  {"{text: \"[${direction_word}] ${text}\", words: {in: Kunde}, language: de}", hello, "[Kunde] Ciao"},
		"in WhatsApp's words":    {"{text: \"${direction_word}: ${text}\"}", hello, "in: Ciao"},
		"one way for each":       {"{text: \"${direction == 'in' ? '> ' : '< '}${text}\"}", read, "< Salve"},
		"with a sign for itself": {"{text: \"$${text} ${text}\"}", hello, "${text} Ciao"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: phone}, message: "+tt.settings+"}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Message("crm", tt.msg); got != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	m, err := mapping.Compile("m.yaml", []byte("version: 1\naccounts: {crm: {contact: {x: phone}, message: {text: \"${text == 'Ciao' ? '' : text}\"}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Message("crm", hello); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("a message without a text: %v", err)
	}
}
