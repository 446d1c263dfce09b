-- Mail that came in. sendryd.store.sqlite.engine.loading loads them.

-- columns: inbound
id, account_id, content, created_at, is_forwarded, attempts, due_at

-- name: find_receiving_account
-- The account with a verified sending domain of this name, the first one if there are several.
SELECT account_id FROM sending_domain WHERE name = :name AND status = 'verified' ORDER BY id LIMIT 1;

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
