-- Messages, deliveries, events, source requests, answers. sendryd.store.drivers.loading loads them.
--
-- Lists of messages, events and the queue have filters that vary: sendryd.store.sql.mail.filters builds their conditions.

-- columns: message
id, account_id, api_key_id, mode, reverse_path, author, recipients, subject, internet_message_id, size, created_at, signing_domain_id,
needs_smtputf8, is_8bit, ret, envid, tags, type, scheduled_at, tracking, template_id, list_id, unsubscribe_url,
tls_demand

-- columns: new_delivery
id, message_id, account_id, class, site, forward_path, domain, state, due_at, lease_token, lease_node, lease_boot, created_at, delivered_at,
notify, orcpt, is_copy, report

-- columns: queued_delivery
id, forward_path, domain, state, attempts, due_at, created_at, last_reply, hold_reason, hold_note, crashes, is_copy, detour

-- columns: event
id, message_id, delivery_id, type, recipient, created_at, metadata

-- columns: outcome
id, state, due_at, is_attempt, reply, delivered_at, leaves_doubt

-- columns: answer
account_id, key, fingerprint, body, created_at

-- name: insert_message
-- Stores a message whose content is at a position of a segment.
INSERT INTO message ({message}, segment, position) VALUES ({:message}, :segment, :position);

-- name: insert_delivery
-- Stores a delivery, queued, leased or done from the start.
INSERT INTO delivery ({new_delivery}) VALUES ({:new_delivery});

-- name: insert_event
-- Stores an event.
INSERT INTO event ({event}, account_id, mode) VALUES ({:event}, :account_id, :mode);

-- name: get_message
-- One message of an account.
SELECT {message} FROM message WHERE account_id = :account_id AND id = :id;

-- name: get_messages
-- Messages by their ids.
SELECT {message} FROM message WHERE id {in_numbers:ids};

-- name: amend_message
-- Replaces the columns of a scheduled message except its id, account, key, mode and time of creation.
UPDATE message
SET reverse_path = :reverse_path, author = :author, recipients = :recipients, subject = :subject, internet_message_id = :internet_message_id,
    size = :size, signing_domain_id = :signing_domain_id, needs_smtputf8 = :needs_smtputf8, is_8bit = :is_8bit, ret = :ret, envid = :envid,
    tags = :tags, type = :type, scheduled_at = :scheduled_at, tracking = :tracking, template_id = :template_id, list_id = :list_id,
    unsubscribe_url = :unsubscribe_url, tls_demand = :tls_demand, segment = :segment, position = :position
WHERE id = :id;

-- name: read_content
-- The place of a message's content.
SELECT message.segment, segment.id AS segment_id, message.position, message.size
FROM message LEFT JOIN segment ON segment.number = message.segment WHERE message.id = :id;

-- name: count_accepted
-- Number of accepted messages of an account, or of one of its keys, of one mode and between two ids.
SELECT count(*) FROM message
WHERE account_id = :account_id AND id >= :first AND id < :last AND (CAST(:api_key_id AS BIGINT) IS NULL OR api_key_id = :api_key_id) AND mode = :mode;

-- name: count_traffic
-- How many of the newest live messages of each sending domain there are, and how many of them have bounced.
SELECT signing_domain_id AS domain_id, count(*) AS sent, sum(has_bounced) AS bounced
FROM (
    SELECT signing_domain_id, EXISTS (
        SELECT 1 FROM delivery INDEXED BY delivery_message WHERE delivery.message_id = message.id AND delivery.state = 'bounced'
    ) AS has_bounced
    FROM message NOT INDEXED WHERE id >= :first AND account_id = :account_id AND mode = 'live' ORDER BY id DESC LIMIT :limit
)
WHERE signing_domain_id IS NOT NULL GROUP BY signing_domain_id;

-- name: list_due
-- Due deliveries after a position of the index, oldest due first, without those of busy domains, of accounts and classes that are served, of test
-- mail, and of untried scheduled mail that is not due by the settled time. Passes at most `step` deliveries.
SELECT due.id, due.domain, due.due_at
FROM (
    SELECT id, domain, due_at FROM delivery INDEXED BY delivery_due
    WHERE state = 'queued' AND due_at <= :moment AND (due_at, domain, id) > (:after_due_at, :after_domain, :after_id)
    ORDER BY due_at, domain, id LIMIT :step
) AS due
WHERE due.domain {not_in_words:busy}
  AND EXISTS (SELECT 1 FROM delivery LEFT JOIN message ON message.id = delivery.message_id
              WHERE delivery.id = due.id AND message.mode IS DISTINCT FROM 'test'
              AND (due.due_at <= :settled OR message.scheduled_at IS NULL OR delivery.attempts > 0)
              AND (delivery.account_id, delivery.class) NOT IN (SELECT value ->> 0, value ->> 1 FROM json_each(:served)))
LIMIT :window;

-- name: due_position
-- The position `offset` due deliveries after another position of the index.
SELECT due_at, domain, id FROM delivery INDEXED BY delivery_due
WHERE state = 'queued' AND due_at <= :moment AND (due_at, domain, id) > (:after_due_at, :after_domain, :after_id)
ORDER BY due_at, domain, id LIMIT 1 OFFSET :offset;

-- name: list_turns
-- The accounts and classes with queued deliveries of a domain, after one of them, with the first due time of each: two steps of the index for each.
-- A comparison of pairs would begin at the first of the equal ones, and pass them all.
WITH RECURSIVE turn (account_id, class, due_at) AS (
    SELECT * FROM (
        SELECT account_id, class, due_at FROM delivery WHERE id = coalesce(
            (SELECT id FROM delivery INDEXED BY delivery_turn
             WHERE state = 'queued' AND domain = :domain AND account_id = :after_account AND class > :after_class ORDER BY class, due_at LIMIT 1),
            (SELECT id FROM delivery INDEXED BY delivery_turn
             WHERE state = 'queued' AND domain = :domain AND account_id > :after_account ORDER BY account_id, class, due_at LIMIT 1)
        )
    )
    UNION ALL
    SELECT delivery.account_id, delivery.class, delivery.due_at FROM turn CROSS JOIN delivery
    WHERE delivery.id = coalesce(
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = :domain AND account_id = turn.account_id AND class > turn.class ORDER BY class, due_at LIMIT 1),
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = :domain AND account_id > turn.account_id ORDER BY account_id, class, due_at LIMIT 1)
    )
    LIMIT :most
)
SELECT account_id, class, due_at FROM turn;

