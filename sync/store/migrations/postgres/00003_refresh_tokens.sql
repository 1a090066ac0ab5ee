-- +goose Up

-- Refresh tokens that a vendor gave in place of the one that the configuration
-- holds, of which instead is the digest: whoever works for the account next
-- needs the newest. None is of use without the app's secret, which is not here.
CREATE TABLE refresh_tokens (
    account    TEXT NOT NULL,
    instead    TEXT NOT NULL,
    token      TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, instead)
);

-- +goose Down
DROP TABLE refresh_tokens;
