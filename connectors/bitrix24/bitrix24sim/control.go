package bitrix24sim

import (
	"net/http"

	"crmsync/connectors/internal/simcrm"
)

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	calls := simcrm.Knobs(s.Knobs, func(k Knobs) error { s.SetKnobs(k); return nil })
	calls["POST webhook"] = simcrm.Webhook(s.SetEventURL)
	simcrm.Control(w, r, s, func() any { return s.Stats() }, calls)
}
