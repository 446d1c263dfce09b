-- Replies that no pattern knows. sendryd.store.drivers.loading loads them.

-- columns: unknown_reply
shape, number, host, first_at, last_at

-- name: add_unknown_reply
-- Adds replies of one shape to those that are there.
INSERT INTO unknown_reply ({unknown_reply}) VALUES ({:unknown_reply})
ON CONFLICT (shape) DO UPDATE SET
    number = unknown_reply.number + excluded.number,
    host = excluded.host,
    first_at = min(unknown_reply.first_at, excluded.first_at),
    last_at = excluded.last_at;

-- name: trim_unknown_replies
-- Deletes the shapes that were seen last longest ago, beyond a number.
DELETE FROM unknown_reply WHERE shape IN (SELECT shape FROM unknown_reply ORDER BY last_at DESC, shape DESC LIMIT 9223372036854775807 OFFSET :most);

-- name: list_unknown_replies
-- The most frequent ones first. There are a thousand at the most.
SELECT {unknown_reply} FROM unknown_reply ORDER BY number DESC, shape LIMIT :limit;

-- name: delete_unknown_replies
-- Deletes the shapes that were seen last before a time. There are a thousand at the most.
DELETE FROM unknown_reply WHERE last_at < :seen_before;

-- name: forget_unknown_reply
-- Deletes one shape.
DELETE FROM unknown_reply WHERE shape = :shape;
