-- +goose Up

-- Events that were acknowledged and then lost, as far as a person has said that
-- they know: an audit notes them and closes.
CREATE TABLE lost_events (
    stream     TEXT NOT NULL,
    first      BIGINT NOT NULL,
    last       BIGINT NOT NULL,
    settled_at TIMESTAMPTZ NOT NULL,
    settled_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (stream, first)
);

-- +goose Down
DROP TABLE lost_events;
