-- Segments of the spool, and the settled time. sendryd.store.sqlite.engine.loading loads them.

-- name: read_clock
SELECT seen_at FROM clock;

-- name: note_clock
INSERT INTO clock (only_row, seen_at) VALUES (1, ?1) ON CONFLICT (only_row) DO UPDATE SET seen_at = ?1;

-- name: read_spool
SELECT id, last_segment FROM spool;

-- name: add_segment
INSERT INTO segment (number, messages, id, octets) VALUES (?, 0, randomblob(16), ?) RETURNING id;

-- name: fill_segment
INSERT INTO segment (number, messages, id, octets) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (number) DO UPDATE SET messages = messages + ?2, octets = max(octets, ?4);

-- name: leave_segment
UPDATE segment SET messages = messages - 1 WHERE number = ?;

-- name: get_segment
SELECT id, messages FROM segment WHERE number = ?;

-- name: list_segments
SELECT number, id, messages, octets FROM segment ORDER BY number;

-- name: forget_segments
DELETE FROM segment WHERE messages <= 0 AND number NOT IN (SELECT value FROM json_each(?));
