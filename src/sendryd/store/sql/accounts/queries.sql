-- Accounts, API keys, sending domains, secrets. sendryd.store.drivers.loading loads them.

-- columns: api_key
id, account_id, name, scope, mode, prefix, created_at, expires_at, revoked_at, last_used_at, last_used_from

-- columns: domain
id, account_id, name, status, selector, public_key, settings, records, created_at, verified_at, checked_at, failing_since, failures

-- columns: bimi
logo_url, vmc_url, selector, is_verified, verified_at, created_at, updated_at

-- columns: past_check
checked_at, status, faults, sightings

-- columns: dkim_key
id, domain_id, selector, public_key, created_at, starts_at, seen_at, active_at, retired_at

-- name: insert_account
-- Creates an account unless it exists.
INSERT INTO account (id, name, created_at) VALUES (:id, :name, :created_at) ON CONFLICT (id) DO NOTHING;

-- name: get_account
-- An account by its id.
SELECT id, name, created_at, settings FROM account WHERE id = :id;

-- name: list_accounts
-- All accounts.
SELECT id, name, created_at, settings FROM account ORDER BY id;

-- name: set_account
-- Replaces the name and settings of an account.
UPDATE account SET name = :name, settings = :settings WHERE id = :id;

-- name: insert_api_key
-- Stores a key with the SHA-256 of its secret.
INSERT INTO api_key ({api_key}, secret_hash) VALUES ({:api_key}, :secret_hash);

-- name: find_api_key
-- The key whose secret has this SHA-256.
SELECT {api_key} FROM api_key WHERE secret_hash = :secret_hash;

-- name: get_api_key
-- One key of an account.
SELECT {api_key} FROM api_key WHERE account_id = :account_id AND id = :id;

-- name: list_api_keys
-- All keys of an account, newest first.
SELECT {api_key} FROM api_key WHERE account_id = :account_id ORDER BY id DESC;

-- name: page_api_keys
-- Keys of an account that are not revoked, newest first.
SELECT {api_key} FROM api_key WHERE account_id = :account_id AND id < :before AND revoked_at IS NULL ORDER BY id DESC LIMIT :limit;

-- name: count_active_keys
-- Number of keys that are neither revoked nor expired; test keys and live keys are counted apart.
SELECT count(*) FROM api_key
WHERE account_id = :account_id AND (mode = 'live' OR :mode = 'test') AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > :moment);

-- name: revoke_api_key
-- Revokes a key from a time on; an earlier revocation stays.
UPDATE api_key SET revoked_at = min(coalesce(revoked_at, :revoked_at), :revoked_at) WHERE account_id = :account_id AND id = :id;

-- name: touch_api_key
-- Stores when and from where a key was last used.
UPDATE api_key SET last_used_at = :last_used_at, last_used_from = :last_used_from WHERE id = :id;

-- name: insert_domain
-- Stores a sending domain with the private half of its DKIM key.
INSERT INTO sending_domain ({domain}, private_key) VALUES ({:domain}, :private_key);

-- name: find_domain
-- An account's sending domain by its name.
SELECT {domain} FROM sending_domain WHERE account_id = :account_id AND name = :name;

-- name: get_domain
-- A sending domain by its id.
SELECT {domain} FROM sending_domain WHERE id = :id;

-- name: list_domains
-- All sending domains, of one account or of all, newest first.
SELECT {domain} FROM sending_domain WHERE CAST(:account_id AS BIGINT) IS NULL OR account_id = :account_id ORDER BY id DESC;

