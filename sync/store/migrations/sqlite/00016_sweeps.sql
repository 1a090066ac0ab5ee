-- +goose Up

-- A sweep that somebody asks for is a row before it has begun: seen_at is when
-- it last went on, null before.
ALTER TABLE sweeps ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE sweeps ADD COLUMN mass_change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN kind TEXT NOT NULL DEFAULT 'whole';
ALTER TABLE sweeps ADD COLUMN seen_at TIMESTAMP;
ALTER TABLE sweeps ADD COLUMN known BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN there BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN conflicts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN missed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN worked_ms BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE sweeps DROP COLUMN worked_ms;
ALTER TABLE sweeps DROP COLUMN missed;
ALTER TABLE sweeps DROP COLUMN skipped;
ALTER TABLE sweeps DROP COLUMN conflicts;
ALTER TABLE sweeps DROP COLUMN there;
ALTER TABLE sweeps DROP COLUMN known;
ALTER TABLE sweeps DROP COLUMN seen_at;
ALTER TABLE sweeps DROP COLUMN kind;
ALTER TABLE sweeps DROP COLUMN mass_change;
ALTER TABLE sweeps DROP COLUMN asked_by;
