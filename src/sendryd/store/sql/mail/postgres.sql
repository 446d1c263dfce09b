-- The statements of this folder that PostgreSQL says differently. sendryd.store.drivers.loading loads them.
--
-- With statistics from before a queue grew, the planner takes an index of all that waits for one of a few rows. `state || ''`, `due_at + 0` and
-- `shard + 0` keep it from these indexes where rows are found by their ids, and `lower(state)` leads it to the two indexes with this condition.
--
-- Transactions of several processes must not wait for one another in a circle. Where several rows are locked, they are locked in the order of their
-- ids. Changes of waiting mail, and claims, leave those rows alone that another transaction is about to change: it is one that claims them, or has, because
-- such changes are alone.

-- name: insert_message
-- Stores a message; the number of its content is in `segment`.
INSERT INTO message ({message}, content_number) VALUES ({:message}, :segment);

-- name: amend_message
-- Replaces the columns of a scheduled message except its id, account, key, mode and time of creation.
UPDATE message
SET reverse_path = :reverse_path, author = :author, recipients = :recipients, subject = :subject, internet_message_id = :internet_message_id,
    size = :size, signing_domain_id = :signing_domain_id, needs_smtputf8 = :needs_smtputf8, is_8bit = :is_8bit, ret = :ret, envid = :envid,
    tags = :tags, type = :type, scheduled_at = :scheduled_at, tracking = :tracking, template_id = :template_id, list_id = :list_id,
    unsubscribe_url = :unsubscribe_url, tls_demand = :tls_demand, content_number = :segment
WHERE id = :id;

-- name: read_content
-- The place of a message's content.
SELECT content_number AS segment, NULL::bytea AS segment_id, 0::bigint AS position, size FROM message WHERE id = :id;

-- name: count_traffic
-- How many of the newest live messages of each sending domain there are, and how many of them have bounced.
SELECT signing_domain_id AS domain_id, count(*) AS sent, CAST(sum(has_bounced) AS BIGINT) AS bounced
FROM (
    SELECT signing_domain_id, CASE WHEN EXISTS (
        SELECT FROM delivery WHERE delivery.message_id = message.id AND delivery.state = 'bounced'
    ) THEN 1 ELSE 0 END AS has_bounced
    FROM message WHERE id >= :first AND account_id = :account_id AND mode = 'live' ORDER BY id DESC LIMIT :limit
) AS newest
WHERE signing_domain_id IS NOT NULL GROUP BY signing_domain_id;

-- name: insert_delivery
-- Stores a delivery, queued, leased or done from the start, in the shard of its domain.
INSERT INTO delivery ({new_delivery}, shard) VALUES ({:new_delivery}, coalesce(
    (SELECT domain_shard.shard FROM domain_shard WHERE domain_shard.domain = :domain), get_byte(decode(md5(:domain), 'hex'), 0)::smallint
));

-- name: first_due
-- When the first queued delivery of a domain in these shards falls due: one step of the index for each.
SELECT min(first.due_at) AS due_at
FROM (SELECT json_array_elements_text(:shards::json)::smallint AS number) AS owned
CROSS JOIN LATERAL (
    SELECT due_at FROM delivery WHERE lower(state) = 'queued' AND shard = owned.number AND domain <> '' ORDER BY due_at LIMIT 1
) AS first;

-- name: list_due
-- Due deliveries after a position of the index, oldest due first, without those of busy domains, of accounts and classes that are served, of test
-- mail, and of untried scheduled mail that is not due by the settled time; of the given shards alone. Passes at most `step` deliveries of them. The
-- subquery for each row is no join that the planner could reorder.
SELECT due.id, due.domain, due.due_at
FROM (
    SELECT id, domain, due_at FROM delivery
    WHERE lower(state) = 'queued' AND due_at <= :moment AND (due_at, domain, id) > (:after_due_at, :after_domain, :after_id)
      AND shard + 0 {in_numbers:shards}
    ORDER BY due_at, domain, id LIMIT :step
) AS due
WHERE due.domain NOT IN (SELECT json_array_elements_text(:busy::json))
  AND (SELECT message.mode IS DISTINCT FROM 'test'
              AND (due.due_at <= :settled OR message.scheduled_at IS NULL OR delivery.attempts > 0)
              AND delivery.account_id || delivery.class <> ALL (ARRAY(
                  SELECT (value ->> 0) || (value ->> 1) FROM json_array_elements(:served::json) AS value
              ))
       FROM delivery LEFT JOIN message ON message.id = delivery.message_id WHERE delivery.id = due.id)