-- name: page_domains
-- Sending domains of an account with a text in their name, newest first. The ids are found first: the rows are long.
SELECT {domain} FROM sending_domain WHERE id IN (
    SELECT id FROM sending_domain
    WHERE account_id = :account_id AND +id < :before AND (CAST(:pattern AS TEXT) IS NULL OR name LIKE :pattern ESCAPE '\')
    ORDER BY id DESC LIMIT :limit
) ORDER BY id DESC;

-- name: count_domains
-- Number of sending domains of an account with a text in their name.
SELECT count(*) FROM sending_domain WHERE account_id = :account_id AND (CAST(:pattern AS TEXT) IS NULL OR name LIKE :pattern ESCAPE '\');

-- name: read_smarthost_password
-- The password of a domain's smart host.
SELECT smarthost_password FROM sending_domain WHERE id = :id;

-- name: read_private_key
-- The private half of a domain's DKIM key.
SELECT private_key FROM sending_domain WHERE id = :id;

-- name: record_domain_check
-- Stores the result of a check of a domain.
UPDATE sending_domain
SET status = :status, records = :records, checked_at = :checked_at, verified_at = :verified_at, failing_since = :failing_since,
    failures = :failures
WHERE id = :id;

-- name: insert_domain_check
-- Keeps a check of a domain.
INSERT INTO domain_check (domain_id, {past_check}) VALUES (:domain_id, {:past_check});

-- name: delete_old_domain_checks
-- Deletes all but the last checks of a domain.
DELETE FROM domain_check WHERE domain_id = :domain_id AND id <= (
    SELECT id FROM domain_check WHERE domain_id = :domain_id ORDER BY id DESC LIMIT 1 OFFSET :keep
);

-- name: list_domain_checks
-- The last checks of a domain, newest first.
SELECT {past_check} FROM domain_check WHERE domain_id = :domain_id ORDER BY id DESC LIMIT :limit;

-- name: insert_dkim_key
-- Stores a DKIM key beside the one that a domain signs with.
INSERT INTO dkim_key ({dkim_key}, private_key) VALUES ({:dkim_key}, :private_key);

-- name: list_dkim_keys
-- The DKIM keys of a domain that has had more than one, newest first.
SELECT {dkim_key} FROM dkim_key WHERE domain_id = :domain_id ORDER BY id DESC;

-- name: list_pending_dkim_keys
-- The DKIM keys of all domains that wait for their record or their time.
SELECT {dkim_key} FROM dkim_key WHERE active_at IS NULL AND retired_at IS NULL;

-- name: get_pending_dkim_key
-- A pending DKIM key of a domain, with its private half.
SELECT {dkim_key}, private_key FROM dkim_key WHERE id = :id AND domain_id = :domain_id AND active_at IS NULL AND retired_at IS NULL;

-- name: note_dkim_key
-- Stores when the record of a pending DKIM key was last found.
UPDATE dkim_key SET seen_at = :seen_at WHERE id = :id AND active_at IS NULL AND retired_at IS NULL;

-- name: retire_dkim_key
-- Retires the DKIM key that a domain signs with. A domain's first key has no row before that.
INSERT INTO dkim_key (id, domain_id, selector, public_key, created_at, starts_at, active_at, retired_at)
SELECT :id, id, selector, public_key, created_at, created_at, created_at, :now FROM sending_domain WHERE sending_domain.id = :domain_id
ON CONFLICT (domain_id, selector) DO UPDATE SET retired_at = :now, private_key = NULL;

-- name: activate_dkim_key
-- Makes a pending DKIM key the active one; its private half moves to the domain.
UPDATE dkim_key SET active_at = :now, private_key = NULL WHERE id = :id;

-- name: set_domain_key
-- Replaces the DKIM key that a domain signs with.
UPDATE sending_domain SET selector = :selector, public_key = :public_key, private_key = :private_key, records = :records WHERE id = :id;

-- name: remove_dkim_key
-- Deletes a pending or retired DKIM key.
DELETE FROM dkim_key WHERE id = :id AND (active_at IS NULL OR retired_at IS NOT NULL);

-- name: set_domain_settings
-- Replaces the settings of a domain, and its records and the password of its smart host if there are new ones.
UPDATE sending_domain
SET settings = :settings, records = coalesce(:records, records), smarthost_password = coalesce(:password, smarthost_password)
WHERE id = :id;

-- name: remove_domain
-- Deletes a domain.
DELETE FROM sending_domain WHERE id = :id;

-- name: insert_removed_domain
-- Stores the name of a domain before it is deleted.
INSERT INTO removed_domain (id, account_id, name, removed_at)
SELECT id, account_id, name, :removed_at FROM sending_domain WHERE id = :id
ON CONFLICT (id) DO UPDATE SET account_id = excluded.account_id, name = excluded.name, removed_at = excluded.removed_at;

-- name: list_old_removed_domains
-- Domains that were removed before a time and whose signature no waiting mail needs.
SELECT id FROM removed_domain WHERE removed_at < :created_before AND id NOT IN (
    SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.state = 'held'
    UNION ALL SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id
    WHERE delivery.state = 'queued'
    UNION ALL SELECT coalesce(message.signing_domain_id, 0) FROM delivery JOIN message ON message.id = delivery.message_id
    WHERE delivery.state = 'leased'
) LIMIT :limit;

-- name: delete_removed_domains
-- Deletes the names of removed domains.
DELETE FROM removed_domain WHERE id {in_numbers:ids};

-- name: find_successor
-- The verified domain of the same account with the name of a removed one.
SELECT sending_domain.id FROM removed_domain
JOIN sending_domain ON sending_domain.account_id = removed_domain.account_id AND sending_domain.name = removed_domain.name
WHERE removed_domain.id = :id AND sending_domain.status = 'verified';

-- name: get_bimi
-- The logo of a domain.
SELECT {bimi} FROM bimi WHERE domain_id = :domain_id;

-- name: set_bimi
-- Stores or replaces the logo of a domain.
INSERT INTO bimi (domain_id, {bimi}) VALUES (:domain_id, {:bimi})
ON CONFLICT (domain_id) DO UPDATE SET logo_url = :logo_url, vmc_url = :vmc_url, selector = :selector, is_verified = :is_verified,
    verified_at = :verified_at, created_at = :created_at, updated_at = :updated_at;

-- name: remove_bimi
-- Deletes the logo of a domain.
DELETE FROM bimi WHERE domain_id = :domain_id;

-- name: insert_secret
-- Stores a secret of the installation unless one of this name exists.
INSERT INTO secret (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- name: get_secret
-- A secret of the installation.
SELECT value FROM secret WHERE name = :name;

-- name: read_config_version
-- A number that grows with every change of a key or domain.
SELECT version FROM config_version;
