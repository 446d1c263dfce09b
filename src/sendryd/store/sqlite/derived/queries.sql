-- The derived file: figures, progress, the search index; and what is read of the main file for them.
-- sendryd.store.sqlite.engine.loading loads them.

-- columns: progress
first, target, message_id, event_id, until, boot

-- name: read_progress
-- How far the follower has come.
SELECT {progress} FROM progress;

-- name: begin
-- Notes that nothing has been followed yet.
INSERT INTO progress (id, {progress}) VALUES (1, {:progress});

-- name: advance
-- Notes how far the follower has come.
UPDATE progress SET message_id = :message_id, event_id = :event_id, until = :until;

-- name: note_boot
-- Notes which run of the system has the file open.
UPDATE progress SET boot = :boot;

-- name: add_figure
-- Adds to a figure.
INSERT INTO figure (account_id, mode, step, start, kind, number) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, mode, step, start, kind) DO UPDATE SET number = number + excluded.number;

-- name: list_figures
-- The figures of an account in a time, oldest first.
SELECT start, kind, number FROM figure
WHERE account_id = :account_id AND mode = :mode AND step = :step AND start >= :start AND start < :end
ORDER BY start;

-- name: span_of_messages
-- The first and the last message. In the main file.
SELECT coalesce((SELECT min(id) FROM message), 0) AS first, coalesce((SELECT max(id) FROM message), 0) AS target;

-- name: last_new_message
-- The last of the next messages. In the main file.
SELECT max(id) AS last, count(*) AS number FROM (SELECT id FROM message WHERE id > :after AND id < :before ORDER BY id LIMIT :limit);

-- name: last_new_event
-- The last of the next events. In the main file.
SELECT max(id) AS last, count(*) AS number FROM (SELECT id FROM event WHERE id > :after AND id < :before ORDER BY id LIMIT :limit);

-- name: count_messages
-- Accepted messages by minute. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, 'accepted' AS kind, count(*) AS number FROM message
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end GROUP BY 1, 2, 3;

-- name: count_events
-- Outcomes of deliveries by minute. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, type AS kind, count(*) AS number FROM event
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND type IN ('delivered', 'deferred', 'bounced')
GROUP BY 1, 2, 3, 4;

-- name: count_engagements
-- First complaints, opens and clicks of deliveries by minute, without those of scanners. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, type AS kind, count(*) AS number FROM event
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND type IN ('complained', 'opened', 'clicked')
  AND CASE WHEN json_valid(metadata) THEN coalesce(metadata ->> 'opened_by', metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner'
  AND NOT EXISTS (
    SELECT 1 FROM event AS earlier
    WHERE earlier.message_id = event.message_id AND earlier.delivery_id IS event.delivery_id AND earlier.type = event.type
      AND earlier.id < event.id
      AND CASE WHEN json_valid(earlier.metadata)
          THEN coalesce(earlier.metadata ->> 'opened_by', earlier.metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner'
  )
GROUP BY 1, 2, 3, 4;

-- name: count_latencies
-- Deliveries by minute and place of the time from acceptance, or the scheduled time, to delivery. The time of acceptance is in the message's
-- identifier, too: events outlive their message. In the main file.
SELECT account_id, mode, start, (SELECT count(*) FROM json_each(:bounds) WHERE value <= latency) AS kind, count(*) AS number
FROM (
    SELECT event.account_id AS account_id, event.mode AS mode, event.created_at / 60000 * 60000 AS start,
           event.created_at - coalesce(message.scheduled_at, message.created_at, (event.message_id >> 22) + 1704067200000) AS latency
    FROM event LEFT JOIN message ON message.id = event.message_id
    WHERE event.id > :after AND event.id <= :last AND event.created_at >= :start AND event.created_at < :end AND event.type = 'delivered'
)
GROUP BY 1, 2, 3, 4;
