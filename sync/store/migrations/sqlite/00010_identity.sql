-- +goose Up

-- Which of the vendor's accounts each name of the configuration stands for: the
-- record ids in links are that one's. identity holds the names by which the
-- vendor knows it, with spaces in between; empty if it does not tell.
CREATE TABLE accounts (
    name     TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    identity TEXT NOT NULL,
    since    TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE accounts;