ORDER BY due.due_at, due.domain, due.id LIMIT :window;

-- name: due_position
-- The position `offset` due deliveries after another position of the index.
SELECT due_at, domain, id FROM delivery
WHERE lower(state) = 'queued' AND due_at <= :moment AND (due_at, domain, id) > (:after_due_at, :after_domain, :after_id)
ORDER BY due_at, domain, id LIMIT 1 OFFSET :offset;

-- name: list_turns
-- The accounts and classes with queued deliveries of a domain, after one of them, with the first due time of each: one step of the index for each.
WITH RECURSIVE turn (account_id, class, due_at) AS (
    (
        SELECT account_id, class, due_at FROM delivery
        WHERE state = 'queued' AND domain = :domain AND (account_id, class) > (:after_account, :after_class)
        ORDER BY account_id, class, due_at LIMIT 1
    )
    UNION ALL
    SELECT following.account_id, following.class, following.due_at FROM turn CROSS JOIN LATERAL (
        SELECT account_id, class, due_at FROM delivery
        WHERE state = 'queued' AND domain = :domain AND (account_id, class) > (turn.account_id, turn.class)
        ORDER BY account_id, class, due_at LIMIT 1
    ) AS following
)
SELECT account_id, class, due_at FROM turn LIMIT :most;

-- name: list_accounts
-- The accounts with queued deliveries of a class, after one of them: a step of the index for each.
WITH RECURSIVE found (account_id) AS (
    (
        SELECT account_id FROM delivery WHERE upper(state) = 'QUEUED' AND class = :class AND account_id > :after
        ORDER BY account_id LIMIT 1
    )
    UNION ALL
    SELECT following.account_id FROM found CROSS JOIN LATERAL (
        SELECT account_id FROM delivery WHERE upper(state) = 'QUEUED' AND class = :class AND account_id > found.account_id
        ORDER BY account_id LIMIT 1
    ) AS following
)
SELECT account_id FROM found LIMIT :most;

-- name: list_domains_of_account
-- The domains with queued deliveries of an account and class, after one of them, with the first due time of each: a step of the index for each.
WITH RECURSIVE found (domain, due_at) AS (
    (
        SELECT domain, due_at FROM delivery
        WHERE upper(state) = 'QUEUED' AND class = :class AND account_id = :account_id AND domain > :after
        ORDER BY domain, due_at LIMIT 1
    )
    UNION ALL
    SELECT following.domain, following.due_at FROM found CROSS JOIN LATERAL (
        SELECT domain, due_at FROM delivery
        WHERE upper(state) = 'QUEUED' AND class = :class AND account_id = :account_id AND domain > found.domain
        ORDER BY domain, due_at LIMIT 1
    ) AS following
)
SELECT domain, due_at FROM found LIMIT :most;

-- name: list_due_of_account
-- Due deliveries of one account and class to one domain, oldest due first, under the conditions of `list_due`; of the given shards alone.
SELECT d.id FROM delivery d LEFT JOIN message m ON m.id = d.message_id
WHERE upper(d.state) = 'QUEUED' AND d.class = :class AND d.account_id = :account_id AND d.domain = :domain AND d.due_at <= :moment
  AND d.shard + 0 {in_numbers:shards}
  AND m.mode IS DISTINCT FROM 'test' AND (d.due_at <= :settled OR m.scheduled_at IS NULL OR d.attempts > 0)
ORDER BY d.due_at LIMIT :limit;

-- name: list_relays
-- The lanes of domains' own smart hosts with queued deliveries in these shards, with the first due time of each: a step of the index for each.
WITH RECURSIVE found (domain, due_at, shard) AS (
    (
        SELECT domain, due_at, shard FROM delivery WHERE upper(state) = 'QUEUED' AND strpos(domain, ':') > 0 ORDER BY domain, due_at LIMIT 1
    )
    UNION ALL
    SELECT following.domain, following.due_at, following.shard FROM found CROSS JOIN LATERAL (
        SELECT domain, due_at, shard FROM delivery WHERE upper(state) = 'QUEUED' AND strpos(domain, ':') > 0 AND domain > found.domain
        ORDER BY domain, due_at LIMIT 1
    ) AS following
)
SELECT domain, due_at FROM found WHERE shard {in_numbers:shards};

