package directory

import "time"

// A Sweep is one run through all contacts of an account.
type Sweep struct {
	Account string
	// Due is when it was to begin; it tells sweeps of an account apart.
	Due, Began time.Time
	// Ended is zero while it is under way. Problem is why it ended early.
	Ended   time.Time
	Problem string
	// Cursor is the page that it has come to.
	Cursor string
	// Read counts the records that the account showed, Compared those of them
	// that were known, Changed those that showed something else than before,
	// Gone those that were not there any more, Emptied those that had lost
	// values. Repeated came twice.
	Read, Compared, Changed, Gone, Emptied, Repeated int64
	// Partial says that it was gone on with after a restart, and could not tell
	// what is gone.
	Partial bool
	// Calls is how many it has made.
	Calls int64
}
