package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/sync/directory"
	"crmsync/sync/record"
	"crmsync/sync/store"
)

// People is who is who in the database that a configuration names; a worker need
// not be running.
type People struct {
	db     *store.DB
	config *config.Config
}

// OpenPeople opens the directory that a configuration names. It is empty before
// the first worker has created the database.
func OpenPeople(ctx context.Context, c *config.Config) (*People, error) {
	if !hasStore(c) {
		return &People{config: c}, nil
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &People{db, c}, nil
}

// Close releases the database.
func (p *People) Close() error {
	if p.db == nil {
		return nil
	}
	return p.db.Close()
}

// Double is a contact with more than one record in an account.
type Double = store.Double

// Duplicates returns contacts with several records in an account, empty for all
// accounts.
func (p *People) Duplicates(ctx context.Context, account string) ([]Double, error) {
	if crms := CRMs(p.config); account != "" && !slices.Contains(crms, account) {
		return nil, NoSuchAccount(fmt.Sprintf("there is no account %q to look for duplicates in; there are %s", account, strings.Join(crms, ", ")))
	}
	if p.db == nil {
		return []Double{}, nil
	}
	return p.db.Doubles(ctx, account)
}

// Join says that two contacts have become one.
type Join struct {
	ID       int64     `json:"id"`
	Survivor int64     `json:"contact_id"`
	Joined   int64     `json:"joined_contact_id"`
	At       time.Time `json:"at"`
	Why      string    `json:"why"`
	// Account is where the news came from.
	Account string `json:"account"`
	// Messages, Records and Fields are how many were moved; of the records those
	// that the joined contact had.
	Messages int `json:"messages"`
	Records  int `json:"records"`
	Fields   int `json:"fields"`
	// SplitAt is when it was undone, nil if it was not.
	SplitAt *time.Time `json:"split_at,omitempty"`
	SplitBy string     `json:"split_by,omitempty"`
}

func joinOf(j *directory.Join) Join {
	out := Join{
		ID: j.ID, Survivor: j.Survivor, Joined: j.Joined, At: j.At.UTC(), Why: j.Why, Account: j.Account,
		Messages: len(j.Moved.Messages), Fields: len(j.Moved.Fields), SplitBy: j.SplitBy,
	}
	for _, l := range j.Moved.Links {
		if l.Record != "" {
			out.Records++
		}
	}
	if !j.SplitAt.IsZero() {
		at := j.SplitAt.UTC()
		out.SplitAt = &at
	}
	return out
}

// Joins returns joins, the newest first and at most so many, 0 for all; those
// that were split only with all.
func (p *People) Joins(ctx context.Context, all bool, limit int) ([]Join, error) {
	if p.db == nil {
		return []Join{}, nil
	}
	found, err := p.db.JoinList(ctx, !all, limit)
	list := make([]Join, len(found))
	for i := range found {
		list[i] = joinOf(&found[i])
	}
	return list, err
}

// errRehearsed ends a transaction of which nothing is to be stored.
var errRehearsed = errors.New("only tried")

// Split undoes a join. A running worker notices within a second. With a dry run
// nothing changes.
func (p *People) Split(ctx context.Context, id int64, by string, dryRun bool) (Join, error) {
	if p.db == nil {
		return Join{}, fmt.Errorf("%w: %d", record.ErrNoJoin, id)
	}
	var split *directory.Join
	err := p.db.Record(ctx, func(tx directory.Tx) (err error) {
		if split, err = record.Split(tx, id, by, time.Now().UTC()); err == nil && dryRun {
			err = errRehearsed
		}
		return err
	})
	if err != nil && !errors.Is(err, errRehearsed) {
		return Join{}, err
	}
	out := joinOf(split)
	if dryRun {
		out.SplitAt, out.SplitBy = nil, ""
	}
	return out, nil
}
