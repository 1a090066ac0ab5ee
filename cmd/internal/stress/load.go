package stress

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// underWay is how many webhooks may wait for their answers at a time. What
	// is due later waits for its turn, and that counts as its delay.
	underWay = 2000
	// patience is how long a webhook's answer is waited for.
	patience = 10 * time.Second
)

// run is a run that is under way.
type run struct {
	target  *Target
	options Options
	ledger  *ledger
	http    *http.Client

	machine string
	began   time.Time
	before  []simStats // of each CRM, before the first message
	after   []simStats
	sentAll atomic.Bool
	sentFor time.Duration

	mu      sync.Mutex
	samples []Sample
}

func newClient() *http.Client {
	return &http.Client{
		Timeout: patience,
		// Connections are given up before the worker does: one that both give
		// up at once would be a webhook without an answer.
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, DisableCompression: true},
		// Neither a webhook's sender nor a control plane's caller follows one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send posts webhooks when they are due, whether or not those before have been
// answered, and returns when all have.
func (r *run) send(ctx context.Context) {
	traffic := newTraffic(r.options, r.ledger)
	turns := make(chan struct{}, underWay)
	var posts sync.WaitGroup
	defer posts.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p, ok := traffic.pop()
		if !ok {
			break
		}
		if d := time.Until(r.began.Add(p.at)); d > 0 {
			timer.Reset(d)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		if ctx.Err() != nil {
			if p.first {
				r.ledger.forget(p.message)
			}
			break
		}
		turns <- struct{}{}
		posts.Go(func() {
			r.post(context.WithoutCancel(ctx), p)
			<-turns
		})
	}
	posts.Wait()
	r.sentFor = time.Since(r.began)
}

func (r *run) post(ctx context.Context, p post) {
	reason := r.deliver(ctx, r.body(p))
	r.ledger.answered(p, time.Since(r.began.Add(p.at)), reason)
}

// deliver posts a webhook as Meta does and says why it was not taken.
func (r *run) deliver(ctx context.Context, body []byte) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.target.Webhook, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	mac := hmac.New(sha256.New, []byte(r.target.AppSecret))
	mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := r.http.Do(request)
	if err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return fmt.Sprintf("no answer within %v", patience)
		}
		if failed, ok := errors.AsType[*net.OpError](err); ok {
			return failed.Op + ": " + failed.Err.Error()
		}
		return "no answer"
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // only its status counts
	if response.StatusCode != http.StatusOK {
		return response.Status
	}
	return ""
}

// body is a webhook as WhatsApp documents it. A second one is the same, to the
// letter.
func (r *run) body(p post) []byte {
	m := r.ledger.message(p.message)
	wamid, phone, at := r.ledger.wamid(p.message), r.ledger.phone(m.person), r.began.Add(m.at).Unix()
	var content string
	if p.status < 0 {
		content = fmt.Sprintf(`"contacts":[{"profile":{"name":"Person %s"},"wa_id":%q}],`+
			`"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]`,
			phone, phone, phone, wamid, at, text(p.message))
	} else {
		content = fmt.Sprintf(`"statuses":[{"id":%q,"status":%q,"timestamp":"%d","recipient_id":%q}]`,
			wamid, statuses[p.status].name, at, phone)
	}
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},%s}}]}]}`,
		r.target.WABAID, r.target.PhoneNumberID, content)
}
