package config

import (
	"slices"
	"strings"
)

// Consent says by which words people opt out and in again. A word counts if it is
// the whole message; capitals and accents do not matter.
type Consent struct {
	// StopWords opt out of all messages.
	//
	// Defaults to STOP and its like in English, Italian, Spanish, German, French,
	// Portuguese and Chinese. Environment: CRMSYNC_CONSENT_STOP_WORDS.
	StopWords []string `yaml:"stop_words,omitempty" env:"STOP_WORDS"`

	// StartWords opt in again, to transactional messages.
	//
	// Defaults to START and its like. Environment: CRMSYNC_CONSENT_START_WORDS.
	StartWords []string `yaml:"start_words,omitempty" env:"START_WORDS"`
}

var (
	stopWords = []string{
		"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPT OUT",
		"ANNULLA ISCRIZIONE", "CANCELLAMI", "DISISCRIVIMI", "BASTA",
		"BAJA", "PARAR", "CANCELAR", "DARME DE BAJA",
		"STOPP", "ABMELDEN", "ABBESTELLEN",
		"ARRÊT", "ARRÊTER", "DÉSABONNER", "DÉSINSCRIRE",
		"SAIR", "DESCADASTRAR", "CANCELAR INSCRIÇÃO",
		"停止", "退訂", "取消訂閱",
	}
	startWords = []string{
		"START", "UNSTOP", "RIATTIVA", "ALTA", "ANMELDEN", "REPRENDRE", "VOLTAR", "恢復訂閱", "重新訂閱",
	}
)

// consent looks for words that can never be a message, and for those that mean
// both.
func (p *parser) consent() {
	c := &p.config.Consent
	for key, words := range map[string][]string{"stop_words": c.StopWords, "start_words": c.StartWords} {
		if slices.ContainsFunc(words, func(w string) bool { return strings.TrimSpace(w) == "" || len(w) > 100 }) {
			p.at([]string{"consent", key}, "consent.%s has a word that is empty or longer than 100 bytes", key)
		}
	}
	for _, w := range c.StopWords {
		if slices.ContainsFunc(c.StartWords, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), strings.TrimSpace(w)) }) {
			p.at([]string{"consent", "start_words"}, "consent.start_words has %q, which is one of stop_words too", w)
		}
	}
}
