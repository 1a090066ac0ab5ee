package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/sync/deadletter"
	"crmsync/sync/directory"
)

type factRow struct {
	ID         string `gorm:"primaryKey"`
	Account    string
	Kind       string
	Type       string
	At         time.Time
	ReceivedAt time.Time
	RecordedAt time.Time
	Outcome    string
	Raw        []byte
	EntityKind *string
	EntityID   *int64
}

func (factRow) TableName() string { return "facts" }

type contactRow struct {
	ID        int64 `gorm:"primaryKey;autoIncrement"`
	Version   int64
	Fields    string
	CreatedAt time.Time
	UpdatedAt time.Time

	ErasedAt      *time.Time
	ErasedAccount string
	ErasedRecord  string
}

func (contactRow) TableName() string { return "contacts" }

func (r *contactRow) contact() (*directory.Contact, error) {
	c := &directory.Contact{ID: r.ID, Version: r.Version, CreatedAt: r.CreatedAt.UTC()}
	if r.ErasedAt != nil {
		c.Erased = directory.Erasure{Contact: r.ID, At: r.ErasedAt.UTC(), Account: r.ErasedAccount, Record: r.ErasedRecord}
	}
	if err := json.Unmarshal([]byte(r.Fields), &c.Fields); err != nil {
		return nil, fmt.Errorf("contact %d: fields: %w", r.ID, err)
	}
	return c, nil
}

type identityRow struct {
	Kind      string `gorm:"primaryKey"`
	Value     string `gorm:"primaryKey"`
	ContactID int64  `gorm:"primaryKey;autoIncrement:false"`
	RetiredAt *time.Time
}

func (identityRow) TableName() string { return "identities" }

