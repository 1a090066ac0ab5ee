-- +goose Up

-- Records of CRMs that have to be read, because there was news of them: each
-- once, however much news there was.
CREATE TABLE pulls (
    account   TEXT NOT NULL,
    record_id TEXT NOT NULL,
    change    TEXT NOT NULL,
    news_at   TIMESTAMPTZ NOT NULL,
    due_at    TIMESTAMPTZ NOT NULL,
    tries     BIGINT NOT NULL,
    PRIMARY KEY (account, record_id)
);
CREATE INDEX pulls_due ON pulls (account, due_at);

-- Runs through all contacts of an account, the unfinished ones with the page
-- that they have come to.
CREATE TABLE sweeps (
    account  TEXT NOT NULL,
    due      TIMESTAMPTZ NOT NULL,
    began    TIMESTAMPTZ NOT NULL,
    ended    TIMESTAMPTZ,
    problem  TEXT NOT NULL,
    cursor   TEXT NOT NULL,
    read     BIGINT NOT NULL,
    compared BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    gone     BIGINT NOT NULL,
    emptied  BIGINT NOT NULL,
    repeated BIGINT NOT NULL,
    partial  BIGINT NOT NULL,
    calls    BIGINT NOT NULL,
    PRIMARY KEY (account, due)
);

-- +goose Down
DROP TABLE sweeps;
DROP TABLE pulls;
