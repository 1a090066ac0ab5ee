package directory

// A Merge is to make one record of a contact's two in an account: of the linked
// one, which is kept, and a duplicate.
type Merge struct {
	Account     string
	ContactID   int64
	Kept, Other string
	// Seen stands for what the other one showed; see [Shown].
	Seen string
}