-- name: list_due_of_turn
-- Due deliveries of one account and class to one domain, oldest due first, under the conditions of `list_due`.
SELECT d.id, d.due_at, coalesce(m.size, 0) FROM delivery d INDEXED BY delivery_turn LEFT JOIN message m ON m.id = d.message_id
WHERE d.state = 'queued' AND d.domain = :domain AND d.account_id = :account_id AND d.class = :class AND d.due_at <= :until
  AND m.mode IS DISTINCT FROM 'test' AND (d.due_at <= :settled OR m.scheduled_at IS NULL OR d.attempts > 0)
ORDER BY d.due_at LIMIT :limit;

-- name: list_accounts
-- The accounts with queued deliveries of a class, after one of them: a step of the index for each.
WITH RECURSIVE found (account_id) AS (
    SELECT * FROM (
        SELECT account_id FROM delivery INDEXED BY delivery_account
        WHERE state = 'queued' AND class = :class AND account_id > :after ORDER BY account_id LIMIT 1
    )
    UNION ALL
    SELECT delivery.account_id FROM found CROSS JOIN delivery
    WHERE delivery.id = (
        SELECT id FROM delivery INDEXED BY delivery_account
        WHERE state = 'queued' AND class = :class AND account_id > found.account_id ORDER BY account_id, domain, due_at LIMIT 1
    )
    LIMIT :most
)
SELECT account_id FROM found;

-- name: list_domains_of_account
-- The domains with queued deliveries of an account and class, after one of them, with the first due time of each: a step of the index for each.
WITH RECURSIVE found (domain, due_at) AS (
    SELECT * FROM (
        SELECT domain, due_at FROM delivery INDEXED BY delivery_account
        WHERE state = 'queued' AND class = :class AND account_id = :account_id AND domain > :after ORDER BY domain, due_at LIMIT 1
    )
    UNION ALL
    SELECT delivery.domain, delivery.due_at FROM found CROSS JOIN delivery
    WHERE delivery.id = (
        SELECT id FROM delivery INDEXED BY delivery_account
        WHERE state = 'queued' AND class = :class AND account_id = :account_id AND domain > found.domain ORDER BY domain, due_at LIMIT 1
    )
    LIMIT :most
)
SELECT domain, due_at FROM found;

-- name: list_due_of_account
-- Due deliveries of one account and class to one domain, oldest due first, under the conditions of `list_due`.
SELECT d.id FROM delivery d INDEXED BY delivery_account LEFT JOIN message m ON m.id = d.message_id
WHERE d.state = 'queued' AND d.class = :class AND d.account_id = :account_id AND d.domain = :domain AND d.due_at <= :moment
  AND m.mode IS DISTINCT FROM 'test' AND (d.due_at <= :settled OR m.scheduled_at IS NULL OR d.attempts > 0)
ORDER BY d.due_at LIMIT :limit;

-- name: list_relays
-- The lanes of domains' own smart hosts with queued deliveries, with the first due time of each: a step of the index for each.
WITH RECURSIVE found (domain, due_at) AS (
    SELECT * FROM (
        SELECT domain, due_at FROM delivery INDEXED BY delivery_relay
        WHERE state = 'queued' AND instr(domain, ':') ORDER BY domain, due_at LIMIT 1
    )
    UNION ALL
    SELECT delivery.domain, delivery.due_at FROM found CROSS JOIN delivery
    WHERE delivery.id = (
        SELECT id FROM delivery INDEXED BY delivery_relay
        WHERE state = 'queued' AND instr(domain, ':') AND domain > found.domain ORDER BY domain, due_at LIMIT 1
    )
)
SELECT domain, due_at FROM found;

-- name: take_up_again
-- Makes mail in the lanes of smart hosts due that waits with a reply.
UPDATE delivery NOT INDEXED SET due_at = :moment WHERE id IN (
    SELECT id FROM delivery INDEXED BY delivery_relay
    WHERE state = 'queued' AND instr(domain, ':') AND due_at > :moment AND last_reply = :reply LIMIT :limit
);

-- name: first_due
-- When the first queued delivery of a domain falls due.
SELECT min(due_at) AS due_at FROM delivery INDEXED BY delivery_due WHERE state = 'queued' AND domain <> '';

-- name: first_due_but
-- When the first queued delivery of a domain that is not busy falls due: some steps of the index for each account and class of a domain.
WITH RECURSIVE first (domain, account_id, class, due_at) AS (
    SELECT * FROM (
        SELECT domain, account_id, class, due_at FROM delivery INDEXED BY delivery_turn
        WHERE state = 'queued' ORDER BY domain, account_id, class, due_at LIMIT 1
    )
    UNION ALL
    SELECT delivery.domain, delivery.account_id, delivery.class, delivery.due_at FROM first CROSS JOIN delivery
    WHERE delivery.id = coalesce(
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = first.domain AND account_id = first.account_id AND class > first.class ORDER BY class, due_at LIMIT 1),
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = first.domain AND account_id > first.account_id ORDER BY account_id, class, due_at LIMIT 1),
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain > first.domain ORDER BY domain, account_id, class, due_at LIMIT 1)
    )
)
SELECT min(due_at) AS due_at FROM first WHERE domain {not_in_words:busy};

-- name: lease_deliveries
-- Leases the deliveries that are still queued and due.
UPDATE delivery NOT INDEXED SET state = 'leased', lease_token = :token, lease_node = :node, lease_boot = :boot, returned_token = NULL
WHERE id {in_numbers:ids} AND state = 'queued' AND due_at <= :moment
  AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS DISTINCT FROM 'test'
RETURNING id, message_id, forward_path, domain, attempts, is_in_doubt, notify, orcpt, last_reply, class, detour;

-- name: list_leased_now
-- The deliveries among these that a lease holds.
SELECT id FROM delivery WHERE id {in_numbers:ids} AND lease_token = :token;

-- name: list_queued
-- All queued deliveries, with whether the values of each have the types of their columns.
SELECT id, CAST(domain AS BLOB) AS domain,
       typeof(message_id) = 'integer' AND typeof(forward_path) = 'text' AND typeof(domain) = 'text' AND typeof(due_at) = 'integer'
       AND typeof(attempts) = 'integer' AND typeof(is_in_doubt) = 'integer' AND typeof(created_at) = 'integer' AND typeof(crashes) = 'integer'
       AND typeof(last_reply) = 'text' AND typeof(delivered_at) IN ('integer', 'null') AND typeof(notify) IN ('text', 'null')
       AND typeof(orcpt) IN ('text', 'null') AND typeof(hold_reason) IN ('text', 'null') AND typeof(returned_token) IN ('integer', 'null')
       AND lease_token IS NULL AND typeof(lease_boot) IN ('integer', 'null') AND typeof(lease_node) IN ('text', 'null')
       AND typeof(account_id) = 'integer' AND typeof(class) = 'text' AND typeof(site) IN ('text', 'null')
       AND typeof(hold_note) IN ('text', 'null') AS is_sound
