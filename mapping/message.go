package mapping

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A Message is what a message's form in an account follows from.
type Message struct {
	// Text is as a person reads it, Kind WhatsApp's word such as image.
	Text, Kind string
	// Direction is in or out, Status how far it has come, empty if not known.
	Direction, Status string
	At                time.Time
}

// logging is how an account's messages are written.
type logging struct {
	text *template
	// words are those of the reader for directions and statuses; nil for
	// WhatsApp's own.
	words map[string]string
	zone  *time.Location
}

// Message is the text of a message as an account is to show it.
func (m *Mapping) Message(account string, msg Message) (string, error) {
	l := m.messages[account]
	if l.text == nil {
		return msg.Text, nil
	}
	word := func(w string) string {
		if own := l.words[w]; own != "" {
			return own
		}
		return w
	}
	at := ""
	if !msg.At.IsZero() {
		at = msg.At.In(l.zone).Format("2006-01-02 15:04")
	}
	text, err := l.text.eval(&values{m: m, more: map[string]any{
		"text": msg.Text, "kind": msg.Kind, "direction": msg.Direction, "status": msg.Status, "at": msg.At,
		"direction_word": word(msg.Direction), "status_word": word(msg.Status), "local_time": at,
	}})
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("it is empty for this message")
	}
	return text, err
}

// Words are the reader's words for directions (in, out) and statuses, of an account
// that has any.
func (m *Mapping) Words(account string) map[string]string { return m.messages[account].words }

// messageNames are what a message's text may refer to.
var messageNames = map[string]Type{
	"text": Long, "kind": Text, "direction": Text, "status": Text, "at": Time, "direction_word": Text, "status_word": Text, "local_time": Text,
}

// spoken words of directions and statuses by language.
var wordsIn = map[string]map[string]string{
	"en": {"in": "received", "out": "sent by us", "sent": "sent", "delivered": "delivered", "read": "read", "played": "played", "failed": "failed"},
	"de": {"in": "empfangen", "out": "von uns", "sent": "gesendet", "delivered": "zugestellt", "read": "gelesen", "played": "abgespielt", "failed": "fehlgeschlagen"},
	"es": {"in": "recibido", "out": "nuestro", "sent": "enviado", "delivered": "entregado", "read": "leído", "played": "reproducido", "failed": "fallido"},
	"fr": {"in": "reçu", "out": "de nous", "sent": "envoyé", "delivered": "distribué", "read": "lu", "played": "écouté", "failed": "échoué"},
	"it": {"in": "ricevuto", "out": "da noi", "sent": "inviato", "delivered": "consegnato", "read": "letto", "played": "ascoltato", "failed": "non riuscito"},
	"pt": {"in": "recebida", "out": "nossa", "sent": "enviada", "delivered": "entregue", "read": "lida", "played": "ouvida", "failed": "falhou"},
	"ru": {"in": "входящее", "out": "от нас", "sent": "отправлено", "delivered": "доставлено", "read": "прочитано", "played": "прослушано", "failed": "ошибка"},
	"zh": {"in": "收到", "out": "我方", "sent": "已傳送", "delivered": "已送達", "read": "已讀", "played": "已播放", "failed": "失敗"},
}

// oneWord is what a word of the readers may be: it stands in lines by which messages
// are known.
var oneWord = regexp.MustCompile(`^[^\n\r\x00-\x1f·]{1,40}$`)

// message reads how an account's messages are written.
func (c *compiler) message(node *yaml.Node) logging {
	l := logging{zone: time.UTC}
	keys := c.keys(node, "message", []string{"text", "language", "words", "time_zone"})
	if text := keys["text"]; text != nil {
		l.text = c.template(text, newScope(c.tablesScope(), messageNames))
	}
	if language := keys["language"]; language != nil {
		l.words = maps.Clone(wordsIn[c.word(language, "the language", slices.Sorted(maps.Keys(wordsIn))...)])
	}
	if words := keys["words"]; words != nil {
		if l.words == nil {
			l.words = map[string]string{}
		}
		known := slices.Sorted(maps.Keys(wordsIn["en"]))
		c.each(words, "words", func(word, own *yaml.Node) {
			if !slices.Contains(known, word.Value) {
				c.unknown(word, known, "there are words for "+list(known, "and"))
				return
			}
			l.words[word.Value] = c.text(own, "a word")
			if !oneWord.MatchString(l.words[word.Value]) || strings.EqualFold(l.words[word.Value], "file") {
				c.at(own, "a word is one line of at most 40 characters without ·, and not file, by which files are known")
			}
		})
	}
	if name := keys["time_zone"]; name != nil {
		zone, err := zoneOf(c.text(name, "the time zone"))
		if err != nil && name.Value != "" {
			c.at(name, "%s", err)
		}
		l.zone = zone
	}
	return l
}
