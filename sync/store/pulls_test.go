package store_test

import (
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
	"crmsync/sync/store"
)

// A batch may want a record to be read twice. PostgreSQL refuses to update a row
// twice in one statement, and the batch would come again for ever.
func TestARecordIsWantedTwiceInABatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB, _ func() (*store.DB, error)) {
		pull := directory.Pull{RecordKey: directory.RecordKey{Account: "hubspot", ID: "7"}, Change: connectors.RecordUpdated, At: time.Now().Add(-time.Second)}
		last := pull
		last.Change = connectors.RecordDeleted
		record(t, db, func(tx directory.Tx) error { return tx.WantPulls([]directory.Pull{pull, last}) })
		pulls, err := db.Pulls(ctx, "hubspot", 10)
		if err != nil || len(pulls) != 1 || pulls[0].Change != connectors.RecordDeleted {
			t.Errorf("to be read: %+v, error %v", pulls, err)
		}
	})
}