FROM delivery WHERE state = 'queued';

-- name: hold_damaged
-- Holds damaged deliveries. Replaces values of a wrong type: otherwise the engine refuses every change of the row.
UPDATE delivery NOT INDEXED
SET state = 'held', hold_reason = 'unreadable', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL,
    message_id = coalesce(CAST(message_id AS INTEGER), 0), forward_path = coalesce(CAST(forward_path AS TEXT), ''),
    domain = coalesce(CAST(domain AS TEXT), ''), due_at = coalesce(CAST(due_at AS INTEGER), 0), attempts = coalesce(CAST(attempts AS INTEGER), 0),
    is_in_doubt = coalesce(CAST(is_in_doubt AS INTEGER), 1), created_at = coalesce(CAST(created_at AS INTEGER), 0),
    crashes = coalesce(CAST(crashes AS INTEGER), 0), last_reply = coalesce(CAST(last_reply AS TEXT), ''),
    delivered_at = CAST(delivered_at AS INTEGER), notify = CAST(notify AS TEXT), orcpt = CAST(orcpt AS TEXT),
    account_id = coalesce(CAST(account_id AS INTEGER), 0), site = CAST(site AS TEXT), hold_note = CAST(hold_note AS TEXT),
    class = CASE WHEN class IN ('otp', 'transactional', 'bulk') THEN class ELSE 'transactional' END
WHERE id {in_numbers:ids} AND state IN ('queued', 'leased');

-- name: hold_unreadable
-- Holds leased deliveries that are unreadable, or whose message is.
UPDATE delivery NOT INDEXED
SET state = 'held', hold_reason = 'unreadable', lease_token = NULL, lease_node = NULL, lease_boot = NULL
WHERE id {in_numbers:ids} AND lease_token = :token;

-- name: list_captures
-- Due deliveries of test mail.
WITH RECURSIVE turn (account_id, class) AS (
    SELECT * FROM (
        SELECT account_id, class FROM delivery INDEXED BY delivery_turn
        WHERE state = 'queued' AND domain = '' ORDER BY account_id, class LIMIT 1
    )
    UNION ALL
    SELECT delivery.account_id, delivery.class FROM turn CROSS JOIN delivery
    WHERE delivery.id = coalesce(
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = '' AND account_id = turn.account_id AND class > turn.class ORDER BY class, due_at LIMIT 1),
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = '' AND account_id > turn.account_id ORDER BY account_id, class, due_at LIMIT 1)
    )
)
SELECT delivery.id, delivery.forward_path FROM turn CROSS JOIN delivery INDEXED BY delivery_turn
WHERE delivery.state = 'queued' AND delivery.domain = '' AND delivery.account_id = turn.account_id AND delivery.class = turn.class
  AND delivery.due_at <= :moment LIMIT :limit;

-- name: has_captures
-- Whether a delivery of test mail is due.
WITH RECURSIVE turn (account_id, class) AS (
    SELECT * FROM (
        SELECT account_id, class FROM delivery INDEXED BY delivery_turn
        WHERE state = 'queued' AND domain = '' ORDER BY account_id, class LIMIT 1
    )
    UNION ALL
    SELECT delivery.account_id, delivery.class FROM turn CROSS JOIN delivery
    WHERE delivery.id = coalesce(
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = '' AND account_id = turn.account_id AND class > turn.class ORDER BY class, due_at LIMIT 1),
        (SELECT id FROM delivery INDEXED BY delivery_turn
         WHERE state = 'queued' AND domain = '' AND account_id > turn.account_id ORDER BY account_id, class, due_at LIMIT 1)
    )
)
SELECT 1 AS found FROM turn CROSS JOIN delivery INDEXED BY delivery_turn
WHERE delivery.state = 'queued' AND delivery.domain = '' AND delivery.account_id = turn.account_id AND delivery.class = turn.class
  AND delivery.due_at <= :moment LIMIT 1;

-- name: begin_capture
-- Leases a delivery of test mail, if it is still queued and due.
UPDATE delivery SET state = 'leased', lease_token = 0 WHERE id = :id AND state = 'queued' AND domain = '' AND due_at <= :moment
  AND (SELECT mode FROM message WHERE message.id = delivery.message_id) IS DISTINCT FROM 'live';

-- name: end_capture
-- Records the outcome of a leased delivery of test mail.
UPDATE delivery SET state = :state, lease_token = NULL, delivered_at = :delivered_at WHERE id = :id AND state = 'leased' AND domain = '';

-- name: subject_of_delivery
-- The subject of a delivery's events.
SELECT delivery.id, delivery.message_id, delivery.forward_path, message.account_id, message.mode
FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.id = :id;

-- name: read_reported
-- A delivery that something is reported of: the subject of its events, its state, and whether its recipient has complained.
SELECT delivery.id, delivery.message_id, delivery.forward_path, delivery.state, message.account_id, message.mode, EXISTS (
    SELECT 1 FROM event INDEXED BY event_complained
    WHERE event.message_id = delivery.message_id AND event.type = 'complained' AND event.delivery_id = delivery.id
) AS is_complained
FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.id = :id;

-- name: list_due_reports
-- Deliveries with a report that is due: they failed, arrived or wait since before a time. The three conditions are those of the indexes.
SELECT {message:m}, {queued_delivery:d:delivery_}, d.report, d.orcpt FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id IN (
    SELECT id FROM (
        SELECT id FROM delivery WHERE state IN ('bounced', 'expired', 'suppressed') AND report & 1 ORDER BY id LIMIT :limit
    )
    UNION SELECT id FROM (SELECT id FROM delivery WHERE state = 'delivered' AND report & 4 ORDER BY id LIMIT :limit)
    UNION SELECT id FROM (
        SELECT id FROM delivery WHERE state = 'queued' AND attempts > 0 AND report & 2 AND created_at < :late ORDER BY created_at LIMIT :limit
    )
) ORDER BY d.id;

-- name: settle_report
-- Records that a report of a delivery is settled.
UPDATE delivery SET report = report & ~CAST(:report AS BIGINT) WHERE id = :id;

-- name: bounce_late
-- Records that a delivered delivery has bounced afterwards.
UPDATE delivery SET state = 'bounced', last_reply = :reply WHERE id = :id AND state = 'delivered';

-- name: leased_deliveries
-- The present or returned leases of deliveries, and the subjects of their events: one JSON array, because the engine steps once for each row.
SELECT json_group_array(json_array(delivery.id, coalesce(lease_token, returned_token), lease_node, lease_boot,
                                   message_id, forward_path, message.account_id, message.mode))
