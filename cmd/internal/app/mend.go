package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/whatsapp"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

// LetterDetails is a letter with what else is known of it.
type LetterDetails struct {
	Letter
	// Cause is the cause in a few words, Group what --group takes.
	Cause string `json:"cause"`
	Group string `json:"group"`
	// PartBytes is how large the part of a webhook is that could not be read;
	// 0 if it is not kept any more.
	PartBytes int `json:"part_bytes,omitempty"`
	// Actions is what people did about it.
	Actions []LetterAction `json:"actions,omitempty"`
}

// LetterAction is what somebody did about a letter.
type LetterAction = deadletter.Action

// LetterField is a field that an attempt would have written.
type LetterField = deadletter.Field

// ErrNoLetter says that there is no letter of an ID.
var ErrNoLetter = errors.New("there is no such dead letter; crmsync deadletters list --state all shows them")

// Details returns a letter and what else is known of it.
func (w *Worklist) Details(ctx context.Context, id string) (LetterDetails, error) {
	letters, err := w.Letters(ctx, LetterFilter{IDs: []string{id}, State: "all"})
	if err != nil {
		return LetterDetails{}, err
	}
	if len(letters) == 0 {
		return LetterDetails{}, ErrNoLetter
	}
	d := LetterDetails{Letter: letters[0], Cause: letters[0].Cause().String(), Group: letters[0].Cause().Group()}
	if d.Actions, err = w.db.Actions(ctx, id); err != nil {
		return d, err
	}
	if d.FactID != "" {
		raw, err := w.db.Raw(ctx, d.FactID)
		d.PartBytes = len(raw)
		return d, err
	}
	return d, nil
}

// Part returns the part of a webhook that a letter is about, as it was
// received.
func (w *Worklist) Part(ctx context.Context, id string) ([]byte, error) {
	d, err := w.Details(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case d.FactID == "":
		return nil, fmt.Errorf("%s is about a %s, not about a part of a webhook", id, d.Entity)
	case d.PartBytes == 0:
		return nil, fmt.Errorf("the part of %s is not kept any more", id)
	}
	return w.db.Raw(ctx, d.FactID)
}

// CheckValue returns the form in which a value is kept in a contact's field.
// The error is for the person who gave it.
func CheckValue(field, value string) (string, error) { return directory.Editing(field, value) }

// Editable reports whether people may edit a contact's field.
func Editable(field string) bool { return slices.Contains(directory.Editable(), field) }

// EditContact mends fields of the contact that an open letter is about. The
// values have been checked.
func (w *Worklist) EditContact(ctx context.Context, id string, values map[string]string, by string) error {
	d, err := w.editable(ctx, id)
	if err != nil {
		return err
	}
	switch d.Entity.Kind {
	case directory.ContactEntity:
		return w.edited(id, w.db.EditContact(ctx, id, values, by))
	case directory.MessageEntity, directory.FileEntity:
		return fmt.Errorf("%s is about a %s, which is brought over as it was sent; mend what stands in its way and replay it, or discard it", id, d.Entity.Kind)
	case directory.TaskEntity:
		return fmt.Errorf("%s is about a task, which stays as its rule has made it; mend what stands in its way and replay it, or discard it", id)
	}
	return fmt.Errorf("%s is about a part of a webhook; save it with show %s --raw, mend the file and give it with edit --raw", id, id)
}

// largestPart is as large as a webhook may be.
const largestPart = 3 << 20

// EditPart puts a mended part of a webhook in the place of the one that could
// not be read. It has to be readable.
func (w *Worklist) EditPart(ctx context.Context, id string, raw []byte, by string) error {
	d, err := w.editable(ctx, id)
	if err != nil {
		return err
	}
	if d.FactID == "" {
		return fmt.Errorf("%s is about a %s and has no part of a webhook; a contact's fields are mended with --set", id, d.Entity.Kind)
	}
	if len(raw) > largestPart {
		return fmt.Errorf("the part has %d bytes; a webhook has at most 3 MB", len(raw))
	}
	if err := readable(w.config, d.Account, raw); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return w.edited(id, w.db.EditFact(ctx, id, raw, by))
}

// editable returns a letter that may be edited.
func (w *Worklist) editable(ctx context.Context, id string) (LetterDetails, error) {
	if w.db == nil {
		return LetterDetails{}, errNoWorklist
	}
	d, err := w.Details(ctx, id)
	switch {
	case err != nil:
		return d, err
	case d.State == deadletter.Replaying:
		return d, fmt.Errorf("%s is being tried again; wait for the outcome", id)
	case d.State.Settled():
		return d, fmt.Errorf("%s is settled: it was %s", id, d.State)
	}
	return d, nil
}

func (w *Worklist) edited(id string, err error) error {
	if errors.Is(err, store.ErrNotOpen) {
		return fmt.Errorf("%s is not open any more; crmsync deadletters show %s says what became of it", id, id)
	}
	return err
}

// readable reports why a part of a webhook cannot be read, nil if it can.
func readable(c *config.Config, account string, raw []byte) error {
	if fact, ok := record.Refused(raw); ok && fact.Kind != connectors.KindMalformed {
		return nil
	}
	a := &App{config: c, log: slog.New(slog.DiscardHandler)}
	for _, settings := range c.Accounts {
		if settings.Name != account {
			continue
		}
		var receiver connectors.Receiver
		if settings.Kind == config.WhatsApp {
			receiver = whatsapp.NewReceiver(settings.AppSecrets(), settings.VerifyToken.Reveal())
		} else {
			receiver = a.receiver(settings, c.WebhookAddress(account))
		}
		if receiver == nil {
			break
		}
		parts := receiver.Split(raw)
		for _, f := range parts {
			if f.Kind == connectors.KindMalformed {
				return fmt.Errorf("it still cannot be read: %s", f.Reason)
			}
		}
		if len(parts) == 0 {
			return errors.New("there is nothing in it; discard the letter instead")
		}
		return nil
	}
	return fmt.Errorf("account %s is gone, or has no webhooks any more", account)
}
