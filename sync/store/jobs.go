package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"crmsync/connectors"
)

type runRow struct {
	Job     string    `gorm:"primaryKey"`
	Slot    time.Time `gorm:"primaryKey"`
	Holder  string
	BegunAt time.Time
	SeenAt  time.Time
	EndedAt *time.Time
	Problem string
}

func (runRow) TableName() string { return "job_runs" }

// LastRun returns when a job was last due and begun, and whether that run has
// ended; zero if there was none.
func (db *DB) LastRun(ctx context.Context, job string) (due time.Time, ended bool, err error) {
	var rows []runRow
	err = db.gorm.WithContext(ctx).Where("job = ?", job).Order("slot DESC").Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return due, false, err
	}
	return rows[0].Slot.UTC(), rows[0].EndedAt != nil, nil
}

// BeginRun reports whether the holder shall do a job for a time. It is false if
// the run has ended, or another holder was seen at it less than the given time
// ago.
func (db *DB) BeginRun(ctx context.Context, job string, due time.Time, holder string, seen time.Duration) (bool, error) {
	now := db.now()
	row := runRow{Job: job, Slot: utc(due), Holder: holder, BegunAt: now, SeenAt: now}
	r := db.gorm.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "job"}, {Name: "slot"}},
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("job_runs.ended_at IS NULL AND (job_runs.holder = excluded.holder OR job_runs.seen_at < ?)", utc(now.Add(-seen)))}},
		DoUpdates: clause.AssignmentColumns([]string{"holder", "begun_at", "seen_at"}),
	}).Create(&row)
	if r.Error != nil {
		return false, fmt.Errorf("begin job %s: %w", job, r.Error)
	}
	return r.RowsAffected == 1, nil
}

// SeenAtRun says that the holder is still at a job. It reports false if another
// one is by now.
func (db *DB) SeenAtRun(ctx context.Context, job string, due time.Time, holder string) (still bool, err error) {
	r := db.run(ctx, job, due, holder, map[string]any{"seen_at": db.now()})
	return r.RowsAffected == 1, r.Error
}

// runsKept is for how long the database knows of a run.
const runsKept = 90 * 24 * time.Hour

// EndRun says that a job is done, and what the problem was. Runs of three
// months before are forgotten.
func (db *DB) EndRun(ctx context.Context, job string, due time.Time, holder, problem string) error {
	err := db.run(ctx, job, due, holder, map[string]any{"ended_at": db.now(), "problem": connectors.Clean(problem)}).Error
	if err != nil {
		return err
	}
	return db.gorm.WithContext(ctx).Where("job = ? AND ended_at IS NOT NULL AND slot < ?", job, utc(due.Add(-runsKept))).Delete(&runRow{}).Error
}

func (db *DB) run(ctx context.Context, job string, due time.Time, holder string, changes map[string]any) *gorm.DB {
	return db.gorm.WithContext(ctx).Model(&runRow{}).
		Where("job = ? AND slot = ? AND holder = ?", job, utc(due), holder).Updates(changes)
}
