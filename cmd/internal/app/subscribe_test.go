package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/guard"
	"crmsync/connectors/zoho"
	"crmsync/connectors/zoho/zohosim"
)

// organisation is a simulated Zoho CRM without a network, so that it fits into
// a bubble.
type organisation struct{ *zohosim.Server }

func (o organisation) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Result(), nil
}

// ask makes a call and decodes its answer.
func (o organisation) ask(t *testing.T, r *http.Request, into any) {
	t.Helper()
	answer, _ := o.RoundTrip(r)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", r.URL, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// channel is when the one channel there is dies, and where it leads.
func (o organisation) channel(t *testing.T) (expiry time.Time, address string) {
	t.Helper()
	var grant struct {
		Token string `json:"access_token"`
	}
	o.ask(t, httptest.NewRequest(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token&client_id=id&client_secret=secret&refresh_token=refresh", nil), &grant)
	var channels struct {
		Watch []struct {
			Expiry time.Time `json:"channel_expiry"`
			URL    string    `json:"notify_url"`
		}
	}
	list := httptest.NewRequest(http.MethodGet, "/crm/v8/actions/watch", nil)
	list.Header.Set("Authorization", "Zoho-oauthtoken "+grant.Token)
	o.ask(t, list, &channels)
	if len(channels.Watch) != 1 {
		t.Fatalf("channels %+v, want one", channels.Watch)
	}
	return channels.Watch[0].Expiry, channels.Watch[0].URL
}

// The simulator's clock is that of the bubble. In a month, with an outage of
// 36 hours in it, the channel always has days to live.
func TestAZohoChannelIsProlongedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := organisation{zohosim.New(zohosim.Options{ClientID: "id", ClientSecret: "secret", RefreshToken: "refresh"})}
		defer o.Close()
		client := zoho.New(zoho.Options{
			AccountsURL: "http://zoho.test", ClientID: "id", ClientSecret: "secret", RefreshToken: "refresh", HTTP: &http.Client{Transport: o},
		})
		const address = "https://crmsync.example.com/webhooks/zoho"
		s := subscriber{
			vendor: guard.New(client, guard.Options{}), working: func() bool { return true }, log: slog.New(slog.DiscardHandler),
			subscription: connectors.Subscription{Address: address, Token: webhookToken(config.Account{Name: "zoho", ClientSecret: config.NewSecret("secret")})},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = s.run(ctx) }()
		outage := 10 * 24
		for hour := range 30 * 24 {
			synctest.Wait()
			if hour == outage {
				o.ask(t, httptest.NewRequest(http.MethodPost, "/_sim/faults", strings.NewReader(`{"mode":"outage","for":"36h"}`)), &struct{}{})
			}
			if hour < outage || hour > outage+36 {
				expiry, leads := o.channel(t)
				if left := time.Until(expiry); left < 4*24*time.Hour || leads != address {
					t.Fatalf("after %d hours the channel leads to %s for another %v", hour, leads, left)
				}
			}
			time.Sleep(time.Hour)
		}
	})
}

// vendor is an account whose answers to Subscribe are set.
type vendor struct {
	answer func() (time.Time, error)
	calls  []time.Time
}

func (v *vendor) Wait(ctx context.Context, _ bool) error { return ctx.Err() }

func (v *vendor) Subscribe(context.Context, connectors.Subscription) (time.Time, error) {
	v.calls = append(v.calls, time.Now())
	return v.answer()
}

func TestWhenSubscriptionsAreMade(t *testing.T) {
	refused := &connectors.Error{Class: connectors.Unauthorized, Reason: "no"}
	for name, tt := range map[string]struct {
		working time.Duration // from when on
		answer  func() (time.Time, error)
		within  time.Duration
		want    []time.Duration // from the beginning
	}{
		"lasts for ever": {0, func() (time.Time, error) { return time.Time{}, nil }, 30 * 24 * time.Hour, []time.Duration{0}},
		"set up by people": {
			0, func() (time.Time, error) {
				return time.Time{}, &connectors.Error{Class: connectors.Rejected, Code: connectors.NotOffered}
			},
			30 * 24 * time.Hour,
			[]time.Duration{0},
		},
		"lasts for a day": {
			0, func() (time.Time, error) { return time.Now().Add(24 * time.Hour), nil },
			50 * time.Hour,
			[]time.Duration{0, 24 * time.Hour, 48 * time.Hour},
		},
		"is refused": {
			0, func() (time.Time, error) { return time.Time{}, refused },
			time.Minute,
			[]time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second},
		},
		"another replica works for the account": {
			time.Hour, func() (time.Time, error) { return time.Time{}, nil }, 2 * time.Hour, []time.Duration{time.Hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				v := &vendor{answer: tt.answer}
				s := subscriber{vendor: v, working: func() bool { return time.Since(began) >= tt.working }, log: slog.New(slog.DiscardHandler)}
				ctx, cancel := context.WithTimeout(t.Context(), tt.within)
				defer cancel()
				if err := s.run(ctx); err != nil {
					t.Error(err)
				}
				var got []time.Duration
				for _, at := range v.calls {
					got = append(got, at.Sub(began))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("asked after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestAfterFailuresItIsTriedEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answer: func() (time.Time, error) { return time.Time{}, &connectors.Error{Class: connectors.Transient} }}
		s := subscriber{vendor: v, working: func() bool { return true }, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_ = s.run(ctx)
		n := len(v.calls)
		if n < 6*23 || n > 6*24+10 {
			t.Fatalf("%d tries in a day", n)
		}
		if gap := v.calls[n-1].Sub(v.calls[n-2]); gap != 10*time.Minute {
			t.Errorf("the last pause is %v", gap)
		}
	})
}

// Whoever starts next, and every replica, has the same token.
func TestTheTokenOfZohosWebhooks(t *testing.T) {
	a := config.Account{Name: "zoho", ClientSecret: config.NewSecret("s3cret")}
	token := webhookToken(a)
	if token != webhookToken(a) || len(token) < 32 || len(token) > 50 || strings.Contains(token, "s3cret") {
		t.Errorf("token %q", token)
	}
	other := a
	other.Name = "zoho-eu"
	if webhookToken(other) == token {
		t.Error("two accounts have one token")
	}
	other = a
	other.ClientSecret = config.NewSecret("another")
	if webhookToken(other) == token {
		t.Error("two secrets have one token")
	}
	a.WebhookToken = config.NewSecret("chosen")
	if got := webhookToken(a); got != "chosen" {
		t.Errorf("token %q, want the configured one", got)
	}
}
