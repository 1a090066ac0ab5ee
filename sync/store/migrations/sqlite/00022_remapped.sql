-- +goose Up

-- The mapping with which an account's contacts were last compared, all of them.
CREATE TABLE account_mappings (
    account  TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    at       TIMESTAMP NOT NULL
);

ALTER TABLE sweeps ADD COLUMN remapped BIGINT NOT NULL DEFAULT 0;

-- The mapping that a replica has in force.
ALTER TABLE reports ADD COLUMN revision TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE reports DROP COLUMN revision;
ALTER TABLE sweeps DROP COLUMN remapped;
DROP TABLE account_mappings;
