-- What the REST API keeps: options of messages, idempotent answers, lists, templates, webhooks with their outbox, reports, the request log.

ALTER TABLE account ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';  -- JSON of AccountSettings

CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bimi (
    domain_id   INTEGER PRIMARY KEY REFERENCES sending_domain (id) ON DELETE CASCADE,
    logo_url    TEXT NOT NULL,
    vmc_url     TEXT,
    selector    TEXT NOT NULL,
    is_verified INTEGER NOT NULL,
    verified_at INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

ALTER TABLE message ADD COLUMN type TEXT NOT NULL DEFAULT 'transactional' CHECK (type IN ('transactional', 'marketing'));
ALTER TABLE message ADD COLUMN scheduled_at INTEGER;
ALTER TABLE message ADD COLUMN tracking INTEGER NOT NULL DEFAULT 0;  -- 1: opens, 2: clicks
ALTER TABLE message ADD COLUMN template_id INTEGER;
ALTER TABLE message ADD COLUMN list_id TEXT;
ALTER TABLE message ADD COLUMN unsubscribe_url TEXT;

-- Complaints are few, and make the status of a message whatever else became of it.
CREATE INDEX event_complained ON event (message_id) WHERE type = 'complained';

-- What a scheduled message was made from, until it is done.
CREATE TABLE draft (
    message_id INTEGER PRIMARY KEY,
    content    BLOB NOT NULL
) STRICT;

CREATE TABLE answer (
    account_id  INTEGER NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    body        BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_age ON answer (created_at);

CREATE TABLE suppression (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    email      TEXT NOT NULL,
    reason     TEXT NOT NULL CHECK (reason IN ('hard_bounce', 'complaint', 'unsubscribe', 'manual')),
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, email)
) STRICT;
CREATE INDEX suppression_account ON suppression (account_id);

-- One row that grows with every change of the suppressions, by whatever process.
CREATE TABLE lists_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    version  INTEGER NOT NULL
) STRICT;
INSERT INTO lists_version VALUES (1, 1);
CREATE TRIGGER suppression_added AFTER INSERT ON suppression BEGIN
    UPDATE lists_version SET version = version + 1;
END;
CREATE TRIGGER suppression_removed AFTER DELETE ON suppression BEGIN
    UPDATE lists_version SET version = version + 1;
END;

CREATE TABLE unsubscribe (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    email      TEXT NOT NULL,
    list_id    TEXT NOT NULL DEFAULT '',  -- empty: all marketing
    reason     TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, email, list_id)
) STRICT;
CREATE INDEX unsubscribe_account ON unsubscribe (account_id);

CREATE TABLE template (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    name       TEXT NOT NULL,
    content    TEXT NOT NULL,  -- JSON of TemplateContent
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX template_account ON template (account_id);

CREATE TABLE template_version (
    id          INTEGER PRIMARY KEY,
    template_id INTEGER NOT NULL REFERENCES template (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    content     TEXT NOT NULL,  -- JSON of TemplateContent
    created_at  INTEGER NOT NULL,
    UNIQUE (template_id, version)
) STRICT;

CREATE TABLE webhook (
    id              INTEGER PRIMARY KEY,
    account_id      INTEGER NOT NULL,
    url             TEXT NOT NULL,
    events          TEXT NOT NULL,  -- JSON: words
    secret          TEXT NOT NULL,
    is_active       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    failing_since   INTEGER,
    disabled_reason TEXT
) STRICT;
CREATE INDEX webhook_account ON webhook (account_id);

-- The outbox. A row is written in the commit of the fact that it tells of.
CREATE TABLE notification (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    account_id   INTEGER NOT NULL,
    type         TEXT NOT NULL,
    event_id     INTEGER,                -- of a message; NULL: the body says it
    body         TEXT,                   -- JSON
    origin_id    INTEGER,                -- NULL: its own
    state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'leased', 'delivered', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    due_at       INTEGER NOT NULL,
    lease_token  INTEGER,
    lease_until  INTEGER,
    status_code  INTEGER,
    response     TEXT NOT NULL DEFAULT '',
    delivered_at INTEGER,
    created_at   INTEGER NOT NULL,
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
) STRICT;
CREATE INDEX notification_webhook ON notification (webhook_id, id);
CREATE INDEX notification_account ON notification (account_id, id);
CREATE INDEX notification_due ON notification (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX notification_leased ON notification (lease_until) WHERE state = 'leased';

CREATE TABLE scheduled_report (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    frequency  TEXT NOT NULL CHECK (frequency IN ('daily', 'weekly', 'monthly')),
    recipients TEXT NOT NULL,  -- JSON
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE api_request (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL,
    api_key_id    INTEGER NOT NULL,
    method        TEXT NOT NULL,
    path          TEXT NOT NULL,
    status_code   INTEGER NOT NULL,
    request_body  TEXT,
    response_body TEXT,
    duration_ms   INTEGER NOT NULL,
    user_agent    TEXT,
    created_at    INTEGER NOT NULL
) STRICT;
-- The list filters and counts along this alone: the rows with their bodies are read for one page.
CREATE INDEX api_request_listed ON api_request (account_id, id, method, path, status_code);
