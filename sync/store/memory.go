package store

import (
	"context"
	"fmt"

	"gorm.io/driver/sqlite"
)

// OpenMemory opens an empty database that is in no file and gone when it is
// closed.
func OpenMemory(ctx context.Context) (*DB, error) {
	const dsn = "file::memory:?_pragma=foreign_keys(1)&_txlock=immediate&_time_format=sqlite"
	db, err := open(sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: dsn}), false)
	if err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", err)
	}
	pool, err := db.gorm.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1) // each connection would have a database of its own
	return db, db.migrate(ctx)
}
