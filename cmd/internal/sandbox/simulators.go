// Package sandbox runs simulators, a worker and sample traffic in one process.
package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"crmsync/config"
	"crmsync/connectors/bitrix24/bitrix24sim"
	"crmsync/connectors/hubspot/hubspotsim"
	"crmsync/connectors/whatsapp/whatsappsim"
	"crmsync/connectors/zoho/zohosim"
)

// Options say how the simulated vendors behave and where they are.
type Options struct {
	// Host is where to listen, Port the first of the ports: the worker's,
	// then WhatsApp's, HubSpot's, Zoho's and Bitrix24's. Port 0 means free
	// ones.
	Host string
	Port int
	// Quota is on as the vendors document it; off means none.
	Quota bool
	// Lag makes HubSpot's search index run behind, as it does.
	Lag bool
	// PlainMessages makes HubSpot refuse custom properties on messages, as
	// some accounts may.
	PlainMessages bool
	// Home is the folder with the worker's configuration, if there is one:
	// accounts that are simulated for the same folder are the same ones, though
	// without what they held before.
	Home string
	// Data is the worker's data directory; empty for one that goes with the
	// sandbox, or lies beside the written configuration.
	Data string
	// Only names the CRMs that the written configuration has accounts for;
	// empty is all of them.
	Only []string
	// LatencyMin and LatencyMax bound the service time of each call.
	LatencyMin, LatencyMax time.Duration
}

// Info says where everything is. It is what --output json prints.
type Info struct {
	Worker   *WorkerInfo  `json:"worker,omitempty"`
	WhatsApp WhatsAppInfo `json:"whatsapp"`
	HubSpot  HubSpotInfo  `json:"hubspot"`
	Zoho     ZohoInfo     `json:"zoho"`
	Bitrix24 Bitrix24Info `json:"bitrix24"`
	Config   string       `json:"config,omitempty"`
	// Only are the CRMs that the configuration has accounts for; empty is all.
	Only []string `json:"only,omitempty"`
}

// WorkerInfo says where the worker is, and where it receives webhooks.
type WorkerInfo struct {
	URL      string            `json:"url"`
	Webhooks map[string]string `json:"webhooks"`
}

// WhatsAppInfo says where the simulated WhatsApp is, and its credentials.
type WhatsAppInfo struct {
	URL           string `json:"url"`
	AppSecret     string `json:"app_secret"`
	VerifyToken   string `json:"verify_token"`
	PhoneNumberID string `json:"phone_number_id"`
	WABAID        string `json:"waba_id"`
	Token         string `json:"token"`
}

// HubSpotInfo says where the simulated HubSpot is, and its credentials: the
// token of a private app, and an installation of an app. ClientSecret also
// signs the webhooks.
type HubSpotInfo struct {
	URL          string `json:"url"`
	Token        string `json:"token"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
}

// ZohoInfo says where the simulated Zoho CRM is, and its credentials.
type ZohoInfo struct {
	URL          string `json:"url"`
	AccountsURL  string `json:"accounts_url"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
}

// Bitrix24Info says where the simulated Bitrix24 is, and its credentials. URL
// is an inbound webhook, with its secret; the rest but for ApplicationToken is
// an installation of an application.
type Bitrix24Info struct {
	URL              string `json:"url"`
	ApplicationToken string `json:"application_token"`
	TokenURL         string `json:"token_url"`
	ClientID         string `json:"client_id"`
	ClientSecret     string `json:"client_secret"`
	RefreshToken     string `json:"refresh_token"`
}

// Base is where the portal itself is, and its control plane.
func (b Bitrix24Info) Base() string {
	base, _, _ := strings.Cut(b.URL, "/rest/")
	return base
}

// A CRM is one of the simulated CRMs.
type CRM struct {
	// Account is what the configuration calls it, Name what people do.
	Account, Name string
	// URL is the simulator's address.
	URL string
}

// CRMs are the simulated CRMs, the one that the story is told of first.
func (i Info) CRMs() []CRM {
	all := []CRM{
		{"hubspot", "HubSpot", i.HubSpot.URL},
		{"zoho", "Zoho CRM", i.Zoho.URL},
		{"bitrix24", "Bitrix24", i.Bitrix24.Base()},
	}
	return slices.DeleteFunc(all, func(c CRM) bool { return len(i.Only) > 0 && !slices.Contains(i.Only, c.Account) })
}

// Simulators are running simulators.
type Simulators struct {
	Info     Info
	WhatsApp *whatsappsim.Server

	crms []interface{ Close() }

	address string // where the worker is or will be, host:port
	quota   bool   // of the vendors, as they document it
	servers []*http.Server

	subscribe sync.Mutex
	callback  string // where WhatsApp's webhooks go, once the handshake has succeeded
}