type messageRow struct {
	ID             int64 `gorm:"primaryKey;autoIncrement"`
	Version        int64
	Account        string
	BusinessNumber string
	WAMID          string `gorm:"column:wamid"`
	ContactID      int64
	Direction      string
	Type           string
	Text           string
	TextAt         *time.Time
	TextRank       int
	At             *time.Time
	Status         string
	StatusAt       *time.Time
	ErrorCode      int
	GroupID        string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

func (messageRow) TableName() string { return "messages" }

func (r *messageRow) message() *directory.Message {
	return &directory.Message{
		ID: r.ID, Version: r.Version, Account: r.Account, BusinessNumber: r.BusinessNumber, WAMID: r.WAMID,
		ContactID: r.ContactID, Direction: connectors.Direction(r.Direction), Type: r.Type,
		Text: r.Text, TextAt: orZero(r.TextAt), TextRank: directory.TextRank(r.TextRank), At: orZero(r.At),
		Status: r.Status, StatusAt: orZero(r.StatusAt), ErrorCode: r.ErrorCode, GroupID: r.GroupID,
		Erased: veiled(r.WAMID),
	}
}

func rowOfMessage(m *directory.Message, now time.Time) messageRow {
	return messageRow{
		ID: m.ID, Version: m.Version, Account: m.Account, BusinessNumber: m.BusinessNumber, WAMID: m.WAMID,
		ContactID: m.ContactID, Direction: string(m.Direction), Type: m.Type,
		Text: m.Text, TextAt: orNull(m.TextAt), TextRank: int(m.TextRank), At: orNull(m.At),
		Status: m.Status, StatusAt: orNull(m.StatusAt), ErrorCode: m.ErrorCode, GroupID: m.GroupID,
		CreatedAt: now, UpdatedAt: now,
	}
}

type fileRow struct {
	MessageID int64 `gorm:"primaryKey;autoIncrement:false"`
	MediaID   string
	MIMEType  string `gorm:"column:mime_type"`
	SHA256    string `gorm:"column:sha256"`
	Filename  string
	CreatedAt time.Time
}

func (fileRow) TableName() string { return "files" }

func (r *fileRow) file() *directory.File {
	return &directory.File{MessageID: r.MessageID, Media: connectors.Media{
		ID: r.MediaID, MIMEType: r.MIMEType, SHA256: r.SHA256, Filename: r.Filename,
	}}
}

type linkRow struct {
	Account      string `gorm:"primaryKey"`
	Kind         string `gorm:"primaryKey"`
	EntityID     int64  `gorm:"primaryKey;autoIncrement:false"`
	RecordID     string
	Shadow       string
	State        string
	Wanted       int64
	Agreed       int64
	Since        *time.Time
	Latest       *time.Time
	InDoubtSince *time.Time
	Attempts     int
	History      string
	NextAttempt  *time.Time
	Class        string
	Reason       string
	Revision     string
	Sent         string
	WrittenAt    *time.Time
	SeenAt       *time.Time
	UpdatedAt    time.Time
	Erase        int
}

func (linkRow) TableName() string { return "links" }

func (r *linkRow) link() (directory.Link, error) {
	l := directory.Link{
		Account:  r.Account,
		Entity:   directory.Entity{Kind: directory.EntityKind(r.Kind), ID: r.EntityID},
		RecordID: r.RecordID, State: directory.State(r.State), Wanted: r.Wanted, Agreed: r.Agreed,
		Since: orZero(r.Since), InDoubtSince: orZero(r.InDoubtSince), WrittenAt: orZero(r.WrittenAt),
		Attempts: r.Attempts, NextAttempt: orZero(r.NextAttempt), Class: r.Class, Reason: r.Reason,
		Revision: r.Revision, SeenAt: orZero(r.SeenAt), Erase: r.Erase > 0,
	}
	l.History, l.AttemptedAt = historyOf(r.History)
	if r.Sent != "" {
		if err := json.Unmarshal([]byte(r.Sent), &l.Sent); err != nil {
			return l, fmt.Errorf("link of %s in %s: sent: %w", l.Entity, l.Account, err)
		}
	}
	if r.Shadow == "" {
		return l, nil
	}
	if err := json.Unmarshal([]byte(r.Shadow), &l.Shadow); err != nil {
		return l, fmt.Errorf("link of %s in %s: shadow: %w", l.Entity, l.Account, err)
	}
	return l, nil
}

func rowOfLink(l *directory.Link, now time.Time) (linkRow, error) {
	r := linkRow{
		Account: l.Account, Kind: string(l.Entity.Kind), EntityID: l.Entity.ID,
		RecordID: l.RecordID, State: string(l.State), Wanted: l.Wanted, Agreed: l.Agreed,
		Since: orNull(l.Since), InDoubtSince: orNull(l.InDoubtSince), WrittenAt: orNull(l.WrittenAt),
		Attempts: l.Attempts, History: historyText(l.History, l.AttemptedAt), NextAttempt: orNull(l.NextAttempt), Class: l.Class, Reason: l.Reason,
		Revision: l.Revision, SeenAt: orNull(l.SeenAt),
		UpdatedAt: now,
	}
	if len(l.Shadow) > 0 {
		shadow, err := json.Marshal(l.Shadow)
		if err != nil {
			return r, err
		}
		r.Shadow = string(shadow)
	}
	return r, nil
}

// historyDot stands between the attempts of a history; none has it in itself.
// historyAt stands before the time of one, in milliseconds.
const (
	historyDot = ", "
	historyAt  = " @"
)

func historyText(history []string, times []time.Time) string {
	entries := slices.Clone(history)
	if len(times) == len(history) {
		for i := range entries {
			entries[i] += historyAt + strconv.FormatInt(times[i].UnixMilli(), 10)
		}
	}
	return strings.Join(entries, historyDot)
}

// historyOf takes a history apart. The times are nil unless all are known.
func historyOf(text string) (history []string, times []time.Time) {
	if text == "" {
		return nil, nil
	}
	history = strings.Split(text, historyDot)
	for i, entry := range history {
		cut := strings.LastIndex(entry, historyAt)
		if cut < 0 {
			continue
		}
		if ms, err := strconv.ParseInt(entry[cut+len(historyAt):], 10, 64); err == nil {
			history[i], times = entry[:cut], append(times, time.UnixMilli(ms).UTC())
		}
	}
	if len(times) != len(history) {
		times = nil
	}
	return history, times
}

type leaseRow struct {
	Account   string `gorm:"primaryKey"`
	Holder    string
	Number    int64
	ExpiresAt time.Time
}

func (leaseRow) TableName() string { return "leases" }

type tokenRow struct {
	Account   string `gorm:"primaryKey"`
	Instead   string `gorm:"primaryKey"`
	Token     string
	UpdatedAt time.Time
}

func (tokenRow) TableName() string { return "refresh_tokens" }

type letterRow struct {
	ID        string `gorm:"primaryKey"`
	Account   string
	Kind      string
	EntityID  int64
	FactID    string
	Class     string
	Code      string
	Field     string
	Reason    string
	Attempts  int
	History   string
	Revision  string
	State     string
	CreatedAt time.Time
	UpdatedAt time.Time
	DueAt     time.Time
	SettledAt *time.Time
	SettledBy string
	Note      string
	Status    int
	Tried     string
	RecordID  string
	Replay    string
	Queued    int
}

func (letterRow) TableName() string { return "dead_letters" }

func (r *letterRow) letter() deadletter.Letter {
	l := deadletter.Letter{
		ID: r.ID, Account: r.Account, Entity: directory.Entity{Kind: directory.EntityKind(r.Kind), ID: r.EntityID},
		FactID: r.FactID, Class: connectors.Class(r.Class), Code: r.Code, Field: r.Field, Reason: r.Reason,
		Status: r.Status, RecordID: r.RecordID, Attempts: r.Attempts, Revision: r.Revision, State: deadletter.State(r.State),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), DueAt: r.DueAt.UTC(),
		SettledAt: orZero(r.SettledAt), SettledBy: r.SettledBy, Note: r.Note,
	}
	l.History, l.AttemptedAt = historyOf(r.History)
	_ = json.Unmarshal([]byte(r.Tried), &l.Fields) // empty where nothing is known
	return l
}

func rowOfLetter(l *deadletter.Letter) letterRow {
	r := letterRow{
		ID: l.ID, Account: l.Account, Kind: string(l.Entity.Kind), EntityID: l.Entity.ID,
		FactID: l.FactID, Class: string(l.Class), Code: l.Code, Field: l.Field, Reason: l.Reason,
		Status: l.Status, RecordID: l.RecordID, Attempts: l.Attempts, History: historyText(l.History, l.AttemptedAt), Revision: l.Revision, State: string(l.State),
		CreatedAt: utc(l.CreatedAt), UpdatedAt: utc(l.UpdatedAt), DueAt: utc(l.DueAt),
		SettledAt: orNull(l.SettledAt), SettledBy: l.SettledBy, Note: l.Note,
	}
	if len(l.Fields) > 0 {
		tried, _ := json.Marshal(l.Fields) // texts only
		r.Tried = string(tried)
	}
	return r
}

type actionRow struct {
	ID       int64 `gorm:"primaryKey;autoIncrement"`
	LetterID string
	At       time.Time
	Who      string
	Action   string
	Field    string
	Was      string
	Became   string
}

func (actionRow) TableName() string { return "letter_actions" }

type noticeRow struct {
	LetterID string `gorm:"primaryKey"`
	Receiver string `gorm:"primaryKey"`
	SentAt   time.Time
}

func (noticeRow) TableName() string { return "letter_notices" }
