-- +goose Up

-- What receivers are to hear because a rule says so. It goes once they have, or
-- are given up.
CREATE TABLE rule_notices (
    id           TEXT PRIMARY KEY,
    contact_id   BIGINT NOT NULL,
    receiver     TEXT NOT NULL,
    message      TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt TIMESTAMPTZ NOT NULL
);
CREATE INDEX rule_notices_due ON rule_notices (receiver, next_attempt);
CREATE INDEX rule_notices_contact ON rule_notices (contact_id);

-- How often those who take turns have been asked, by what they are known as.
CREATE TABLE rule_turns (
    name  TEXT PRIMARY KEY,
    taken BIGINT NOT NULL
);

-- +goose Down
DROP TABLE rule_turns;
DROP TABLE rule_notices;
