package store_test

import (
	"context"
	"testing"
	"time"

	"crmsync/sync/directory"
	"crmsync/sync/store"
	"crmsync/sync/store/storetest"
)

// A replica that is stopped in the middle of a transaction holds locks. The
// others wait for them, but not until it wakes up.
func TestAStoppedReplicasTransactionDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	open := func() *store.DB {
		db, err := store.OpenPostgres(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	one, other := open(), open()
	save := func(tx directory.Tx) error {
		f := fact("same")
		return tx.SaveFacts([]directory.FactOutcome{{Fact: &f, Outcome: directory.Applied}})
	}
	written, awake := make(chan struct{}), make(chan struct{})
	lost := make(chan error, 1)
	go func() {
		lost <- one.Record(context.Background(), func(tx directory.Tx) error {
			err := save(tx)
			close(written)
			<-awake
			return err
		})
	}()
	<-written
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	err := other.Record(ctx, save)
	took := time.Since(began)
	close(awake)
	if err != nil || took > 4*time.Second {
		t.Errorf("the other one got through after %v (error %v), want two seconds", took, err)
	}
	if <-lost == nil {
		t.Error("the one that was stopped has committed as well")
	}
}
