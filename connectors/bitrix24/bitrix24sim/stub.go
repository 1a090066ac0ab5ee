package bitrix24sim

import (
	"net/http"
	"time"
)

const tokenLife = time.Hour

type binding struct {
	event, handler string
	offline        bool
	user           int64
}

func (b *binding) userOr(u int64) int64                        { return u }
func (s *Server) issue(u int64) string                         { return "" }
func (s *Server) enqueue(ch change)                            {}
func (s *Server) token(w http.ResponseWriter, r *http.Request) {}
func (s *Server) identifyToken(c *call) *refusal {
	return s.denied(401, "NO_AUTH_FOUND", "Wrong authorization data")
}
