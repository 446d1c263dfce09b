-- Findings, silences and alerts. sendryd.store.drivers.loading loads them.

-- columns: span
check_name, about, verdict, sentence, fix, has_deadline, began_at, ended_at

-- columns: silence
account_id, name, ends_at, set_by, set_at

-- columns: alert
account_id, name, kind, sentence, began_at, told_at, ended_at, end_told_at

-- columns: audit
id, account_id, actor, address, action, target, before, after, created_at

-- name: list_finding_spans
-- The present findings, and those that ended since a time.
SELECT {span} FROM health_finding WHERE ended_at IS NULL OR ended_at >= :ended_since ORDER BY began_at, check_name, about;

-- name: save_finding_span
-- Stores a span, or replaces what it says.
INSERT INTO health_finding ({span}) VALUES ({:span}) ON CONFLICT (check_name, about, began_at) DO UPDATE SET
    verdict = excluded.verdict, sentence = excluded.sentence, fix = excluded.fix, has_deadline = excluded.has_deadline,
    ended_at = excluded.ended_at;

-- name: prune_finding_spans
-- Deletes the findings that ended before a time.
DELETE FROM health_finding WHERE ended_at < :keep_since;

-- name: list_silences
-- Silences of an account that are not over.
SELECT {silence} FROM silence WHERE account_id = :account_id AND ends_at > :now ORDER BY ends_at, name;

-- name: set_silence
-- Stores a silence, or replaces it.
INSERT INTO silence ({silence}) VALUES ({:silence}) ON CONFLICT (account_id, name) DO UPDATE SET
    ends_at = excluded.ends_at, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: prune_silences
-- Deletes the silences of an account that are over.
DELETE FROM silence WHERE account_id = :account_id AND ends_at <= :now;

-- name: end_silence
-- Deletes a silence.
DELETE FROM silence WHERE account_id = :account_id AND name = :name;

-- name: list_alerts
-- Alerts of an account.
SELECT {alert} FROM alert WHERE account_id = :account_id ORDER BY began_at, name;

-- name: save_alert
-- Stores an alert, or replaces what it says.
INSERT INTO alert ({alert}) VALUES ({:alert}) ON CONFLICT (account_id, name, began_at) DO UPDATE SET
    kind = excluded.kind, sentence = excluded.sentence, told_at = excluded.told_at, ended_at = excluded.ended_at,
    end_told_at = excluded.end_told_at;

-- name: prune_alerts
-- Deletes the alerts that ended before a time.
DELETE FROM alert WHERE ended_at < :keep_since;

-- name: insert_audit
-- Writes an entry.
INSERT INTO audit ({audit}) VALUES ({:audit});