FROM delivery LEFT JOIN message ON message.id = message_id
WHERE delivery.id {in_numbers:ids}
  AND (delivery.state = 'leased' OR (delivery.state = 'queued' AND returned_token IS NOT NULL));

-- name: lock_deliveries
-- Deliveries that no other process changes from then on: on SQLite a transaction that writes has the database.
SELECT id FROM delivery WHERE id {in_numbers:ids} ORDER BY id;

-- name: lease_again
-- Leases deliveries again whose lease was returned, so that its outcome can be recorded.
UPDATE delivery NOT INDEXED SET state = 'leased', lease_token = returned_token
WHERE id {in_numbers:ids} AND state = 'queued' AND returned_token IS NOT NULL;

-- name: record_outcome
-- Records the outcome of an attempt. A counted attempt sets the crash count to zero.
WITH outcome ({outcome}) AS (VALUES ({:outcome}))
UPDATE delivery
SET state = outcome.state, due_at = coalesce(outcome.due_at, delivery.due_at), attempts = attempts + is_attempt, last_reply = reply,
    delivered_at = outcome.delivered_at, is_in_doubt = max(is_in_doubt, leaves_doubt),
    crashes = CASE WHEN is_attempt THEN 0 ELSE crashes END, hold_reason = CASE WHEN is_attempt THEN NULL ELSE hold_reason END,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL
FROM outcome WHERE delivery.id = outcome.id;

-- name: set_hold_reason
-- Stores the reason why a delivery is held.
UPDATE delivery SET hold_reason = :hold_reason WHERE id = :id;

-- name: release
-- Ends a lease of deliveries that were not started.
UPDATE delivery NOT INDEXED SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL
WHERE id {in_numbers:ids} AND lease_token = :token AND lease_boot = :boot
RETURNING domain;

-- name: return_leases
-- Ends an owner's leases of interrupted attempts: due now, in doubt.
UPDATE delivery NOT INDEXED SET state = 'queued', lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token,
    is_in_doubt = 1, due_at = min(due_at, :moment)
WHERE id {in_numbers:ids} AND state = 'leased' AND lease_boot = :boot
RETURNING domain;

-- name: doubt_waiting
-- Marks all that wait: in the time that a restored database knows nothing of, they may have been delivered.
UPDATE delivery NOT INDEXED SET is_in_doubt = 1 WHERE state IN ('queued', 'leased', 'held');

-- name: list_leased
-- The leases of an owner.
SELECT lease_token, id FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' AND lease_boot = :boot AND lease_node = :node;

-- name: list_dead_leases
-- Deliveries that other boots of a node have leased, with their crash counts.
SELECT id, message_id, CASE typeof(crashes) WHEN 'integer' THEN crashes ELSE 0 END AS crashes FROM delivery INDEXED BY delivery_leased
WHERE state = 'leased' AND lease_boot IS DISTINCT FROM :boot AND (lease_node = :node OR lease_node IS NULL) ORDER BY id;

-- name: return_dead_lease
-- Ends the lease of a dead process; stores the delivery's new state.
UPDATE delivery
SET state = :state, due_at = CASE WHEN CAST(:due_at AS BIGINT) > CAST(:moment AS BIGINT) THEN :due_at ELSE min(due_at, :moment) END, crashes = :crashes,
    hold_reason = coalesce(:hold_reason, hold_reason), is_in_doubt = 1,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = lease_token
WHERE id = :id AND state = 'leased'
RETURNING domain;

-- name: list_late
-- Queued deliveries that are due after a time, without untried ones of scheduled mail.
SELECT id FROM delivery INDEXED BY delivery_due
WHERE state = 'queued' AND due_at > :latest
  AND (attempts > 0 OR (SELECT scheduled_at FROM message WHERE message.id = delivery.message_id) IS NULL)
LIMIT :limit;

-- name: list_overdue
-- Due deliveries that have waited since before a time, without those that were released lately and not tried since.
SELECT id, is_in_doubt FROM delivery INDEXED BY delivery_age
WHERE state = 'queued' AND due_at <= :moment AND created_at < :created_before AND (hold_reason IS DISTINCT FROM 'released' OR due_at < :released_before)
ORDER BY created_at LIMIT :limit;

-- name: list_overdue_otp
-- The deliveries of `list_overdue` that are of one-time passwords.
SELECT id, is_in_doubt FROM delivery INDEXED BY delivery_otp
WHERE state = 'queued' AND class = 'otp' AND due_at <= :moment AND created_at < :created_before
  AND (hold_reason IS DISTINCT FROM 'released' OR due_at < :released_before)
ORDER BY created_at LIMIT :limit;

-- name: move
-- Moves deliveries that are in one state to another, and returns the subjects of their events. Released ones wait for their scheduled time. With
-- `spares_scheduled`, untried ones whose scheduled time has not come are left alone.
UPDATE delivery NOT INDEXED SET state = :after,
    due_at = CASE WHEN :due_at IS NULL THEN due_at
        WHEN state = 'held' THEN max(:due_at, coalesce((SELECT scheduled_at FROM message WHERE message.id = message_id), 0)) ELSE :due_at END,
    hold_reason = CASE WHEN state = 'held' AND :after = 'queued' THEN 'released' WHEN :after = 'queued' THEN hold_reason ELSE :hold_reason END,
    hold_note = :hold_note, crashes = CASE state WHEN 'held' THEN 0 ELSE crashes END
WHERE id {in_numbers:ids} AND state = :before
    AND NOT (:spares_scheduled AND attempts = 0
        AND coalesce((SELECT scheduled_at FROM message WHERE message.id = message_id), 0) > :due_at)
RETURNING id, message_id, forward_path, (SELECT account_id FROM message WHERE message.id = message_id) AS account_id,
          (SELECT mode FROM message WHERE message.id = message_id) AS mode;

-- name: set_class
-- Gives waiting deliveries another class.
UPDATE delivery NOT INDEXED SET class = :after
WHERE id {in_numbers:ids} AND state IN ('queued', 'held') AND class <> :after;

-- name: list_queue
-- Deliveries with their messages, newest first.
SELECT {message:m}, {queued_delivery:d:delivery_} FROM delivery d JOIN message m ON m.id = d.message_id
WHERE {conditions} ORDER BY d.id DESC LIMIT :limit;

-- name: find_in_queue
-- The ids of deliveries that match an operator's filter.
SELECT d.id FROM delivery d WHERE {conditions} ORDER BY d.id;

