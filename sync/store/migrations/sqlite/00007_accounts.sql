-- +goose Up

-- Accounts to which somebody has said that nothing is to be delivered for now.
CREATE TABLE pauses (
    account   TEXT PRIMARY KEY,
    paused_by TEXT NOT NULL,
    paused_at TIMESTAMP NOT NULL,
    reason    TEXT NOT NULL
);

-- How each replica last saw each account, for whoever asks from outside.
CREATE TABLE reports (
    account      TEXT NOT NULL,
    holder       TEXT NOT NULL,
    state        TEXT NOT NULL,
    problem      TEXT NOT NULL,
    quota_used   REAL NOT NULL,
    last_success TIMESTAMP,
    reported_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (account, holder)
);

-- +goose Down
DROP TABLE reports;
DROP TABLE pauses;