// StartSimulators starts the simulators. worker is where the worker listens or
// will listen; empty if there is none.
func StartSimulators(o Options, worker string) (*Simulators, error) {
	s := &Simulators{Info: Info{Only: o.Only}, address: worker, quota: o.Quota}
	listeners := make([]net.Listener, 4)
	for i := range listeners {
		l, err := listen(o, i+1)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		listeners[i] = l
	}
	s.Info.WhatsApp = WhatsAppInfo{
		URL: reachable(o.address(listeners[0])), AppSecret: rand.Text(), VerifyToken: rand.Text(),
		PhoneNumberID: "106540352242922", WABAID: "102290129340398", Token: "EAA" + rand.Text(),
	}
	s.Info.HubSpot = HubSpotInfo{
		URL: reachable(o.address(listeners[1])), Token: "pat-na1-" + strings.ToLower(rand.Text()),
		ClientID: strings.ToLower(rand.Text()), ClientSecret: rand.Text(), RefreshToken: "na1-" + strings.ToLower(rand.Text()),
	}
	s.Info.Zoho = ZohoInfo{
		URL: reachable(o.address(listeners[2])), AccountsURL: reachable(o.address(listeners[2])),
		ClientID: "1000." + rand.Text(), ClientSecret: strings.ToLower(rand.Text()), RefreshToken: "1000." + strings.ToLower(rand.Text()),
	}
	secret, portal := strings.ToLower(rand.Text()), reachable(o.address(listeners[3]))
	if o.Home != "" {
		// By which Bitrix24 is known, wherever it is.
		secret = fmt.Sprintf("%x", sha256.Sum256([]byte("bitrix24 for "+o.Home)))[:26]
	}
	s.Info.Bitrix24 = Bitrix24Info{
		URL: portal + "/rest/1/" + secret + "/", ApplicationToken: strings.ToLower(rand.Text()),
		TokenURL: portal + "/oauth/token/",
		ClientID: "local." + strings.ToLower(rand.Text()), ClientSecret: rand.Text(), RefreshToken: strings.ToLower(rand.Text()),
	}
	if worker != "" {
		s.Info.Worker = &WorkerInfo{URL: reachable(worker), Webhooks: map[string]string{}}
		public := config.Config{PublicURL: s.Info.Worker.URL}
		for _, account := range []string{"whatsapp", "hubspot", "zoho", "bitrix24"} {
			s.Info.Worker.Webhooks[account] = public.WebhookAddress(account)
		}
	}
	s.WhatsApp = whatsappsim.New(whatsappsim.Options{
		AppSecret: s.Info.WhatsApp.AppSecret, VerifyToken: s.Info.WhatsApp.VerifyToken, Token: s.Info.WhatsApp.Token,
		PhoneNumberID: s.Info.WhatsApp.PhoneNumberID, DisplayPhone: "15550783881", WABAID: s.Info.WhatsApp.WABAID,
		BaseURL: s.Info.WhatsApp.URL, Unlimited: !o.Quota, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax,
	})
	s.serve(listeners[0], s.subscribed(s.WhatsApp))
	hubspot := hubspotsim.New(hubSpotOptions(o, s.Info.HubSpot))
	zoho := zohosim.New(zohoOptions(o, s.Info.Zoho))
	bitrix24 := bitrix24sim.New(bitrix24Options(o, s.Info.Bitrix24, secret))
	if s.Info.Worker != nil {
		// As somebody would enter them in the vendors' own pages. Zoho is told
		// by the worker.
		hubspot.SetWebhookURL(s.Info.Worker.Webhooks["hubspot"])
		bitrix24.SetEventURL(s.Info.Worker.Webhooks["bitrix24"])
	}
	s.crms = append(s.crms, hubspot, zoho, bitrix24)
	s.serve(listeners[1], hubspot)
	s.serve(listeners[2], zoho)
	s.serve(listeners[3], bitrix24)
	return s, nil
}

// listen opens the nth port.
func listen(o Options, n int) (net.Listener, error) {
	port := 0
	if o.Port != 0 {
		port = o.Port + n
	}
	return net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(port)))
}

// WorkerAddress is where a worker is to listen: the first port, or a free one.
// The worker takes it later, and again after a restart. So that nothing else
// gets it in between, it is not one of those, from 32768 on, that the system
// hands out by itself to connections and to whoever listens on port 0.
func WorkerAddress(o Options) (string, error) {
	tries := 1
	if o.Port == 0 {
		tries = 100
	}
	var err error
	for range tries {
		if tries > 1 {
			o.Port = 10000 + mathrand.IntN(20000)
		}
		var l net.Listener
		if l, err = listen(o, 0); err == nil {
			return o.address(l), l.Close()
		}
	}
	return "", err
}

