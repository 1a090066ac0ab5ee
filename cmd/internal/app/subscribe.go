package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/bitrix24"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/zoho"
)

// receiver understands the webhooks of a CRM account; nil if the configuration
// lacks what that takes. Without a public address there are none at all, which
// is said of all accounts at once.
func (a *App) receiver(c config.Account, address string) connectors.Receiver {
	lacks := ""
	switch {
	case address == "":
		return nil
	case c.Kind == config.Zoho:
		return zoho.NewReceiver(webhookToken(c))
	case c.Kind == config.HubSpot && c.ClientSecret.IsZero():
		lacks = "client_secret"
	case c.Kind == config.HubSpot:
		return hubspot.NewReceiver(c.ClientSecret.Reveal(), address, nil)
	case c.WebhookToken.IsZero():
		lacks = "webhook_token"
	default:
		return bitrix24.NewReceiver(c.WebhookToken.Reveal(), "")
	}
	a.log.Warn("the account has no webhooks: something is not configured that proves where they come from",
		"account", c.Name, "missing", lacks)
	return nil
}

// webhookToken comes back with each of Zoho's webhooks. One that nobody has
// chosen follows from the client's secret: so it is the same for every replica
// and after every start, and there is nothing to keep.
func webhookToken(c config.Account) string {
	if chosen := c.WebhookToken.Reveal(); chosen != "" {
		return chosen
	}
	mac := hmac.New(sha256.New, []byte(c.ClientSecret.Reveal()))
	mac.Write([]byte("crmsync webhooks of " + c.Name))
	return hex.EncodeToString(mac.Sum(nil)[:20]) // Zoho takes 50 characters
}

// A subscriber has a vendor send an account's webhooks, and prolongs that in
// time.
type subscriber struct {
	vendor interface {
		Wait(ctx context.Context, full bool) error
		Subscribe(ctx context.Context, s connectors.Subscription) (renewBy time.Time, err error)
	}
	subscription connectors.Subscription
	// working reports whether this replica is the one that works for the
	// account: it alone calls it.
	working func() bool
	// renewed is told until when it holds; nil is nobody.
	renewed func(until time.Time)
	log     *slog.Logger
}

// After a failure it is tried again, at first soon.
const (
	firstPause   = 5 * time.Second
	longestPause = 10 * time.Minute
)

// run works until ctx ends or there is nothing left to renew. Its failures are
// logged and are nobody else's.
func (s *subscriber) run(ctx context.Context) error {
	for again := firstPause; ; {
		for !s.working() {
			if !pause(ctx, time.Second) {
				return nil
			}
		}
		if s.vendor.Wait(ctx, false) != nil {
			return nil
		}
		renewBy, err := s.vendor.Subscribe(ctx, s.subscription)
		switch e := connectors.AsError(err); {
		case ctx.Err() != nil:
			return nil
		case e != nil && e.Code == connectors.NotOffered:
			s.log.Info("webhooks of the account are set up by hand", "address", s.subscription.Address, "how", e.Reason)
			return nil
		case e != nil:
			renewBy = time.Now().Add(max(again, e.RetryAfter))
			s.log.Warn("cannot have the account send webhooks; trying again", "address", s.subscription.Address,
				"class", e.Class, "code", e.Code, "reason", e.Reason, "next", renewBy)
			again = min(2*again, longestPause)
		case renewBy.IsZero():
			s.log.Info("the account sends webhooks", "address", s.subscription.Address)
			return nil
		default:
			s.log.Info("the account sends webhooks", "address", s.subscription.Address, "renew_by", renewBy)
			if s.renewed != nil {
				s.renewed(renewBy)
			}
			again = firstPause
		}
		if !until(ctx, renewBy) {
			return nil
		}
	}
}

// until waits for a moment by the clock on the wall and reports whether ctx
// still goes on. A timer stands still while the machine is suspended, what it
// is to prolong does not.
func until(ctx context.Context, moment time.Time) bool {
	moment = moment.Round(0)
	for left := time.Until(moment); left > 0; left = time.Until(moment) {
		if !pause(ctx, min(left, time.Minute)) {
			return false
		}
	}
	return ctx.Err() == nil
}
