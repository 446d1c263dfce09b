-- The derived file: figures, progress, the search index; and what is read of the main file for them.
-- sendryd.store.drivers.loading loads them.

-- columns: progress
first, target, message_id, event_id, amended_id, until, boot

-- columns: message
id, account_id, api_key_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at, signing_domain_id,
needs_smtputf8, is_8bit, ret, envid, tags, type, scheduled_at, tracking, template_id, list_id, unsubscribe_url,
tls_demand

-- name: read_progress
-- How far the follower has come.
SELECT {progress} FROM progress;

-- name: begin
-- Notes that nothing has been followed yet.
INSERT INTO progress (id, {progress}) VALUES (1, {:progress});

-- name: advance
-- Notes how far the follower has come.
UPDATE progress SET message_id = :message_id, event_id = :event_id, amended_id = :amended_id, until = :until;

-- name: note_boot
-- Notes which run of the system has the file open.
UPDATE progress SET boot = :boot;

-- name: add_figure
-- Adds to a figure.
INSERT INTO figure (account_id, mode, step, start, kind, number) VALUES (:account_id, :mode, :step, :start, :kind, :number)
ON CONFLICT (step, start, account_id, mode, kind) DO UPDATE SET number = number + excluded.number;

-- name: sum_minutes
-- The figures of all accounts in a time, by minute.
SELECT account_id, mode, start, kind, number FROM figure WHERE step = :step AND start >= :start AND start < :end;

-- name: drop_figures
-- Deletes figures of one length of step that are too old.
DELETE FROM figure WHERE step = :step AND start < :first_kept;

-- name: list_figures
-- The figures of an account in a time, oldest first.
SELECT start, kind, number FROM figure
WHERE account_id = :account_id AND mode = :mode AND step = :step AND start >= :start AND start < :end
ORDER BY start;

-- name: add_activity
-- Adds to an activity.
INSERT INTO activity (account_id, mode, step, start, previous, domain_id, author_domain, template_id, provider, kind, number)
VALUES (:account_id, :mode, :step, :start, :previous, :domain_id, :author_domain, :template_id, :provider, :kind, :number)
ON CONFLICT (step, start, account_id, mode, previous, domain_id, author_domain, template_id, provider, kind) DO UPDATE SET number = number + excluded.number;

-- name: list_active_minutes
-- The activity of all accounts in a time, by minute.
SELECT account_id, mode, start, previous, domain_id, author_domain, template_id, provider, kind, number FROM activity
WHERE step = :step AND start >= :start AND start < :end;

-- name: drop_activity
-- Deletes activity of one length of step that is too old.
DELETE FROM activity WHERE step = :step AND start < :first_kept;

-- name: sum_activity_by_start
-- The activity of an account in a time, by step and domain. Of each delivery the first event of a kind counts.
SELECT start, domain_id, author_domain, kind, sum(number) FROM activity
WHERE step = :step AND start >= :start AND start < :end AND account_id = :account_id AND mode = :mode AND previous < :start
GROUP BY start, domain_id, author_domain, kind;

-- name: sum_activity_by_group
-- The activity of an account in a time, by domain, template and provider. Of each delivery the first event of a kind counts.
SELECT domain_id, author_domain, template_id, provider, kind, sum(number) FROM activity
WHERE step = :step AND start >= :start AND start < :end AND account_id = :account_id AND mode = :mode AND previous < :start
GROUP BY domain_id, author_domain, template_id, provider, kind;

-- name: list_months
-- The tables of the search index, newest first.
SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'mail_[0-9][0-9][0-9][0-9]_[0-9][0-9]' ORDER BY name DESC;

-- name: span_of_messages
-- The first and the last message, and the last change of one. In the main file.
SELECT coalesce((SELECT min(id) FROM message), 0) AS first, coalesce((SELECT max(id) FROM message), 0) AS target,
       coalesce((SELECT max(id) FROM amended), 0) AS amended_id;

-- name: first_message
-- The first message. In the main file.
SELECT min(id) FROM message;

-- name: list_messages_between
-- Messages for the index. In the main file.
SELECT {message} FROM message WHERE id > :after AND id <= :last ORDER BY id;

-- name: list_messages_of
-- Messages for the index by their ids. In the main file.
SELECT {message} FROM message WHERE id {in_numbers:ids} ORDER BY id;

-- name: list_tail
-- The newest messages that are not in the index yet. In the main file.
SELECT {message} FROM message NOT INDEXED
WHERE id > :after AND id < :before AND account_id = :account_id AND mode = :mode ORDER BY id DESC LIMIT :limit;

-- name: list_forward_paths
-- The recipients of messages. In the main file.
SELECT message_id, forward_path FROM delivery WHERE message_id {in_numbers:ids};

-- name: list_amended
-- The next changes of messages. In the main file.
SELECT id, message_id FROM amended WHERE id > :after ORDER BY id LIMIT :limit;

-- name: forget_amended
-- Deletes changes of messages that are indexed. In the main file.
DELETE FROM amended WHERE id <= :last;

-- name: count_between
-- Number of messages. In the main file.
SELECT count(*) FROM message WHERE id > :after AND id <= :last;

-- name: list_ids_between
-- The ids of messages. In the main file.
SELECT id FROM message WHERE id > :after AND id <= :last ORDER BY id;

-- name: last_new_message
-- The last of the next messages. In the main file.
SELECT max(id) AS last, count(*) AS number FROM (SELECT id FROM message WHERE id > :after AND id < :before ORDER BY id LIMIT :limit) AS following;

-- name: last_new_event
-- The last of the next events. In the main file.
SELECT max(id) AS last, count(*) AS number FROM (SELECT id FROM event WHERE id > :after AND id < :before ORDER BY id LIMIT :limit) AS following;

