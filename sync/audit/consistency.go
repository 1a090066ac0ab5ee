package audit

import (
	"time"

	"crmsync/sync/directory"
)

// A Consistency is what a comparison of one account with the directory has
// found.
type Consistency struct {
	Account string    `json:"account"`
	At      time.Time `json:"at"`
	// Contacts and Messages are how many were compared: a sample of what is in
	// agreement.
	Contacts int `json:"contacts"`
	Messages int `json:"messages"`
	// Missing are not in the account, Differing show something else.
	Missing   int `json:"missing"`
	Differing int `json:"differing"`
	// Fields says in how many records each field differs.
	Fields map[string]int `json:"fields,omitempty"`
	Drifts []Drift        `json:"drifts"`
	// Problem is why the account could not be compared to the end.
	Problem string `json:"problem,omitempty"`
}

// Agrees reports whether everything that was looked at is as it should be, and
// all that was to be looked at was.
func (c *Consistency) Agrees() bool { return c.Missing+c.Differing == 0 && c.Problem == "" }

// Add counts a drift.
func (c *Consistency) Add(d Drift) {
	c.Drifts = append(c.Drifts, d)
	if d.Missing {
		c.Missing++
		return
	}
	c.Differing++
	if c.Fields == nil {
		c.Fields = map[string]int{}
	}
	for _, f := range d.Fields {
		c.Fields[f]++
	}
}

// A Drift is a record that an account does not show as it was told.
type Drift struct {
	Entity directory.Entity `json:"entity"`
	// RecordID is the vendor's.
	RecordID string `json:"record_id"`
	// Missing says that the account has no such record, Fields which of its
	// fields differ; never what is in them.
	Missing bool     `json:"missing,omitempty"`
	Fields  []string `json:"fields,omitempty"`
}
