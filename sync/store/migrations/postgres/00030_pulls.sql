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

-- +goose Down
DROP TABLE pulls;
