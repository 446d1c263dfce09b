-- Scheduled reports and the log of API requests. Statistics are put together in sendryd.store.sql.reports.activity.
-- sendryd.store.drivers.loading loads them.

-- columns: report
id, account_id, frequency, recipients, created_at, due_at

-- columns: request
id, account_id, api_key_id, method, path, status_code, request_body, response_body, duration_ms, user_agent, created_at

-- columns: blocked
network, blocked_by, reason, blocked_at, ends_at

-- columns: refusal
id, account_id, api_key_id, address, helo, is_encrypted, step, cause, reply, sender, recipient, more, created_at

-- name: insert_scheduled_report
-- Stores a scheduled report.
INSERT INTO scheduled_report ({report}) VALUES ({:report});

-- name: count_scheduled_reports
-- Number of reports of an account.
SELECT count(*) FROM scheduled_report WHERE account_id = :account_id;

-- name: list_scheduled_reports
-- Reports of one account or of all, newest first.
SELECT {report} FROM scheduled_report WHERE CAST(:account_id AS BIGINT) IS NULL OR account_id = :account_id ORDER BY id DESC;

-- name: move_scheduled_report
-- Sets when a report is sent next.
UPDATE scheduled_report SET due_at = :due_at WHERE id = :id;

-- name: remove_scheduled_report
-- Deletes a report.
DELETE FROM scheduled_report WHERE account_id = :account_id AND id = :id;

-- name: insert_api_request
-- Stores a request.
INSERT INTO api_request ({request}) VALUES ({:request});

-- name: page_api_requests
-- Requests of an account, newest first. The ids are found along the index first: the rows have bodies.
SELECT {request} FROM api_request WHERE id IN (
    SELECT id FROM api_request INDEXED BY api_request_listed
    WHERE account_id = :account_id AND (CAST(:method AS TEXT) IS NULL OR method = :method) AND (CAST(:status_code AS BIGINT) IS NULL OR status_code = :status_code)
      AND (CAST(:path AS TEXT) IS NULL OR path = :path) AND (CAST(:pattern AS TEXT) IS NULL OR path LIKE :pattern ESCAPE '\' OR method LIKE :pattern ESCAPE '\')
      AND id < :before
    ORDER BY id DESC LIMIT :limit
) ORDER BY id DESC;

-- name: count_api_requests
-- Number of requests of an account.
SELECT count(*) FROM api_request INDEXED BY api_request_listed
WHERE account_id = :account_id AND (CAST(:method AS TEXT) IS NULL OR method = :method) AND (CAST(:status_code AS BIGINT) IS NULL OR status_code = :status_code)
  AND (CAST(:path AS TEXT) IS NULL OR path = :path) AND (CAST(:pattern AS TEXT) IS NULL OR path LIKE :pattern ESCAPE '\' OR method LIKE :pattern ESCAPE '\');

-- name: count_requests_of_keys
-- The last requests of an account by key, and those that failed.
SELECT api_key_id, count(*) AS requests, sum(CASE WHEN status_code >= 400 THEN 1 ELSE 0 END) AS failed FROM (
    SELECT api_key_id, status_code FROM api_request INDEXED BY api_request_listed
    WHERE account_id = :account_id ORDER BY id DESC LIMIT :most
) AS latest GROUP BY api_key_id;

-- name: delete_api_requests
-- Deletes the oldest requests.
DELETE FROM api_request WHERE id IN (SELECT id FROM api_request WHERE id < :first_kept ORDER BY id LIMIT :limit);

-- name: insert_smtp_refusal
-- Stores a refusal.
INSERT INTO smtp_refusal ({refusal}) VALUES ({:refusal});

-- name: count_smtp_refusals
-- Adds to the number of refusals that were counted alone.
UPDATE smtp_refusal SET more = more + :more WHERE id = :id;

-- name: prune_smtp_refusals
-- Deletes refusals that are too old, and all but the latest ones.
DELETE FROM smtp_refusal WHERE id < max(:first_kept, coalesce((SELECT id FROM smtp_refusal ORDER BY id DESC LIMIT 1 OFFSET :most - 1), 0));

-- name: page_smtp_refusals
-- Refusals, newest first. There are few in all, so a search passes them along the primary key.
SELECT {refusal} FROM smtp_refusal
WHERE id < :before AND (CAST(:account_id AS BIGINT) IS NULL OR account_id = :account_id)
  AND (CAST(:pattern AS TEXT) IS NULL OR recipient LIKE :pattern ESCAPE '\' OR sender LIKE :pattern ESCAPE '\' OR address LIKE :pattern ESCAPE '\')
ORDER BY id DESC LIMIT :limit;

-- name: put_blocked_address
-- Blocks an address, or changes its block.
INSERT INTO blocked_address ({blocked}) VALUES ({:blocked})
ON CONFLICT (network) DO UPDATE SET blocked_by = :blocked_by, reason = :reason, blocked_at = :blocked_at, ends_at = :ends_at;

-- name: delete_ended_blocks
-- Forgets blocks whose time has ended.
DELETE FROM blocked_address WHERE ends_at <= :moment;

-- name: count_blocked_addresses
-- How many addresses are blocked.
SELECT count(*) FROM blocked_address;

-- name: delete_blocked_address
-- Lets an address in again.
DELETE FROM blocked_address WHERE network = :network;

-- name: list_blocked_addresses
-- All blocks.
SELECT {blocked} FROM blocked_address ORDER BY network;

-- name: has_many_events
-- Whether more events than some follow one.
SELECT EXISTS (SELECT 1 FROM event WHERE id > :after ORDER BY id LIMIT 1 OFFSET :most);

-- name: list_domain_names
-- The sending domains of an account.
SELECT id, name FROM sending_domain WHERE account_id = :account_id;

-- name: list_template_names
-- Names of templates.
SELECT id, name FROM template WHERE id {in_numbers:ids};
