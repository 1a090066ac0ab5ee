package stream

import (
	"context"
	"time"
)

const (
	// lookEvery is how often a consumer that hands nothing over is asked
	// whether it should.
	lookEvery = 5 * time.Second
	// stuckAfter is for how long it may stand still while messages wait: longer
	// than any election, and than the time that a replica that died keeps what
	// it was handed.
	stuckAfter = 15 * time.Second
)

// stillness is since when a consumer stands at the same place while messages
// wait. After its servers had lost sight of each other a consumer has been seen
// to stand still for good, in a stream that went on storing.
type stillness struct {
	looked, since time.Time
	// handed and acknowledged are that place.
	handed, acknowledged uint64
}

// unstick makes the consumer anew if it has stood still for too long. It is
// called after a pull that brought nothing. What was handed over and is not
// acknowledged comes again, which does no harm: also where another replica still
// works on it.
func (p *puller) unstick(ctx context.Context) {
	s := &p.still
	if time.Since(s.looked) < lookEvery || ctx.Err() != nil {
		return
	}
	s.looked = time.Now()
	asked, cancel := p.broker.lifeline.during(ctx, askWithin)
	defer cancel()
	info, err := p.consumer.Info(asked)
	if err != nil {
		s.since = time.Time{} // a pull says what is wrong
		return
	}
	waits := info.NumPending > 0 || info.NumAckPending > 0
	moved := info.Delivered.Consumer != s.handed || info.AckFloor.Stream != s.acknowledged
	s.handed, s.acknowledged = info.Delivered.Consumer, info.AckFloor.Stream
	switch {
	case !waits:
		s.since = time.Time{}
		return
	case moved || s.since.IsZero():
		s.since = time.Now()
		return
	case time.Since(s.since) < stuckAfter:
		return
	}
	p.broker.log.Error("the broker's consumer hands nothing over although messages wait; making it anew", "stream", p.stream, "consumer", p.config.Durable, "waiting", info.NumPending)
	s.since = time.Time{}
	if err := p.broker.js.DeleteConsumer(asked, p.stream, p.config.Durable); err != nil {
		p.broker.log.Warn("cannot delete the consumer", "stream", p.stream, "error", err)
	}
	if err := p.create(ctx); err != nil {
		p.broker.log.Warn("cannot create the consumer", "stream", p.stream, "error", err)
	}
}
