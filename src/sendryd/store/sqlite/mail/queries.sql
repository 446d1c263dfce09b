-- Messages, deliveries, events, drafts, answers, next hops, traces. sendryd.store.sqlite.engine.loading loads them.

-- name: insert_message
INSERT INTO message (id, account_id, api_key_id, mode, reverse_path, author, recipients, subject, internet_message_id, size,
                     created_at, signing_domain_id, needs_smtputf8, is_8bit, ret, envid, tags, type, scheduled_at, tracking, template_id,
                     list_id, unsubscribe_url, segment, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_delivery
INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, lease_token, lease_node, lease_boot, created_at, delivered_at, notify,
                      orcpt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_event
INSERT INTO event (id, message_id, delivery_id, account_id, mode, type, recipient, created_at, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: list_due
SELECT due.id, due.domain, due.due_at
FROM (
    SELECT id, domain, due_at FROM delivery INDEXED BY delivery_due
    WHERE state = 'queued' AND due_at <= ?1 AND (due_at, domain, id) > (?2, ?3, ?4)
    ORDER BY due_at, domain, id LIMIT ?5
) AS due
WHERE due.domain NOT IN (SELECT value FROM json_each(?6))
  AND EXISTS (SELECT 1 FROM delivery LEFT JOIN message ON message.id = delivery.message_id
              WHERE delivery.id = due.id AND message.mode IS NOT 'test'
              AND (due.due_at <= ?8 OR message.scheduled_at IS NULL OR delivery.attempts > 0))
LIMIT ?7;

-- name: due_position
SELECT due_at, domain, id FROM delivery INDEXED BY delivery_due
WHERE state = 'queued' AND due_at <= ?1 AND (due_at, domain, id) > (?2, ?3, ?4)
ORDER BY due_at, domain, id LIMIT 1 OFFSET ?5;

-- name: list_due_of_domain
SELECT d.id, d.due_at FROM delivery d INDEXED BY delivery_domain LEFT JOIN message m ON m.id = d.message_id
WHERE d.state = 'queued' AND d.domain = ?1 AND d.due_at <= ?2 AND m.mode IS NOT 'test'
  AND (d.due_at <= ?4 OR m.scheduled_at IS NULL OR d.attempts > 0)
ORDER BY d.due_at LIMIT ?3;

-- name: first_due
SELECT min(due_at) FROM delivery INDEXED BY delivery_due WHERE state = 'queued' AND domain <> '';

-- name: list_captures
SELECT id, forward_path FROM delivery INDEXED BY delivery_domain WHERE state = 'queued' AND domain = '' AND due_at <= ? ORDER BY due_at LIMIT ?;

-- name: has_captures
SELECT 1 FROM delivery INDEXED BY delivery_domain WHERE state = 'queued' AND domain = '' AND due_at <= ?;

-- name: begin_capture
UPDATE delivery SET state = 'leased', lease_token = 0 WHERE id = ?1 AND state = 'queued' AND domain = '' AND due_at <= ?2
  AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS NOT 'live';

-- name: end_capture
UPDATE delivery SET state = ?2, lease_token = NULL, delivered_at = ?3 WHERE id = ?1 AND state = 'leased' AND domain = '';

-- name: first_due_but
WITH RECURSIVE first (domain, due_at) AS (
    SELECT * FROM (SELECT domain, due_at FROM delivery INDEXED BY delivery_domain WHERE state = 'queued' ORDER BY domain, due_at LIMIT 1)
    UNION ALL
    SELECT delivery.domain, delivery.due_at FROM first CROSS JOIN delivery WHERE delivery.id = (
        SELECT id FROM delivery INDEXED BY delivery_domain
        WHERE state = 'queued' AND domain > first.domain ORDER BY domain, due_at LIMIT 1
    )
)
SELECT min(due_at) FROM first WHERE domain NOT IN (SELECT value FROM json_each(?));

-- name: lease_deliveries
UPDATE delivery NOT INDEXED SET state = 'leased', lease_token = ?1, lease_node = ?2, lease_boot = ?3, returned_token = NULL
WHERE id IN (SELECT value FROM json_each(?4)) AND state = 'queued' AND due_at <= ?5
  AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS NOT 'test'
RETURNING id, message_id, forward_path, domain, attempts, is_in_doubt, notify, orcpt, last_reply;

-- name: list_leased_now
SELECT id FROM delivery WHERE id IN (SELECT value FROM json_each(?1)) AND lease_token = ?2;

-- name: list_queued
SELECT id, CAST(domain AS BLOB),
       typeof(message_id) = 'integer' AND typeof(forward_path) = 'text' AND typeof(domain) = 'text' AND typeof(due_at) = 'integer'
       AND typeof(attempts) = 'integer' AND typeof(is_in_doubt) = 'integer' AND typeof(created_at) = 'integer' AND typeof(crashes) = 'integer'
       AND typeof(last_reply) = 'text' AND typeof(delivered_at) IN ('integer', 'null') AND typeof(notify) IN ('text', 'null')
       AND typeof(orcpt) IN ('text', 'null') AND typeof(hold_reason) IN ('text', 'null') AND typeof(returned_token) IN ('integer', 'null')
       AND lease_token IS NULL AND typeof(lease_boot) IN ('integer', 'null') AND typeof(lease_node) IN ('text', 'null')
FROM delivery WHERE state = 'queued';

-- name: hold_damaged
-- Values of a wrong type become what their columns can hold: otherwise the engine refuses every change of the row.
UPDATE delivery NOT INDEXED
SET state = 'held', hold_reason = 'unreadable', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL,
    message_id = coalesce(CAST(message_id AS INTEGER), 0), forward_path = coalesce(CAST(forward_path AS TEXT), ''),
    domain = coalesce(CAST(domain AS TEXT), ''), due_at = coalesce(CAST(due_at AS INTEGER), 0), attempts = coalesce(CAST(attempts AS INTEGER), 0),
    is_in_doubt = coalesce(CAST(is_in_doubt AS INTEGER), 1), created_at = coalesce(CAST(created_at AS INTEGER), 0),
    crashes = coalesce(CAST(crashes AS INTEGER), 0), last_reply = coalesce(CAST(last_reply AS TEXT), ''),
    delivered_at = CAST(delivered_at AS INTEGER), notify = CAST(notify AS TEXT), orcpt = CAST(orcpt AS TEXT)
WHERE id IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'leased');

-- name: hold_unreadable
UPDATE delivery NOT INDEXED
SET state = 'held', hold_reason = 'unreadable', lease_token = NULL, lease_node = NULL, lease_boot = NULL
WHERE id IN (SELECT value FROM json_each(?1)) AND lease_token = ?2;

-- name: note_tls_host
INSERT INTO tls_host (host, worked_at) VALUES (?1, ?2) ON CONFLICT (host) DO UPDATE SET worked_at = max(worked_at, ?2);

-- name: prune_tls_hosts
DELETE FROM tls_host WHERE worked_at < ?1 OR host IN (SELECT host FROM tls_host ORDER BY worked_at DESC LIMIT -1 OFFSET ?2);

-- name: list_tls_hosts
SELECT host, worked_at FROM tls_host ORDER BY worked_at;

-- name: ask_for_probes
INSERT INTO probe (domain) SELECT DISTINCT domain FROM delivery WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'queued'
ON CONFLICT (domain) DO NOTHING;

-- name: list_probes
SELECT domain FROM probe ORDER BY domain;

-- name: delete_probes
DELETE FROM probe WHERE domain IN (SELECT value FROM json_each(?1));

-- name: get_messages
SELECT id, account_id, api_key_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at,
       signing_domain_id, needs_smtputf8, is_8bit, ret, envid, tags, type, scheduled_at, tracking, template_id, list_id, unsubscribe_url
FROM message WHERE id IN (SELECT value FROM json_each(?));

-- name: amend_message
UPDATE message
SET reverse_path = ?5, author = ?6, recipients = ?7, subject = ?8, internet_message_id = ?9, size = ?10, signing_domain_id = ?12,
    needs_smtputf8 = ?13, is_8bit = ?14, ret = ?15, envid = ?16, tags = ?17, type = ?18, scheduled_at = ?19, tracking = ?20,
    template_id = ?21, list_id = ?22, unsubscribe_url = ?23, segment = ?24, position = ?25
WHERE id = ?1;

-- name: list_states
SELECT id, state, attempts, due_at, forward_path FROM delivery WHERE message_id = ? ORDER BY id;

-- name: set_due
UPDATE delivery SET due_at = ?2, created_at = ?3 WHERE message_id = ?1 AND state = 'queued';

-- name: insert_draft
INSERT INTO draft (message_id, content) VALUES (?, ?) ON CONFLICT (message_id) DO UPDATE SET content = excluded.content;

-- name: read_draft
SELECT content FROM draft
WHERE message_id = ?1 AND EXISTS (SELECT 1 FROM delivery WHERE delivery.message_id = ?1 AND state IN ('queued', 'leased', 'held'));

-- name: delete_draft
DELETE FROM draft WHERE message_id = ?;

-- name: list_done_drafts
SELECT message_id FROM draft
WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.message_id = draft.message_id AND state IN ('queued', 'leased', 'held'));

