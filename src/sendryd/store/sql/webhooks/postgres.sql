-- Webhooks, facts and notifications on PostgreSQL, where its words differ or several processes are at work.

-- name: owe_events
-- Stores events as facts, where their account has an active webhook; not those of copies for an archive.
INSERT INTO fact (account_id, event_id, created_at)
SELECT event.account_id, event.id, event.created_at FROM event
WHERE event.id {in_numbers:ids}
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.account_id = event.account_id AND webhook.is_active = 1)
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
ORDER BY event.id;

-- name: owe_notice
-- Stores a notice as a fact, if its account has an active webhook.
INSERT INTO fact (account_id, type, body, created_at)
SELECT :account_id::bigint, :type::text, :body::text, :created_at::bigint
WHERE EXISTS (SELECT 1 FROM webhook WHERE account_id = :account_id AND is_active = 1);

-- name: first_facts
-- The oldest facts that no other process turns into notifications.
SELECT id FROM fact ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: fan_out
-- Makes one notification of each of some facts for each active webhook that subscribes to it and existed when it happened.
INSERT INTO notification (webhook_id, account_id, type, event_id, body, due_at, created_at)
SELECT webhook.id, fact.account_id, coalesce(fact.type, 'email.' || event.type), fact.event_id, fact.body, fact.created_at, fact.created_at
FROM fact LEFT JOIN event ON event.id = fact.event_id
JOIN webhook ON webhook.account_id = fact.account_id AND webhook.is_active = 1 AND webhook.created_at <= fact.created_at
               AND (webhook.mode = 'live' OR event.mode = 'test')
WHERE fact.id {in_numbers:ids}
  AND EXISTS (
      SELECT 1 FROM json_each(CASE WHEN json_valid(webhook.events) THEN webhook.events ELSE '[]' END) AS word
      WHERE word.value = coalesce(fact.type, 'email.' || event.type)
  )
ORDER BY fact.id, webhook.id;

-- name: drop_facts
-- Deletes facts.
DELETE FROM fact WHERE id {in_numbers:ids};

-- name: lease_notifications
-- Leases those of the notifications that are still pending, whose webhook is active and that no other process leases.
WITH chosen AS (
    SELECT id FROM notification WHERE id {in_numbers:ids} AND state = 'pending' ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE notification SET state = 'leased', lease_token = :token, lease_node = :node, lease_boot = :boot, returned_token = NULL
FROM chosen
WHERE notification.id = chosen.id
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.id = notification.webhook_id AND webhook.is_active = 1)
RETURNING notification.id;

-- name: list_attempts
-- Attempts of notifications of an account, newest first; on request the last of each.
SELECT {attempt:a}, a.notification_id AS id FROM notification n JOIN webhook_attempt a ON a.notification_id = n.id
WHERE n.id {in_numbers:ids} AND n.account_id = :account_id
  AND (NOT :is_last OR a.id = (SELECT max(id) FROM webhook_attempt WHERE notification_id = n.id))
ORDER BY a.id DESC;

-- name: return_dead_notifications
-- Ends the leases of other boots of a node, and of processes that are gone.
UPDATE notification
SET state = 'pending', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE state = 'leased' AND lease_boot IS DISTINCT FROM :boot AND (
    lease_node = :node OR lease_node IS NULL OR EXISTS (SELECT FROM node WHERE node.boot = notification.lease_boot AND node.state = 'gone')
);
