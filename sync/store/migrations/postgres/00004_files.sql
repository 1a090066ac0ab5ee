-- +goose Up

-- The files that came with messages: what is needed to fetch them. They
-- themselves are not kept.
CREATE TABLE files (
    message_id BIGINT PRIMARY KEY,
    media_id   TEXT NOT NULL,
    mime_type  TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    filename   TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX links_files ON links (account, since) WHERE kind = 'file' AND state = 'pending';

-- +goose Down
DROP INDEX links_files;
DROP TABLE files;
