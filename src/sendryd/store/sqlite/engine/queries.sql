-- Segments of the spool, and the settled time. sendryd.store.drivers.loading loads them.

-- name: read_spool
-- The id of the spool, and the last segment number.
SELECT id, last_segment FROM spool;

-- name: add_segment
-- Adds a segment with a random id, before its file exists.
INSERT INTO segment (number, messages, id, octets) VALUES (:number, 0, randomblob(16), :octets) RETURNING id;

-- name: fill_segment
-- Adds the messages whose contents were appended to a segment's count.
INSERT INTO segment (number, messages, id, octets) VALUES (:number, :messages, :id, :octets)
ON CONFLICT (number) DO UPDATE SET messages = messages + excluded.messages, octets = max(octets, excluded.octets);

-- name: leave_segment
-- Subtracts deleted messages from a segment's count.
UPDATE segment SET messages = messages - :messages WHERE number = :number;

-- name: get_segment
-- A segment by its number.
SELECT id, messages FROM segment WHERE number = :number;

-- name: list_segments
-- All segments.
SELECT number, id, messages, octets FROM segment ORDER BY number;

-- name: forget_segments
-- Deletes segments without messages whose files are missing; `numbers` are those of the existing files.
DELETE FROM segment WHERE messages <= 0 AND number {not_in_numbers:numbers};

-- name: read_clock
-- The settled time that was stored last.
SELECT seen_at FROM clock;

-- name: note_clock
-- Stores the settled time.
INSERT INTO clock (only_row, seen_at) VALUES (1, :seen_at) ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at;
