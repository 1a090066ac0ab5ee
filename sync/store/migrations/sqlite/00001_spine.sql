-- +goose Up

-- Every fact recorded, by the id under which it was reported. Being in here is
-- what makes recording idempotent.
CREATE TABLE facts (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    type        TEXT NOT NULL,
    at          TIMESTAMP NOT NULL,
    received_at TIMESTAMP NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    outcome     TEXT NOT NULL,
    raw         BLOB
);
CREATE INDEX facts_recorded_at ON facts (recorded_at);

CREATE TABLE contacts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version    BIGINT NOT NULL,
    fields     TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- The names under which a contact is known. A retired one still finds its
-- contact for what happened before.
CREATE TABLE identities (
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    contact_id BIGINT NOT NULL,
    retired_at TIMESTAMP,
    PRIMARY KEY (kind, value, contact_id)
);
CREATE INDEX identities_contact ON identities (contact_id);

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    version         BIGINT NOT NULL,
    account         TEXT NOT NULL,
    business_number TEXT NOT NULL,
    wamid           TEXT NOT NULL,
    contact_id      BIGINT NOT NULL,
    direction       TEXT NOT NULL,
    type            TEXT NOT NULL,
    text            TEXT NOT NULL,
    text_at         TIMESTAMP,
    at              TIMESTAMP,
    status          TEXT NOT NULL,
    status_at       TIMESTAMP,
    error_code      BIGINT NOT NULL,
    group_id        TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX messages_wamid ON messages (business_number, wamid);
CREATE INDEX messages_contact ON messages (contact_id, direction, at);

-- What each account was last told of each contact and message, and what it
-- still has to be told.
CREATE TABLE links (
    account        TEXT NOT NULL,
    kind           TEXT NOT NULL,
    entity_id      BIGINT NOT NULL,
    record_id      TEXT NOT NULL,
    shadow         TEXT NOT NULL,
    state          TEXT NOT NULL,
    wanted         BIGINT NOT NULL,
    agreed         BIGINT NOT NULL,
    since          TIMESTAMP,
    latest         TIMESTAMP,
    in_doubt_since TIMESTAMP,
    attempts       BIGINT NOT NULL,
    next_attempt   TIMESTAMP,
    class          TEXT NOT NULL,
    reason         TEXT NOT NULL,
    updated_at     TIMESTAMP NOT NULL,
    PRIMARY KEY (account, kind, entity_id)
);
CREATE INDEX links_pending ON links (account, since) WHERE state = 'pending';
CREATE INDEX links_state ON links (account, state);
CREATE INDEX links_entity ON links (kind, entity_id);
CREATE INDEX links_record ON links (account, kind, record_id);

-- Who works for an account. The number rises with every change of hands and
-- fences off a worker that wakes up late.
CREATE TABLE leases (
    account    TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    number     BIGINT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);

CREATE TABLE dead_letters (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    entity_id  BIGINT NOT NULL,
    fact_id    TEXT NOT NULL,
    class      TEXT NOT NULL,
    code       TEXT NOT NULL,
    field      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    revision   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    due_at     TIMESTAMP NOT NULL,
    settled_at TIMESTAMP,
    settled_by TEXT NOT NULL,
    note       TEXT NOT NULL
);
CREATE INDEX dead_letters_state ON dead_letters (state, account, class);

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE leases;
DROP TABLE links;
DROP TABLE messages;
DROP TABLE identities;
DROP TABLE contacts;
DROP TABLE facts;