// address is where a listener is, on the host as it was asked for.
func (o Options) address(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(o.Host, port)
}

// reachable is the URL of an address to listen on: one that means every
// interface is called on the machine itself.
func reachable(address string) string {
	host, port, _ := net.SplitHostPort(address)
	switch ip := net.ParseIP(host); {
	case host == "", ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.IsUnspecified():
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (s *Simulators) serve(l net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(l) }() // ends with Close
}

// subscribed lets WhatsApp verify the webhook address, if it has not, before
// the first message is sent to it: the worker may start later than this.
func (s *Simulators) subscribed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && s.address != "" {
			ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
			_ = s.Subscribe(ctx) // without it the simulator says that nobody listens
			cancel()
		}
		next.ServeHTTP(w, r)
	})
}

// Subscribe has WhatsApp verify the worker's webhook address, waiting for the
// worker to answer until ctx ends.
func (s *Simulators) Subscribe(ctx context.Context) error {
	s.subscribe.Lock()
	defer s.subscribe.Unlock()
	address := s.Info.Worker.Webhooks["whatsapp"]
	for s.callback != address {
		err := s.WhatsApp.SetCallback(ctx, address)
		if err == nil {
			s.callback = address
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// WriteConfig writes a crmsync.yaml, its secrets included, and a mapping.yaml
// into dir, for a worker that serves these simulators and keeps its data in
// data (if relative, in dir). It overwrites nothing but its own.
func (s *Simulators) WriteConfig(dir, data string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := ours(dir); err != nil {
		return err
	}
	for _, name := range []string{"mapping.yaml", "mapping.schema.json"} {
		sample, err := config.Samples.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), sample, 0o600); err != nil {
			return err
		}
	}
	s.Info.Config = filepath.Join(dir, "crmsync.yaml")
	quota := ""
	if !s.quota {
		quota = "    quota: {requests: 50, per: 1s} # as for Zoho; by default the worker would keep what is documented\n"
	}
	i := s.Info
	accounts := map[string]string{
		"hubspot": fmt.Sprintf(`  - name: hubspot
    kind: hubspot
    token: %s
    client_secret: %s
    base_url: %s
    create_fields: true
%s`, i.HubSpot.Token, i.HubSpot.ClientSecret, i.HubSpot.URL, quota),
		"zoho": fmt.Sprintf(`  - name: zoho
    kind: zoho
    client_id: %s
    client_secret: %s
    refresh_token: %s
    accounts_url: %s
    create_fields: true
`, i.Zoho.ClientID, i.Zoho.ClientSecret, i.Zoho.RefreshToken, i.Zoho.AccountsURL),
		"bitrix24": fmt.Sprintf(`  - name: bitrix24
    kind: bitrix24
    webhook_url: %s
    webhook_token: %s
    create_fields: true
%s`, i.Bitrix24.URL, i.Bitrix24.ApplicationToken, quota),
	}
	text := fmt.Sprintf(written+`: a worker for its simulators.
listen: %q
public_url: %s
data_dir: %q
mapping: mapping.yaml
accounts:
  - name: whatsapp
    kind: whatsapp
    app_secret: %s
    verify_token: %s
    token: %s
    base_url: %s
    media: true
`, s.address, reachable(s.address), data, i.WhatsApp.AppSecret, i.WhatsApp.VerifyToken, i.WhatsApp.Token, i.WhatsApp.URL)
	for _, crm := range i.CRMs() {
		text += accounts[crm.Account]
	}
	return os.WriteFile(s.Info.Config, []byte(text), 0o600)
}

// written is how a configuration begins that may be overwritten.
const written = "# Written by crmsync"

// ours reports why the files in dir are somebody's own.
func ours(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "crmsync.yaml"))
	if err == nil && strings.HasPrefix(string(text), written) {
		return nil
	}
	for _, name := range []string{"crmsync.yaml", "mapping.yaml", "mapping.schema.json"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is a %s in %s that crmsync has not written; name another folder", name, dir)
		}
	}
	return nil
}

// Close stops the simulators.
func (s *Simulators) Close() error {
	var all error
	for _, server := range s.servers {
		all = errors.Join(all, server.Close())
	}
	if s.WhatsApp != nil {
		all = errors.Join(all, s.WhatsApp.Close())
	}
	for _, crm := range s.crms {
		crm.Close()
	}
	return all
}
