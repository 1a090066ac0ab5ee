package deliver_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/mapping"
	"crmsync/sync/deliver"
	"crmsync/sync/directory"
	"crmsync/sync/store"
	"crmsync/sync/store/storetest"
)

// The contacts of an account are compared with an edited mapping of 25 fields.
func BenchmarkRemap(b *testing.B) {
	for _, driver := range []string{"sqlite", "postgres"} {
		b.Run(driver, func(b *testing.B) { benchmarkRemap(b, driver) })
	}
}

func benchmarkRemap(b *testing.B, driver string) {
	const people = 100_000
	ctx := context.Background()
	open := func() (*store.DB, error) { return store.OpenSQLite(ctx, b.TempDir()) }
	seeded := func() {}
	if driver == "postgres" {
		url := storetest.Postgres(b)
		open = func() (*store.DB, error) { return store.OpenPostgres(ctx, url) }
		seeded = func() { // as autovacuum does after a while
			raw, err := sql.Open("pgx", url)
			if err != nil {
				b.Fatal(err)
			}
			defer raw.Close()
			if _, err := raw.ExecContext(ctx, "ANALYZE"); err != nil {
				b.Fatal(err)
			}
		}
	}
	db, err := open()
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	sample, err := os.ReadFile("../../config/mapping.yaml")
	if err != nil {
		b.Fatal(err)
	}
	before, err := mapping.Compile("mapping.yaml", sample)
	if err != nil {
		b.Fatal(err)
	}
	after, err := mapping.Compile("mapping.yaml", append(sample, "      UF_CRM_ONE_MORE: profile_name\n"...))
	if err != nil {
		b.Fatal(err)
	}
	const account = "bitrix24"
	at := time.Now()
	for first := 0; first < people; first += 5000 {
		var contacts []*directory.Contact
		for i := range 5000 {
			c := &directory.Contact{Version: 1}
			n := first + i
			c.Describe(&connectors.Person{WAID: fmt.Sprintf("3933%08d", n), ProfileName: fmt.Sprintf("Ada Lovelace %d", n)}, at, fmt.Sprint("fact", n), "whatsapp")
			contacts = append(contacts, c)
		}
		if err := db.Record(ctx, func(tx directory.Tx) error {
			if err := tx.SaveContacts(contacts); err != nil {
				return err
			}
			links := make([]directory.Link, len(contacts))
			for i, c := range contacts {
				fields, _ := before.Translate(account, c.View())
				shadow := map[string]string{"(key)": c.CRMKey()}
				for name, v := range fields {
					shadow[name] = directory.ShadowOf(v)
				}
				links[i] = directory.Link{
					Account: account, Entity: directory.Entity{Kind: directory.ContactEntity, ID: c.ID}, RecordID: fmt.Sprint(c.ID),
					Shadow: shadow, State: directory.Agreed, Wanted: 1, Agreed: 1,
				}
			}
			return tx.SaveRecords(links)
		}); err != nil {
			b.Fatal(err)
		}
	}
	seeded()
	run := func(m *mapping.Mapping) deliver.Remapped {
		found, err := (&deliver.Remap{Account: account, Store: db, Mapping: m}).Run(ctx)
		if err != nil {
			b.Fatal(err)
		}
		return found
	}
	for b.Loop() {
		began := time.Now()
		if found := run(before); found != (deliver.Remapped{Compared: people}) {
			b.Fatalf("with the same mapping: %+v", found)
		}
		same := time.Since(began)
		began = time.Now()
		if found := run(after); found.Owed != people {
			b.Fatalf("with the edited mapping: %+v", found)
		}
		owed := time.Since(began)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		b.ReportMetric(people/same.Seconds(), "unchanged/s")
		b.ReportMetric(people/owed.Seconds(), "owed/s")
		b.ReportMetric(float64(memory.HeapInuse>>20), "MiB")
	}
}
