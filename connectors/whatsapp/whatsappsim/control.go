package whatsappsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Stats are counters since the start.
type Stats struct {
	// Calls are Graph calls, Writes those that sent a message.
	Calls     int `json:"calls"`
	Writes    int `json:"writes"`
	Throttled int `json:"throttled"`
	// Contacts are the people known, Messages those accepted for sending.
	Contacts int `json:"contacts"`
	Messages int `json:"messages"`
	Inbound  int `json:"inbound"`
	// WhatsApp itself never stores anything twice; the keys are here because
	// every simulator has them.
	DuplicateContacts int `json:"duplicate_contacts"`
	DuplicateMessages int `json:"duplicate_messages"`
	Faults            int `json:"faults"`
	Webhooks          struct {
		// Sent are posts, of which there is one per app and attempt. Answered,
		// GaveUp, Dropped and Pending are webhooks; Retried are attempts which
		// have to be made again.
		Sent     int `json:"sent"`
		Answered int `json:"answered"`
		Retried  int `json:"retried"`
		Pending  int `json:"pending"`
		GaveUp   int `json:"gave_up"`
		Dropped  int `json:"dropped"`
	} `json:"webhooks"`
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Contacts = len(s.met)
	st.Faults = int(s.faults.Faults())
	return st
}

// control is the simulator's own surface, beside the platform's.
func (s *Server) control() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.Stats())
	})
	mux.HandleFunc("POST /_sim/inbound", func(w http.ResponseWriter, r *http.Request) {
		var in Inbound
		if !read(w, r, &in) {
			return
		}
		receipt, err := s.Receive(r.Context(), in)
		if err != nil {
			refuseControl(w, err)
			return
		}
		reply(w, receipt)
	})
	mux.HandleFunc("POST /_sim/media", func(w http.ResponseWriter, r *http.Request) {
		var in Media
		if !readUpTo(w, r, 2*largestMedia, &in) {
			return
		}
		stored, err := s.AddMedia(in)
		if err != nil {
			refuseControl(w, err)
			return
		}
		reply(w, stored)
	})
	mux.HandleFunc("DELETE /_sim/media", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]bool{"deleted": s.RemoveMedia(r.URL.Query().Get("id"))})
	})
	mux.HandleFunc("POST /_sim/statuses", func(w http.ResponseWriter, r *http.Request) {
		var e StatusEvent
		if !read(w, r, &e) {
			return
		}
		status, err := s.Status(r.Context(), e)
		receipt := Receipt{Status: status, WAMID: e.WAMID}
		if err != nil {
			receipt.Error = err.Error()
		}
		reply(w, receipt)
	})
	mux.HandleFunc("GET /_sim/webhooks", func(w http.ResponseWriter, r *http.Request) {
		list := s.Webhooks(r.URL.Query().Get("wamid"))
		if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && limit >= 0 && limit < len(list) {
			list = list[len(list)-limit:]
		}
		reply(w, list)
	})
	mux.HandleFunc("POST /_sim/replay", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			ID int64 `json:"id"`
		}
		if !read(w, r, &in) {
			return
		}
		status, err := s.Replay(r.Context(), in.ID)
		receipt := Receipt{Status: status}
		if err != nil {
			receipt.Error = err.Error()
		}
		reply(w, receipt)
	})
	mux.HandleFunc("GET /_sim/messages", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		direction := q.Get("direction")
		if direction == "any" {
			direction = ""
		}
		reply(w, s.Messages(MessageFilter{WAMID: q.Get("wamid"), Phone: q.Get("phone"), Direction: direction}))
	})
	mux.HandleFunc("GET /_sim/contacts", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.Contacts(r.URL.Query().Get("phone"), r.URL.Query().Get("id")))
	})
	mux.HandleFunc("POST /_sim/people", func(w http.ResponseWriter, r *http.Request) {
		var p Person
		if !read(w, r, &p) {
			return
		}
		s.SetPerson(p)
		reply(w, p)
	})
	mux.HandleFunc("POST /_sim/templates", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Name, Language, Status, Reason, Category, Notice string }
		if !read(w, r, &in) {
			return
		}
		notice, err := time.ParseDuration(orElse(in.Notice, "0s"))
		if err != nil {
			refuseControl(w, err)
			return
		}
		found := false
		if in.Category != "" {
			found = s.SetTemplateCategory(in.Name, in.Language, in.Category, notice)
		} else {
			found = s.SetTemplateStatus(in.Name, in.Language, in.Status, in.Reason)
		}
		reply(w, map[string]bool{"found": found})
	})
	mux.HandleFunc("POST /_sim/number", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Registered *bool  `json:"registered"`
			Locked     *bool  `json:"locked"`
			UpgradeFor string `json:"upgrade_for"`
			Deleted    bool   `json:"deleted"`
		}
		if !read(w, r, &in) {
			return
		}
		upgrade, err := time.ParseDuration(orElse(in.UpgradeFor, "0s"))
		if err != nil {
			refuseControl(w, err)
			return
		}
		s.mu.Lock()
		if in.Registered != nil {
			s.number.registered = *in.Registered
		}
		if in.Locked != nil {
			s.number.locked = *in.Locked
		}
		if in.Deleted {
			s.number.registered, s.number.deleted = false, s.now()
		}
		s.number.upgradingTill = s.now().Add(upgrade)
		s.mu.Unlock()
		reply(w, map[string]bool{"ok": true})
	})
	mux.HandleFunc("POST /_sim/clock", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Advance string `json:"advance"`
		}
		if !read(w, r, &in) {
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			refuseControl(w, fmt.Errorf("advance %q is not a duration such as \"24h\"", in.Advance))
			return
		}
		s.clock.Advance(d)
		reply(w, map[string]string{"now": stamp(s.now())})
	})
	mux.HandleFunc("POST /_sim/callback", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			URL string `json:"url"`
		}
		if !read(w, r, &in) {
			return
		}
		if err := s.SetCallback(r.Context(), in.URL); err != nil {
			refuseControl(w, err)
			return
		}
		reply(w, map[string]bool{"ok": true})
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	return readUpTo(w, r, 16<<20, into)
}

func readUpTo(w http.ResponseWriter, r *http.Request, most int64, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err != nil {
		refuseControl(w, fmt.Errorf("decode request: %w", err))
	}
	return err == nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(encode(v), '\n'))
}

func refuseControl(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(append(encode(map[string]string{"error": err.Error()}), '\n'))
}

func (s *Server) routes() http.Handler {
	control := s.control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sim/") {
			control.ServeHTTP(w, r)
			return
		}
		s.serveGraph(w, r)
	})
}
