package bitrix24sim

import "time"

// HandlerTimeout changes how long events wait for their handlers. It has to
// be called before the first event.
func (s *Server) HandlerTimeout(d time.Duration) { s.post.client.Timeout = d }
