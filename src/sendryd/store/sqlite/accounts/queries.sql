-- Accounts, API keys, sending domains, secrets. sendryd.store.sqlite.engine.loading loads them.

-- name: insert_account
INSERT INTO account (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING;

-- name: insert_api_key
INSERT INTO api_key (id, account_id, name, scope, mode, prefix, secret_hash, created_at, expires_at, revoked_at, last_used_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_api_key
SELECT id, account_id, name, scope, mode, prefix, created_at, expires_at, revoked_at, last_used_at
FROM api_key WHERE secret_hash = ?;

-- name: get_api_key
SELECT id, account_id, name, scope, mode, prefix, created_at, expires_at, revoked_at, last_used_at
FROM api_key WHERE account_id = ? AND id = ?;

-- name: list_api_keys
SELECT id, account_id, name, scope, mode, prefix, created_at, expires_at, revoked_at, last_used_at
FROM api_key WHERE account_id = ? ORDER BY id DESC;

-- name: page_api_keys
SELECT id, account_id, name, scope, mode, prefix, created_at, expires_at, revoked_at, last_used_at
FROM api_key WHERE account_id = ? AND id < ? AND revoked_at IS NULL ORDER BY id DESC LIMIT ?;

-- name: count_active_keys
SELECT count(*) FROM api_key
WHERE account_id = ?1 AND (mode = 'live' OR ?2 = 'test') AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3);

-- name: revoke_api_key
UPDATE api_key SET revoked_at = min(coalesce(revoked_at, ?3), ?3) WHERE account_id = ?1 AND id = ?2;

-- name: touch_api_key
UPDATE api_key SET last_used_at = ? WHERE id = ?;

-- name: insert_domain
INSERT INTO sending_domain (id, account_id, name, status, selector, public_key, private_key, settings, records, created_at,
                            verified_at, checked_at, failing_since, failures)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_domain
SELECT id, account_id, name, status, selector, public_key, settings, records, created_at, verified_at, checked_at, failing_since, failures
FROM sending_domain WHERE account_id = ? AND name = ?;

-- name: get_domain
SELECT id, account_id, name, status, selector, public_key, settings, records, created_at, verified_at, checked_at, failing_since, failures
FROM sending_domain WHERE id = ?;

-- name: list_domains
SELECT id, account_id, name, status, selector, public_key, settings, records, created_at, verified_at, checked_at, failing_since, failures
FROM sending_domain WHERE ?1 IS NULL OR account_id = ?1 ORDER BY id DESC;

-- name: page_domains
SELECT id, account_id, name, status, selector, public_key, settings, records, created_at, verified_at, checked_at, failing_since, failures
FROM sending_domain WHERE id IN (
    SELECT id FROM sending_domain WHERE account_id = ?1 AND +id < ?2 AND (?3 IS NULL OR name LIKE ?3 ESCAPE '\') ORDER BY id DESC LIMIT ?4
) ORDER BY id DESC;

-- name: count_domains
SELECT count(*) FROM sending_domain WHERE account_id = ?1 AND (?2 IS NULL OR name LIKE ?2 ESCAPE '\');

-- name: get_bimi
SELECT logo_url, vmc_url, selector, is_verified, verified_at, created_at, updated_at FROM bimi WHERE domain_id = ?;

-- name: set_bimi
INSERT OR REPLACE INTO bimi (domain_id, logo_url, vmc_url, selector, is_verified, verified_at, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: remove_bimi
DELETE FROM bimi WHERE domain_id = ?;

-- name: get_account
SELECT id, name, created_at, settings FROM account WHERE id = ?;

-- name: set_account
UPDATE account SET name = ?2, settings = ?3 WHERE id = ?1;

-- name: insert_secret
INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING;

-- name: get_secret
SELECT value FROM secret WHERE name = ?;

-- name: read_private_key
SELECT private_key FROM sending_domain WHERE id = ?;

-- name: record_domain_check
UPDATE sending_domain
SET status = ?, records = ?, checked_at = ?, verified_at = ?, failing_since = ?, failures = ?
WHERE id = ?;

-- name: set_domain_settings
UPDATE sending_domain SET settings = ? WHERE id = ?;

-- name: remove_domain
DELETE FROM sending_domain WHERE id = ?;

-- name: insert_removed_domain
INSERT OR REPLACE INTO removed_domain (id, account_id, name, removed_at) SELECT id, account_id, name, ?2 FROM sending_domain WHERE id = ?1;

-- name: list_old_removed_domains
SELECT id FROM removed_domain WHERE removed_at < ?1 AND id NOT IN (
    SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.state = 'held'
    UNION ALL SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id
    WHERE delivery.state = 'queued'
    UNION ALL SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id
    WHERE delivery.state = 'leased'
) LIMIT ?2;

-- name: delete_removed_domains
DELETE FROM removed_domain WHERE id IN (SELECT value FROM json_each(?1));

-- name: find_successor
SELECT sending_domain.id FROM removed_domain
JOIN sending_domain ON sending_domain.account_id = removed_domain.account_id AND sending_domain.name = removed_domain.name
WHERE removed_domain.id = ? AND sending_domain.status = 'verified';

-- name: read_config_version
SELECT version FROM config_version;
