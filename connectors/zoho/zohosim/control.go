package zohosim

import (
	"net/http"
	"strconv"

	"crmsync/connectors/internal/simcrm"
)

// control answers the calls under /_sim/.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	calls := simcrm.Knobs(s.Knobs, s.SetKnobs)
	calls["POST purge"] = func(w http.ResponseWriter, r *http.Request) {
		var in struct{ ID string }
		if !simcrm.Understand(w, r, &in) {
			return
		}
		if !s.Purge(in.ID) {
			simcrm.Wrong(w, http.StatusNotFound, "the recycle bin has no contact "+strconv.Quote(in.ID))
			return
		}
		simcrm.Tell(w, map[string]bool{"purged": true})
	}
	simcrm.Control(w, r, s, func() any { return s.Stats() }, calls)
}