-- name: list_waiting_destinations
-- The waiting deliveries of each recipient domain, with the oldest delivery, oldest first: ids grow with time.
SELECT domain, sum(queued) AS queued, sum(leased) AS leased, sum(held) AS held, min(oldest) AS oldest, min(next_due) AS next_due
FROM (
    SELECT domain, count(*) AS queued, 0 AS leased, 0 AS held, min(id) AS oldest, min(due_at) AS next_due
    FROM delivery INDEXED BY delivery_turn WHERE state = 'queued' AND {conditions} GROUP BY domain
    UNION ALL SELECT domain, 0, count(*), 0, min(id), NULL
    FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' AND {conditions} GROUP BY domain
    UNION ALL SELECT domain, 0, 0, count(*), min(id), NULL
    FROM delivery INDEXED BY delivery_held_domain WHERE state = 'held' AND {conditions} GROUP BY domain
) AS waiting
GROUP BY domain ORDER BY oldest LIMIT :limit;

-- name: page_destination
-- Waiting deliveries to a domain, newest first. The ids are sorted before rows are read.
SELECT {message:m}, {queued_delivery:d:delivery_} FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id IN (
    SELECT id FROM (
        SELECT id FROM delivery INDEXED BY delivery_turn WHERE state = 'queued' AND domain = :domain AND {conditions}
        UNION ALL SELECT id FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' AND domain = :domain AND {conditions}
        UNION ALL SELECT id FROM delivery INDEXED BY delivery_held_domain WHERE state = 'held' AND domain = :domain AND {conditions}
    ) AS waiting
    WHERE id < :before ORDER BY id DESC LIMIT :limit
)
ORDER BY d.id DESC;

-- name: sample_of_destination
-- One delivery that waits for a domain, a tried one if there is one at the ends of the index.
SELECT id, last_reply, (SELECT created_at FROM delivery WHERE id = :oldest) AS since FROM (
    SELECT * FROM (
        SELECT id, attempts, last_reply FROM delivery INDEXED BY delivery_turn
        WHERE state = 'queued' AND domain = :domain AND {conditions}
        ORDER BY account_id, class, due_at LIMIT 50
    ) AS first
    UNION ALL SELECT * FROM (
        SELECT id, attempts, last_reply FROM delivery INDEXED BY delivery_turn
        WHERE state = 'queued' AND domain = :domain AND {conditions}
        ORDER BY account_id DESC, class DESC, due_at DESC LIMIT 50
    ) AS last
    UNION ALL SELECT id, attempts, last_reply FROM delivery WHERE id = :oldest
) AS sample
ORDER BY attempts = 0, id LIMIT 1;

-- name: count_queue
-- Number of waiting deliveries by state.
SELECT 'queued' AS state, count(*) AS number FROM delivery WHERE state = 'queued'
UNION ALL SELECT 'leased', count(*) FROM delivery WHERE state = 'leased'
UNION ALL SELECT 'held', count(*) FROM delivery WHERE state = 'held';

-- name: list_queued_of_sending_domain
-- Queued deliveries that need the signature of a domain.
SELECT delivery.id FROM message CROSS JOIN delivery ON delivery.message_id = message.id
WHERE message.id IN (SELECT message_id FROM delivery WHERE state = 'queued') AND message.signing_domain_id = :domain_id
  AND delivery.state = 'queued'
ORDER BY delivery.id;

-- name: list_waiting_of_sending_domain
-- Live waiting deliveries of a sending domain, from an id on, that a change of its smart host moves. Read along the primary key: one pass in parts.
SELECT delivery.id, delivery.forward_path, delivery.domain FROM delivery NOT INDEXED CROSS JOIN message ON message.id = delivery.message_id
WHERE delivery.id > :after AND delivery.state IN ('queued', 'leased', 'held')
  AND CASE WHEN :lane IS NULL THEN instr(delivery.domain, ':') > 0 ELSE delivery.domain <> :lane END
  AND message.signing_domain_id = :domain_id AND message.mode = 'live' AND delivery.detour IS NULL
ORDER BY delivery.id LIMIT :limit;

-- name: list_some_waiting_of_sending_domain
-- Those of these deliveries that are live, wait and are of a sending domain.
SELECT delivery.id, delivery.forward_path, delivery.domain FROM delivery JOIN message ON message.id = delivery.message_id
WHERE delivery.id {in_numbers:ids} AND message.signing_domain_id = :domain_id AND message.mode = 'live'
  AND delivery.state IN ('queued', 'leased', 'held') AND delivery.detour IS NULL
ORDER BY delivery.id;

-- name: list_for_detour
-- Those of these deliveries that are live and wait.
SELECT delivery.id, delivery.forward_path, delivery.domain, delivery.detour FROM delivery JOIN message ON message.id = delivery.message_id
WHERE delivery.id {in_numbers:ids} AND message.mode = 'live' AND delivery.state IN ('queued', 'leased', 'held')
ORDER BY delivery.id;

-- name: set_detour
-- Gives a delivery another way.
UPDATE delivery SET domain = :domain, detour = :detour WHERE id = :id AND state IN ('queued', 'leased', 'held');

-- name: put_detour_host
-- Stores a smart host that takes waiting mail.
INSERT INTO detour_host (lane, url, password, added_at) VALUES (:lane, :url, :password, :added_at)
ON CONFLICT (lane) DO UPDATE SET url = excluded.url, password = excluded.password, added_at = excluded.added_at;

-- name: find_detour_host
-- A smart host that takes waiting mail.
SELECT lane, url, password FROM detour_host WHERE lane = :lane;

-- name: prune_detour_hosts
-- Forgets those that no mail waits for.
DELETE FROM detour_host WHERE added_at < :added_before
  AND NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_turn WHERE delivery.state = 'queued' AND delivery.domain = detour_host.lane)
  AND NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_held WHERE delivery.state = 'held' AND delivery.domain = detour_host.lane)
  AND NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_leased WHERE delivery.state = 'leased' AND delivery.domain = detour_host.lane);

-- name: reroute_delivery
-- Moves a delivery to another lane.
UPDATE delivery SET domain = :domain WHERE id = :id AND state IN ('queued', 'leased', 'held');

-- name: list_held_of_removed_domain
-- Deliveries that are held because a domain of this name was removed.
SELECT delivery.id FROM delivery INDEXED BY delivery_held JOIN message ON message.id = delivery.message_id
WHERE delivery.state = 'held' AND delivery.hold_reason = 'domain_removed'
  AND message.signing_domain_id IN (SELECT id FROM removed_domain WHERE account_id = :account_id AND name = :name)
ORDER BY delivery.id;

-- name: list_states
-- The states of the deliveries of a message.
SELECT id, state, attempts, due_at, forward_path FROM delivery WHERE message_id = :message_id ORDER BY id;

