-- Suppressions and unsubscribes. sendryd.store.drivers.loading loads them.

-- columns: suppression
id, account_id, email, reason, created_at

-- columns: unsubscribe
id, account_id, email, list_id, reason, created_at

-- name: insert_suppression
-- Adds a suppression unless the address is suppressed; returns its id if it is new.
INSERT INTO suppression ({suppression}) VALUES ({:suppression}) ON CONFLICT (account_id, email) DO NOTHING
RETURNING id;

-- name: get_suppression
-- The suppression of an address.
SELECT {suppression} FROM suppression WHERE account_id = :account_id AND email = :email;

-- name: page_suppressions
-- Suppressions of an account with a text in their address, newest first.
SELECT {suppression} FROM suppression
WHERE account_id = :account_id AND id < :before AND (CAST(:pattern AS TEXT) IS NULL OR email LIKE :pattern ESCAPE '\')
  AND (CAST(:reason AS TEXT) IS NULL OR reason = :reason)
ORDER BY id DESC LIMIT :limit;

-- name: remove_suppression
-- Lifts the suppression of an address.
DELETE FROM suppression WHERE account_id = :account_id AND email = :email;

-- name: load_suppressed
-- The suppressed addresses of an account.
SELECT email FROM suppression WHERE account_id = :account_id LIMIT :limit;

-- name: is_suppressed
-- Whether an address is suppressed.
SELECT 1 AS found FROM suppression WHERE account_id = :account_id AND email = :email;

-- name: read_lists_version
-- A number that grows with every change of the suppressions.
SELECT version FROM lists_version;

-- name: insert_unsubscribe
-- Adds an unsubscribe unless the address has unsubscribed from that list.
INSERT INTO unsubscribe ({unsubscribe}) VALUES ({:unsubscribe})
ON CONFLICT (account_id, email, list_id) DO NOTHING;

-- name: find_unsubscribe
-- The unsubscribe of an address from one list, or from all marketing.
SELECT {unsubscribe} FROM unsubscribe WHERE account_id = :account_id AND email = :email AND list_id = :list_id;

-- name: is_unsubscribed
-- Whether an address has unsubscribed from all marketing or from this list.
SELECT 1 AS found FROM unsubscribe WHERE account_id = :account_id AND email = :email AND list_id IN ('', :list_id);

-- name: get_unsubscribe
-- One unsubscribe of an account.
SELECT {unsubscribe} FROM unsubscribe WHERE account_id = :account_id AND id = :id;

-- name: page_unsubscribes
-- Unsubscribes of an account, newest first.
SELECT {unsubscribe} FROM unsubscribe
WHERE account_id = :account_id AND id < :before AND (CAST(:list_id AS TEXT) IS NULL OR list_id = :list_id) ORDER BY id DESC LIMIT :limit;

-- name: page_unsubscribes_of
-- Unsubscribes of one address, newest first. The pluses keep the planner on the index of the address.
SELECT {unsubscribe} FROM unsubscribe
WHERE account_id = :account_id AND +id < :before AND email = :email AND (CAST(:list_id AS TEXT) IS NULL OR list_id = :list_id)
ORDER BY +id DESC LIMIT :limit;

-- name: remove_unsubscribe
-- Deletes an unsubscribe.
DELETE FROM unsubscribe WHERE account_id = :account_id AND id = :id;
