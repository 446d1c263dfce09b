-- People, memberships, sessions, links, the audit. sendryd.store.drivers.loading loads them.

-- columns: person
id, email, name, password_hash, totp_secret, totp_step, is_operator, created_at, disabled_at

-- columns: membership
id, account_id, person_id, email, role, invited_by, invited_at, joined_at

-- columns: session
id_hash, person_id, account_id, created_at, seen_at, address, agent, is_complete, elevated_until, method

-- columns: link
token_hash, purpose, account_id, membership_id, person_id, created_at, expires_at

-- columns: passkey
credential_id, person_id, public_key, sign_count, name, created_at, used_at

-- columns: saved_view
id, account_id, person_id, name, query, made_by, created_at

-- columns: audit
id, account_id, actor, address, action, target, before, after, created_at

-- name: has_owner
-- Whether somebody owns the account.
SELECT 1 AS found FROM membership WHERE account_id = :account_id AND role = 'owner' AND person_id IS NOT NULL LIMIT 1;

-- name: count_other_owners
-- How many own the account besides one membership.
SELECT count(*) AS count FROM membership WHERE account_id = :account_id AND role = 'owner' AND person_id IS NOT NULL AND id <> :id;

-- name: find_person
-- The person with an email.
SELECT {person} FROM person WHERE email = :email;

-- name: get_person
-- The person with an id.
SELECT {person} FROM person WHERE id = :id;

-- name: requires_factor
-- Whether an account requires a second factor.
SELECT 1 AS found FROM account WHERE id = :id AND json_extract(settings, '$.requires_factor');

-- name: insert_person
-- Adds a person.
INSERT INTO person ({person}) VALUES ({:person});

-- name: change_person
-- Changes a person who is as they were read.
UPDATE person SET name = :name, password_hash = :password_hash, totp_secret = :totp_secret, disabled_at = :disabled_at,
    totp_step = CASE WHEN totp_secret = :totp_secret THEN max(totp_step, :totp_step) ELSE :totp_step END
WHERE id = :id AND name = :was_name AND password_hash = :was_password_hash AND totp_secret = :was_totp_secret;

-- name: list_members
-- Members and invitations of an account, oldest first.
SELECT {membership:m}, p.name AS name, coalesce(p.totp_secret, '') <> '' AS has_factor, p.password_hash <> '' AS has_password, p.disabled_at IS NOT NULL AS is_disabled, (SELECT max(seen_at) FROM session s WHERE s.person_id = m.person_id) AS seen_at
FROM membership m LEFT JOIN person p ON p.id = m.person_id WHERE m.account_id = :account_id ORDER BY m.id;

-- name: get_membership
-- A membership of an account.
SELECT {membership:m}, p.name AS name, coalesce(p.totp_secret, '') <> '' AS has_factor, p.password_hash <> '' AS has_password, p.disabled_at IS NOT NULL AS is_disabled, NULL AS seen_at
FROM membership m LEFT JOIN person p ON p.id = m.person_id WHERE m.account_id = :account_id AND m.id = :id;

-- name: find_membership
-- What a person may do in an account.
SELECT {membership:m}, p.name AS name, coalesce(p.totp_secret, '') <> '' AS has_factor, p.password_hash <> '' AS has_password, p.disabled_at IS NOT NULL AS is_disabled, NULL AS seen_at
FROM membership m JOIN person p ON p.id = m.person_id WHERE m.account_id = :account_id AND m.person_id = :person_id;

-- name: find_membership_of_email
-- The membership or invitation of an email in an account.
SELECT {membership:m}, p.name AS name, coalesce(p.totp_secret, '') <> '' AS has_factor, p.password_hash <> '' AS has_password, p.disabled_at IS NOT NULL AS is_disabled, NULL AS seen_at
FROM membership m LEFT JOIN person p ON p.id = m.person_id WHERE m.account_id = :account_id AND m.email = :email;

-- name: list_accounts_of
-- A person's memberships, oldest first.
SELECT {membership:m}, p.name AS name, coalesce(p.totp_secret, '') <> '' AS has_factor, p.password_hash <> '' AS has_password, p.disabled_at IS NOT NULL AS is_disabled, NULL AS seen_at
FROM membership m JOIN person p ON p.id = m.person_id WHERE m.person_id = :person_id ORDER BY m.id;

-- name: insert_membership
-- Adds a membership or an invitation.
INSERT INTO membership ({membership}) VALUES ({:membership});

-- name: fill_membership
-- Turns an invitation into a membership, or gives a member another role.
UPDATE membership SET person_id = :person_id, role = :role, joined_at = :joined_at WHERE id = :id;

-- name: set_role
-- Changes a role.
UPDATE membership SET role = :role WHERE id = :id;

-- name: remove_membership
-- Removes a member, or withdraws an invitation with its link.
DELETE FROM membership WHERE id = :id;

-- name: insert_link
-- Keeps a link.
INSERT INTO link ({link}) VALUES ({:link});

