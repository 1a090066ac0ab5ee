-- +goose Up

-- When a duplicate may be merged, and why it was not: what the account said to
-- whom who had the lease of that number.
ALTER TABLE duplicates ADD COLUMN merge_at TIMESTAMPTZ;
ALTER TABLE duplicates ADD COLUMN refused TEXT NOT NULL DEFAULT '';
ALTER TABLE duplicates ADD COLUMN refused_lease BIGINT NOT NULL DEFAULT 0;

-- Merges of two records of a contact that were begun. They cannot be undone.
CREATE TABLE merges (
    account    TEXT NOT NULL,
    kept       TEXT NOT NULL,
    other      TEXT NOT NULL,
    contact_id BIGINT NOT NULL,
    by_holder  TEXT NOT NULL,
    begun_at   TIMESTAMPTZ NOT NULL,
    ended_at   TIMESTAMPTZ,
    record_id  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account, kept, other)
);

-- +goose Down
DROP TABLE merges;
ALTER TABLE duplicates DROP COLUMN refused_lease;
ALTER TABLE duplicates DROP COLUMN refused;
ALTER TABLE duplicates DROP COLUMN merge_at;
