-- Scheduled reports and the log of API requests. sendryd.store.sqlite.engine.loading loads them.

-- name: insert_scheduled_report
INSERT INTO scheduled_report (id, account_id, frequency, recipients, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: count_scheduled_reports
SELECT count(*) FROM scheduled_report WHERE account_id = ?;

-- name: list_scheduled_reports
SELECT id, account_id, frequency, recipients, created_at, due_at FROM scheduled_report
WHERE ?1 IS NULL OR account_id = ?1 ORDER BY id DESC;

-- name: move_scheduled_report
UPDATE scheduled_report SET due_at = ?2 WHERE id = ?1;

-- name: remove_scheduled_report
DELETE FROM scheduled_report WHERE account_id = ? AND id = ?;

-- name: insert_api_request
INSERT INTO api_request (id, account_id, api_key_id, method, path, status_code, request_body, response_body, duration_ms, user_agent, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: page_api_requests
SELECT id, account_id, api_key_id, method, path, status_code, request_body, response_body, duration_ms, user_agent, created_at
FROM api_request WHERE id IN (
    SELECT id FROM api_request INDEXED BY api_request_listed
    WHERE account_id = ?1 AND (?2 IS NULL OR method = ?2) AND (?3 IS NULL OR status_code = ?3) AND (?4 IS NULL OR path = ?4)
      AND (?5 IS NULL OR path LIKE ?5 ESCAPE '\' OR method LIKE ?5 ESCAPE '\') AND id < ?6
    ORDER BY id DESC LIMIT ?7
) ORDER BY id DESC;

-- name: count_api_requests
SELECT count(*) FROM api_request INDEXED BY api_request_listed
WHERE account_id = ?1 AND (?2 IS NULL OR method = ?2) AND (?3 IS NULL OR status_code = ?3) AND (?4 IS NULL OR path = ?4)
  AND (?5 IS NULL OR path LIKE ?5 ESCAPE '\' OR method LIKE ?5 ESCAPE '\');

-- name: delete_api_requests
DELETE FROM api_request WHERE id IN (SELECT id FROM api_request WHERE id < ? ORDER BY id LIMIT ?);