-- name: lock_states
-- The states of the deliveries of a message, which no other process changes from then on: on SQLite a transaction that writes has the database.
SELECT id, state, attempts, due_at, forward_path FROM delivery WHERE message_id = :message_id ORDER BY id;

-- name: amend_deliveries
-- Moves the queued deliveries of a message to another time and class.
UPDATE delivery SET due_at = :due_at, created_at = :created_at, class = :class WHERE message_id = :message_id AND state = 'queued';

-- name: find_delivery
-- A delivery with its message.
SELECT {message:m}, d.id AS delivery_id, d.forward_path AS delivery_forward_path, d.state AS delivery_state,
       d.delivered_at AS delivery_delivered_at
FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = :id;

-- name: list_messages
-- Messages below an id, newest first.
SELECT {message:m} FROM message m WHERE {conditions} AND m.id < :before ORDER BY m.id DESC LIMIT :limit;

-- name: find_messages
-- The messages among some that fit a filter, newest first.
SELECT {message:m} FROM message m WHERE m.id {in_numbers:ids} AND {conditions} ORDER BY m.id DESC;

-- name: walk_messages
-- The ids of messages, newest first.
SELECT m.id FROM message m WHERE {conditions} AND m.id < :before ORDER BY m.id DESC LIMIT :limit;

-- name: walk_ended
-- The messages of deliveries in a state that few end in, newest first. The condition of the index has to be there word by word.
SELECT DISTINCT message_id FROM delivery INDEXED BY delivery_ended
WHERE state IN ('bounced', 'expired', 'suppressed', 'cancelled') AND {conditions} AND message_id < :before
ORDER BY message_id DESC LIMIT :limit;

-- name: walk_complained
-- The messages that somebody has complained about, newest first.
SELECT DISTINCT message_id FROM event INDEXED BY event_complained
WHERE type = 'complained' AND message_id < :before ORDER BY message_id DESC LIMIT :limit;

-- name: list_waiting_messages
-- The message of each delivery that waits, in no order, up to a limit of deliveries for each state.
SELECT message_id FROM (SELECT message_id FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' LIMIT :limit) AS leased
UNION ALL SELECT message_id FROM (SELECT message_id FROM delivery INDEXED BY delivery_held WHERE state = 'held' LIMIT :limit) AS held
UNION ALL SELECT message_id FROM (SELECT message_id FROM delivery INDEXED BY delivery_age WHERE state = 'queued' LIMIT :limit) AS queued
LIMIT :limit;

-- name: count_messages
-- Number of messages.
SELECT count(*) FROM message m WHERE {conditions};

-- name: count_messages_by_status
-- Number of messages for each combination of the values that their status is derived from.
SELECT (SELECT (max(attempts) > 0) || ' ' || group_concat(DISTINCT state) FROM delivery WHERE message_id = m.id AND NOT is_copy) AS kind,
       EXISTS (SELECT 1 FROM event WHERE message_id = m.id AND type = 'complained') AS is_complained, count(*) AS number
FROM message m WHERE {conditions} GROUP BY 1, 2;

-- name: summarise_deliveries
-- The states of the deliveries of messages to their recipients.
SELECT message_id, state, count(*) AS number, max(attempts) AS attempts, min(delivered_at) AS delivered_at FROM delivery
WHERE message_id {in_numbers:ids} AND is_copy = 0 GROUP BY message_id, state;

-- name: summarise_events
-- The last event and the number of complaints of messages, without those of copies for an archive.
SELECT message_id, max(id) AS id, type, sum(type = 'complained') AS complaints FROM event
WHERE message_id {in_numbers:ids}
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy) GROUP BY message_id;

-- name: list_events
-- Events below an id, newest first.
SELECT {event:e} FROM event e WHERE {conditions} AND e.id < :before ORDER BY e.id DESC LIMIT :limit;

-- name: count_events
-- Number of events.
SELECT count(*) FROM event e WHERE {conditions};

-- name: list_ended
-- The `cancelled` and `failed` events, oldest first.
SELECT id FROM event WHERE id >= :first AND type IN ('cancelled', 'failed') ORDER BY id;

-- name: read_ended
-- The `cancelled` ones of these events, and the `failed` ones of live mail, with their messages, oldest first.
SELECT {message:m}, {event:e:event_} FROM event e JOIN message m ON m.id = e.message_id
WHERE e.id {in_numbers:ids} AND (e.type = 'cancelled' OR (e.type = 'failed' AND e.mode = 'live')) ORDER BY e.id;

-- name: insert_source_request
-- Stores the source request of a scheduled message.
INSERT INTO draft (message_id, content) VALUES (:message_id, :content) ON CONFLICT (message_id) DO UPDATE SET content = excluded.content;

-- name: read_source_request
-- The source request of a message that is not done.
SELECT content FROM draft
WHERE message_id = :message_id
  AND EXISTS (SELECT 1 FROM delivery WHERE delivery.message_id = :message_id AND state IN ('queued', 'leased', 'held'));

-- name: delete_source_request
-- Deletes the source request of a message.
DELETE FROM draft WHERE message_id = :message_id;

-- name: list_done_source_requests
-- Done messages that still have a source request.
SELECT message_id FROM draft
WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.message_id = draft.message_id AND state IN ('queued', 'leased', 'held'));

-- name: find_answer
-- The answer to an idempotent request, unless it is too old.
SELECT {answer} FROM answer WHERE account_id = :account_id AND key = :key AND created_at >= :kept_since;

-- name: insert_answer
-- Stores the answer to an idempotent request, unless there is one that is not too old.
INSERT INTO answer ({answer}) VALUES ({:answer})
ON CONFLICT (account_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, body = excluded.body, created_at = excluded.created_at
WHERE answer.created_at < :kept_since;

-- name: delete_answers
-- Deletes answers that are too old.
DELETE FROM answer WHERE (account_id, key) IN (SELECT account_id, key FROM answer WHERE created_at < :created_before LIMIT :limit);

-- name: list_old_messages
-- Done messages that are older than messages are kept, oldest first.
SELECT message.id, message.segment, segment.id AS segment_id, message.position, message.size
FROM message LEFT JOIN segment ON segment.number = message.segment
WHERE message.id < :first_kept AND (message.scheduled_at IS NULL OR message.scheduled_at < :created_before)
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = message.id AND state IN ('queued', 'leased', 'held'))
ORDER BY message.id LIMIT :limit;

-- name: list_captured
-- Those of these messages that are an account's, a test key's and done.
SELECT message.id, message.segment, segment.id AS segment_id, message.position, message.size
FROM message LEFT JOIN segment ON segment.number = message.segment
WHERE message.id {in_numbers:ids} AND +message.account_id = :account_id AND +message.mode = 'test'
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = message.id AND state IN ('queued', 'leased', 'held'));

