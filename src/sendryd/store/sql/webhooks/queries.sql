-- Webhooks, facts and notifications. sendryd.store.drivers.loading loads them.

-- columns: webhook
id, account_id, url, events, secret, is_active, created_at, updated_at, failing_since, disabled_reason, mode, previous_secret,
previous_until

-- columns: event
id, message_id, delivery_id, type, recipient, created_at, metadata

-- columns: attempt
notification_id, webhook_id, number, started_at, duration_ms, url, headers, status_code, content_type, response, fault

-- columns: notification
id, webhook_id, account_id, type, body, state, attempts, due_at, status_code, response, delivered_at, created_at

-- name: insert_webhook
-- Stores a webhook.
INSERT INTO webhook ({webhook}) VALUES ({:webhook});

-- name: get_webhook
-- One webhook of an account.
SELECT {webhook} FROM webhook WHERE account_id = :account_id AND id = :id;

-- name: find_webhook
-- A webhook by its id.
SELECT {webhook} FROM webhook WHERE id = :id;

-- name: page_webhooks
-- Webhooks of an account with a text in their URL, newest first; of those of other modes, with the text in scheme, host and port.
SELECT {webhook} FROM webhook WHERE account_id = :account_id AND id < :before
  AND (CAST(:pattern AS TEXT) IS NULL
       OR CASE WHEN mode {in_words:whole_urls} THEN url ELSE substr(url, 1, instr(substr(url || '/', 9), '/') + 8) END
          LIKE :pattern ESCAPE '\')
ORDER BY id DESC LIMIT :limit;

-- name: count_webhooks
-- Number of webhooks of an account with a text in their URL.
SELECT count(*) FROM webhook WHERE account_id = :account_id
  AND (CAST(:pattern AS TEXT) IS NULL
       OR CASE WHEN mode {in_words:whole_urls} THEN url ELSE substr(url, 1, instr(substr(url || '/', 9), '/') + 8) END
          LIKE :pattern ESCAPE '\');

-- name: count_webhooks_made
-- Number of webhooks of an account; those of test keys and of live keys are counted apart.
SELECT count(*) FROM webhook WHERE account_id = :account_id AND (mode = 'live' OR :mode = 'test');

-- name: update_webhook
-- Replaces the mutable columns of a webhook.
UPDATE webhook
SET url = :url, events = :events, is_active = :is_active, updated_at = :updated_at, failing_since = :failing_since,
    disabled_reason = :disabled_reason, secret = :secret, previous_secret = :previous_secret, previous_until = :previous_until
WHERE account_id = :account_id AND id = :id;

-- name: remove_webhook
-- Deletes a webhook.
DELETE FROM webhook WHERE account_id = :account_id AND id = :id;

-- name: owe_events
-- Stores events as facts, where their account has an active webhook; not those of copies for an archive.
INSERT INTO fact (account_id, event_id, created_at)
SELECT event.account_id, event.id, event.created_at FROM event WHERE event.id {in_numbers:ids}
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.account_id = event.account_id AND webhook.is_active = 1)
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
ORDER BY event.id;

-- name: owe_notice
-- Stores a notice as a fact, if its account has an active webhook.
INSERT INTO fact (account_id, type, body, created_at)
SELECT :account_id, :type, :body, :created_at WHERE EXISTS (SELECT 1 FROM webhook WHERE account_id = :account_id AND is_active = 1);

-- name: has_facts
-- Whether there are facts.
SELECT 1 AS found FROM fact LIMIT 1;

-- name: first_facts
-- The oldest facts.
SELECT id FROM fact ORDER BY id LIMIT :limit;

-- name: most_webhooks
-- The largest number of active webhooks that an account has.
SELECT coalesce(max(number), 0) FROM (SELECT count(*) AS number FROM webhook WHERE is_active = 1 GROUP BY account_id) AS counted;

-- name: fan_out
-- Makes one notification of each of the facts up to an id for each active webhook that subscribes to it and existed when it happened. SQLite needs
-- no list of the facts: none appears below the id meanwhile.
INSERT INTO notification (webhook_id, account_id, type, event_id, body, due_at, created_at)
SELECT webhook.id, fact.account_id, coalesce(fact.type, 'email.' || event.type), fact.event_id, fact.body, fact.created_at, fact.created_at
FROM fact LEFT JOIN event ON event.id = fact.event_id
JOIN webhook ON webhook.account_id = fact.account_id AND webhook.is_active = 1 AND webhook.created_at <= fact.created_at
               AND (webhook.mode = 'live' OR event.mode = 'test')
WHERE fact.id <= :last AND :ids IS NOT NULL
  AND EXISTS (
      SELECT 1 FROM json_each(CASE WHEN json_valid(webhook.events) THEN webhook.events ELSE '[]' END) AS word
      WHERE word.value = coalesce(fact.type, 'email.' || event.type)
  )
ORDER BY fact.id, webhook.id;

-- name: drop_facts
-- Deletes the facts up to an id.
DELETE FROM fact WHERE id <= :last AND :ids IS NOT NULL;

-- name: get_notifications
-- Notifications by their ids.
SELECT {notification:n}, coalesce(n.origin_id, n.id) AS origin_id, e.mode, {event:e:event_}
FROM notification n LEFT JOIN event e ON e.id = n.event_id WHERE n.id {in_numbers:ids};

-- name: get_notification
-- One notification of an account.
SELECT {notification:n}, coalesce(n.origin_id, n.id) AS origin_id, e.mode, {event:e:event_}
FROM notification n LEFT JOIN event e ON e.id = n.event_id WHERE n.account_id = :account_id AND n.id = :id;

-- name: page_notifications
-- Notifications, newest first.
SELECT {notification:n}, coalesce(n.origin_id, n.id) AS origin_id, e.mode, {event:e:event_}
FROM notification n LEFT JOIN event e ON e.id = n.event_id WHERE {conditions} AND n.id < :before ORDER BY n.id DESC LIMIT :limit;

-- name: list_notifications_of
-- Notifications of a message's events, newest first.
SELECT {notification:n}, coalesce(n.origin_id, n.id) AS origin_id, e.mode, {event:e:event_}
FROM event e JOIN notification n ON n.event_id = e.id
WHERE e.message_id = :message_id AND +n.account_id = :account_id ORDER BY +n.id DESC LIMIT :limit;

-- name: insert_notification
-- Adds a notification of a notice for one webhook.
INSERT INTO notification (webhook_id, account_id, type, body, due_at, created_at)
VALUES (:webhook_id, :account_id, :type, :body, :created_at, :created_at) RETURNING id;

-- name: replay_notification
-- Adds a notification of the same fact.
INSERT INTO notification (webhook_id, account_id, type, event_id, body, origin_id, due_at, created_at)
SELECT webhook_id, account_id, type, event_id, body, coalesce(origin_id, id), :moment, :moment FROM notification
WHERE account_id = :account_id AND id = :id
RETURNING id;

-- name: find_notifications
-- Notifications of a webhook made in a time range, oldest first, without replays; optionally only failed ones.
SELECT id FROM notification
WHERE +account_id = :account_id AND webhook_id = :webhook_id AND created_at BETWEEN :start AND :end AND origin_id IS NULL
  AND (NOT :is_failed OR state = 'failed')
ORDER BY id LIMIT :limit;

-- name: list_owed_webhooks
-- Active webhooks with pending notifications, and when the first of each falls due: one step of the index for each webhook.
WITH RECURSIVE owed (webhook_id) AS (
    SELECT min(webhook_id) FROM notification INDEXED BY notification_due WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(webhook_id) FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id > owed.webhook_id)
    FROM owed WHERE owed.webhook_id IS NOT NULL
)
SELECT owed.webhook_id,
       (SELECT min(due_at) FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id = owed.webhook_id) AS due_at
