package connectors

import (
	"context"
	"time"
)

// A Reader reads what an account holds.
type Reader interface {
	// Describe lists the fields of the account's contacts, by name.
	Describe(ctx context.Context) ([]FieldInfo, error)

	// ReadContacts reads records by id and returns one result per id, in
	// order, as they are in the vendor's storage and not in a search index
	// that may lag.
	ReadContacts(ctx context.Context, ids, fields []string) []Reading

	// ListContacts returns one page of the account's contacts: all of them
	// or, with Since, those changed at or after it. Following Next to the end
	// yields every contact that was there all the while, none twice, whatever
	// changes meanwhile; of those that come and go some.
	ListContacts(ctx context.Context, q Query) (Page, error)

	// ListDeleted returns one page of the contacts that were deleted at or
	// after a time. Where a vendor does not tell, the failure is [NotOffered].
	ListDeleted(ctx context.Context, since time.Time, cursor string) (DeletedPage, error)

	// ListUsers lists those who can own contacts.
	ListUsers(ctx context.Context) ([]User, error)
}

// NotOffered is the code of the failure of what a vendor has no means for.
const NotOffered = "NOT_OFFERED"

// A Record is a contact as an account shows it.
type Record struct {
	// ID may differ from the one asked for when the vendor has merged
	// records since.
	ID string
	// Fields are the values of the fields asked for, by the vendor's names
	// and of the types of [ContactChange]; nil for what is empty.
	Fields map[string]any
	// CreatedAt and UpdatedAt are by the vendor's clock, in UTC.
	CreatedAt, UpdatedAt time.Time
}

// A Reading is what became of reading one record. Neither Record.ID nor Err
// means that the account has no such record, or none any more.
type Reading struct {
	Record Record
	Err    *Error
}

// A Query says what to list.
type Query struct {
	Fields []string
	// Since is zero for everything.
	Since time.Time
	// Cursor is the Next of the page before, empty for the first. It survives
	// a restart of the program, for at least an hour.
	Cursor string
}

// A Page is a part of a listing.
type Page struct {
	Records []Record
	// Next is empty on the last page.
	Next string
}

// A DeletedPage is a part of a listing of deletions.
type DeletedPage struct {
	Deletions []Deletion
	Next      string
}

// A Deletion says that a contact is gone.
type Deletion struct {
	ID string
	At time.Time
}

// A User is somebody who can own contacts. A field of type owner holds the ID;
// when it is written an e-mail address of an active user will do too.
type User struct {
	ID, Name, Email string
	Active          bool
}

// FieldInfo describes a field that an account has.
type FieldInfo struct {
	Field
	// ReadOnly fields cannot be written, Required ones not be empty.
	ReadOnly, Required bool
	// MaxLength is in characters, 0 if it is not known.
	MaxLength int
}

// A Subscription says where webhooks go.
type Subscription struct {
	// Address is the public address of the account's webhooks.
	Address string
	// Token comes back with every webhook, where the vendor does that.
	Token string
}
