-- What the mail log and transcripts need.

-- name: list_ended
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid, m.tags, m.type, m.scheduled_at, m.tracking,
       m.template_id, m.list_id, m.unsubscribe_url, e.id, e.message_id, e.delivery_id, e.type, e.recipient, e.created_at, e.metadata
FROM event e JOIN message m ON m.id = e.message_id
WHERE e.id >= ? AND e.type IN ('cancelled', 'failed') AND (e.mode = 'live' OR e.type = 'cancelled') ORDER BY e.id;

-- name: put_trace
INSERT INTO trace (domain, sessions, until) VALUES (?1, ?2, ?3)
ON CONFLICT (domain) DO UPDATE SET sessions = ?2, until = ?3;

-- name: list_traces
SELECT domain, sessions, until FROM trace WHERE until > ? ORDER BY domain;

-- name: count_traced
UPDATE trace SET sessions = sessions - 1 WHERE domain = ?;

-- name: delete_done_traces
DELETE FROM trace WHERE sessions <= 0;
