-- +goose Up

-- Most links are in agreement, and stay so. An index over all states grew with
-- every message ever sent, and was changed twice by each delivery.
DROP INDEX links_state;
CREATE INDEX links_exceptions ON links (account, state) WHERE state IN ('dead', 'skipped');

-- +goose Down
DROP INDEX links_exceptions;
CREATE INDEX links_state ON links (account, state);