FROM owed CROSS JOIN webhook WHERE webhook.id = owed.webhook_id AND webhook.is_active = 1;

-- name: return_dead_notifications
-- Ends the leases of other boots of a node.
UPDATE notification INDEXED BY notification_leased
SET state = 'pending', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE state = 'leased' AND lease_boot IS DISTINCT FROM :boot AND (lease_node = :node OR lease_node IS NULL);

-- name: return_notifications
-- Ends an owner's leases of interrupted attempts.
UPDATE notification NOT INDEXED
SET state = 'pending', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE id {in_numbers:ids} AND state = 'leased' AND lease_boot = :boot;

-- name: bring_notifications_forward
-- Makes pending notifications due now that are due after a time.
UPDATE notification INDEXED BY notification_due SET due_at = :moment WHERE state = 'pending' AND due_at > :latest;

-- name: list_leased_notifications
-- The notifications that an owner has leased.
SELECT id FROM notification INDEXED BY notification_leased WHERE state = 'leased' AND lease_boot = :boot AND lease_node = :node;

-- name: list_due_notifications
-- Due notifications of one webhook, oldest due first.
SELECT id, due_at FROM notification INDEXED BY notification_due
WHERE state = 'pending' AND webhook_id = :webhook_id AND due_at <= :moment ORDER BY due_at, id LIMIT :limit;

