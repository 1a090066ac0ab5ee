-- +goose Up

-- In which account a task is to be done.
ALTER TABLE tasks ADD COLUMN account TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE tasks DROP COLUMN account;