-- name: end_links_like
-- Ends the earlier links of a purpose for the same membership or person.
DELETE FROM link WHERE purpose = :purpose AND account_id = :account_id AND membership_id IS NOT DISTINCT FROM :membership_id AND person_id IS NOT DISTINCT FROM :person_id;

-- name: find_link
-- A link that can still be used.
SELECT {link}, used_at FROM link WHERE token_hash = :token_hash AND purpose = :purpose AND used_at IS NULL AND expires_at > :now;

-- name: find_invitation
-- The link of the latest invitation of an email that can still be used.
SELECT {link:l}, l.used_at FROM link l JOIN membership m ON m.id = l.membership_id
WHERE m.email = :email AND m.person_id IS NULL AND l.purpose = 'invitation' AND l.used_at IS NULL AND l.expires_at > :now
ORDER BY l.created_at DESC LIMIT 1;

-- name: use_link
-- Uses a link that can still be used.
UPDATE link SET used_at = :now WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now;

-- name: delete_recovery_codes
-- Ends all recovery codes of a person.
DELETE FROM recovery_code WHERE person_id = :person_id;

-- name: insert_recovery_code
-- Adds a recovery code.
INSERT INTO recovery_code (person_id, code_hash) VALUES (:person_id, :code_hash);

-- name: use_recovery_code
-- Uses an unused recovery code.
UPDATE recovery_code SET used_at = :now WHERE person_id = :person_id AND code_hash = :code_hash AND used_at IS NULL;

-- name: count_recovery_codes
-- How many recovery codes of a person are unused.
SELECT count(*) AS count FROM recovery_code WHERE person_id = :person_id AND used_at IS NULL;

-- name: use_totp_step
-- Notes the step of a code, unless it or a later one was used.
UPDATE person SET totp_step = :step WHERE id = :person_id AND totp_step < :step;

-- name: insert_session
-- Signs a browser in.
INSERT INTO session ({session}) VALUES ({:session});

-- name: get_session
-- A session.
SELECT {session} FROM session WHERE id_hash = :id_hash;

-- name: list_sessions
-- A person's sessions, the latest seen first.
SELECT {session} FROM session WHERE person_id = :person_id ORDER BY seen_at DESC, created_at DESC;

-- name: touch_session
-- Notes that a session is in use.
UPDATE session SET seen_at = max(seen_at, :seen_at) WHERE id_hash = :id_hash;

-- name: elevate_session
-- The person has just proved again who they are.
UPDATE session SET elevated_until = :until WHERE id_hash = :id_hash;

-- name: end_session
-- Signs a browser out.
DELETE FROM session WHERE id_hash = :id_hash;

-- name: end_sessions
-- Signs a person out everywhere, but in one session.
DELETE FROM session WHERE person_id = :person_id AND id_hash IS DISTINCT FROM :keep;

-- name: end_sessions_in
-- Signs a person out of an account.
DELETE FROM session WHERE person_id = :person_id AND account_id = :account_id;

-- name: delete_stale_sessions
-- Deletes sessions that were idle or used for too long.
DELETE FROM session WHERE seen_at < :seen_before OR created_at < :created_before;

-- name: delete_ended_links
-- Deletes links that ended before a time.
DELETE FROM link WHERE expires_at < :seen_before;

-- name: list_passkeys
-- A person's passkeys, oldest first.
SELECT {passkey} FROM passkey WHERE person_id = :person_id ORDER BY created_at, credential_id;

-- name: get_passkey
-- A passkey.
SELECT {passkey} FROM passkey WHERE credential_id = :credential_id;

-- name: insert_passkey
-- Adds a passkey, unless there is one with its credential id.
INSERT INTO passkey ({passkey}) VALUES ({:passkey}) ON CONFLICT DO NOTHING;

-- name: use_passkey
-- Notes the use of a passkey, unless its counter stands still.
UPDATE passkey SET sign_count = :sign_count, used_at = :used_at
WHERE credential_id = :credential_id AND (sign_count < :sign_count OR (sign_count = 0 AND :sign_count = 0));

-- name: delete_passkey
-- Forgets a passkey of a person.
DELETE FROM passkey WHERE person_id = :person_id AND credential_id = :credential_id;

-- name: delete_passkeys
-- Forgets all passkeys of a person.
DELETE FROM passkey WHERE person_id = :person_id;

-- name: delete_passkeys_of_former_member
-- Forgets all passkeys of a person who is in no account.
DELETE FROM passkey WHERE person_id = :person_id AND NOT EXISTS (SELECT 1 FROM membership WHERE person_id = :person_id);

-- name: spend_challenge
-- Notes that a challenge was answered, unless it was before.
INSERT INTO spent_challenge (hash, expires_at) VALUES (:hash, :expires_at) ON CONFLICT DO NOTHING;

-- name: delete_spent_challenges
-- Deletes challenges that expired before a time.
DELETE FROM spent_challenge WHERE expires_at < :seen_before;