-- name: lease_notifications
-- Leases those of the notifications that are still pending and whose webhook is active.
UPDATE notification NOT INDEXED SET state = 'leased', lease_token = :token, lease_node = :node, lease_boot = :boot, returned_token = NULL
WHERE id {in_numbers:ids} AND state = 'pending'
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.id = notification.webhook_id AND webhook.is_active = 1)
RETURNING id;

-- name: fail_notifications
-- Fails notifications that were just leased and are unreadable.
UPDATE notification NOT INDEXED SET state = 'failed', lease_token = NULL, lease_node = NULL, lease_boot = NULL, response = :response
WHERE id {in_numbers:ids} AND state = 'leased';

-- name: record_notification
-- Stores the outcome of an attempt, if its lease is the notification's present or returned lease.
UPDATE notification
SET state = :state, due_at = coalesce(:due_at, due_at), status_code = :status_code, response = :response, delivered_at = :delivered_at,
    attempts = attempts + 1, lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL
WHERE id = :id AND ((state = 'leased' AND lease_token = :token AND lease_boot = :boot) OR (state = 'pending' AND returned_token = :token))
RETURNING webhook_id, attempts;

-- name: notification_exists
-- Whether a notification exists.
SELECT 1 AS found FROM notification WHERE id = :id;

-- name: set_failing
-- Begins or ends the time in which a webhook fails.
UPDATE webhook SET failing_since = CASE WHEN :is_failing THEN CAST(:moment AS BIGINT) END WHERE id = :id AND (failing_since IS NULL) = :is_failing;

-- name: disable_webhook
-- Switches an active webhook off.
UPDATE webhook SET is_active = 0, disabled_reason = :reason, updated_at = :moment WHERE id = :id AND is_active = 1;

-- name: give_up_notifications
-- Fails the pending notifications of a webhook.
UPDATE notification NOT INDEXED
SET state = 'failed', lease_token = NULL, lease_node = NULL, lease_boot = NULL,
    response = CASE response WHEN '' THEN :reason ELSE response END
WHERE id IN (
    SELECT id FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id = :webhook_id
    UNION ALL SELECT id FROM notification INDEXED BY notification_leased WHERE state = 'leased' AND webhook_id = :webhook_id
    LIMIT :limit
);

-- name: drop_notifications
-- Deletes notifications of a webhook.
DELETE FROM notification
WHERE id IN (SELECT id FROM notification INDEXED BY notification_webhook WHERE webhook_id = :webhook_id LIMIT :limit);

-- name: delete_notifications
-- Deletes the oldest notifications.
DELETE FROM notification
WHERE id IN (SELECT id FROM (SELECT id, created_at FROM notification ORDER BY id LIMIT :limit) AS oldest WHERE created_at < :created_before);

-- name: insert_attempt
-- Stores an attempt.
INSERT INTO webhook_attempt ({attempt}) VALUES ({:attempt});

-- name: drop_attempts
-- Deletes all but the newest attempts of a notification.
DELETE FROM webhook_attempt WHERE notification_id = :notification_id AND id <= (
    SELECT id FROM webhook_attempt WHERE notification_id = :notification_id ORDER BY id DESC LIMIT 1 OFFSET :kept
);

-- name: list_attempts
-- Attempts of notifications of an account, newest first; on request the last of each.
SELECT {attempt:a}, a.notification_id AS id FROM json_each(:ids) AS given
JOIN notification n ON n.id = given.value JOIN webhook_attempt a INDEXED BY webhook_attempt_notification ON a.notification_id = n.id
WHERE +n.account_id = :account_id
  AND (NOT :is_last OR a.id = (SELECT max(id) FROM webhook_attempt WHERE notification_id = n.id))
