-- +goose Up

-- What the last attempt would have written, without values (tried), where
-- (record_id) and what it was answered (status). replay names the last replay
-- of a letter; queued is 1 until the account's worker has let it in.
ALTER TABLE dead_letters ADD COLUMN status BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN tried TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN record_id TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN replay TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN queued BIGINT NOT NULL DEFAULT 0;
CREATE INDEX dead_letters_replay ON dead_letters (replay, state) WHERE replay <> '';
CREATE INDEX dead_letters_queued ON dead_letters (account) WHERE queued > 0;

-- What people did about letters: who, when, which field, and never a value.
CREATE TABLE letter_actions (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id TEXT NOT NULL,
    at        TIMESTAMPTZ NOT NULL,
    who       TEXT NOT NULL,
    action    TEXT NOT NULL,
    field     TEXT NOT NULL,
    was       TEXT NOT NULL,
    became    TEXT NOT NULL
);
CREATE INDEX letter_actions_letter ON letter_actions (letter_id, id);

-- +goose StatementBegin
CREATE FUNCTION letter_actions_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the record of actions is only added to'; END $$;
-- +goose StatementEnd
CREATE TRIGGER letter_actions_keep BEFORE UPDATE OR DELETE ON letter_actions
    FOR EACH ROW EXECUTE FUNCTION letter_actions_keep();

-- Who was told last, and when, that a letter is overdue. A receiver is "log" or
-- the digest of an address.
CREATE TABLE letter_notices (
    letter_id TEXT NOT NULL,
    receiver  TEXT NOT NULL,
    sent_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (letter_id, receiver)
);

-- +goose Down
DROP TABLE letter_notices;
DROP TABLE letter_actions;
DROP FUNCTION letter_actions_keep;
DROP INDEX dead_letters_queued;
DROP INDEX dead_letters_replay;
ALTER TABLE dead_letters DROP COLUMN queued;
ALTER TABLE dead_letters DROP COLUMN replay;
ALTER TABLE dead_letters DROP COLUMN record_id;
ALTER TABLE dead_letters DROP COLUMN tried;
ALTER TABLE dead_letters DROP COLUMN status;
