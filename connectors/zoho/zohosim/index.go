package zohosim

import "time"

// show lets searches find a record in a state unless they know a newer one.
func (r *record) show(v *state, number int64) {
	if number > r.seenSeq {
		r.module.reword(r, r.seen, v)
		r.seen, r.seenSeq = v, number
	}
}

// publish hands a record's new state to the search index, which knows it at
// once or some time later.
func (s *Server) publish(r *record, v *state) {
	if !s.opts.Lag {
		s.index.Now(r, v)
		return
	}
	lag := s.opts.LagTime + time.Duration(s.rand.Int64N(int64(s.opts.LagTime)/2+1))
	s.index.Later(s.Now().Add(lag), r, v)
}
