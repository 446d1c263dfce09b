-- Templates and their versions. sendryd.store.drivers.loading loads them.

-- columns: template
id, account_id, name, content, created_at, updated_at, mode

-- columns: version
id, template_id, version, content, created_at

-- name: insert_template
-- Stores a template.
INSERT INTO template ({template}) VALUES ({:template});

-- name: count_templates_made
-- Number of templates of an account; those of test keys and of live keys are counted apart.
SELECT count(*) FROM template WHERE account_id = :account_id AND (mode = 'live' OR :mode = 'test');

-- name: insert_template_version
-- Stores the next version of a template.
INSERT INTO template_version ({version})
SELECT :id, :template_id, 1 + coalesce(max(version), 0), :content, :created_at FROM template_version WHERE template_id = :template_id;

-- name: get_template
-- One template of an account.
SELECT {template} FROM template WHERE account_id = :account_id AND id = :id;

-- name: page_templates
-- Templates of an account, newest first.
SELECT {template} FROM template WHERE account_id = :account_id AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: update_template
-- Replaces the name, content and mode of a template.
UPDATE template SET name = :name, content = :content, updated_at = :updated_at, mode = :mode WHERE id = :id;

-- name: remove_template
-- Deletes a template, and its versions with it.
DELETE FROM template WHERE account_id = :account_id AND id = :id;

-- name: list_template_versions
-- The versions of a template, newest first.
SELECT {version} FROM template_version WHERE template_id = :template_id ORDER BY version DESC;

-- name: get_template_version
-- One version of a template.
SELECT {version} FROM template_version WHERE template_id = :template_id AND id = :id;
