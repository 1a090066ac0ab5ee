package app

import (
	"context"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
)

// mediaClients download the files of the WhatsApp accounts that are configured
// to deliver them.
func (a *App) mediaClients(accounts []config.Account) map[string]*whatsapp.Client {
	clients := map[string]*whatsapp.Client{}
	for i := range accounts {
		if c := &accounts[i]; c.Media {
			clients[c.Name] = whatsapp.NewClient(whatsapp.Options{
				BaseURL: c.BaseURL, APIVersion: c.APIVersion, Token: c.Token.Reveal(),
				MaxFile: int64(c.MediaMaxSize), Observe: a.observeCalls(c.Name),
			})
		}
	}
	return clients
}

// fetch downloads the file of a message.
func (a *App) fetch(ctx context.Context, from, businessNumber string, m connectors.Media) ([]byte, *connectors.Error) {
	client := a.now.Load().media[from]
	if client == nil {
		return nil, &connectors.Error{Class: connectors.Rejected, Code: connectors.Unwanted, Reason: "media is off for account " + from}
	}
	return client.Download(ctx, businessNumber, m)
}

// fileEvery is how far apart files begin that take a quarter of an account's
// quota.
func fileEvery(c config.Account, l connectors.Limits) time.Duration {
	return 4 * time.Duration(max(l.FileCalls, 1)) * c.Quota.Per.Duration() / time.Duration(c.Quota.Requests)
}
