-- +goose Up

-- What calls have sent of the fields that people enter, as long as it is not
-- known what has become of them: it may be there.
ALTER TABLE links ADD COLUMN sent TEXT NOT NULL DEFAULT '';

-- When a call was last known to have written to a contact's record.
ALTER TABLE links ADD COLUMN written_at TIMESTAMPTZ;

-- +goose Down
ALTER TABLE links DROP COLUMN written_at;
ALTER TABLE links DROP COLUMN sent;
