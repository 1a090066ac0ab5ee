package whatsappsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
)

// App is a Meta app which is subscribed to the WABA. The simulated account has
// one of its own; others, such as a CRM vendor's, can be added.
type App struct {
	URL, Secret, VerifyToken string
}

// callback is where an override sends the messages field.
type callback struct {
	url, verifyToken string
}

// target is one receiver of a webhook.
type target struct {
	url, secret string
}

// SetCallback stores the app's callback after its handshake succeeded.
func (s *Server) SetCallback(ctx context.Context, callbackURL string) error {
	if err := s.handshake(ctx, callbackURL, s.opt.VerifyToken); err != nil {
		return fmt.Errorf("set callback: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own := App{URL: callbackURL, Secret: s.opt.AppSecret, VerifyToken: s.opt.VerifyToken}
	if len(s.apps) == 0 {
		s.apps = []App{own}
	} else {
		s.apps[0] = own
	}
	return nil
}

// AddApp subscribes a further app to the WABA after its handshake succeeded.
// Webhooks go to every app, and so does each retry, whichever app caused it.
// SetCallback must have been called before.
func (s *Server) AddApp(ctx context.Context, app App) error {
	if err := s.handshake(ctx, app.URL, app.VerifyToken); err != nil {
		return fmt.Errorf("add app: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.apps) == 0 {
		return errors.New("add app: the account's own app has no callback")
	}
	s.apps = append(s.apps, app)
	return nil
}

// handshake proves that a callback knows its verify token. Only 200 with
// exactly the challenge will do. The request carries no signature.
func (s *Server) handshake(ctx context.Context, callbackURL, token string) error {
	u, err := url.Parse(callbackURL)
	if err != nil || u.Host == "" {
		return errors.New("callback is not an absolute URL")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		return err
	}
	challenge := fmt.Sprint(n.Int64() + 1_000_000_000)
	q := u.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", token)
	u.RawQuery = q.Encode()

	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	res, err := s.opt.Client.Do(req)
	if err != nil {
		// The URL in the client's own error would carry the verify token.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("handshake: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("handshake: read answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("handshake: status %d instead of 200", res.StatusCode)
	}
	if string(body) != challenge {
		return errors.New("handshake: the answer is not the challenge")
	}
	return nil
}

// targets returns who receives a field, none if nobody subscribed to it.
func (s *Server) targets(field string) []target {
	if s.opt.Fields != nil && !slices.Contains(s.opt.Fields, field) {
		return nil
	}
	return s.route(field)
}

// route returns where a field goes. An override, number before WABA before
// app, concerns the messages field only.
func (s *Server) route(field string) []target {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joined {
		return nil
	}
	var to []target
	for i, app := range s.apps {
		at := app.URL
		if i == 0 && field == fieldMessages {
			at = cmp.Or(s.overrides.number.url, s.overrides.waba.url, at)
		}
		to = append(to, target{url: at, secret: app.Secret})
	}
	return to
}