-- name: find_answer
SELECT account_id, key, fingerprint, body, created_at FROM answer WHERE account_id = ? AND key = ? AND created_at >= ?;

-- name: insert_answer
INSERT INTO answer (account_id, key, fingerprint, body, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, body = excluded.body, created_at = excluded.created_at;

-- name: delete_answers
DELETE FROM answer WHERE (account_id, key) IN (SELECT account_id, key FROM answer WHERE created_at < ? LIMIT ?);

-- name: count_accepted
SELECT count(*) FROM message WHERE account_id = ?1 AND id >= ?3 AND id < ?5 AND (?2 IS NULL OR api_key_id = ?2) AND mode = ?4;

-- name: find_delivery
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid, m.tags, m.type, m.scheduled_at, m.tracking,
       m.template_id, m.list_id, m.unsubscribe_url, d.forward_path, d.state, d.delivered_at
FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = ?;

-- name: owner_of_delivery
SELECT delivery.id, message.id, delivery.forward_path, message.account_id, message.mode
FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.id = ?;

-- name: read_content
SELECT message.segment, segment.id, message.position, message.size
FROM message LEFT JOIN segment ON segment.number = message.segment WHERE message.id = ?;

-- name: leased_deliveries
SELECT json_group_array(json_array(delivery.id, coalesce(lease_token, returned_token), lease_node, lease_boot,
                                   message_id, forward_path, message.account_id, message.mode))
FROM delivery LEFT JOIN message ON message.id = message_id
WHERE delivery.id IN (SELECT value FROM json_each(?)) AND (delivery.state = 'leased' OR (delivery.state = 'queued' AND returned_token IS NOT NULL));

-- name: lease_again
UPDATE delivery NOT INDEXED SET state = 'leased', lease_token = returned_token
WHERE id IN (SELECT value FROM json_each(?)) AND state = 'queued' AND returned_token IS NOT NULL;

-- name: record_outcome
WITH outcome (id, state, due_at, is_attempt, reply, delivered_at, leaves_doubt) AS (VALUES (?, ?, ?, ?, ?, ?, ?))
UPDATE delivery
SET state = outcome.state, due_at = coalesce(outcome.due_at, delivery.due_at), attempts = attempts + is_attempt, last_reply = reply,
    delivered_at = outcome.delivered_at, is_in_doubt = max(is_in_doubt, leaves_doubt),
    crashes = CASE WHEN is_attempt THEN 0 ELSE crashes END, hold_reason = CASE WHEN is_attempt THEN NULL ELSE hold_reason END,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL
FROM outcome WHERE delivery.id = outcome.id;

-- name: set_hold_reason
UPDATE delivery SET hold_reason = ? WHERE id = ?;

-- name: list_queued_of_sending_domain
SELECT delivery.id FROM message CROSS JOIN delivery ON delivery.message_id = message.id
WHERE message.id IN (SELECT message_id FROM delivery WHERE state = 'queued') AND message.signing_domain_id = ? AND delivery.state = 'queued'
ORDER BY delivery.id;

-- name: list_held_of_removed_domain
SELECT delivery.id FROM delivery INDEXED BY delivery_held JOIN message ON message.id = delivery.message_id
WHERE delivery.state = 'held' AND delivery.hold_reason = 'domain_removed'
  AND message.signing_domain_id IN (SELECT id FROM removed_domain WHERE account_id = ?1 AND name = ?2)
ORDER BY delivery.id;

-- name: release
UPDATE delivery NOT INDEXED SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL
WHERE id IN (SELECT value FROM json_each(?1)) AND lease_token = ?2 AND lease_boot = ?3
RETURNING domain;

-- name: return_leases
UPDATE delivery NOT INDEXED SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token,
    is_in_doubt = 1, due_at = min(due_at, ?3)
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'leased' AND lease_boot = ?2
RETURNING domain;

-- name: list_leased
SELECT lease_token, id FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' AND lease_boot = ?1 AND lease_node = ?2;

-- name: list_dead_leases
SELECT id, message_id, CASE typeof(crashes) WHEN 'integer' THEN crashes ELSE 0 END FROM delivery INDEXED BY delivery_leased
WHERE state = 'leased' AND lease_boot IS NOT ?1 AND (lease_node = ?2 OR lease_node IS NULL) ORDER BY id;

-- name: return_dead_lease
UPDATE delivery SET state = ?2, due_at = CASE WHEN ?3 > ?4 THEN ?3 ELSE min(due_at, ?4) END, crashes = ?5, hold_reason = coalesce(?6, hold_reason), is_in_doubt = 1,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE id = ?1 AND state = 'leased'
RETURNING domain;

-- name: list_late
SELECT id FROM delivery INDEXED BY delivery_due
WHERE state = 'queued' AND due_at > ?1
  AND (attempts > 0 OR (SELECT scheduled_at FROM message WHERE message.id = delivery.message_id) IS NULL)
LIMIT ?2;

-- name: list_overdue
SELECT id, is_in_doubt FROM delivery INDEXED BY delivery_age
WHERE state = 'queued' AND due_at <= ?1 AND created_at < ?2 AND (hold_reason IS NOT 'released' OR due_at < ?4) ORDER BY created_at LIMIT ?3;

-- name: move
UPDATE delivery NOT INDEXED SET state = ?1, due_at = coalesce(?2, due_at),
    hold_reason = CASE WHEN state = 'held' AND ?1 = 'queued' THEN 'released' WHEN ?1 = 'queued' THEN hold_reason ELSE ?5 END,
    crashes = CASE state WHEN 'held' THEN 0 ELSE crashes END
WHERE id IN (SELECT value FROM json_each(?3)) AND state = ?4
RETURNING id, message_id, forward_path, (SELECT account_id FROM message WHERE message.id = message_id),
          (SELECT mode FROM message WHERE message.id = message_id);

-- name: count_queue
SELECT 'queued', count(*) FROM delivery WHERE state = 'queued'
UNION ALL SELECT 'leased', count(*) FROM delivery WHERE state = 'leased'
UNION ALL SELECT 'held', count(*) FROM delivery WHERE state = 'held';

-- name: get_message
SELECT id, account_id, api_key_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at,
       signing_domain_id, needs_smtputf8, is_8bit, ret, envid, tags, type, scheduled_at, tracking, template_id, list_id, unsubscribe_url
FROM message WHERE account_id = ? AND id = ?;

-- name: summarise_deliveries
SELECT message_id, state, count(*), max(attempts), min(delivered_at) FROM delivery
WHERE message_id IN (SELECT value FROM json_each(?)) GROUP BY message_id, state;

-- name: summarise_events
SELECT message_id, max(id), type, sum(type = 'complained') FROM event
WHERE message_id IN (SELECT value FROM json_each(?)) GROUP BY message_id;

-- name: list_old_messages
SELECT id, segment FROM message
WHERE id < ?1 AND (scheduled_at IS NULL OR scheduled_at < ?2)
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = message.id AND state IN ('queued', 'leased', 'held'))
ORDER BY id LIMIT ?3;

-- name: delete_message
DELETE FROM message WHERE id = ?;

-- name: delete_deliveries
DELETE FROM delivery WHERE message_id = ?;

-- name: delete_events
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < ? ORDER BY id LIMIT ?);

-- name: list_ended
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid, m.tags, m.type, m.scheduled_at, m.tracking,
       m.template_id, m.list_id, m.unsubscribe_url, e.id, e.message_id, e.delivery_id, e.type, e.recipient, e.created_at, e.metadata
FROM event e JOIN message m ON m.id = e.message_id
WHERE e.id >= ? AND e.type IN ('cancelled', 'failed') AND (e.mode = 'live' OR e.type = 'cancelled') ORDER BY e.id;

-- name: put_trace
INSERT INTO trace (domain, sessions, until) VALUES (?1, ?2, ?3)
ON CONFLICT (domain) DO UPDATE SET sessions = ?2, until = ?3;

-- name: list_traces
SELECT domain, sessions, until FROM trace WHERE until > ? ORDER BY domain;

-- name: count_traced
UPDATE trace SET sessions = sessions - 1 WHERE domain = ?;

-- name: delete_done_traces
DELETE FROM trace WHERE sessions <= 0;