ORDER BY a.id DESC;

-- name: list_health
-- Codes and times of the newest attempts of a webhook.
SELECT status_code, duration_ms FROM webhook_attempt INDEXED BY webhook_attempt_health
WHERE webhook_id = :webhook_id AND started_at >= :since
  AND EXISTS (SELECT 1 FROM webhook WHERE webhook.id = :webhook_id AND webhook.account_id = :account_id)
ORDER BY started_at DESC LIMIT :limit;

-- name: search_notifications
-- Notifications of a webhook that match, newest first.
SELECT {notification:n}, coalesce(n.origin_id, n.id) AS origin_id, e.mode, {event:e:event_}
FROM notification n LEFT JOIN event e ON e.id = n.event_id
WHERE n.webhook_id = :webhook_id AND +n.account_id = :account_id AND n.id < :before AND {conditions} ORDER BY n.id DESC LIMIT :limit;

-- name: count_notifications
-- Number of notifications of a webhook that match.
SELECT count(*) FROM (
    SELECT 1 FROM notification n
    WHERE n.webhook_id = :webhook_id AND EXISTS (SELECT 1 FROM webhook WHERE webhook.id = :webhook_id AND webhook.account_id = :account_id)
      AND {conditions}
    LIMIT :limit
) AS matching;

-- name: list_failing
-- Failing notifications of a webhook in a range of ids that match, oldest first.
SELECT n.id FROM notification n
WHERE n.webhook_id = :webhook_id AND n.id > :seen_id AND n.id <= :last_id AND {conditions} ORDER BY n.id LIMIT :limit;

-- name: newest_notification
-- The newest notification of a webhook.
SELECT max(id) FROM notification INDEXED BY notification_webhook WHERE webhook_id = :webhook_id;

-- name: retry_notifications
-- Makes failing notifications of a webhook due now with all their tries.
UPDATE notification NOT INDEXED SET state = 'pending', due_at = :moment, attempts = 0, returned_token = NULL, replay_id = coalesce(:replay_id, replay_id)
WHERE id {in_numbers:ids} AND webhook_id = :webhook_id AND account_id = :account_id
  AND (state = 'failed' OR (state = 'pending' AND attempts > 0));

-- name: list_delivered
-- Those of some notifications of a webhook that are delivered.
SELECT id FROM notification
WHERE id {in_numbers:ids} AND webhook_id = :webhook_id AND account_id = :account_id AND state = 'delivered' ORDER BY id;

-- name: insert_replay
-- Stores a replay.
INSERT INTO webhook_replay (webhook_id, start_at, end_at, type, status_code, seen_id, last_id, total, made_by, created_at)
VALUES (:webhook_id, :start, :end, :type, :status_code, 0, :last_id, :total, :by, :moment);

-- name: drop_replays
-- Deletes the replays of a webhook.
DELETE FROM webhook_replay WHERE webhook_id = :webhook_id;

-- name: list_unfinished_replays
-- Replays that are not finished, and whose webhook is active.
SELECT webhook_replay.id, webhook_id, account_id, start_at, end_at, type, status_code, seen_id, last_id
FROM webhook_replay INDEXED BY webhook_replay_unfinished JOIN webhook ON webhook.id = webhook_id
WHERE finished_at IS NULL AND webhook.is_active = 1 ORDER BY webhook_replay.id;

-- name: move_replay
-- Takes the next notifications of a replay, unless another process has.
UPDATE webhook_replay SET seen_id = :next_id, finished_at = :finished_at WHERE id = :id AND seen_id = :seen_id AND finished_at IS NULL;

-- name: count_replayed
-- Adds to the number of notifications that a replay has made due.
UPDATE webhook_replay SET made = made + :made WHERE id = :id;

-- name: get_replay
-- The last replay of a webhook of an account.
SELECT webhook_replay.id, total, made, made_by, webhook_replay.created_at, finished_at
FROM webhook_replay JOIN webhook ON webhook.id = webhook_id
WHERE webhook_id = :webhook_id AND webhook.account_id = :account_id ORDER BY webhook_replay.id DESC LIMIT 1;

-- name: count_replay
-- Notifications of a replay by their state.
SELECT state, count(*) AS number FROM notification INDEXED BY notification_replay WHERE replay_id = :replay_id GROUP BY state;
