-- What each request to a webhook was answered.
CREATE TABLE webhook_attempt (
    id              INTEGER PRIMARY KEY,
    notification_id INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    webhook_id      INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    started_at      INTEGER NOT NULL,
    duration_ms     INTEGER NOT NULL,
    url             TEXT NOT NULL,
    headers         TEXT NOT NULL,
    status_code     INTEGER,
    content_type    TEXT NOT NULL,
    response        TEXT NOT NULL,
    fault           TEXT NOT NULL
) STRICT;
CREATE INDEX webhook_attempt_notification ON webhook_attempt (notification_id, id);
CREATE INDEX webhook_attempt_health ON webhook_attempt (webhook_id, started_at, status_code, duration_ms);

-- Replays of failing notifications, worked off in steps.
CREATE TABLE webhook_replay (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    start_at    INTEGER NOT NULL,
    end_at      INTEGER NOT NULL,
    type        TEXT,
    status_code INTEGER,
    seen_id     INTEGER NOT NULL,
    last_id     INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    made        INTEGER NOT NULL DEFAULT 0,
    made_by     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX webhook_replay_webhook ON webhook_replay (webhook_id, id);
CREATE INDEX webhook_replay_unfinished ON webhook_replay (id) WHERE finished_at IS NULL;

ALTER TABLE notification ADD COLUMN replay_id INTEGER;
CREATE INDEX notification_replay ON notification (replay_id, state) WHERE replay_id IS NOT NULL;
CREATE INDEX notification_origin ON notification (origin_id, id) WHERE origin_id IS NOT NULL;
CREATE INDEX notification_failing ON notification (webhook_id, id, created_at, type, status_code, origin_id)
WHERE state = 'failed' OR (state = 'pending' AND attempts > 0);

-- The secret before the last rotation signs too, until a time.
ALTER TABLE webhook ADD COLUMN previous_secret TEXT;
ALTER TABLE webhook ADD COLUMN previous_until INTEGER;