-- name: list_played
-- The delivered recipients of a test key's message.
SELECT delivery.id, delivery.message_id, delivery.forward_path, message.account_id, message.mode
FROM message JOIN delivery ON delivery.message_id = message.id
WHERE message.id = :message_id AND +message.account_id = :account_id AND (message.mode || '') = 'test' AND delivery.state = 'delivered'
ORDER BY delivery.id;

-- name: end_play
-- Moves a delivered recipient of test mail to the state of a played outcome.
UPDATE delivery SET state = :state WHERE id = :id AND state = 'delivered';

-- name: delete_message
-- Deletes a message.
DELETE FROM message WHERE id = :id;

-- name: delete_deliveries
-- Deletes the deliveries of a message.
DELETE FROM delivery WHERE message_id = :message_id;

-- name: delete_events
-- Deletes the oldest events.
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < :first_kept ORDER BY id LIMIT :limit);

-- name: note_tls_host
-- Stores when a host last did TLS.
INSERT INTO tls_host (host, worked_at) VALUES (:host, :worked_at)
ON CONFLICT (host) DO UPDATE SET worked_at = max(tls_host.worked_at, excluded.worked_at);

-- name: prune_tls_hosts
-- Deletes hosts that last did TLS too long ago, and all but the latest ones.
DELETE FROM tls_host WHERE worked_at < :keep_since OR host IN (SELECT host FROM tls_host ORDER BY worked_at DESC LIMIT 9223372036854775807 OFFSET :most);

-- name: list_tls_hosts
-- Hosts that did TLS; the latest come last.
SELECT host, worked_at FROM tls_host ORDER BY worked_at;

-- name: put_sts_policy
-- Stores the MTA-STS policy of a domain.
INSERT INTO sts_policy (domain, record_id, mode, mx, max_age, fetched_at, expires_at)
VALUES (:domain, :record_id, :mode, :mx, :max_age, :fetched_at, :expires_at)
ON CONFLICT (domain) DO UPDATE SET record_id = excluded.record_id, mode = excluded.mode, mx = excluded.mx, max_age = excluded.max_age,
    fetched_at = excluded.fetched_at, expires_at = excluded.expires_at;

-- name: prune_sts_policies
-- Deletes policies that have expired, and all but the latest ones.
DELETE FROM sts_policy WHERE expires_at <= :now
OR domain IN (SELECT domain FROM sts_policy ORDER BY fetched_at DESC LIMIT 9223372036854775807 OFFSET :most);

-- name: list_sts_policies
-- The MTA-STS policies; those fetched last come last.
SELECT domain, record_id, mode, mx, max_age, fetched_at FROM sts_policy ORDER BY fetched_at;

-- name: count_tls_results
-- Number of results of TLS sessions.
SELECT count(*) FROM tls_result;

-- name: add_to_tls_result
-- Adds sessions to a result.
UPDATE tls_result SET number = number + :number WHERE day = :day AND domain = :domain AND result = :result;

-- name: put_tls_result
-- Stores a result of TLS sessions.
INSERT INTO tls_result (day, domain, result, number) VALUES (:day, :domain, :result, :number);

-- name: list_tls_days
-- Domains with results of TLS sessions, by day.
SELECT DISTINCT day, domain FROM tls_result WHERE day < :before ORDER BY day, domain;

-- name: find_tls_results
-- The results of a domain on a day.
SELECT day, domain, result, number FROM tls_result WHERE day = :day AND domain = :domain ORDER BY result;

-- name: remove_tls_results
-- Forgets the results of a domain on a day.
DELETE FROM tls_result WHERE day = :day AND domain = :domain;

-- name: ask_for_probes
-- Requests probes of the domains of queued deliveries.
INSERT INTO probe (domain) SELECT DISTINCT domain FROM delivery WHERE id {in_numbers:ids} AND state = 'queued'
ON CONFLICT (domain) DO NOTHING;

-- name: list_probes
-- Domains whose probe an operator has requested.
SELECT domain FROM probe ORDER BY domain;

-- name: delete_probes
-- Deletes requests for probes.
DELETE FROM probe WHERE domain {in_words:domains};

-- name: pause_destination
-- Stops mail to a domain; who did it first keeps standing there.
INSERT INTO paused_destination (domain, paused_by, paused_at, ends_at, reason) VALUES (:domain, :paused_by, :paused_at, :ends_at, :reason)
ON CONFLICT (domain) DO NOTHING;

-- name: list_paused_destinations
-- Domains that get no mail until somebody lets it go on.
SELECT domain, paused_by, paused_at, ends_at, reason FROM paused_destination ORDER BY domain;

-- name: resume_destination
-- Lets mail to a domain go on.
DELETE FROM paused_destination WHERE domain = :domain;

-- name: end_pauses
-- Ends the pauses whose end has come.
DELETE FROM paused_destination WHERE ends_at <= :moment RETURNING domain;

-- name: limit_destination
-- Sets the most sessions at once with a domain.
INSERT INTO destination_limit (domain, sessions, set_by, set_at, ends_at) VALUES (:domain, :sessions, :set_by, :set_at, :ends_at)
ON CONFLICT (domain) DO UPDATE SET sessions = excluded.sessions, set_by = excluded.set_by, set_at = excluded.set_at, ends_at = excluded.ends_at;

-- name: lift_limit
-- Lifts the limit of a domain.
DELETE FROM destination_limit WHERE domain = :domain;

-- name: end_limits
-- Ends the limits whose end has come.
DELETE FROM destination_limit WHERE ends_at <= :moment;

-- name: list_limited_destinations
-- Domains with a limit that a person has set.
SELECT domain, sessions, set_by, set_at, ends_at FROM destination_limit ORDER BY domain;

-- name: suspend_egress
-- Suspends an address or a pool, in place of an earlier suspension.
INSERT INTO egress_suspension (kind, name, reason, suspended_by, suspended_at, ends_at)
VALUES (:kind, :name, :reason, :suspended_by, :suspended_at, :ends_at)
ON CONFLICT (kind, name) DO UPDATE SET reason = excluded.reason, suspended_by = excluded.suspended_by, suspended_at = excluded.suspended_at,
    ends_at = excluded.ends_at;

-- name: resume_egress
-- Ends the suspension of an address or a pool.
DELETE FROM egress_suspension WHERE kind = :kind AND name = :name;

-- name: list_egress_suspensions
-- Suspended addresses and pools.
SELECT kind, name, reason, suspended_by, suspended_at, ends_at FROM egress_suspension ORDER BY kind, name;

