-- Webhooks, facts, and the notifications that are owed. sendryd.store.sqlite.engine.loading loads them.

-- name: insert_webhook
INSERT INTO webhook (id, account_id, url, events, secret, is_active, created_at, updated_at, failing_since, disabled_reason, mode)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: get_webhook
SELECT id, account_id, url, events, secret, is_active, created_at, updated_at, failing_since, disabled_reason, mode
FROM webhook WHERE account_id = ? AND id = ?;

-- name: find_webhook
SELECT id, account_id, url, events, secret, is_active, created_at, updated_at, failing_since, disabled_reason, mode FROM webhook WHERE id = ?;

-- name: page_webhooks
SELECT id, account_id, url, events, secret, is_active, created_at, updated_at, failing_since, disabled_reason, mode
FROM webhook WHERE account_id = ?1 AND id < ?2
  AND (?3 IS NULL OR CASE WHEN mode IN (SELECT value FROM json_each(?5)) THEN url ELSE substr(url, 1, instr(substr(url || '/', 9), '/') + 8) END
    LIKE ?3 ESCAPE '\')
ORDER BY id DESC LIMIT ?4;

-- name: count_webhooks
SELECT count(*) FROM webhook WHERE account_id = ?1
  AND (?2 IS NULL OR CASE WHEN mode IN (SELECT value FROM json_each(?3)) THEN url ELSE substr(url, 1, instr(substr(url || '/', 9), '/') + 8) END
    LIKE ?2 ESCAPE '\');

-- name: count_webhooks_made
SELECT count(*) FROM webhook WHERE account_id = ?1 AND (mode = 'live' OR ?2 = 'test');

-- name: update_webhook
UPDATE webhook SET url = ?3, events = ?4, is_active = ?5, updated_at = ?6, failing_since = ?7, disabled_reason = ?8 WHERE account_id = ?1 AND id = ?2;

-- name: remove_webhook
DELETE FROM webhook WHERE account_id = ? AND id = ?;

-- name: owe_events
INSERT INTO fact (account_id, event_id, created_at)
SELECT event.account_id, event.id, event.created_at FROM json_each(?) AS told JOIN event ON event.id = told.value
WHERE EXISTS (SELECT 1 FROM webhook WHERE webhook.account_id = event.account_id AND webhook.is_active)
ORDER BY event.id;

-- name: owe_notice
INSERT INTO fact (account_id, type, body, created_at)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM webhook WHERE account_id = ?1 AND is_active);

-- name: first_facts
SELECT id FROM fact ORDER BY id LIMIT ?;

-- name: most_webhooks
SELECT coalesce(max(number), 0) FROM (SELECT count(*) AS number FROM webhook WHERE is_active GROUP BY account_id);

-- name: fan_out
INSERT INTO notification (webhook_id, account_id, type, event_id, body, due_at, created_at)
SELECT webhook.id, fact.account_id, coalesce(fact.type, 'email.' || event.type), fact.event_id, fact.body, fact.created_at, fact.created_at
FROM fact LEFT JOIN event ON event.id = fact.event_id
JOIN webhook ON webhook.account_id = fact.account_id AND webhook.is_active AND webhook.created_at <= fact.created_at
               AND (webhook.mode = 'live' OR event.mode = 'test')
WHERE fact.id <= ?
  AND EXISTS (
      SELECT 1 FROM json_each(CASE WHEN json_valid(webhook.events) THEN webhook.events ELSE '[]' END) AS word
      WHERE word.value = coalesce(fact.type, 'email.' || event.type)
  )
ORDER BY fact.id, webhook.id;

-- name: drop_facts
DELETE FROM fact WHERE id <= ?;

-- name: insert_notification
INSERT INTO notification (webhook_id, account_id, type, body, due_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING id;

-- name: replay_notification
INSERT INTO notification (webhook_id, account_id, type, event_id, body, origin_id, due_at, created_at)
SELECT webhook_id, account_id, type, event_id, body, coalesce(origin_id, id), ?3, ?3 FROM notification WHERE account_id = ?1 AND id = ?2
RETURNING id;

-- name: find_notifications
SELECT id FROM notification
WHERE +account_id = ?1 AND webhook_id = ?2 AND created_at BETWEEN ?3 AND ?4 AND origin_id IS NULL AND (NOT ?5 OR state = 'failed')
ORDER BY id LIMIT ?6;

-- name: list_owed_webhooks
WITH RECURSIVE owed (webhook_id) AS (
    SELECT min(webhook_id) FROM notification INDEXED BY notification_due WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(webhook_id) FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id > owed.webhook_id)
    FROM owed WHERE owed.webhook_id IS NOT NULL
)
SELECT owed.webhook_id,
       (SELECT min(due_at) FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id = owed.webhook_id)
FROM owed CROSS JOIN webhook ON webhook.id = owed.webhook_id WHERE webhook.is_active;

-- name: return_dead_notifications
UPDATE notification INDEXED BY notification_leased
SET state = 'pending', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE state = 'leased' AND lease_boot IS NOT ?1 AND (lease_node = ?2 OR lease_node IS NULL);

-- name: return_notifications
UPDATE notification NOT INDEXED
SET state = 'pending', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'leased' AND lease_boot = ?2;

-- name: bring_notifications_forward
UPDATE notification INDEXED BY notification_due SET due_at = ?1 WHERE state = 'pending' AND due_at > ?2;

-- name: list_leased_notifications
SELECT id FROM notification INDEXED BY notification_leased WHERE state = 'leased' AND lease_boot = ?1 AND lease_node = ?2;

-- name: list_due_notifications
SELECT id, due_at FROM notification INDEXED BY notification_due
WHERE state = 'pending' AND webhook_id = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?;

-- name: lease_notifications
UPDATE notification NOT INDEXED SET state = 'leased', lease_token = ?1, lease_node = ?2, lease_boot = ?3, returned_token = NULL
WHERE id IN (SELECT value FROM json_each(?4)) AND state = 'pending'
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.id = notification.webhook_id AND webhook.is_active)
RETURNING id;

