package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"crmsync/config"
	"crmsync/mapping"
	"crmsync/sync/store"
)

// Mappings are the revisions of the mapping that a worker had in force; it need
// not be running.
type Mappings struct {
	db     *store.DB
	config *config.Config
}

// OpenMappings opens the database that a configuration names.
func OpenMappings(ctx context.Context, c *config.Config) (*Mappings, error) {
	if !hasStore(c) {
		return nil, errors.New("there is no database yet, and so no history of the mapping; crmsync serve creates it")
	}
	db, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Mappings{db, c}, nil
}

// Close releases the database.
func (m *Mappings) Close() error { return m.db.Close() }

// A MappingEvent is what became of a revision of the mapping.
type MappingEvent struct {
	Revision string `json:"revision"`
	// Event is in_force, replaced or rolled_back: put in force by a replica,
	// or replaced or brought back by a person.
	Event string    `json:"event"`
	At    time.Time `json:"at"`
	// By is the replica's machine, or the person.
	By   string `json:"by"`
	File string `json:"file"`
	// InForce says that it has been in force ever since; while no worker runs,
	// that it was until then.
	InForce bool `json:"in_force"`
	// Accounts and Fields are how many accounts it maps, and how many of their
	// fields; -1 if this program does not understand it.
	Accounts int `json:"accounts"`
	Fields   int `json:"fields"`
}

// MappingHistory is what became of the mapping, and what is in the file now.
type MappingHistory struct {
	File string `json:"file"`
	// FileRevision is empty if the file cannot be read.
	FileRevision string `json:"file_revision,omitempty"`
	// Working says that a worker is running.
	Working bool           `json:"working"`
	Events  []MappingEvent `json:"events"`
}

// History returns what became of the mapping, the newest first.
func (m *Mappings) History(ctx context.Context) (*MappingHistory, error) {
	events, err := m.db.MappingHistory(ctx)
	if err != nil {
		return nil, err
	}
	reports, err := m.db.Reports(ctx)
	if err != nil {
		return nil, err
	}
	h := &MappingHistory{File: m.config.Mapping, Events: []MappingEvent{}}
	alive := map[string]bool{}
	for _, r := range reports {
		if r.State != Stopped && time.Since(r.ReportedAt) < silence {
			alive[r.Holder], h.Working = true, true
		}
	}
	if text, err := os.ReadFile(m.config.Mapping); err == nil {
		h.FileRevision = mapping.RevisionOf(text)
	}
	sizes := map[string][2]int{}
	seen := map[string]bool{}
	for _, e := range events {
		size, known := sizes[e.Revision]
		if !known {
			if size, err = m.size(ctx, e.Revision); err != nil {
				return nil, err
			}
			sizes[e.Revision] = size
		}
		shown := MappingEvent{Revision: e.Revision, Event: e.Event, At: e.At, By: e.Who, File: e.File, Accounts: size[0], Fields: size[1]}
		if e.Event == store.MappingInForce && !seen[e.Holder] {
			shown.InForce = alive[e.Holder] || len(seen) == 0 && !h.Working
			seen[e.Holder] = true
		}
		h.Events = append(h.Events, shown)
	}
	return h, nil
}

// size is how many accounts and fields a revision maps.
func (m *Mappings) size(ctx context.Context, revision string) ([2]int, error) {
	text, err := m.db.MappingText(ctx, revision)
	if err != nil {
		return [2]int{}, err
	}
	compiled, err := mapping.Compile(m.config.Mapping, text)
	if err != nil {
		return [2]int{-1, -1}, nil //nolint:nilerr // it was written for another version, or replaced because of that
	}
	fields := 0
	for _, account := range compiled.Accounts() {
		fields += len(compiled.Lines(account))
	}
	return [2]int{len(compiled.Accounts()), fields}, nil
}

// Text returns a revision, by its name or the beginning of it, and its text.
func (m *Mappings) Text(ctx context.Context, name string) (revision string, text []byte, err error) {
	events, err := m.db.MappingHistory(ctx)
	if err != nil {
		return "", nil, err
	}
	var found []string
	for _, e := range events {
		if strings.HasPrefix(e.Revision, name) && name != "" && !slices.Contains(found, e.Revision) {
			found = append(found, e.Revision)
		}
	}
	switch len(found) {
	case 0:
		return "", nil, fmt.Errorf("there is no revision %q in the history; crmsync mapping history lists them", name)
	case 1:
		text, err = m.db.MappingText(ctx, found[0])
		return found[0], text, err
	}
	return "", nil, fmt.Errorf("several revisions begin with %q: %s; write more of the one that you mean", name, strings.Join(found, ", "))
}

// A Rollback is a revision of the mapping that takes the place of what is in the
// file.
type Rollback struct {
	File string `json:"file"`
	// Was is the revision that the file held, empty if there was no file.
	Was string `json:"was"`
	// Revision is the one that it holds now, or would.
	Revision string `json:"revision"`
	// Done is false of one that is only tried, and if the file holds the
	// revision already.
	Done bool `json:"done"`
	// Working says that a worker is running, which takes it over.
	Working bool `json:"working"`

	Before, After []byte `json:"-"`
}

// PlanRollback finds the revision that is meant by a name, or the beginning of
// one: if it is empty, the last that was in force and that is not in the file. It
// is compiled for the configuration as it is.
func (m *Mappings) PlanRollback(ctx context.Context, name string) (*Rollback, error) {
	h, err := m.History(ctx)
	if err != nil {
		return nil, err
	}
	r := &Rollback{File: m.config.Mapping, Was: h.FileRevision, Working: h.Working}
	if r.Before, err = os.ReadFile(r.File); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	if name == "" {
		i := slices.IndexFunc(h.Events, func(e MappingEvent) bool { return e.Event == store.MappingInForce && e.Revision != r.Was })
		if i < 0 {
			return nil, errors.New("no other revision of the mapping was ever in force; there is nothing to go back to")
		}
		name = h.Events[i].Revision
	}
	if r.Revision, r.After, err = m.Text(ctx, name); err != nil {
		return nil, err
	}
	if _, err := compileMapping(m.config, "revision "+r.Revision, r.After); err != nil {
		return nil, fmt.Errorf("revision %s does not fit this configuration and program, and nothing was changed:\n%w", r.Revision, err)
	}
	return r, nil
}

// Rollback writes a revision into the mapping's file. What the file held is kept.
func (m *Mappings) Rollback(ctx context.Context, r *Rollback, by string) error {
	if bytes.Equal(r.Before, r.After) {
		return nil
	}
	events := []store.MappingEvent{
		{Event: store.MappingReplaced, Revision: r.Was, File: r.File, Who: by},
		{Event: store.MappingRolledBack, Revision: r.Revision, File: r.File, Who: by},
	}
	if r.Was != "" {
		if err := m.db.KeepMapping(ctx, events[0], r.Before); err != nil {
			return err
		}
	}
	if err := putInPlace(r.File, r.After); err != nil {
		return fmt.Errorf("write the mapping: %w", err)
	}
	r.Done = true
	return m.db.KeepMapping(ctx, events[1], r.After)
}

// putInPlace writes a file that people edit, whole or not at all, and leaves its
// mode as it is. A link stays one.
func putInPlace(name string, text []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	mode := os.FileMode(0o644)
	if was, err := os.Stat(name); err == nil {
		mode = was.Mode().Perm()
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