-- name: end_egress_suspensions
-- Ends the suspensions whose end has come.
DELETE FROM egress_suspension WHERE ends_at <= :moment;

-- name: prune_egress_counts
-- Deletes what addresses have sent on earlier days.
DELETE FROM egress_count WHERE day < :keep_since;

-- name: count_egress_counts
-- The number of stored counts.
SELECT count(*) FROM egress_count;

-- name: add_to_egress_count
-- Adds to what an address has sent to a site.
UPDATE egress_count SET number = max(0, number + :number) WHERE day = :day AND address = :address AND site = :site;

-- name: put_egress_count
-- Stores what an address has sent to a site.
INSERT INTO egress_count (day, address, site, number) VALUES (:day, :address, :site, :number);

-- name: list_egress_counts
-- What addresses have sent to sites on a day.
SELECT address, site, number FROM egress_count WHERE day = :day ORDER BY address, site;

-- name: put_lane
-- Stores what is known of a next hop.
INSERT INTO lane (next_hop, updated_at, state) VALUES (:next_hop, :updated_at, :state)
ON CONFLICT (next_hop) DO UPDATE SET updated_at = excluded.updated_at, state = excluded.state;

-- name: prune_lanes
-- Deletes lanes that were updated too long ago, and all but the latest ones.
DELETE FROM lane WHERE updated_at < :keep_since
OR next_hop IN (SELECT next_hop FROM lane INDEXED BY lane_updated ORDER BY updated_at DESC LIMIT 9223372036854775807 OFFSET :most);

-- name: note_limit
-- Notes the limit of a next hop if it differs from the last one.
INSERT INTO lane_limit (next_hop, at, sessions, cause)
SELECT :next_hop, :at, :sessions, :cause WHERE NOT EXISTS (
    SELECT 1 FROM (SELECT sessions, cause FROM lane_limit WHERE next_hop = :next_hop ORDER BY at DESC LIMIT 1) AS last
    WHERE sessions = :sessions AND cause = :cause
) ON CONFLICT (next_hop, at) DO UPDATE SET sessions = excluded.sessions, cause = excluded.cause;

-- name: prune_limits
-- Deletes all but the last limits of a next hop.
DELETE FROM lane_limit WHERE next_hop = :next_hop
AND at <= (SELECT at FROM lane_limit WHERE next_hop = :next_hop ORDER BY at DESC LIMIT 1 OFFSET :most);

-- name: delete_limits
-- Deletes the limits of next hops of which nothing is known any more.
DELETE FROM lane_limit WHERE next_hop NOT IN (SELECT next_hop FROM lane);

-- name: list_limit_changes
-- The last limits of a next hop.
SELECT at, sessions, cause FROM lane_limit WHERE next_hop = :next_hop ORDER BY at DESC LIMIT :limit;

-- name: find_lanes
-- What is known of these next hops.
SELECT next_hop, updated_at, state FROM lane WHERE next_hop {in_words:next_hops} ORDER BY next_hop;

-- name: list_lanes
-- What has changed since a moment, the latest first.
SELECT next_hop, updated_at, state FROM lane INDEXED BY lane_updated WHERE updated_at >= :since ORDER BY updated_at DESC LIMIT :limit;

-- name: put_shaping_effect
-- Stores what replies have brought to a site.
INSERT INTO shaping_effect (site, rule, effect) VALUES (:site, :rule, :effect);

-- name: delete_shaping_effects
-- Forgets what replies have brought.
DELETE FROM shaping_effect;

-- name: list_shaping_effects
-- What replies have brought to sites.
SELECT site, rule, effect FROM shaping_effect ORDER BY site, rule;

-- name: end_shaping_effect
-- Forgets what replies have brought to a site by a rule.
DELETE FROM shaping_effect WHERE site = :site AND rule = :rule;

-- name: note_ended_effect
-- Notes that a person has ended it.
INSERT INTO ended_effect (site, rule, ended_at) VALUES (:site, :rule, :ended_at)
ON CONFLICT (site, rule) DO UPDATE SET ended_at = excluded.ended_at;

-- name: prune_ended_effects
-- Forgets what every process has seen.
DELETE FROM ended_effect WHERE ended_at < :keep_since;

-- name: list_ended_effects
-- What people have ended.
SELECT site, rule, ended_at FROM ended_effect ORDER BY site, rule;

-- name: list_stirring_lanes
-- Lanes to which something is being sent, or that are suspended: all lanes are read, once in a while.
SELECT next_hop, updated_at, state FROM lane
WHERE json_valid(state) AND (state ->> '$.sending' > 0 OR state ->> '$.suspended_until' IS NOT NULL) ORDER BY next_hop;

-- name: count_ahead
-- Queued deliveries to a domain that are due before a moment, counted up to a number.
SELECT count(*) AS number FROM (
    SELECT 1 FROM delivery INDEXED BY delivery_turn WHERE state = 'queued' AND domain = :domain AND due_at < :due_at LIMIT :most
) AS ahead;

-- name: ask_for_probe
-- Asks for a probe of a domain.
INSERT INTO probe (domain) VALUES (:domain) ON CONFLICT (domain) DO NOTHING;

-- name: put_trace
-- Requests the transcripts of a domain's next sessions.
INSERT INTO trace (domain, sessions, until) VALUES (:domain, :sessions, :until)
ON CONFLICT (domain) DO UPDATE SET sessions = excluded.sessions, until = excluded.until;

-- name: list_traces
-- Requests for transcripts that have not expired.
SELECT domain, sessions, until FROM trace WHERE until > :moment ORDER BY domain;

-- name: count_traced
-- Counts one session of a request for transcripts.
UPDATE trace SET sessions = sessions - 1 WHERE domain = :domain;

-- name: delete_done_traces
-- Deletes requests for transcripts with no session left.
DELETE FROM trace WHERE sessions <= 0;

-- name: suspend_account
-- Suspends an account, unless it is suspended.
INSERT INTO suspended_account (account_id, suspended_by, suspended_at, ends_at, reason)
VALUES (:account_id, :suspended_by, :suspended_at, :ends_at, :reason) ON CONFLICT (account_id) DO NOTHING;

-- name: list_suspended_accounts
-- The suspended accounts. There are few.
SELECT account_id, suspended_by, suspended_at, ends_at, reason FROM suspended_account ORDER BY account_id;

-- name: end_suspension
-- Lets a suspension be over.
UPDATE suspended_account SET ends_at = :moment WHERE account_id = :account_id;

-- name: forget_suspension
-- Deletes a suspension.
DELETE FROM suspended_account WHERE account_id = :account_id;
