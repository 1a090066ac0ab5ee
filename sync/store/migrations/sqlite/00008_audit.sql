-- +goose Up

-- What a fact has brought about, so that an audit can ask whether it is there.
-- NULL for facts that were recorded before this was noted.
ALTER TABLE facts ADD COLUMN entity_kind TEXT;
ALTER TABLE facts ADD COLUMN entity_id BIGINT;

-- Which events of a stream have been recorded, as ranges of their numbers. As
-- long as none is passed over there is one range. Stream tells one EVENTS from
-- another that was created in its place.
CREATE TABLE recorded_events (
    stream TEXT NOT NULL,
    first  BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    PRIMARY KEY (stream, first)
);

-- From when to when which account fed which, as the recorder saw it: what is
-- not linked was not owed if it was recorded at another time.
CREATE TABLE feeds (
    account TEXT NOT NULL,
    feeds   TEXT NOT NULL,
    since   TIMESTAMP NOT NULL,
    until   TIMESTAMP,
    PRIMARY KEY (account, feeds, since)
);

-- Each time that a job was due, by the time it was due at: whoever puts it in
-- here runs it, and no other replica does.
CREATE TABLE job_runs (
    job      TEXT NOT NULL,
    slot     TIMESTAMP NOT NULL,
    holder   TEXT NOT NULL,
    begun_at TIMESTAMP NOT NULL,
    seen_at  TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    problem  TEXT NOT NULL,
    PRIMARY KEY (job, slot)
);

-- +goose Down
DROP TABLE job_runs;
DROP TABLE feeds;
DROP TABLE recorded_events;
ALTER TABLE facts DROP COLUMN entity_id;
ALTER TABLE facts DROP COLUMN entity_kind;
