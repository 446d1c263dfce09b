-- Mail that came in, and reports of others. sendryd.store.drivers.loading loads them.

-- columns: inbound
id, account_id, content, created_at, is_forwarded, attempts, due_at

-- columns: domain_report
id, account_id, topic, domain, reporter, report_key, begins_at, ends_at, good, bad, policy, content, author, is_authenticated, created_at

-- columns: domain_report_head
id, account_id, topic, domain, reporter, report_key, begins_at, ends_at, good, bad, policy, author, is_authenticated, created_at

-- name: find_receiving_account
-- The account with a verified sending domain of this name, the first one if there are several.
SELECT account_id FROM sending_domain WHERE name = :name AND status = 'verified' ORDER BY id LIMIT 1;

-- name: find_reader
-- A member of an account, or a key of it that is not revoked.
SELECT id FROM membership WHERE account_id = :account_id AND person_id IS NOT NULL
UNION ALL SELECT id FROM api_key WHERE account_id = :account_id AND revoked_at IS NULL LIMIT 1;

-- name: find_any_domain
-- A sending domain of an account.
SELECT id FROM sending_domain WHERE account_id = :account_id LIMIT 1;

-- name: insert_inbound
-- Stores a mail.
INSERT INTO inbound_mail ({inbound}) VALUES ({:inbound});

-- name: get_inbound
-- One mail of an account.
SELECT {inbound} FROM inbound_mail WHERE account_id = :account_id AND id = :id;

-- name: page_inbound
-- Mails of an account, newest first.
SELECT {inbound} FROM inbound_mail WHERE account_id = :account_id AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_inbound_due
-- Mails that are to be posted, longest due first.
SELECT {inbound} FROM inbound_mail WHERE due_at <= :moment ORDER BY due_at LIMIT :limit;

-- name: note_forwarding
-- Stores the outcome of an attempt to post a mail.
UPDATE inbound_mail SET is_forwarded = :is_forwarded, due_at = :due_at, attempts = attempts + 1 WHERE id = :id;

-- name: delete_inbound
-- Deletes the oldest mails.
DELETE FROM inbound_mail WHERE id IN (SELECT id FROM inbound_mail WHERE id < :first_kept ORDER BY id LIMIT :limit);

-- name: insert_domain_report
-- Stores a report of others; one that is there already stays.
INSERT INTO domain_report ({domain_report}) VALUES ({:domain_report})
ON CONFLICT (account_id, domain, topic, reporter, report_key) DO NOTHING;

-- name: trim_domain_reports
-- Deletes the oldest reports of a domain and topic beyond a number, or beyond octets of rows; of one author, unless `author` is NULL.
DELETE FROM domain_report WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER newest AS place, sum(octet_length(content)) OVER newest AS octets FROM domain_report
        WHERE account_id = :account_id AND domain = :domain AND topic = :topic AND is_authenticated = :is_authenticated
            AND (CAST(:author AS TEXT) IS NULL OR author = :author)
        WINDOW newest AS (ORDER BY id DESC ROWS UNBOUNDED PRECEDING)
    ) AS placed WHERE place > :most OR octets > :octets
);

-- name: get_domain_report
-- One report of an account.
SELECT {domain_report} FROM domain_report WHERE account_id = :account_id AND id = :id;

-- name: page_domain_reports
-- Reports of an account, newest first, with their first rows. `domain` is NULL.
SELECT {domain_report_head}, CASE WHEN json_valid(content)
    THEN (SELECT json_group_array(json(value)) FROM (SELECT value FROM json_each(content) ORDER BY key LIMIT :rows))
    ELSE content END AS content
FROM domain_report
WHERE account_id = :account_id AND :domain IS NULL AND (CAST(:topic AS TEXT) IS NULL OR topic = :topic) AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: page_reports_of_domain
-- Reports about one domain of an account, newest first, with their first rows.
SELECT {domain_report_head}, CASE WHEN json_valid(content)
    THEN (SELECT json_group_array(json(value)) FROM (SELECT value FROM json_each(content) ORDER BY key LIMIT :rows))
    ELSE content END AS content
FROM domain_report
WHERE account_id = :account_id AND domain = :domain AND (CAST(:topic AS TEXT) IS NULL OR topic = :topic) AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: sum_domain_reports
-- What the reports of proved senders since a time say of each domain. `sum` would fail where the numbers of strangers add up beyond 64 bits.
SELECT
    domain, topic, count(*) AS reports, CAST(total(good) AS INTEGER) AS good, CAST(total(bad) AS INTEGER) AS bad, max(created_at) AS latest
FROM domain_report WHERE account_id = :account_id AND id >= :first AND is_authenticated = 1 GROUP BY domain, topic ORDER BY domain, topic;

-- name: delete_domain_reports
-- Deletes the oldest reports.
DELETE FROM domain_report WHERE id IN (SELECT id FROM domain_report WHERE id < :first_kept ORDER BY id LIMIT :limit);
