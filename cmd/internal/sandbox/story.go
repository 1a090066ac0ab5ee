package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Story is what became of the sample traffic.
type Story struct {
	// Webhooks is how many were sent, Accepted how many were answered 200.
	Webhooks, Accepted int
	// CRMs are what has arrived where.
	CRMs []Arrived
}

// Arrived is what a CRM shows of the sample traffic.
type Arrived struct {
	CRM
	// Contacts and Messages are how many it has.
	Contacts, Messages int
	// Guide is the guide's own contact, with its messages.
	Guide Shown
	// Template is the contact that was sent a template, with that message.
	Template Shown
	// Delays are from a webhook until the CRM had its message, ascending.
	Delays []time.Duration
}

// Shown is a contact as a CRM shows it.
type Shown struct {
	Contact  SimContact
	Messages []SimMessage
	Delay    time.Duration
}

// SimContact is a contact as a simulator's control plane shows it.
type SimContact struct {
	ID     string         `json:"id"`
	Phone  string         `json:"phone"`
	Name   string         `json:"name"`
	Fields map[string]any `json:"fields"`
}

// SimMessage is a message as a simulator's control plane shows it.
type SimMessage struct {
	ID          string    `json:"id"`
	ContactID   string    `json:"contact_id"`
	WAMID       string    `json:"wamid"`
	Direction   string    `json:"direction"`
	Text        string    `json:"text"`
	Status      string    `json:"status"`
	CommittedAt time.Time `json:"committed_at"`
	Files       []SimFile `json:"files"`
}

// SimFile is a file, as a simulator shows it.
type SimFile struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
}

const (
	guidePhone    = "+16315555555"
	templatePhone = "+393331234567"
)

// Tell sends the sample traffic and waits until every CRM shows it, or ctx
// ends.
func (s *Sandbox) Tell(ctx context.Context) (Story, error) {
	var story Story
	sent := map[string]time.Time{}
	for _, body := range s.WhatsApp.SampleTraffic(time.Now()) {
		for _, wamid := range wamidsIn(body) {
			sent[wamid] = time.Now()
		}
		status, err := s.WhatsApp.Deliver(ctx, body)
		if err != nil {
			return story, err
		}
		story.Webhooks++
		if status == http.StatusOK {
			story.Accepted++
		}
	}
	template, err := s.sendTemplate(ctx)
	if err != nil {
		return story, err
	}
	for _, crm := range s.Info.CRMs() {
		story.CRMs = append(story.CRMs, Arrived{CRM: crm})
	}
	for {
		done := true
		for i := range story.CRMs {
			shows, err := story.CRMs[i].read(ctx, sent, template)
			if err != nil {
				return story, err
			}
			done = done && shows
		}
		if done || !wait(ctx, 50*time.Millisecond) {
			return story, nil
		}
	}
}

// wamidsIn lists the messages of a webhook that become messages in the CRM.
func wamidsIn(body []byte) []string {
	var doc struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Messages []struct{ ID string }
				}
			}
		}
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	var wamids []string
	for _, e := range doc.Entry {
		for _, c := range e.Changes {
			for _, m := range c.Value.Messages {
				wamids = append(wamids, m.ID)
			}
		}
	}
	return wamids
}

// sendTemplate sends a template as another system on the same number would,
// through WhatsApp's own API, and returns its wamid.
func (s *Sandbox) sendTemplate(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp", "to": templatePhone, "type": "template",
		"template": map[string]any{
			"name": "order_update", "language": map[string]string{"code": "it"},
			"components": []any{map[string]any{"type": "body", "parameters": []any{
				map[string]string{"type": "text", "text": "Giulia"}, map[string]string{"type": "text", "text": "A-1001"},
			}}},
		},
	})
	if err != nil {
		return "", err
	}
	address := s.Info.WhatsApp.URL + "/v24.0/" + s.Info.WhatsApp.PhoneNumberID + "/messages"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.Info.WhatsApp.Token)
	request.Header.Set("Content-Type", "application/json")
	var answer struct{ Messages []struct{ ID string } }
	if err := do(request, &answer); err != nil {
		return "", fmt.Errorf("send a template: %w", err)
	}
	if len(answer.Messages) != 1 {
		return "", fmt.Errorf("send a template: WhatsApp answered without a message id")
	}
	return answer.Messages[0].ID, nil
}

// read looks at the CRM and reports whether it shows everything.
func (a *Arrived) read(ctx context.Context, sent map[string]time.Time, template string) (bool, error) {
	var stats struct{ Contacts, Messages int }
	if err := a.get(ctx, "/_sim/stats", &stats); err != nil {
		return false, err
	}
	a.Contacts, a.Messages = stats.Contacts, stats.Messages
	a.Delays = a.Delays[:0]
	done := true
	for wamid, at := range sent {
		var shown []SimMessage
		if err := a.get(ctx, "/_sim/messages?wamid="+url.QueryEscape(wamid), &shown); err != nil {
			return false, err
		}
		if len(shown) == 0 {
			done = false
			continue
		}
		a.Delays = append(a.Delays, shown[0].CommittedAt.Sub(at))
	}
	slices.Sort(a.Delays)
	if err := a.shown(ctx, guidePhone, &a.Guide, sent); err != nil {
		return false, err
	}
	if err := a.shown(ctx, templatePhone, &a.Template, sent); err != nil {
		return false, err
	}
	a.Template.Messages = slices.DeleteFunc(a.Template.Messages, func(m SimMessage) bool { return m.WAMID != template })
	return done && len(a.Template.Messages) == 1 && a.Template.Messages[0].Status == "read", nil
}

func (a *Arrived) shown(ctx context.Context, phone string, into *Shown, sent map[string]time.Time) error {
	var contacts []SimContact
	if err := a.get(ctx, "/_sim/contacts?phone="+url.QueryEscape(phone), &contacts); err != nil || len(contacts) == 0 {
		return err
	}
	into.Contact = contacts[0]
	into.Messages = nil
	if err := a.get(ctx, "/_sim/messages?phone="+url.QueryEscape(phone), &into.Messages); err != nil {
		return err
	}
	for _, m := range into.Messages {
		if at, ok := sent[m.WAMID]; ok {
			into.Delay = m.CommittedAt.Sub(at)
		}
	}
	return nil
}

// get reads the control plane.
func (a *Arrived) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+path, nil)
	if err != nil {
		return err
	}
	return do(request, into)
}

func do(request *http.Request, into any) error {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", request.URL.Path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
