package zohosim

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/connectors/internal/simcrm"
)

const noticeTimeout = 5 * time.Second

// change is what one record went through in the call under way.
type change struct {
	record    *record
	operation string
	fields    []string
	values    obj
	// related says that another record which points at this one changed.
	related bool
}

// changed notes a change for those who watch. It needs s.mu, as all below
// that is not the courier's.
func (s *Server) changed(r *record, operation string, fields []string) {
	if len(s.channels) == 0 {
		return
	}
	c := change{record: r, operation: operation, values: obj{}}
	if operation == "update" {
		c.fields = fields
		for _, name := range fields {
			c.values[name] = s.shown(r.value(r.now, name))
		}
	}
	if operation == "delete" {
		c.values = obj{"Modified_By": s.shown(r.now.deletedBy), "Record_Status__s": 0}
	}
	s.outbox = append(s.outbox, c)
	for _, v := range r.now.values {
		if other, is := v.(*record); is && other.now.deleted.IsZero() {
			s.outbox = append(s.outbox, change{record: other, operation: "update", values: obj{}, related: true})
		}
	}
}

// notice is a callback on its way.
type notice struct {
	channel string
	url     string
	body    []byte
	due     time.Time
	tries   int
	// swap sends it after the next one.
	swap bool
}

// notices empties the outbox: one callback for each channel, module and
// operation, with all ids in it.
func (s *Server) notices() []notice {
	if len(s.outbox) == 0 {
		return nil
	}
	changes := s.outbox
	s.outbox = nil
	now := s.Now()
	var keys []string
	for key := range s.channels {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var mail []notice
	for _, key := range keys {
		ch := s.channels[key]
		if !now.Before(ch.expires) {
			continue
		}
		for _, name := range ch.modules() {
			for _, operation := range []string{"insert", "update", "delete"} {
				hits := ch.hits(changes, name, operation)
				if len(hits) > 0 {
					mail = s.pack(mail, ch, name, operation, hits, now)
				}
			}
		}
	}
	return mail
}

// hits are the changes which the channel carries.
func (ch *channel) hits(changes []change, module, operation string) []change {
	event := module + "." + map[string]string{"insert": "create", "update": "edit", "delete": "delete"}[operation]
	if !slices.Contains(ch.events, event) && !slices.Contains(ch.events, module+".all") {
		return nil
	}
	var hits []change
	for _, c := range changes {
		if c.record.module.name != module || c.operation != operation || c.related && !ch.related {
			continue
		}
		if operation == "update" && len(ch.fields) > 0 {
			among := func(name string) bool { return slices.Contains(c.fields, name) }
			if c.related || !ch.all && !slices.ContainsFunc(ch.fields, among) ||
				ch.all && slices.ContainsFunc(ch.fields, func(name string) bool { return !among(name) }) {
				continue
			}
		}
		hits = append(hits, c)
	}
	return hits
}

func (s *Server) pack(mail []notice, ch *channel, module, operation string, hits []change, now time.Time) []notice {
	ids, fields, values := []string{}, []obj{}, []obj{}
	for _, c := range hits {
		id := c.record.name()
		if i := slices.Index(ids, id); i >= 0 {
			if operation == "update" {
				fields[i][id] = append(fields[i][id].([]string), c.fields...)
			}
			continue
		}
		ids = append(ids, id)
		if operation == "update" {
			fields = append(fields, obj{id: append([]string{}, c.fields...)})
		}
		values = append(values, obj{"record_id": id, "values": c.values})
	}
	query := obj{}
	if u, err := url.Parse(ch.url); err == nil {
		for name, list := range u.Query() {
			query[name] = list[0]
		}
	}
	body := obj{
		"server_time": now.UnixMilli(), "query_params": query, "module": module, "ids": ids, "affected_fields": fields, "operation": operation,
		"channel_id": ch.id, "token": nil, "resource_uri": orElse(strings.TrimRight(s.opts.BaseURL, "/"), "https://www.zohoapis.com") + "/crm/v2/" + module,
	}
	if ch.token != nil {
		body["token"] = *ch.token
	}
	if ch.values {
		body["affected_values"] = values
	}
	if s.knobs.DropNotices > 0 && s.rand.Float64() < s.knobs.DropNotices {
		return mail
	}
	n := notice{
		channel: ch.id, url: ch.url, body: simcrm.JSON(body), due: time.Now().Add(time.Duration(s.knobs.NoticeDelayMS) * time.Millisecond), tries: s.knobs.NoticeAttempts,
		swap: s.knobs.ReorderNotices && s.count.notices%2 == 0,
	}
	s.count.notices++
	mail = append(mail, n)
	if s.knobs.DuplicateNotices > 0 && s.rand.Float64() < s.knobs.DuplicateNotices {
		n.swap = false
		mail = append(mail, n)
	}
	return mail
}

// send hands notices to the courier, or waits for them to be delivered.
func (s *Server) send(mail []notice, first bool) {
	for _, n := range mail {
		if first {
			s.post.deliver(n)
		} else {
			s.post.take(n)
		}
	}
}

// courier delivers notices, those of one channel one after the other.
type courier struct {
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	routes sync.WaitGroup

	mu     sync.Mutex
	queues map[string][]notice
	ended  bool
}

func newCourier() *courier {
	ctx, cancel := context.WithCancel(context.Background())
	return &courier{
		// A receiver that redirects has not taken the notice.
		client: &http.Client{
			Timeout: noticeTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		ctx: ctx, cancel: cancel, queues: map[string][]notice{},
	}
}

func (p *courier) close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.cancel()
	p.routes.Wait()
	p.client.CloseIdleConnections()
}

// take queues a notice. The route of a channel lives while there is mail.
func (p *courier) take(n notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	queue, running := p.queues[n.channel]
	if last := len(queue) - 1; last >= 0 && queue[last].swap {
		queue[last].swap = false
		queue = append(queue, queue[last])
		queue[last] = n
	} else {
		queue = append(queue, n)
	}
	p.queues[n.channel] = queue
	if !running {
		p.routes.Go(func() { p.walk(n.channel) })
	}
}

// patience is how long a notice waits for one to go before it.
const patience = 200 * time.Millisecond

func (p *courier) walk(channel string) {
	for {
		p.mu.Lock()
		queue := p.queues[channel]
		if len(queue) == 0 || p.ended {
			delete(p.queues, channel)
			p.mu.Unlock()
			return
		}
		n := queue[0]
		if n.swap {
			p.mu.Unlock()
			p.pause(patience)
			p.mu.Lock()
			if queue = p.queues[channel]; len(queue) > 0 {
				queue[0].swap = false
			}
			p.mu.Unlock()
			continue
		}
		p.queues[channel] = queue[1:]
		p.mu.Unlock()
		p.deliver(n)
	}
}

func (p *courier) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	}
}

// deliver posts a notice. What the receiver answers is not looked at, but for
// trying again where a knob says so.
func (p *courier) deliver(n notice) {
	p.pause(time.Until(n.due))
	for range max(n.tries, 1) {
		r, err := http.NewRequestWithContext(p.ctx, http.MethodPost, n.url, bytes.NewReader(n.body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := p.client.Do(r)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode < 300 {
				return
			}
		}
		if p.ctx.Err() != nil {
			return
		}
	}
}
