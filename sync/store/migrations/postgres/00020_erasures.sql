-- +goose Up

-- When a person was erased, and because of which account's record. The contact is
-- then nothing but its id.
ALTER TABLE contacts ADD COLUMN erased_at TIMESTAMPTZ;
ALTER TABLE contacts ADD COLUMN erased_account TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN erased_record TEXT NOT NULL DEFAULT '';

-- 1 where the entity is an erased person's: what is owed is that the account
-- deletes the record.
ALTER TABLE links ADD COLUMN erase BIGINT NOT NULL DEFAULT 0;

-- Records of erased people, and when they were deleted, so that what was read of
-- them before brings nobody back.
CREATE TABLE erased_records (
    account    TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    contact_id BIGINT NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account, record_id)
);

-- What was reported of somebody is found without looking at everything else.
CREATE INDEX facts_entity ON facts (entity_id, entity_kind);

-- +goose Down
DROP INDEX facts_entity;
DROP TABLE erased_records;
ALTER TABLE links DROP COLUMN erase;
ALTER TABLE contacts DROP COLUMN erased_record;
ALTER TABLE contacts DROP COLUMN erased_account;
ALTER TABLE contacts DROP COLUMN erased_at;
