// Package store keeps the directory and the worklist in PostgreSQL, or in
// SQLite embedded. It is the only user of gorm.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // registers the driver named sqlite, without cgo
)

//go:embed migrations
var migrations embed.FS

// DB is the database. Its methods are safe for concurrent use.
type DB struct {
	// SettleWithin is how long a person has to settle the dead letter of a
	// fact that could not be read.
	//
	// Defaults to 24 hours.
	SettleWithin time.Duration

	gorm     *gorm.DB
	postgres bool
	now      func() time.Time
}

// OpenSQLite opens the database file crmsync.db in dir, creating it if need
// be, and brings its schema up to date.
func OpenSQLite(ctx context.Context, dir string) (*DB, error) {
	// Every commit is on disk when it returns; writers queue up instead of
	// failing; transactions take the write lock at once, so that two of them
	// cannot deadlock on upgrading.
	dsn := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.Join(dir, "crmsync.db")) +
		"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)" +
		"&_pragma=synchronous(FULL)&_txlock=immediate&_time_format=sqlite"
	if err := createFile(filepath.Join(dir, "crmsync.db")); err != nil {
		return nil, fmt.Errorf("open the embedded database: %w", err)
	}
	db, err := open(sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: dsn}), false)
	if err != nil {
		return nil, fmt.Errorf("open the embedded database in %s: %w", dir, err)
	}
	pool, err := db.gorm.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	unlock, err := lockFile(filepath.Join(dir, "migrate.lock"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrate the database: %w", err), db.Close())
	}
	defer unlock()
	return db, db.migrate(ctx)
}

// creating is held while a database file is created.
var creating sync.Mutex

// createFile creates a file, unless it is there. It holds people's numbers: it is
// its owner's, and those that SQLite puts beside it take over the mode.
//
// A file that is there is not opened. POSIX forgets all locks that a process has
// on a file as soon as it closes it once, so SQLite in another process would take
// the database for its own and remove the log in which the newest commits are.
func createFile(name string) error {
	creating.Lock()
	defer creating.Unlock()
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// OpenPostgres opens the database at url (postgres://user:password@host/name)
// and brings its schema up to date. Errors do not contain the url.
func OpenPostgres(ctx context.Context, url string) (*DB, error) {
	settings, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", withoutURL(err, url))
	}
	pool := stdlib.OpenDB(*settings, stdlib.OptionAfterConnect(letGo))
	pool.SetMaxOpenConns(10)
	pool.SetMaxIdleConns(10)
	db, err := open(postgres.New(postgres.Config{Conn: pool}), true)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open PostgreSQL: %w", withoutURL(err, url)), pool.Close())
	}
	return db, db.migrate(ctx)
}

// letGo has the server end a transaction that nobody goes on with: a replica
// that was stopped in the middle of one would hold its locks for as long as it
// sleeps, and the others up.
func letGo(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET idle_in_transaction_session_timeout = '2s'")
	return err
}

// lockFile waits until no other process holds the file: several that start
// together migrate one after the other.
func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

func open(dialector gorm.Dialector, isPostgres bool) (*DB, error) {
	g, err := gorm.Open(dialector, &gorm.Config{
		// Values are not written to any log.
		Logger:                 logger.Discard,
		SkipDefaultTransaction: true,
		// Times are stored and compared in UTC.
		NowFunc: func() time.Time { return time.Now().UTC() },
	})
	if err != nil {
		return nil, err
	}
	return &DB{SettleWithin: 24 * time.Hour, gorm: g, postgres: isPostgres, now: func() time.Time { return utc(time.Now()) }}, nil
}

// withoutURL keeps a password out of the driver's error text.
func withoutURL(err error, url string) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the url cannot be read; write postgres://user:password@host:5432/name, with special characters of the password percent-encoded")
	}
	return errors.New(strings.ReplaceAll(err.Error(), url, "<secret>"))
}

// migrate applies the versioned migrations. Replicas that start together wait
// for each other. A schema newer than this program is an error.
func (db *DB) migrate(ctx context.Context) error {
	dialect, dir := goose.DialectSQLite3, "migrations/sqlite"
	var options []goose.ProviderOption
	if db.postgres {
		dialect, dir = goose.DialectPostgres, "migrations/postgres"
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return err
	}
	pool, err := db.gorm.DB()
	if err != nil {
		return err
	}
	options = append(options, goose.WithSlog(slog.New(slog.DiscardHandler)))
	provider, err := goose.NewProvider(dialect, pool, files, options...)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database has schema version %d, this program knows %d: it was written by a newer crmsync; run that one", current, target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Ping reports why nothing can be stored, nil if the database answers and
// takes changes.
func (db *DB) Ping(ctx context.Context) error {
	question, readOnly := "SELECT 'off'", ""
	if db.postgres {
		question = "SELECT current_setting('transaction_read_only')"
	}
	if err := db.gorm.WithContext(ctx).Raw(question).Scan(&readOnly).Error; err != nil {
		return err
	}
	if readOnly == "on" {
		return errors.New("the database is read-only")
	}
	return nil
}

// Close releases the database.
func (db *DB) Close() error {
	pool, err := db.gorm.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// tx runs f in one transaction.
func (db *DB) tx(ctx context.Context, f func(tx *gorm.DB) error) error {
	return db.gorm.WithContext(ctx).Transaction(f)
}

// utc is the form in which times are stored: UTC, to the millisecond.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// orNull stores a zero time as NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = utc(t)
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
