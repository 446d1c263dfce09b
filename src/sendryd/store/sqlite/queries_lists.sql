-- Suppressions, unsubscribes, templates.

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

-- name: insert_template
INSERT INTO template (id, account_id, name, content, created_at, updated_at, mode) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: count_templates_made
SELECT count(*) FROM template WHERE account_id = ?1 AND (mode = 'live' OR ?2 = 'test');

-- name: insert_template_version
INSERT INTO template_version (id, template_id, version, content, created_at)
SELECT ?1, ?2, 1 + coalesce(max(version), 0), ?3, ?4 FROM template_version WHERE template_id = ?2;

-- name: get_template
SELECT id, account_id, name, content, created_at, updated_at, mode FROM template WHERE account_id = ? AND id = ?;

-- name: page_templates
SELECT id, account_id, name, content, created_at, updated_at, mode FROM template WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: update_template
UPDATE template SET name = ?2, content = ?3, updated_at = ?4, mode = ?5 WHERE id = ?1;

-- name: remove_template
DELETE FROM template WHERE account_id = ? AND id = ?;

-- name: list_template_versions
SELECT id, template_id, version, content, created_at FROM template_version WHERE template_id = ? ORDER BY version DESC;

-- name: get_template_version
SELECT id, template_id, version, content, created_at FROM template_version WHERE template_id = ? AND id = ?;
