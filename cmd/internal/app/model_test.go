package app_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
	"crmsync/config"
)

// Whatever people write, in whatever order it is reported and however often,
// whatever fails meanwhile and whenever the worker is restarted: in the end
// every contact and message is equal in all CRMs, or on the worklist.
//
// The schedules are by chance and repeated by -rapid.seed; how many there are,
// -rapid.checks says, 10 unless it is given.
func TestAllSidesAgreeInTheEnd(t *testing.T) {
	if !given("rapid.checks") {
		_ = flag.Set("rapid.checks", "10")
	}
	w := newWorld(t)
	checked, restarts, faults, messages := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		checked++
		m := &model{world: w, prefix: fmt.Sprintf("%d-%d", time.Now().UnixNano()%1_000_000, checked), messages: map[string]*message{}, people: map[string]*person{}}
		rt.Repeat(map[string]func(*rapid.T){
			"a message": m.write,
			"again":     m.again,
			"a status":  m.status,
			"a fault":   m.fault,
			"a pause":   func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 50).Draw(rt, "ms")) * time.Millisecond) },
			"a restart": m.restart,
			"":          func(*rapid.T) {},
		})
		restarts, faults, messages = restarts+m.restarts, faults+m.faults, messages+len(m.messages)
		m.agree(rt)
	})
	t.Logf("%d schedules: %d messages, %d faults, %d restarts", checked, messages, faults, restarts)
	if messages == 0 || faults == 0 || restarts == 0 {
		t.Error("nothing happened")
	}
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// A world is the simulators and a worker that can be restarted.
type world struct {
	t    *testing.T
	sims *sandbox.Simulators
	stop func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	o := sandbox.Options{Host: "127.0.0.1", LatencyMin: time.Millisecond, LatencyMax: 10 * time.Millisecond, PlainMessages: true}
	address, err := sandbox.WorkerAddress(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	if w.sims, err = sandbox.StartSimulators(o, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sims.Close() })
	if err := w.sims.WriteConfig(t.TempDir(), "data"); err != nil {
		t.Fatal(err)
	}
	for _, crm := range w.sims.Info.CRMs() {
		response, err := http.Post(crm.URL+"/_sim/faults", "application/json", strings.NewReader(refusal))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	settings, err := config.Load(w.sims.Info.Config, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	worker, err := app.New(w.t.Context(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

// refusal makes a CRM refuse some messages, for good.
const refusal = `{"mode":"reject","match":"wamid.P"}`

// A model is what ought to be: what people have written.
type model struct {
	*world
	prefix   string
	messages map[string]*message
	people   map[string]*person
	bodies   [][]byte
	restarts int
	faults   int
}

type message struct {
	from, text, status string
	// refused says that every CRM refuses it.
	refused bool
}

type person struct {
	name  string
	named int      // when
	names []string // all that were ever reported
}

// maybeCalled reports whether a CRM may call a person so. HubSpot and Zoho do
// not tell a record made by a create whose answer was lost from one that
// somebody has entered, and there the name stays as it is.
func (m *model) maybeCalled(crm sandbox.CRM, p *person, name string) bool {
	if m.faults+m.restarts > 0 && crm.Account != "bitrix24" {
		return slices.Contains(p.names, name)
	}
	return name == p.name
}

// rank orders statuses; failed is final.
var rank = []string{"", "sent", "delivered", "read", "failed"}

func (m *model) number(rt *rapid.T) string {
	sum := 0
	for _, c := range m.prefix {
		sum = sum*31 + int(c)
	}
	return fmt.Sprintf("39333%06d%d", sum&0x7fffffff%1_000_000, rapid.IntRange(0, 4).Draw(rt, "person"))
}

func (m *model) write(rt *rapid.T) {
	wamid, from := fmt.Sprintf("wamid.M%s-%d", m.prefix, len(m.messages)), m.number(rt)
	text := fmt.Sprintf("message %d", len(m.messages))
	refused := rapid.IntRange(0, 19).Draw(rt, "refused") == 0
	if refused {
		wamid = strings.Replace(wamid, ".M", ".P", 1)
	}
	at := 1767225600 + rapid.IntRange(0, 1000).Draw(rt, "at")
	p := m.people[from]
	if p == nil {
		p = &person{}
		m.people[from] = p
	}
	for p.named == at {
		at++
	}
	name := fmt.Sprintf("Ada Name%d", at)
	p.names = append(p.names, name)
	if at > p.named {
		p.name, p.named = name, at
	}
	m.messages[wamid] = &message{from: from, text: text, refused: refused}
	m.send(rt, fmt.Sprintf(`"contacts":[{"profile":{"name":%q},"wa_id":%q}],"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]`, name, from, from, wamid, at, text))
}

func (m *model) status(rt *rapid.T) {
	wamid := fmt.Sprintf("wamid.O%s-%d", m.prefix, rapid.IntRange(0, 5).Draw(rt, "outgoing"))
	s := rapid.SampledFrom(rank[1:]).Draw(rt, "status")
	x := m.messages[wamid]
	if x == nil {
		x = &message{from: m.number(rt)}
		m.messages[wamid] = x
	}
	if slices.Index(rank, s) > slices.Index(rank, x.status) {
		x.status = s
	}
	m.send(rt, fmt.Sprintf(`"statuses":[{"id":%q,"status":%q,"timestamp":"%d","recipient_id":%q}]`, wamid, s, 1767225600, x.from))
}

// again sends what was sent before.
func (m *model) again(rt *rapid.T) {
	if len(m.bodies) == 0 {
		return
	}
	m.post(rt, rapid.SampledFrom(m.bodies).Draw(rt, "body"))
}

func (m *model) fault(rt *rapid.T) {
	crm := rapid.SampledFrom(m.sims.Info.CRMs()).Draw(rt, "crm")
	mode := rapid.SampledFrom([]string{"outage", "reset", "reset_after_commit", "truncate", "garbage", "throttle"}).Draw(rt, "mode")
	m.ask(rt, crm, fmt.Sprintf(`{"mode":%q,"share":0.5,"times":%d,"for":"400ms"}`, mode, rapid.IntRange(1, 4).Draw(rt, "times")))
	m.faults++
}

func (m *model) restart(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return
	}
	m.stop()
	m.start()
	m.restarts++
}

func (m *model) send(rt *rapid.T, value string) {
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":%q},%s}}]}]}`,
		m.sims.Info.WhatsApp.WABAID, m.sims.Info.WhatsApp.PhoneNumberID, value)
	m.bodies = append(m.bodies, body)
	m.post(rt, body)
}

// post sends a webhook until it is taken.
func (m *model) post(rt *rapid.T, body []byte) {
	mac := hmac.New(sha256.New, []byte(m.sims.Info.WhatsApp.AppSecret))
	mac.Write(body)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		request, err := http.NewRequest(http.MethodPost, m.sims.Info.Worker.Webhooks["whatsapp"], bytes.NewReader(body))
		if err != nil {
			rt.Fatal(err)
		}
		request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			rt.Fatalf("a webhook is not taken: %v", err)
		}
	}
}

func (m *model) ask(rt *rapid.T, crm sandbox.CRM, body string) {
	response, err := http.Post(crm.URL+"/_sim/faults", "application/json", strings.NewReader(body))
	if err != nil {
		rt.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		rt.Fatalf("%s: %s", body, response.Status)
	}
}

// agree ends the faults and waits until everything is as it ought to be.
func (m *model) agree(rt *rapid.T) {
	for _, crm := range m.sims.Info.CRMs() {
		m.ask(rt, crm, `{"mode":"none"}`)
		m.ask(rt, crm, refusal)
	}
	var wrong []string
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		wrong = nil
		for _, crm := range m.sims.Info.CRMs() {
			wrong = append(wrong, m.differences(rt, crm)...)
		}
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	slices.Sort(wrong)
	rt.Fatalf("after half a minute:\n%s", strings.Join(wrong, "\n"))
}

// differences are between the model and a CRM. A message that is refused is
// nowhere, or was written before it was.
func (m *model) differences(rt *rapid.T, crm sandbox.CRM) (wrong []string) {
	var messages []sandbox.SimMessage
	var contacts []sandbox.SimContact
	m.get(rt, crm.URL+"/_sim/messages", &messages)
	m.get(rt, crm.URL+"/_sim/contacts", &contacts)
	people := map[string][]sandbox.SimContact{}
	byID := map[string]string{}
	for _, c := range contacts {
		phone := strings.Trim(strings.Map(digit, c.Phone), " ")
		people[phone] = append(people[phone], c)
		byID[c.ID] = phone
	}
	shown := map[string][]sandbox.SimMessage{}
	for _, x := range messages {
		shown[x.WAMID] = append(shown[x.WAMID], x)
	}
	for wamid, want := range m.messages {
		got := shown[wamid]
		switch {
		case want.refused && len(got) <= 1:
		case len(got) != 1:
			wrong = append(wrong, fmt.Sprintf("%s shows %s %d times", crm.Name, wamid, len(got)))
		case want.text != "" && got[0].Text != want.text:
			wrong = append(wrong, fmt.Sprintf("%s shows %s with another text", crm.Name, wamid))
		case got[0].Status != want.status && want.status != "":
			wrong = append(wrong, fmt.Sprintf("%s shows %s as %q, want %q", crm.Name, wamid, got[0].Status, want.status))
		case byID[got[0].ContactID] != want.from:
			wrong = append(wrong, fmt.Sprintf("%s shows %s with somebody else", crm.Name, wamid))
		}
	}
	for phone, want := range m.people {
		got := people[phone]
		if len(got) != 1 {
			wrong = append(wrong, fmt.Sprintf("%s has %d contacts for one person", crm.Name, len(got)))
		} else if !m.maybeCalled(crm, want, got[0].Name) {
			wrong = append(wrong, fmt.Sprintf("%s calls somebody %q, want %q", crm.Name, got[0].Name, want.name))
		}
	}
	return wrong
}

func digit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

func (m *model) get(rt *rapid.T, address string, into any) {
	response, err := http.Get(address)
	if err != nil {
		rt.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		rt.Fatal(err)
	}
}
