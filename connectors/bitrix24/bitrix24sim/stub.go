package bitrix24sim

import "net/http"

func (s *Server) control(w http.ResponseWriter, r *http.Request) {}
func (s *Server) token(w http.ResponseWriter, r *http.Request)   {}
func (s *Server) identifyToken(c *call) *refusal {
	return s.denied(401, "NO_AUTH_FOUND", "Wrong authorization data")
}
func (s *Server) flush() []notice                         { return nil }
func (s *Server) changed(event string, id int64, c *call) {}
func (s *Server) forget(id int64)                         {}
