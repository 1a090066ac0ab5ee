-- +goose Up

-- Records of people who have another record in the same account, with which
-- crmsync works, and a digest of what they showed.
CREATE TABLE duplicates (
    account    TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    contact_id BIGINT NOT NULL,
    found_at   TIMESTAMP NOT NULL,
    seen       TEXT NOT NULL,
    PRIMARY KEY (account, record_id)
);
CREATE INDEX duplicates_contact ON duplicates (contact_id);

-- Two contacts that have become one: why, which fact said so, and what was
-- moved, so that it can be undone. One that is waiting is yet to be made.
CREATE TABLE joins (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    survivor_id BIGINT NOT NULL,
    joined_id   BIGINT NOT NULL,
    at          TIMESTAMP NOT NULL,
    why         TEXT NOT NULL,
    account     TEXT NOT NULL,
    fact_id     TEXT NOT NULL,
    waiting     BIGINT NOT NULL,
    moved       TEXT NOT NULL,
    split_at    TIMESTAMP,
    split_by    TEXT NOT NULL
);
CREATE INDEX joins_survivor ON joins (survivor_id);
CREATE INDEX joins_joined ON joins (joined_id);
CREATE INDEX joins_waiting ON joins (id) WHERE waiting > 0;

-- Which contact this one has become a part of, 0 for none. It keeps its fields,
-- and nobody is led to it any more.
ALTER TABLE contacts ADD COLUMN joined_into BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE contacts DROP COLUMN joined_into;
DROP TABLE joins;
DROP TABLE duplicates;
