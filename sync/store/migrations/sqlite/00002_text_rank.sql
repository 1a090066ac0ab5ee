-- +goose Up

-- Whether a text is the original, an edit or a revocation: WhatsApp tells
-- times in seconds, so two of them may have the same.
ALTER TABLE messages ADD COLUMN text_rank BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE messages DROP COLUMN text_rank;