-- name: take_up_again
-- Makes mail in the lanes of smart hosts due that waits with a reply. Leaves those alone that another process is about to change.
WITH chosen AS MATERIALIZED (
    SELECT id FROM delivery
    WHERE upper(state) = 'QUEUED' AND strpos(domain, ':') > 0 AND due_at > :moment AND last_reply = :reply
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET due_at = :moment FROM chosen WHERE delivery.id = chosen.id AND delivery.state = 'queued';

-- name: first_due_but
-- When the first queued delivery of a domain that is not busy falls due: one step of the index for each account and class of a domain.
WITH RECURSIVE first (domain, account_id, class, due_at, shard) AS (
    (SELECT domain, account_id, class, due_at, shard FROM delivery WHERE state = 'queued' ORDER BY domain, account_id, class, due_at LIMIT 1)
    UNION ALL
    SELECT following.domain, following.account_id, following.class, following.due_at, following.shard FROM first CROSS JOIN LATERAL (
        SELECT domain, account_id, class, due_at, shard FROM delivery
        WHERE state = 'queued' AND (domain, account_id, class) > (first.domain, first.account_id, first.class)
        ORDER BY domain, account_id, class, due_at LIMIT 1
    ) AS following
)
SELECT min(due_at) AS due_at FROM first WHERE domain NOT IN (SELECT json_array_elements_text(:busy::json)) AND shard {in_numbers:shards};

-- name: lease_deliveries
-- Leases the deliveries that are still queued and due. Leaves those alone that another process is about to change.
WITH chosen AS MATERIALIZED (
    SELECT id FROM delivery
    WHERE id {in_numbers:ids} AND state || '' = 'queued' AND due_at + 0 <= :moment AND shard + 0 {in_numbers:shards}
      AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS DISTINCT FROM 'test'
    ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET state = 'leased', lease_token = :token, lease_node = :node, lease_boot = :boot, returned_token = NULL
FROM chosen WHERE delivery.id = chosen.id
RETURNING delivery.id, message_id, forward_path, domain, attempts, is_in_doubt, notify, orcpt, last_reply, class, detour;

-- name: list_queued
-- No queued delivery is damaged: the server checks the types of values and the encoding of texts.
SELECT id, convert_to(domain, 'UTF8') AS domain, 1 AS is_sound FROM delivery WHERE false;

-- name: list_captures
-- Due deliveries of test mail.
SELECT id, forward_path FROM delivery WHERE state = 'queued' AND domain = '' AND due_at <= :moment ORDER BY due_at LIMIT :limit;

-- name: has_captures
-- Whether a delivery of test mail is due.
SELECT 1 AS found FROM delivery WHERE state = 'queued' AND domain = '' AND due_at <= :moment LIMIT 1;

-- name: begin_capture
-- Leases a delivery of test mail, if it is still queued and due, and no other process is about to change it.
UPDATE delivery SET state = 'leased', lease_token = 0 WHERE id = (
    SELECT id FROM delivery WHERE id = :id AND state = 'queued' AND domain = '' AND due_at <= :moment
      AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS DISTINCT FROM 'live'
    FOR UPDATE SKIP LOCKED
);

-- name: list_due_reports
-- Deliveries with a report that is due: they failed, arrived or wait since before a time. The three conditions are those of the indexes.
SELECT {message:m}, {queued_delivery:d:delivery_}, d.report, d.orcpt FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id = ANY (ARRAY(
    (SELECT id FROM delivery WHERE state IN ('bounced', 'expired', 'suppressed') AND report & 1 <> 0 ORDER BY id LIMIT :limit)
    UNION (SELECT id FROM delivery WHERE state = 'delivered' AND report & 4 <> 0 ORDER BY id LIMIT :limit)
    UNION (
        SELECT id FROM delivery
        WHERE state = 'queued' AND attempts > 0 AND report & 2 <> 0 AND created_at < :late ORDER BY created_at LIMIT :limit
    )
)) ORDER BY d.id;

-- name: leased_deliveries
-- The present or returned leases of deliveries, which no other process changes from then on, and the subjects of their events: one JSON array.
WITH held AS MATERIALIZED (
    SELECT id, coalesce(lease_token, returned_token) AS token, lease_node, lease_boot, message_id, forward_path FROM delivery
    WHERE id {in_numbers:ids} AND (state || '' = 'leased' OR (state || '' = 'queued' AND returned_token IS NOT NULL))
    ORDER BY id FOR UPDATE
)
SELECT coalesce(json_agg(json_build_array(held.id, token, lease_node, lease_boot, message_id, forward_path, account_id, mode)), '[]')::text
FROM held LEFT JOIN message ON message.id = held.message_id;

-- name: lock_deliveries
-- Deliveries that no other process changes from then on.
SELECT id FROM delivery WHERE id {in_numbers:ids} ORDER BY id FOR UPDATE;

-- name: record_outcome
-- Records the outcome of an attempt. A counted attempt sets the crash count to zero.
UPDATE delivery
SET state = :state, due_at = coalesce(:due_at, due_at), attempts = attempts + :is_attempt, last_reply = :reply, delivered_at = :delivered_at,
    is_in_doubt = greatest(is_in_doubt, :leaves_doubt),
    crashes = CASE WHEN :is_attempt = 1 THEN 0 ELSE crashes END, hold_reason = CASE WHEN :is_attempt = 1 THEN NULL ELSE hold_reason END,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL
WHERE id = :id;

-- name: release
-- Ends a lease of deliveries that were not started.
WITH mine AS MATERIALIZED (
    SELECT id FROM delivery WHERE id {in_numbers:ids} AND lease_token = :token AND lease_boot = :boot ORDER BY id FOR UPDATE
)
UPDATE delivery SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL
FROM mine WHERE delivery.id = mine.id
RETURNING domain;

-- name: return_leases
-- Ends an owner's leases of interrupted attempts: due now, in doubt.
WITH mine AS MATERIALIZED (
    SELECT id FROM delivery WHERE id {in_numbers:ids} AND state = 'leased' AND lease_boot = :boot ORDER BY id FOR UPDATE
)
UPDATE delivery SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token,
    is_in_doubt = 1, due_at = least(due_at, :moment)
FROM mine WHERE delivery.id = mine.id
RETURNING domain;

-- name: list_dead_leases
-- Deliveries that other boots of a node, or processes that are gone, have leased, with their crash counts.
SELECT id, message_id, crashes FROM delivery
WHERE state = 'leased' AND lease_boot IS DISTINCT FROM :boot AND (
    lease_node = :node OR lease_node IS NULL OR EXISTS (SELECT FROM node WHERE node.boot = delivery.lease_boot AND node.state = 'gone')
) ORDER BY id;

-- name: list_late
-- Queued deliveries that are due after a time, without untried ones of scheduled mail.
SELECT id FROM delivery
WHERE lower(state) = 'queued' AND due_at > :latest
  AND (attempts > 0 OR (SELECT scheduled_at FROM message WHERE message.id = delivery.message_id) IS NULL)
LIMIT :limit;

-- name: move
-- Moves deliveries that are in one state to another, and returns the subjects of their events. Released ones wait for their scheduled time. With
-- `spares_scheduled`, untried ones whose scheduled time has not come are left alone.
WITH chosen AS MATERIALIZED (
    SELECT delivery.id, message.scheduled_at, message.account_id, message.mode
    FROM delivery LEFT JOIN message ON message.id = delivery.message_id
    WHERE delivery.id {in_numbers:ids} AND delivery.state || '' = :before
      AND NOT (CAST(:spares_scheduled AS BIGINT) = 1 AND delivery.attempts = 0 AND coalesce(message.scheduled_at, 0) > CAST(:due_at AS BIGINT))
    ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE delivery SET state = :after,
    due_at = CASE WHEN :due_at IS NULL THEN due_at
        WHEN state = 'held' THEN greatest(:due_at, coalesce(chosen.scheduled_at, 0)) ELSE :due_at END,
    hold_reason = CASE WHEN state = 'held' AND :after = 'queued' THEN 'released' WHEN :after = 'queued' THEN hold_reason ELSE :hold_reason END,
    hold_note = :hold_note, crashes = CASE state WHEN 'held' THEN 0 ELSE crashes END
FROM chosen WHERE delivery.id = chosen.id
RETURNING delivery.id, message_id, forward_path, chosen.account_id, chosen.mode;

-- name: set_class
-- Gives waiting deliveries another class.
WITH chosen AS MATERIALIZED (
    SELECT id FROM delivery WHERE id {in_numbers:ids} AND state || '' IN ('queued', 'held') AND class <> :after ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET class = :after FROM chosen WHERE delivery.id = chosen.id;

-- name: list_queued_of_sending_domain
-- Queued deliveries that need the signature of a domain.
SELECT delivery.id FROM delivery JOIN message ON message.id = delivery.message_id
WHERE delivery.state = 'queued' AND message.signing_domain_id = :domain_id
ORDER BY delivery.id;

-- name: list_waiting_of_sending_domain
-- Live waiting deliveries of a sending domain, from an id on, that a change of its smart host moves.
SELECT delivery.id, delivery.forward_path, delivery.domain FROM delivery JOIN message ON message.id = delivery.message_id
WHERE delivery.id > :after AND delivery.state IN ('queued', 'leased', 'held')
  AND CASE WHEN CAST(:lane AS TEXT) IS NULL THEN instr(delivery.domain, ':') > 0 ELSE delivery.domain <> :lane END
  AND message.signing_domain_id = :domain_id AND message.mode = 'live' AND delivery.detour IS NULL
ORDER BY delivery.id LIMIT :limit;

-- name: lock_states
-- The states of the deliveries of a message, which no other process changes from then on.
SELECT id, state, attempts, due_at, forward_path FROM delivery WHERE message_id = :message_id ORDER BY id FOR UPDATE;

-- name: count_messages_by_status
-- Number of messages for each combination of the values that their status is derived from.
SELECT (SELECT CASE WHEN max(attempts) > 0 THEN '1 ' ELSE '0 ' END || string_agg(DISTINCT state, ',')
        FROM delivery WHERE message_id = m.id AND is_copy = 0) AS kind,
       EXISTS (SELECT FROM event WHERE message_id = m.id AND type = 'complained') AS is_complained, count(*) AS number
FROM message m WHERE {conditions} GROUP BY 1, 2;

-- name: summarise_events
-- The last event and the number of complaints of messages, without those of copies for an archive.
SELECT message_id, max(id) AS id, (array_agg(type ORDER BY id DESC))[1] AS type, count(*) FILTER (WHERE type = 'complained') AS complaints
FROM event
WHERE message_id {in_numbers:ids}
  AND NOT EXISTS (SELECT FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1) GROUP BY message_id;

-- name: list_old_messages
-- Done messages that are older than messages are kept, oldest first.
SELECT id, content_number AS segment, NULL::bytea AS segment_id, 0::bigint AS position, size FROM message
WHERE id < :first_kept AND (scheduled_at IS NULL OR scheduled_at < :created_before)
  AND NOT EXISTS (SELECT FROM delivery WHERE message_id = message.id AND state IN ('queued', 'leased', 'held'))
ORDER BY id LIMIT :limit;

-- name: list_captured
-- Those of these messages that are an account's, a test key's and done.
SELECT id, content_number AS segment, NULL::bytea AS segment_id, 0::bigint AS position, size FROM message
WHERE id {in_numbers:ids} AND account_id = :account_id AND mode = 'test'
  AND NOT EXISTS (SELECT FROM delivery WHERE message_id = message.id AND state IN ('queued', 'leased', 'held'));

-- name: list_stirring_lanes
-- Lanes to which something is being sent, or that are suspended: all lanes are read, once in a while.
SELECT next_hop, updated_at, state FROM lane
WHERE json_valid(state) AND ((state::json ->> 'sending')::bigint > 0 OR state::json ->> 'suspended_until' IS NOT NULL) ORDER BY next_hop;

-- name: ask_for_probes
-- Requests probes of the domains of queued deliveries.
INSERT INTO probe (domain) SELECT DISTINCT domain FROM delivery WHERE id {in_numbers:ids} AND state = 'queued' ORDER BY domain
ON CONFLICT (domain) DO UPDATE SET asked_at = excluded.asked_at;

-- name: ask_for_probe
-- Asks for a probe of a domain.
INSERT INTO probe (domain) VALUES (:domain) ON CONFLICT (domain) DO UPDATE SET asked_at = excluded.asked_at;
