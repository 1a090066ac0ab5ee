-- +goose Up

-- How many of the events have left no fact, so that facts that are missing are
-- missed. Whoever removes facts adds as many.
ALTER TABLE recorded_events ADD COLUMN factless BIGINT NOT NULL DEFAULT 0;

-- What was recorded before this was counted is as it should be.
UPDATE recorded_events SET factless = (SELECT SUM(e.last - e.first + 1) FROM recorded_events e) - (SELECT COUNT(*) FROM facts)
WHERE first = 0 AND stream = (SELECT MIN(e.stream) FROM recorded_events e WHERE e.first = 0);

-- +goose Down
ALTER TABLE recorded_events DROP COLUMN factless;
