package deadletter

import "time"

// An Action is what somebody did about a letter. The record of actions is only
// ever added to, and holds no values.
type Action struct {
	LetterID string    `json:"letter"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	// Do is "edit", "replay" or "discard".
	Do string `json:"action"`
	// Field is what was edited, Was and Became are the shapes of its values.
	Field  string `json:"field,omitempty"`
	Was    string `json:"was,omitempty"`
	Became string `json:"became,omitempty"`
}

// What an [Action] may be.
const (
	Edited   = "edit"
	Replayed = "replay"
	Dropped  = "discard"
)

// RawField is the [Action.Field] of a part of a webhook that was put in place
// of one that could not be read.
const RawField = "raw"
