-- +goose Up

-- What became of each attempt, such as "503, 503, no answer in time".
ALTER TABLE links ADD COLUMN history TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN history TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE dead_letters DROP COLUMN history;
ALTER TABLE links DROP COLUMN history;
