// Package simcrm is what the simulated CRMs have in common: their control
// plane and clock, the people in them, a search index that lags, the order of
// changes, and how tasks are counted.
package simcrm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Stats are counters since the start.
type Stats struct {
	// Calls are all on the vendor's own paths, Writes those that were accepted
	// and stored or removed something.
	Calls     int64 `json:"calls"`
	Writes    int64 `json:"writes"`
	Throttled int64 `json:"throttled"`
	// Contacts, Messages and Tasks are those there now; the duplicates are
	// those beyond the first under one phone number, WhatsApp message id, or
	// key of a task, see [Tally].
	Contacts          int   `json:"contacts"`
	Messages          int   `json:"messages"`
	Tasks             int   `json:"tasks"`
	DuplicateContacts int   `json:"duplicate_contacts"`
	DuplicateMessages int   `json:"duplicate_messages"`
	DuplicateTasks    int   `json:"duplicate_tasks"`
	Faults            int64 `json:"faults"`
}

// Contact is a contact as the control plane shows it.
type Contact struct {
	ID        string            `json:"id"`
	Phone     string            `json:"phone"`
	Name      string            `json:"name"`
	Fields    map[string]string `json:"fields"`
	CreatedAt string            `json:"created_at"`
	UpdatedAt string            `json:"updated_at"`
}

// Message is a logged WhatsApp message as the control plane shows it.
type Message struct {
	ID          string `json:"id"`
	ContactID   string `json:"contact_id"`
	WAMID       string `json:"wamid"`
	Direction   string `json:"direction"`
	Text        string `json:"text"`
	Status      string `json:"status"`
	At          string `json:"at"`
	CommittedAt string `json:"committed_at"`
	// Files are those attached to the record that logs the message.
	Files []File `json:"files,omitempty"`
}

// Task is a task for a person as the control plane shows it.
type Task struct {
	ID string `json:"id"`
	// ContactID is empty once the contact is deleted.
	ContactID string `json:"contact_id"`
	Title     string `json:"title"`
	Text      string `json:"text"`
	// Owner and Priority are in the vendor's own words.
	Owner string `json:"owner"`
	// Due is a day where the vendor keeps no time of day.
	Due       string `json:"due"`
	Priority  string `json:"priority"`
	CreatedAt string `json:"created_at"`
}

// File is a file as the control plane shows it.
type File struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// NewFile describes a file by its content.
func NewFile(name string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{name, len(content), hex.EncodeToString(sum[:])}
}

// Edit is what a person does in the CRM's own pages. V is what values of
// fields are read as.
type Edit[V any] struct {
	// ID names the contact. Without it the contact with this phone is meant,
	// and if there is none, or New is set, one is created.
	ID     string       `json:"id"`
	Phone  string       `json:"phone"`
	New    bool         `json:"new"`
	Fields map[string]V `json:"fields"`
	// Count seeds that many people instead.
	Count int `json:"count"`
}

// Stamp is a time as the control plane shows it.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// JSON encodes an answer, characters of HTML as they are.
func JSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encode answer: %v", err)) // own types only
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
