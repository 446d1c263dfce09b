-- Contents, the cluster and the clock on PostgreSQL alone.

-- name: insert_content
-- Stores a content.
INSERT INTO content (message_id, number, checksum, data) VALUES (:message_id, :number, :checksum, :data);

-- name: read_content_row
-- A whole content.
SELECT checksum, data FROM content WHERE message_id = :message_id AND number = :number;

-- name: read_content_piece
-- A piece of a content.
SELECT checksum, substr(data, :first::integer, :size::integer) AS data FROM content WHERE message_id = :message_id AND number = :number;

-- name: drop_content
-- Deletes a content.
DELETE FROM content WHERE message_id = :message_id AND number = :number;

-- name: probe_writing
-- Writes one row.
UPDATE probe_of_writing SET number = number + 1;

-- name: current_transaction
-- The number of this transaction.
SELECT pg_current_xact_id()::text;

-- name: transaction_state
-- Whether a transaction has committed: NULL is one that the server has forgotten.
SELECT pg_xact_status(:number::text::xid8);

-- name: note_clock
-- Stores the settled time.
INSERT INTO clock (only_row, seen_at) VALUES (1, :seen_at) ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at;

-- name: read_clock
-- The settled time that was stored last.
SELECT seen_at FROM clock;
