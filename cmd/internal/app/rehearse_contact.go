package app

import (
	"context"
	"fmt"
	"slices"

	"crmsync/config"
	"crmsync/sync/directory"
)

// RehearseContact says what a mapping would do about a contact of the directory,
// whom [Book.Find] understands, and what of that the accounts have been told.
func RehearseContact(ctx context.Context, c *config.Config, file, who string) (*Rehearsed, error) {
	m, err := ReadMapping(file)
	if err != nil {
		return nil, err
	}
	b, err := openBook(ctx, c, m)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	p, err := b.profile(ctx, who)
	switch {
	case err != nil:
		return nil, err
	case p.Contact.Erased.Is():
		return nil, fmt.Errorf("contact:%d was erased; nothing is written of it", p.Contact.ID)
	}
	r := &Rehearsal{file: file, mapping: m, config: c}
	owed := map[string][]int64{}
	for _, l := range p.Owed {
		if l.Entity.Kind == directory.MessageEntity {
			owed[l.Account] = append(owed[l.Account], l.Entity.ID)
		}
	}
	messages, err := logged(ctx, b.db, m, owed)
	if err != nil {
		return nil, err
	}
	shown := contactRehearsed(m, p.Contact.View(), messages[p.Contact.ID])
	shown.ID = p.Contact.ID
	for i := range p.Links {
		l := &p.Links[i]
		view, err := b.view(ctx, l.Account, p.Contact)
		if err != nil {
			return nil, err
		}
		shown.Accounts[l.Account] = r.accountRehearsed(l, view)
	}
	for _, name := range CRMs(c) {
		if _, knows := shown.Accounts[name]; !knows {
			shown.Accounts[name] = RehearsedAccount{
				State: AccountNone, Reason: "it has not heard of the contact", Fields: map[string]RehearsedField{}, Refused: []RehearsedRefusal{},
			}
		}
	}
	out := &Rehearsed{
		MappingFile: file, MappingRevision: m.Revision(),
		Facts: []RehearsedFact{}, Contacts: []RehearsedContact{shown}, Notes: []string{},
	}
	for _, name := range CRMs(c) {
		if !slices.Contains(m.Accounts(), name) {
			out.Notes = append(out.Notes, fmt.Sprintf("the mapping has no fields for %s: crmsync would not start with it", name))
		}
	}
	return out, nil
}
