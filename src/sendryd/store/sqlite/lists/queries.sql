-- Suppressions and unsubscribes. sendryd.store.sqlite.engine.loading loads them.

-- name: read_lists_version
SELECT version FROM lists_version;

-- name: load_suppressed
SELECT email FROM suppression WHERE account_id = ? LIMIT ?;

-- name: is_suppressed
SELECT 1 FROM suppression WHERE account_id = ? AND email = ?;

-- name: is_unsubscribed
SELECT 1 FROM unsubscribe WHERE account_id = ?1 AND email = ?2 AND list_id IN ('', ?3);

-- name: insert_suppression
INSERT INTO suppression (id, account_id, email, reason, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account_id, email) DO NOTHING
RETURNING id;

-- name: get_suppression
SELECT id, account_id, email, reason, created_at FROM suppression WHERE account_id = ? AND email = ?;

-- name: page_suppressions
SELECT id, account_id, email, reason, created_at FROM suppression
WHERE account_id = ?1 AND id < ?2 AND (?3 IS NULL OR email LIKE ?3 ESCAPE '\') AND (?4 IS NULL OR reason = ?4)
ORDER BY id DESC LIMIT ?5;

-- name: remove_suppression
DELETE FROM suppression WHERE account_id = ? AND email = ?;

-- name: insert_unsubscribe
INSERT INTO unsubscribe (id, account_id, email, list_id, reason, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, email, list_id) DO NOTHING;

-- name: find_unsubscribe
SELECT id, account_id, email, list_id, reason, created_at FROM unsubscribe WHERE account_id = ? AND email = ? AND list_id = ?;

-- name: get_unsubscribe
SELECT id, account_id, email, list_id, reason, created_at FROM unsubscribe WHERE account_id = ? AND id = ?;

-- name: page_unsubscribes
SELECT id, account_id, email, list_id, reason, created_at FROM unsubscribe
WHERE account_id = ?1 AND id < ?2 AND (?3 IS NULL OR list_id = ?3) ORDER BY id DESC LIMIT ?4;

-- name: page_unsubscribes_of
SELECT id, account_id, email, list_id, reason, created_at FROM unsubscribe
WHERE account_id = ?1 AND +id < ?2 AND email = ?5 AND (?3 IS NULL OR list_id = ?3) ORDER BY +id DESC LIMIT ?4;

-- name: remove_unsubscribe
DELETE FROM unsubscribe WHERE account_id = ? AND id = ?;
