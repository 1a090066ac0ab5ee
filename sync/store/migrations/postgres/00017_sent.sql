-- +goose Up

-- What calls have sent of the fields that people enter, as long as it is not
-- known what has become of them: it may be there.
ALTER TABLE links ADD COLUMN sent TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE links DROP COLUMN sent;
