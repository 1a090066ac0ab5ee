-- +goose Up

-- Replayed letters are let in in the order in which they are due.
DROP INDEX dead_letters_queued;
CREATE INDEX dead_letters_queued ON dead_letters (account, due_at, id) WHERE queued > 0;

-- +goose Down
DROP INDEX dead_letters_queued;
CREATE INDEX dead_letters_queued ON dead_letters (account) WHERE queued > 0;
