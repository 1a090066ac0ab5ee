package main

import (
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // registers the driver named sqlite

	"crmsync/cmd/internal/sandbox"
)

var databaseRows = []row{
	{id: "D1-restart", fault: "PostgreSQL is restarted", push: 3, larger: 20, run: func(f *fault) {
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			r.database.Stop()
			r.database.Start()
		})
	}},
	{id: "D1-kill", fault: "PostgreSQL is killed and started again", push: 3, larger: 20, run: func(f *fault) {
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			r.database.Kill()
			r.database.Start()
		})
	}},
	{id: "D1-gone", fault: "PostgreSQL is gone for 10 s, larger 60 s", push: 1, larger: 3, run: func(f *fault) {
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			r.database.Kill()
			if time.Sleep(10 * time.Second); f.larger {
				time.Sleep(50 * time.Second)
			}
			r.database.Start()
		})
	}},
	{id: "D2", fault: "a transaction is committed and the answer is lost", push: 5, larger: 50, run: func(f *fault) {
		traps := [][]string{{`INSERT INTO "facts"`, "commit"}, {settles, "commit"}}
		n := 0
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			if n++; !r.toData.set(nil, "COMMIT", traps[n%2]...).springs(10 * time.Second) {
				f.Fatal("no such transaction was committed")
			}
		})
	}},
	{id: "D2-cut", fault: "the connection is cut in the middle of a transaction", push: 5, larger: 50, run: func(f *fault) {
		traps := [][]string{{`INSERT INTO "facts"`}, {settles}}
		n := 0
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			if n++; !r.toData.set(nil, "", traps[n%2]...).springs(10 * time.Second) {
				f.Fatal("there was no such transaction")
			}
		})
	}},
	{id: "D3", fault: "somebody holds a lock on all links for 6 s, larger 20 s; all connections are terminated", push: 1, larger: 10, run: func(f *fault) {
		hold := "6"
		if f.larger {
			hold = "20"
		}
		f.database(func(r *rig, _ sandbox.Info, _ *ledger) {
			if err := r.database.Execute("BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(" + hold + "); COMMIT"); err != nil {
				f.Error(err)
			}
			if err := r.database.Execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"); err != nil {
				f.Error(err)
			}
		})
	}},
	{id: "D4", fault: "PostgreSQL is read-only for 6 s; /readyz says so", push: 1, larger: 3, run: func(f *fault) {
		f.database(func(r *rig, info sandbox.Info, _ *ledger) {
			set := func(to string) {
				for _, s := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + to, "SELECT pg_reload_conf()"} {
					if err := r.database.Execute("SET default_transaction_read_only = off; " + s); err != nil {
						if err = r.database.Execute(s); err != nil {
							f.Error(err)
						}
					}
				}
			}
			set("on")
			eventually(f.T, 3*time.Second, "PostgreSQL is read-only", func() bool { return r.database.Execute("CREATE TABLE IF NOT EXISTS probe ()") != nil })
			eventually(f.T, 3*time.Second, "/readyz says so", func() bool { return readyzSays(f.T, info, "read-only") })
			time.Sleep(6 * time.Second)
			set("off")
			eventually(f.T, 3*time.Second, "/readyz says that it is over", func() bool { return readyzSays(f.T, info, `"database":"ok"`) })
		})
	}},
	{id: "D4-full", fault: "the database's disk is full", not: "the disk of a database alone cannot be filled here; X1 fills the whole data directory, SQLite included"},
	{id: "D5", fault: "four replicas start at once on an empty database", push: 3, larger: 20, run: fourMigrate},
	{id: "D6", fault: "another process holds SQLite's write lock for 6 s", push: 1, larger: 10, run: fileLocked},
	{id: "D7", fault: "a backup of ten minutes ago is restored", not: "not built: the contact sync mends contacts; what WhatsApp has reported since then it does not report again"},
}

// database breaks the database again and again. Webhooks are taken all the
// while, since facts wait in the broker.
func (f *fault) database(breaks func(r *rig, info sandbox.Info, l *ledger)) {
	r := newRig(f)
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info, r.env...)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(f.between(time.Second, 2*time.Second))
		breaks(r, info, l)
		f.inject(1)
		recoveries = append(recoveries, recovery{at: time.Now()})
		time.Sleep(2 * time.Second)
	}
	f.settle(l, r.env, outcome{}, recoveries...)
	if n := l.answered(500, 502, 503, 504); n > 0 {
		f.Errorf("%d webhooks were refused; facts can wait in the broker", n)
	}
}

// readyzSays reports whether /readyz has a text, and 503 unless that is "ok".
func readyzSays(t *testing.T, info sandbox.Info, text string) bool {
	t.Helper()
	response, err := http.Get(info.Worker.URL + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return strings.Contains(string(body), text) && (response.StatusCode == http.StatusOK) == strings.Contains(text, `"ok"`)
}

// fileLocked takes the embedded database's lock, as a backup tool might.
func fileLocked(f *fault) {
	info := simulate(f.T, slowly...)
	worker := serve(f.T, info)
	worker.deliversTo(info, info.Worker.URL, 20*time.Second)
	db, err := sql.Open("sqlite", filepath.Join(filepath.Dir(info.Config), "data", "crmsync.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	defer conn.Close()
	l := f.traffic(info, 20)
	var recoveries []recovery
	for range f.rounds {
		time.Sleep(f.between(time.Second, 2*time.Second))
		for n, statement := range []string{"BEGIN IMMEDIATE", "COMMIT"} {
			if _, err := conn.ExecContext(f.Context(), statement); err != nil {
				f.Fatal(err)
			}
			if n == 0 {
				f.inject(1)
				time.Sleep(6 * time.Second)
			}
		}
		recoveries = append(recoveries, recovery{at: time.Now()})
		time.Sleep(2 * time.Second)
	}
	f.settle(l, nil, outcome{}, recoveries...)
	if n := l.answered(500, 502, 503, 504); n > 0 {
		f.Errorf("%d webhooks were refused; facts can wait in the broker", n)
	}
}

func fourMigrate(f *fault) {
	r := newRig(f)
	info := simulate(f.T)
	var l *ledger
	for n := range f.rounds {
		if n > 0 {
			for _, s := range []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public"} {
				if err := r.database.Execute(s); err != nil {
					f.Fatal(err)
				}
			}
		}
		workers := make([]*process, 4)
		urls := make([]string, 4)
		for i := range workers {
			env := r.env
			urls[i] = info.Worker.URL
			if i > 0 {
				address := freeAddress(f.T)
				urls[i] = "http://" + address
				env = append(append([]string{}, env...), "CRMSYNC_LISTEN="+address, "CRMSYNC_DATA_DIR="+f.TempDir())
			}
			workers[i] = start(f.T, env, "serve", "--config", info.Config)
		}
		f.inject(1)
		for i, w := range workers {
			eventually(f.T, 30*time.Second, "all four are ready", func() bool {
				var report any
				return ask200(urls[i]+"/readyz", &report)
			})
			if w.says(`"level":"ERROR"`) {
				f.Errorf("replica %d complains:\n%s", i, w.errors)
			}
		}
		if n == f.rounds-1 {
			l = f.traffic(info, 20)
			time.Sleep(2 * time.Second)
			f.settle(l, r.env, outcome{})
		}
		for _, w := range workers {
			w.kill()
		}
	}
}
