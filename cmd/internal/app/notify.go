package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/store"
)

// notifier tells receivers of dead letters that are overdue, each of each letter
// once a day. What they have been told is in the database, and of all replicas
// one tells them.
type notifier struct {
	store     *store.DB
	holder    string
	log       *slog.Logger
	receivers []*receiver
	// every is how often it looks.
	every time.Duration
}

// receiver is somebody to be told.
type receiver struct {
	// name stands for it in the database.
	name string
	tell func(ctx context.Context, n deadletter.Notice) error
	// After failures in a row it is left alone until a time.
	failures int
	until    time.Time
}

const (
	notifyEvery   = 10 * time.Second
	notifyTimeout = 10 * time.Second
	oncePer       = 24 * time.Hour
	// notifyTTL is after what time another replica tells them.
	notifyTTL = 2 * time.Minute
)

// newNotifier has the log as its first receiver.
func newNotifier(db *store.DB, holder string, receivers []config.Notify, log *slog.Logger) *notifier {
	n := &notifier{store: db, holder: holder, log: log, every: notifyEvery}
	n.receivers = []*receiver{{name: "log", tell: n.write}}
	for _, r := range receivers {
		if r.RulesOnly {
			continue
		}
		p := &poster{settings: r, client: clientFor(r.Private)}
		n.receivers = append(n.receivers, &receiver{
			name: connectors.Digest([]byte(r.URL.Reveal()))[:16],
			tell: func(ctx context.Context, n deadletter.Notice) error { return p.post(ctx, n, n.Text()) },
		})
	}
	return n
}

// run tells the receivers until ctx ends.
func (n *notifier) run(ctx context.Context) error {
	for {
		lease, ok, err := n.store.Acquire(ctx, store.Notifications, n.holder, false, notifyTTL)
		if err != nil && ctx.Err() == nil {
			n.log.Warn("cannot look for overdue dead letters", "error", err)
		}
		if ok {
			n.round(ctx)
		}
		if !pause(ctx, n.every) {
			if ok {
				_ = n.store.Release(context.WithoutCancel(ctx), store.Notifications, lease) // else it runs out
			}
			return nil
		}
	}
}

func (n *notifier) round(ctx context.Context) {
	for i, r := range n.receivers {
		if time.Now().Before(r.until) {
			continue
		}
		err := n.tell(ctx, r)
		if err == nil {
			r.failures = 0
			continue
		}
		if ctx.Err() != nil {
			return
		}
		r.failures++
		wait := min(n.every<<min(r.failures, 10), 15*time.Minute)
		r.until = time.Now().Add(wait)
		n.log.Warn("cannot tell a receiver of overdue dead letters; trying again", "receiver", i, "pause", wait.String(), "error", err)
	}
}

func (n *notifier) tell(ctx context.Context, r *receiver) error {
	now := time.Now()
	letters, err := n.store.Unnoticed(ctx, r.name, now.Add(-oncePer))
	if err != nil || len(letters) == 0 {
		return err
	}
	if err := r.tell(ctx, deadletter.Overdue(letters, now)); err != nil {
		return err
	}
	// Also while the program stops: it has been told.
	return n.store.Noticed(context.WithoutCancel(ctx), r.name, letters)
}

// write tells the log.
func (n *notifier) write(_ context.Context, notice deadletter.Notice) error {
	for _, g := range notice.Groups {
		n.log.Warn("dead letters are overdue; somebody must settle them", "account", g.Account, "class", g.Class, "code", g.Code,
			"field", g.Field, "letters", g.Letters, "first_due", g.DueAt.UTC(), "letter", g.Example, "group", g.ID)
	}
	return nil
}

// poster tells an address.
type poster struct {
	settings config.Notify
	client   *http.Client
}

// post sends a notice, or its text. Errors do not contain the address, which is
// a secret.
func (p *poster) post(ctx context.Context, notice any, text string) error {
	return p.send(ctx, "", notice, text)
}

// send is post, with an id by which the receiver can tell repeats.
func (p *poster) send(ctx context.Context, id string, notice any, text string) error {
	body := notice
	if p.settings.Format == "slack" {
		body = map[string]string{"text": text}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.settings.URL.Reveal(), bytes.NewReader(data))
	if err != nil {
		return errors.New("the address cannot be called")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "crmsync")
	if id != "" {
		request.Header.Set("Idempotency-Key", id)
	}
	response, err := p.client.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return fmt.Errorf("call %s: %w", request.URL.Hostname(), err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode/100 != 2 {
		return &answered{request.URL.Hostname(), response.StatusCode, retryAfter(response)}
	}
	return nil
}

// answered is the answer of a receiver that does not take what it is told.
type answered struct {
	host       string
	status     int
	retryAfter time.Duration // of 429 and 503; zero if it does not say
}

func (a *answered) Error() string { return fmt.Sprintf("%s answered %d", a.host, a.status) }

func retryAfter(r *http.Response) time.Duration {
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := r.Header.Get("Retry-After")
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	seconds, _ := strconv.ParseUint(text, 10, 31)
	return time.Duration(seconds) * time.Second
}

// clientFor calls receivers. It follows no redirect, asks no proxy, and checks
// the address that is called and not the name, which may change in between.
func clientFor(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: notifyTimeout / 2, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !mayCall(at.Addr(), private) {
			return errors.New("its address is not a public one; set private: true if it is inside your own network")
		}
		return nil
	}}
	return &http.Client{
		Timeout: notifyTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: notifyTimeout / 2, MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns: tellBeside, MaxIdleConnsPerHost: tellBeside, IdleConnTimeout: time.Second, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// special are the networks that belong to nobody in particular, and those that
// carry other addresses inside.
var special = func() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// mayCall reports whether an address may be called: a public one, or one of our
// own network if that is allowed. Never one of the machine's link, where cloud
// providers answer with credentials.
func mayCall(a netip.Addr, private bool) bool {
	a = a.Unmap()
	if a.IsLoopback() || a.IsPrivate() {
		return private
	}
	if !a.IsGlobalUnicast() {
		return false
	}
	for _, p := range special {
		if p.Contains(a.WithZone("")) {
			return false
		}
	}
	return true
}