-- name: count_messages
-- Accepted messages by minute, without reports to senders, which are the program's. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, 'accepted' AS kind, count(*) AS number FROM message
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND (api_key_id IS NOT NULL OR reverse_path <> '')
GROUP BY 1, 2, 3;

-- name: count_events
-- Outcomes of deliveries by minute, without copies for archives and reports to senders. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, type AS kind, count(*) AS number FROM event
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND type IN ('delivered', 'deferred', 'bounced')
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
  AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = event.message_id AND message.api_key_id IS NULL AND message.reverse_path = '')
GROUP BY 1, 2, 3, 4;

-- name: count_engagements
-- First complaints, opens and clicks of deliveries by minute, without those of scanners. In the main file.
SELECT account_id, mode, created_at / 60000 * 60000 AS start, type AS kind, count(*) AS number FROM event
WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND type IN ('complained', 'opened', 'clicked')
  AND CASE WHEN json_valid(metadata) THEN coalesce(metadata ->> 'opened_by', metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner'
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
  AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = event.message_id AND message.api_key_id IS NULL AND message.reverse_path = '')
  AND NOT EXISTS (
    SELECT 1 FROM event AS earlier
    WHERE earlier.message_id = event.message_id AND earlier.delivery_id IS NOT DISTINCT FROM event.delivery_id AND earlier.type = event.type
      AND earlier.id < event.id
      AND CASE WHEN json_valid(earlier.metadata)
          THEN coalesce(earlier.metadata ->> 'opened_by', earlier.metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner'
  )
GROUP BY 1, 2, 3, 4;

-- name: count_latencies
-- Deliveries by minute and place of the time from acceptance, or the scheduled time, to delivery. The time of acceptance is in the message's
-- identifier, too: events outlive their message. In the main file.
SELECT account_id, mode, start, (SELECT count(*) FROM json_each(CAST(:bounds AS TEXT)) AS bound WHERE CAST(bound.value AS BIGINT) <= latency) AS kind, count(*) AS number
FROM (
    SELECT event.account_id AS account_id, event.mode AS mode, event.created_at / 60000 * 60000 AS start,
           event.created_at - coalesce(message.scheduled_at, message.created_at, (event.message_id >> 22) + 1704067200000) AS latency
    FROM event LEFT JOIN message ON message.id = event.message_id
    WHERE event.id > :after AND event.id <= :last AND event.created_at >= :start AND event.created_at < :end AND event.type = 'delivered'
      AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
      AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = event.message_id AND message.api_key_id IS NULL AND message.reverse_path = '')
) AS delivered
GROUP BY 1, 2, 3, 4;

-- name: count_activity
-- Outcomes and engagements of deliveries by minute, by the minute of the delivery's last event of the same kind before, and by what a report
-- groups them by: author, host and recipient's domain. An outcome is one of the kind `sent`, too. Without opens and clicks by scanners. Opens and complaints name no server: that of the
-- delivery's first outcome took the mail. In the main file.
WITH fact AS (
    SELECT account_id, mode, created_at / 60000 * 60000 AS start, type AS kind, message_id, delivery_id, recipient,
           CASE WHEN type IN ('delivered', 'bounced') AND json_valid(metadata) THEN metadata ->> 'host' END AS host,
           (SELECT max(earlier.created_at) FROM event AS earlier
            WHERE earlier.message_id = event.message_id AND earlier.delivery_id IS NOT DISTINCT FROM event.delivery_id AND earlier.id < event.id
              AND earlier.type = event.type
              AND (earlier.type NOT IN ('opened', 'clicked') OR CASE WHEN json_valid(earlier.metadata)
                   THEN coalesce(earlier.metadata ->> 'opened_by', earlier.metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner')) AS previous
    FROM event
    WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end
      AND type IN ('delivered', 'bounced', 'complained', 'opened', 'clicked')
      AND (type NOT IN ('opened', 'clicked') OR CASE WHEN json_valid(metadata)
           THEN coalesce(metadata ->> 'opened_by', metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner')
      AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
      AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = event.message_id AND message.api_key_id IS NULL AND message.reverse_path = '')
    UNION ALL
    SELECT account_id, mode, created_at / 60000 * 60000, 'sent', message_id, delivery_id, recipient,
           CASE WHEN json_valid(metadata) THEN metadata ->> 'host' END,
           (SELECT max(earlier.created_at) FROM event AS earlier
            WHERE earlier.message_id = event.message_id AND earlier.delivery_id IS NOT DISTINCT FROM event.delivery_id AND earlier.id < event.id
              AND earlier.type IN ('delivered', 'bounced'))
    FROM event
    WHERE id > :after AND id <= :last AND created_at >= :start AND created_at < :end AND type IN ('delivered', 'bounced')
      AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
      AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = event.message_id AND message.api_key_id IS NULL AND message.reverse_path = '')
)
SELECT fact.account_id, fact.mode, start, coalesce(previous / 60000 * 60000, 0), coalesce(message.signing_domain_id, 0),
       CAST(coalesce(message.author, '') AS BLOB), coalesce(message.template_id, 0),
       CAST(coalesce(host, (
           SELECT CASE WHEN json_valid(outcome.metadata) THEN outcome.metadata ->> 'host' END FROM event AS outcome
           WHERE outcome.message_id = fact.message_id AND outcome.delivery_id IS NOT DISTINCT FROM fact.delivery_id AND outcome.type IN ('delivered', 'bounced')
           ORDER BY outcome.id LIMIT 1), '') AS BLOB),
       CAST(substr(recipient, length(rtrim(recipient, replace(recipient, '@', ''))) + 1) AS BLOB),
       kind, count(*)
FROM fact LEFT JOIN message ON message.id = fact.message_id
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
