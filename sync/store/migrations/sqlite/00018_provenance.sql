-- +goose Up

-- When an account was last told something of a contact and under which mapping,
-- and when its record last showed something new.
ALTER TABLE links ADD COLUMN revision TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN written_at TIMESTAMP;
ALTER TABLE links ADD COLUMN seen_at TIMESTAMP;

-- +goose Down
ALTER TABLE links DROP COLUMN seen_at;
ALTER TABLE links DROP COLUMN written_at;
ALTER TABLE links DROP COLUMN revision;
