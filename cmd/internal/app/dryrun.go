package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/guard"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
)

// trySyncPath is where a worker tells what a contact sync of an account that it
// works for would find.
const trySyncPath = "/api/v1/sync/try"

// A SyncDifference is one thing that a contact sync would do.
type SyncDifference struct {
	Account string `json:"account"`
	Record  string `json:"record"`
	// Contact is the number of the contact, 0 for a record of nobody known.
	Contact int64  `json:"contact,omitempty"`
	Field   string `json:"field,omitempty"`
	Ours    string `json:"ours,omitempty"`
	Theirs  string `json:"theirs,omitempty"`
	// Effect is what would come of it, in words; Conflict says that the field was
	// changed on both sides.
	Effect   string `json:"effect"`
	Conflict bool   `json:"conflict,omitempty"`
}

// tried is a part of what a dry run tells: a difference, how far it is, or in
// the end what it came to.
type tried struct {
	Difference *SyncDifference `json:"difference,omitempty"`
	Progress   *Sync           `json:"progress,omitempty"`
	End        *Sync           `json:"end,omitempty"`
}

// TrySync compares the contacts of an account as a contact sync does, and
// changes nothing anywhere. The differences are told as they are found. The
// worker on this data directory reads the account, if it works for it; else a
// tenth of the quota is taken.
func TrySync(ctx context.Context, c *config.Config, name string, tell func(SyncDifference), progress func(Sync)) (Sync, error) {
	answer, err := callWorker(ctx, c.DataDir, trySyncPath+"?account="+name)
	if err == nil {
		defer answer.Close()
		return hear(json.NewDecoder(answer), tell, progress)
	}
	return trySyncAside(ctx, c, name, tell, progress)
}

// hear reads what a worker tells of a dry run.
func hear(from *json.Decoder, tell func(SyncDifference), progress func(Sync)) (Sync, error) {
	for {
		var part tried
		err := from.Decode(&part)
		switch {
		case errors.Is(err, io.EOF):
			return Sync{}, errors.New("the worker has been stopped meanwhile")
		case err != nil:
			return Sync{}, err
		case part.Difference != nil:
			tell(*part.Difference)
		case part.Progress != nil:
			progress(*part.Progress)
		case part.End != nil:
			return *part.End, nil
		}
	}
}

// trySyncHere tells what a sync of an account that this worker works for would
// find, a JSON value a line.
func (a *App) trySyncHere(stopping <-chan struct{}, w http.ResponseWriter, r *http.Request) {
	account := a.account(r.FormValue("account"))
	if account == nil || account.worker == nil {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such account"})
		return
	}
	if ready, _ := account.worker.State(); !ready || account.paused.Load() != nil {
		answer(w, http.StatusConflict, map[string]string{"error": "this worker does not work for the account"})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	db, err := OpenStore(ctx, a.config)
	if err == nil {
		defer db.Close()
		err = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	if err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the database does not answer"})
		return
	}
	out := json.NewEncoder(w)
	send := func(part tried) { _ = out.Encode(part) } // who is gone has ended the context
	end := try(ctx, a.sweepOf(account, db), func(d SyncDifference) { send(tried{Difference: &d}) }, func(s Sync) {
		send(tried{Progress: &s})
		_ = http.NewResponseController(w).Flush()
	})
	if ctx.Err() == nil {
		send(tried{End: &end})
	}
}

// try runs a sweep that only tells.
func try(ctx context.Context, sweep *deliver.Sweep, tell func(SyncDifference), progress func(Sync)) Sync {
	state := &directory.Sweep{Account: sweep.Account, Kind: directory.Whole, Began: time.Now().UTC()}
	state.Due, state.SeenAt = state.Began, state.Began
	known, err := sweep.Store.CountRecords(ctx, sweep.Account)
	state.Known = known
	if err == nil {
		sweep.Tell = func(f deliver.Finding) { tell(differenceOf(sweep.Account, f, sweep.Mapping.OnDelete(sweep.Account))) }
		rest := sweep.Rest
		sweep.Rest = func(took time.Duration) time.Duration { // between calls
			progress(syncOf(*state))
			return rest(took)
		}
		_, err = sweep.Run(ctx, state)
	}
	state.Ended = time.Now().UTC()
	state.Worked = state.Ended.Sub(state.Began)
	if err != nil {
		state.Problem = err.Error()
	}
	return syncOf(*state)
}

// whenGone is what comes of a deletion, by the account's rule.
var whenGone = map[mapping.OnDelete]string{
	mapping.Unlink: "it would be unlinked", mapping.Recreate: "it would be made again",
	mapping.Erase: "it would be unlinked, and nobody erased, as a sync only misses it and the account has to tell of a deletion",
}

func differenceOf(account string, f deliver.Finding, rule mapping.OnDelete) SyncDifference {
	d := SyncDifference{Account: account, Record: f.RecordID, Contact: f.ContactID, Field: f.Field, Ours: f.Ours, Theirs: f.Theirs, Conflict: f.Conflict}
	switch {
	case f.Gone:
		d.Effect = "the record is gone: " + whenGone[rule]
	case f.New:
		d.Effect = "not linked yet: it would be linked to whom it names, or become a new contact"
	case f.Effect == directory.Taken:
		d.Effect = "theirs would be taken over"
	case f.Effect == directory.WrittenBack:
		d.Effect = "ours would be written there"
	case f.Effect == directory.LeftAlone:
		d.Effect = "left alone: it is not valid, or another CRM changes it back each time"
	default:
		d.Effect = "none: both are the same by now"
	}
	return d
}

// trySyncAside compares an account through a connection of its own.
func trySyncAside(ctx context.Context, c *config.Config, name string, tell func(SyncDifference), progress func(Sync)) (Sync, error) {
	compiled, err := LoadMapping(c)
	if err != nil {
		return Sync{}, err
	}
	a := aside(c, compiled)
	defer a.close(ctx)
	if a.store, err = OpenStore(ctx, c); err != nil {
		return Sync{}, err
	}
	paused, err := a.store.Pauses(ctx)
	if err != nil {
		return Sync{}, err
	}
	for _, p := range paused {
		if p.Account == name {
			return Sync{}, errPaused(name)
		}
	}
	settings := c.Accounts[slices.IndexFunc(c.Accounts, func(a config.Account) bool { return a.Name == name })]
	settings.Quota.Requests = max(settings.Quota.Requests/share, 1)
	connector, limiter := a.connector(settings, func() bool { return true })
	vendor := guard.New(connector, guard.Options{Limiter: limiter})
	findings, err := a.identify(ctx, settings, vendor)
	if i := slices.IndexFunc(findings, fatal); i >= 0 {
		return Sync{}, errors.New(name + ": " + findings[i].Problem)
	}
	if err != nil {
		return Sync{}, errors.New(name + ": " + connectors.AsError(err).Error())
	}
	return try(ctx, &deliver.Sweep{
		Account: name, Connector: vendor, Store: a.store, Mapping: compiled, Region: c.DefaultRegion,
		Wait: func(ctx context.Context) error { return vendor.Wait(ctx, false) },
		Rest: func(time.Duration) time.Duration { return 0 }, Log: a.log,
	}, tell, progress), ctx.Err()
}

// Cells are the columns of a difference.
func (d SyncDifference) Cells() []string {
	contact := ""
	if d.Contact != 0 {
		contact = strconv.FormatInt(d.Contact, 10)
	}
	conflict := ""
	if d.Conflict {
		conflict = "changed on both sides"
	}
	return []string{d.Account, d.Record, contact, d.Field, d.Ours, d.Theirs, d.Effect, conflict}
}