-- name: fail_notifications
UPDATE notification NOT INDEXED SET state = 'failed', lease_token = NULL, lease_node = NULL, lease_boot = NULL, response = ?2
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'leased';

-- name: record_notification
UPDATE notification
SET state = ?3, due_at = coalesce(?4, due_at), status_code = ?5, response = ?6, delivered_at = ?7, attempts = attempts + 1,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL
WHERE id = ?1 AND ((state = 'leased' AND lease_token = ?2 AND lease_boot = ?8) OR (state = 'pending' AND returned_token = ?2))
RETURNING webhook_id;

-- name: notification_exists
SELECT 1 FROM notification WHERE id = ?;

-- name: set_failing
UPDATE webhook SET failing_since = CASE WHEN ?2 THEN ?3 END WHERE id = ?1 AND (failing_since IS NULL) = ?2;

-- name: disable_webhook
UPDATE webhook SET is_active = 0, disabled_reason = ?2, updated_at = ?3 WHERE id = ?1 AND is_active;

-- name: give_up_notifications
UPDATE notification NOT INDEXED
SET state = 'failed', lease_token = NULL, lease_node = NULL, lease_boot = NULL, response = CASE response WHEN '' THEN ?2 ELSE response END
WHERE id IN (
    SELECT id FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id = ?1
    UNION ALL SELECT id FROM notification INDEXED BY notification_leased WHERE state = 'leased' AND webhook_id = ?1
    LIMIT ?3
);

-- name: drop_notifications
DELETE FROM notification WHERE id IN (SELECT id FROM notification INDEXED BY notification_webhook WHERE webhook_id = ? LIMIT ?);

-- name: delete_notifications
DELETE FROM notification
WHERE id IN (SELECT id FROM (SELECT id, created_at FROM notification ORDER BY id LIMIT ?2) WHERE created_at < ?1);
