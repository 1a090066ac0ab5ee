package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crmsync/config"
	"crmsync/connectors/phone"
	"crmsync/mapping"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// Book is the contacts of a worker, which need not be running. What it returns
// is the people's own data, for whoever asks for it.
type Book struct {
	db      *store.DB
	config  *config.Config
	mapping *mapping.Mapping
}

// OpenBook opens the database that a configuration names.
func OpenBook(ctx context.Context, c *config.Config) (*Book, error) {
	if !hasStore(c) {
		return nil, errNoStore
	}
	m, err := LoadMapping(c)
	if err != nil {
		return nil, err
	}
	return openBook(ctx, c, m)
}

var errNoStore = errors.New("there is no database yet, and so no contact; crmsync serve creates it")

// openBook is OpenBook with a mapping at hand.
func openBook(ctx context.Context, c *config.Config, m *mapping.Mapping) (*Book, error) {
	if !hasStore(c) {
		return nil, errNoStore
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Book{db, c, m}, nil
}

// Close releases the database.
func (b *Book) Close() error { return b.db.Close() }

var (
	contactID = regexp.MustCompile(`^contact[: ]\s*([0-9]{1,18})$`)
	written   = regexp.MustCompile(`^\+?[0-9 ()./\-\x{00a0}\x{2010}-\x{2015}]+$`)
)

// Find returns the contact that is meant by a text: contact:42, ACCOUNT:RECORD_ID,
// an e-mail address, a phone number, or a WhatsApp or user id. The error, of
// nobody or of several, does not repeat it.
func (b *Book) Find(ctx context.Context, who string) (int64, error) {
	who = strings.TrimSpace(who)
	if m := contactID.FindStringSubmatch(who); m != nil {
		return strconv.ParseInt(m[1], 10, 64)
	}
	if account, record, ok := strings.Cut(who, ":"); ok {
		if !slices.ContainsFunc(b.config.Accounts, func(a config.Account) bool { return a.Name == account }) {
			return 0, fmt.Errorf("there is no account of that name; before the colon stands contact, or one of %s", strings.Join(CRMs(b.config), ", "))
		}
		holders, err := b.db.Holders(ctx, account, []string{record})
		if err == nil && len(holders[record]) == 0 {
			holders[record], err = b.db.ErasedHolder(ctx, account, record)
		}
		return one(holders[record], err, "nobody's record in "+account+" has that id")
	}
	if strings.Contains(who, "@") {
		ids, err := b.db.ContactsWith(ctx, "email", strings.ToLower(who))
		return one(ids, err, "nobody has that e-mail address")
	}
	if written.MatchString(who) {
		return b.byNumber(ctx, who)
	}
	ids, err := b.holders(ctx, []directory.IdentityKey{{Kind: directory.UserIdentity, Value: who}})
	return one(ids, err, "nobody goes by that; write a phone number such as +39 333 123 4567, an e-mail address, a WhatsApp or user id, contact:42 or ACCOUNT:RECORD_ID")
}

// byNumber finds who has a number now, else who had it last: as it is written
// with its country, and as one of the default region.
func (b *Book) byNumber(ctx context.Context, text string) (int64, error) {
	var keys []directory.IdentityKey
	add := func(number string) {
		for _, digits := range phone.Variants(number) {
			keys = append(keys, directory.IdentityKey{Kind: directory.PhoneIdentity, Value: digits})
		}
	}
	digits := strings.TrimPrefix(phone.Digits(text), "00")
	add(digits)
	add(phone.Of(digits))
	if !strings.HasPrefix(text, "+") && b.config.DefaultRegion != "" {
		add(phone.Normalize(text, b.config.DefaultRegion))
	}
	ids, err := b.holders(ctx, keys)
	hint := "nobody has that number"
	if !strings.HasPrefix(text, "+") && b.config.DefaultRegion == "" {
		hint += "; write it with its country, such as +39 333 123 4567"
	}
	return one(ids, err, hint)
}

// holders are those who go by one of the names, or if nobody does any more,
// those who did last.
func (b *Book) holders(ctx context.Context, keys []directory.IdentityKey) (ids []int64, err error) {
	found, err := b.db.Holding(ctx, keys)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y directory.Identity) int { return y.RetiredAt.Compare(x.RetiredAt) })
	for _, i := range found {
		if i.RetiredAt.IsZero() {
			ids = append(ids, i.ContactID)
		}
	}
	if len(ids) == 0 && len(found) > 0 {
		ids = append(ids, found[0].ContactID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// one is the only contact of a list; none says that there is nobody.
func one(ids []int64, err error, none string) (int64, error) {
	switch {
	case err != nil:
		return 0, err
	case len(ids) == 0:
		return 0, errors.New(none)
	case len(ids) == 1:
		return ids[0], nil
	}
	names := make([]string, min(len(ids), 10))
	for i := range names {
		names[i] = fmt.Sprintf("contact:%d", ids[i])
	}
	more := ""
	if len(ids) > len(names) {
		more = fmt.Sprintf(" and %d more", len(ids)-len(names))
	}
	return 0, fmt.Errorf("%d contacts go by that: %s%s; name one of them", len(ids), strings.Join(names, ", "), more)
}

// profile reads what is known of a contact.
func (b *Book) profile(ctx context.Context, who string) (*store.Profile, error) {
	id, err := b.Find(ctx, who)
	if err != nil {
		return nil, err
	}
	p, err := b.db.Profile(ctx, id)
	if err == nil && p == nil {
		err = fmt.Errorf("there is no contact:%d", id)
	}
	return p, err
}