-- name: count_waiting
-- Deliveries of an account that are queued, under way or held.
SELECT (SELECT count(*) FROM delivery INDEXED BY delivery_turn WHERE state = 'queued' AND account_id = :account_id)
    + (SELECT count(*) FROM delivery INDEXED BY delivery_leased WHERE state = 'leased' AND account_id = :account_id)
    + (SELECT count(*) FROM delivery INDEXED BY delivery_held_domain WHERE state = 'held' AND account_id = :account_id);

-- name: close_account
-- Empties the row of an account that ends.
UPDATE account SET name = :name, settings = '{}' WHERE id = :account_id;

-- name: close_keys
-- Revokes all keys of an account that ends.
UPDATE api_key SET revoked_at = min(coalesce(revoked_at, :moment), :moment) WHERE account_id = :account_id;

-- name: close_sessions
-- Signs out all people of an account that ends.
DELETE FROM session WHERE account_id = :account_id;

-- name: close_links
-- Ends its links.
DELETE FROM link WHERE account_id = :account_id;

-- name: close_saved_views
-- Forgets the searches that its people keep.
DELETE FROM saved_view WHERE account_id = :account_id;

-- name: close_memberships
-- Removes its members and invitations.
DELETE FROM membership WHERE account_id = :account_id;

-- name: close_people
-- Removes the people who are in no account.
DELETE FROM person WHERE id NOT IN (SELECT person_id FROM membership WHERE person_id IS NOT NULL);

-- name: close_domains
-- Removes its domains with their private keys.
DELETE FROM sending_domain WHERE account_id = :account_id;

-- name: close_removed_domains
-- Forgets the names of its former domains.
DELETE FROM removed_domain WHERE account_id = :account_id;

-- name: close_webhooks
-- Removes its webhooks with their notifications.
DELETE FROM webhook WHERE account_id = :account_id;

-- name: close_facts
-- Forgets what its webhooks were still to get.
DELETE FROM fact WHERE account_id = :account_id;

-- name: close_templates
-- Removes its templates.
DELETE FROM template WHERE account_id = :account_id;

-- name: close_suppressions
-- Empties its list of suppressed addresses.
DELETE FROM suppression WHERE account_id = :account_id;

-- name: close_unsubscribes
-- Empties its list of unsubscribed addresses.
DELETE FROM unsubscribe WHERE account_id = :account_id;

-- name: close_reports
-- Ends its reports by mail.
DELETE FROM scheduled_report WHERE account_id = :account_id;

-- name: close_api_requests
-- Empties its log of requests.
DELETE FROM api_request WHERE account_id = :account_id;

-- name: close_refusals
-- Empties its log of refusals.
DELETE FROM smtp_refusal WHERE account_id = :account_id;

-- name: close_answers
-- Forgets its answers to repeated requests.
DELETE FROM answer WHERE account_id = :account_id;

-- name: close_silences
-- Ends its silences.
DELETE FROM silence WHERE account_id = :account_id;

-- name: close_alerts
-- Forgets its alerts.
DELETE FROM alert WHERE account_id = :account_id;

-- name: close_jobs
-- Forgets its changes of many mails.
DELETE FROM bulk_job WHERE account_id = :account_id;

-- name: close_domain_reports
-- Deletes the reports of others about its domains.
DELETE FROM domain_report WHERE account_id = :account_id;

-- name: close_inbound
-- Deletes the mail that came in for it.
DELETE FROM inbound_mail WHERE account_id = :account_id;

-- name: insert_saved_view
-- Keeps a search, unless its owner has one of that name.
INSERT INTO saved_view ({saved_view}) VALUES ({:saved_view}) ON CONFLICT DO NOTHING;

-- name: count_saved_views
-- How many searches a person keeps in an account, or the account itself.
SELECT count(*) FROM saved_view WHERE account_id = :account_id AND person_id IS NOT DISTINCT FROM :person_id;

-- name: list_saved_views
-- The searches that a person keeps in an account and those that it shares, by name.
SELECT {saved_view} FROM saved_view WHERE account_id = :account_id AND (person_id = :person_id OR person_id IS NULL) ORDER BY name, id;

-- name: delete_saved_view
-- Forgets a search that a person keeps, or a shared one.
DELETE FROM saved_view WHERE account_id = :account_id AND person_id IS NOT DISTINCT FROM :person_id AND id = :id;

-- name: insert_audit
-- Writes down who changed what.
INSERT INTO audit ({audit}) VALUES ({:audit});

-- name: list_audit
-- Entries of an account, newest first, whose actor, action or target has a text.
SELECT {audit} FROM audit
WHERE account_id = :account_id AND id < :before_id
    AND (CAST(:pattern AS TEXT) IS NULL OR actor LIKE :pattern ESCAPE '\' OR action LIKE :pattern ESCAPE '\' OR target LIKE :pattern ESCAPE '\')
ORDER BY id DESC LIMIT :limit;
