-- +goose Up

-- The texts of mappings that were in force, or that a rollback has replaced.
CREATE TABLE mapping_revisions (
    revision TEXT PRIMARY KEY,
    text     BLOB NOT NULL,
    kept_at  TIMESTAMP NOT NULL
);

-- What has become of them: put in force by a replica (holder), replaced or brought
-- back by a person's rollback.
CREATE TABLE mapping_history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TIMESTAMP NOT NULL,
    event    TEXT NOT NULL,
    revision TEXT NOT NULL,
    file     TEXT NOT NULL,
    holder   TEXT NOT NULL,
    who      TEXT NOT NULL
);

-- +goose Down
DROP TABLE mapping_history;
DROP TABLE mapping_revisions;
