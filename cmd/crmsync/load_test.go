package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// load posts signed webhooks to a worker at a steady rate, whether or not it
// answers, and keeps the ledger of what became of each message. It is written
// against WhatsApp's documentation and shares no code with the program.
type load struct {
	info   sandbox.Info
	client *http.Client
	// picture is the media id that every 200th message has; empty for none.
	picture string

	mu      sync.Mutex
	sent    int
	acked   map[string]bool // answered 200: must arrive
	unknown map[string]bool // no answer: may or may not
	refused map[string]bool // answered otherwise: must not, unless sent again
	delays  []time.Duration
	began   map[string]time.Time // of each message's first post
	files   map[string]bool      // messages with a picture
}

func newLoad(info sandbox.Info) *load {
	return &load{
		info:   info,
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		began:  map[string]time.Time{},
		acked:  map[string]bool{}, unknown: map[string]bool{}, refused: map[string]bool{}, files: map[string]bool{},
	}
}

// run posts at a rate until ctx ends, then waits for the answers. Every tenth
// message is posted twice, every message comes from one of people.
func (l *load) run(ctx context.Context, rate, people int) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	var posts sync.WaitGroup
	for {
		select {
		case <-ctx.Done():
			posts.Wait()
			return
		case <-ticker.C:
		}
		l.mu.Lock()
		l.sent++
		n := l.sent
		l.mu.Unlock()
		copies := 1
		if n%10 == 0 {
			copies = 2
		}
		for range copies {
			posts.Go(func() {
				wamid, from := fmt.Sprintf("wamid.LOAD%d", n), fmt.Sprintf("1555%07d", n%people)
				if l.picture != "" && n%200 == 100 {
					l.postPicture(wamid, from)
				} else {
					l.post(wamid, from, fmt.Sprintf("message %d", n))
				}
			})
		}
	}
}

func (l *load) post(wamid, from, text string) {
	l.deliver(wamid, from, fmt.Sprintf(`"type":"text","text":{"body":%q}`, text))
}

func (l *load) postPicture(wamid, from string) {
	l.mu.Lock()
	l.files[wamid] = true
	l.mu.Unlock()
	l.deliver(wamid, from, fmt.Sprintf(`"type":"image","image":{"id":%q,"mime_type":"image/jpeg"}`, l.picture))
}

// deliverFrom posts a message of somebody with a profile name.
func (l *load) deliverFrom(wamid, from, name string) {
	l.postBody(wamid, l.body(wamid, from, name, `"type":"text","text":{"body":"Hello!"}`))
}

// deliver posts a message, whose content is members of its JSON object.
func (l *load) deliver(wamid, from, content string) {
	l.postBody(wamid, l.body(wamid, from, "Person "+from, content))
}

func (l *load) body(wamid, from, name, content string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},`+
		`"contacts":[{"profile":{"name":%q},"wa_id":%q}],`+
		`"messages":[{"from":%q,"id":%q,"timestamp":"%d",%s}]}}]}]}`,
		l.info.WhatsApp.WABAID, l.info.WhatsApp.PhoneNumberID, name, from, from, wamid, time.Now().Unix(), content)
}

func (l *load) postBody(wamid string, body []byte) {
	began := time.Now()
	l.mu.Lock()
	if l.began[wamid].IsZero() {
		l.began[wamid] = began
	}
	l.mu.Unlock()
	status, err := l.send(body)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.unknown[wamid] = true
	case status == http.StatusOK:
		l.acked[wamid] = true
		l.delays = append(l.delays, took)
	default:
		l.refused[wamid] = true
	}
}

func (l *load) send(body []byte) (int, error) {
	mac := hmac.New(sha256.New, []byte(l.info.WhatsApp.AppSecret))
	mac.Write(body)
	request, err := http.NewRequest(http.MethodPost, l.info.Worker.Webhooks["whatsapp"], bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := l.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}

// percentile of the answers' delays; 1 is the slowest.
func (l *load) percentile(p float64) time.Duration { return percentile(l.delays, p) }

func percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
