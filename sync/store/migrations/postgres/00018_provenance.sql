-- +goose Up

-- Under which mapping an account was last told something of a contact, and when
-- its record last showed something new.
ALTER TABLE links ADD COLUMN revision TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN seen_at TIMESTAMPTZ;

-- What each worker has done from one time to another, for the daily report.
CREATE TABLE loads (
    holder TEXT NOT NULL,
    ended  TIMESTAMPTZ NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (holder, ended)
);
CREATE INDEX loads_ended ON loads (ended);

-- What is forgotten after a time is found without looking at everything else.
CREATE INDEX facts_raw ON facts (recorded_at) WHERE raw IS NOT NULL AND kind <> 'malformed';

-- +goose Down
DROP INDEX facts_raw;
DROP TABLE loads;
ALTER TABLE links DROP COLUMN seen_at;
ALTER TABLE links DROP COLUMN revision;
