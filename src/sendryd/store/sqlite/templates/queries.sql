-- Templates and their versions. sendryd.store.sqlite.engine.loading loads them.

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
