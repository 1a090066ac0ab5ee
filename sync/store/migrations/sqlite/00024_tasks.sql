-- +goose Up

-- What people are to do because a rule says so. key is that of the fact, the rule
-- and the place in it, account the one in which the task is to be done.
CREATE TABLE tasks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL UNIQUE,
    contact_id BIGINT NOT NULL,
    rule       TEXT NOT NULL,
    account    TEXT NOT NULL,
    title      TEXT NOT NULL,
    text       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    due        TIMESTAMP,
    priority   TEXT NOT NULL,
    at         TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX tasks_contact ON tasks (contact_id);

-- +goose Down
DROP TABLE tasks;
