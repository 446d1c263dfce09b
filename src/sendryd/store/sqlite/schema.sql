-- The whole database after all migrations. A test compares the two.
--
-- Identifiers are the 63-bit numbers of sendryd.model.ids: they grow with time, so rows are appended to the right edge of every tree.
-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE account (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    settings            TEXT NOT NULL DEFAULT '{}'  -- JSON of AccountSettings
) STRICT;

CREATE TABLE api_key (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES account (id),
    name         TEXT NOT NULL,
    scope        TEXT NOT NULL CHECK (scope IN ('full_access', 'sending_access', 'read_only')),
    mode         TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    prefix       TEXT NOT NULL,
    secret_hash  BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER,
    last_used_from TEXT NOT NULL DEFAULT ''  -- the client's address
) STRICT;

CREATE TABLE sending_domain (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES account (id),
    name          TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('pending', 'verified', 'failed')),
    selector      TEXT NOT NULL,
    public_key    TEXT NOT NULL,
    private_key   BLOB NOT NULL,  -- PEM; read by the signer alone
    settings      TEXT NOT NULL,  -- JSON of DomainSettings
    records       TEXT NOT NULL,  -- JSON of the DnsRecords as of the last check
    created_at    INTEGER NOT NULL,
    verified_at   INTEGER,
    checked_at    INTEGER,
    failing_since INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0,
    smarthost_password TEXT NOT NULL DEFAULT '',  -- read by the signer alone; empty: none
    UNIQUE (account_id, name)
) STRICT;

-- The last checks of each domain's DNS records.
CREATE TABLE domain_check (
    id         INTEGER PRIMARY KEY,
    domain_id  INTEGER NOT NULL REFERENCES sending_domain (id) ON DELETE CASCADE,
    checked_at INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('pending', 'verified', 'failed')),
    faults     TEXT NOT NULL,  -- JSON: what is wrong with the record of each purpose
    sightings  TEXT NOT NULL   -- JSON of Sightings: what each server answered
) STRICT;
CREATE INDEX domain_check_domain ON domain_check (domain_id, id);

-- DKIM keys of domains that have had more than one. A domain's active key signs from sending_domain.
CREATE TABLE dkim_key (
    id          INTEGER PRIMARY KEY,
    domain_id   INTEGER NOT NULL REFERENCES sending_domain (id) ON DELETE CASCADE,
    selector    TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    private_key BLOB,              -- PEM of a pending key; NULL once it is active
    created_at  INTEGER NOT NULL,
    starts_at   INTEGER NOT NULL,  -- signs from then on, once its record is found
    seen_at     INTEGER,           -- the last check that found its record; NULL: the latest one did not
    active_at   INTEGER,           -- NULL: pending
    retired_at  INTEGER,           -- NULL: pending or active
    UNIQUE (domain_id, selector)
) STRICT;
CREATE UNIQUE INDEX dkim_key_pending ON dkim_key (domain_id) WHERE active_at IS NULL AND retired_at IS NULL;

-- Names of removed domains by their ids: held mail refers to its sending domain by id, and is released when the name is verified again.
CREATE TABLE removed_domain (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    name       TEXT NOT NULL,
    removed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX removed_domain_name ON removed_domain (account_id, name);

-- One number that grows with every change of a key or domain, by any process: caches compare it with the number that they read.
CREATE TABLE config_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    version  INTEGER NOT NULL
) STRICT;
INSERT INTO config_version VALUES (1, 1);

CREATE TRIGGER api_key_added AFTER INSERT ON api_key BEGIN
    UPDATE config_version SET version = version + 1;
END;
CREATE TRIGGER api_key_changed AFTER UPDATE OF name, scope, mode, expires_at, revoked_at ON api_key BEGIN
    UPDATE config_version SET version = version + 1;
END;
CREATE TRIGGER account_changed AFTER UPDATE OF settings ON account WHEN OLD.settings IS NOT NEW.settings BEGIN
    UPDATE config_version SET version = version + 1;
END;
CREATE TRIGGER sending_domain_added AFTER INSERT ON sending_domain BEGIN
    UPDATE config_version SET version = version + 1;
END;
CREATE TRIGGER sending_domain_changed AFTER UPDATE OF status, selector, private_key, settings, records, smarthost_password ON sending_domain
WHEN (OLD.status, OLD.selector, OLD.private_key, OLD.settings, OLD.records, OLD.smarthost_password)
    IS NOT (NEW.status, NEW.selector, NEW.private_key, NEW.settings, NEW.records, NEW.smarthost_password) BEGIN
    UPDATE config_version SET version = version + 1;
END;
CREATE TRIGGER sending_domain_removed AFTER DELETE ON sending_domain BEGIN
    UPDATE config_version SET version = version + 1;
END;

-- A message is updated only while it is scheduled and untried; its status is derived from its deliveries. Its content is in the file
-- `segment` of the spool, `size` octets from `position` on.
CREATE TABLE message (
    id                  INTEGER PRIMARY KEY,
    account_id          INTEGER NOT NULL,
    api_key_id          INTEGER,
    mode                TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    reverse_path        TEXT NOT NULL,
    author              TEXT NOT NULL,
    recipients          TEXT NOT NULL,  -- JSON: [to, cc]
    subject             TEXT NOT NULL,
    internet_message_id TEXT NOT NULL,
    size                INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    signing_domain_id   INTEGER,
    needs_smtputf8      INTEGER NOT NULL,
    is_8bit             INTEGER NOT NULL,
    ret                 TEXT,
    envid               TEXT,
    tags                TEXT,           -- JSON: [[name, value], ...]
    segment             INTEGER NOT NULL,
    position            INTEGER NOT NULL,
    type                TEXT NOT NULL DEFAULT 'transactional' CHECK (type IN ('transactional', 'marketing')),
    scheduled_at        INTEGER,
    tracking            INTEGER NOT NULL DEFAULT 0,  -- 1: opens, 2: clicks
    template_id         INTEGER,
    list_id             TEXT,
    unsubscribe_url     TEXT,
    tls_demand          TEXT NOT NULL DEFAULT 'usual' CHECK (tls_demand IN ('usual', 'required', 'optional'))
) STRICT;
-- Files of the spool, and how many messages refer to each: a file with none can be removed. The row is stored before the file exists.
CREATE TABLE segment (
    number   INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL,
    id       BLOB,                       -- 16 random octets, also in the file; NULL: written by a version without ids and checksums
    octets   INTEGER NOT NULL DEFAULT 0  -- lower bound of the file's size
) STRICT;
-- The spool of this database. A segment number is never reused.
CREATE TABLE spool (
    only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    last_segment INTEGER NOT NULL
) STRICT;
INSERT INTO spool VALUES (1, randomblob(16), 0);
CREATE TRIGGER segment_added AFTER INSERT ON segment BEGIN
    UPDATE spool SET last_segment = max(last_segment, NEW.number);
END;
-- The Test Inbox is a few messages among many; live ones are listed along the primary key.
CREATE INDEX message_test ON message (account_id) WHERE mode = 'test';

-- The life cycle of a delivery:
--     queued  -> leased (claimed), held, cancelled, expired, suppressed
--     leased  -> queued (deferred, released, or its owner is dead), held, delivered, bounced, expired, suppressed
--     held    -> queued, cancelled
--     delivered -> bounced (a report that comes after the next hop's 250)
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY,
    message_id   INTEGER NOT NULL,
    forward_path TEXT NOT NULL,
    domain       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'held', 'delivered', 'bounced', 'expired', 'suppressed', 'cancelled')),
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    is_in_doubt  INTEGER NOT NULL DEFAULT 0,
    lease_token  INTEGER,
    lease_boot   INTEGER,  -- with lease_node: the process that holds the lease
    created_at   INTEGER NOT NULL,
    delivered_at INTEGER,
    last_reply   TEXT NOT NULL DEFAULT '',
    notify       TEXT,
    orcpt        TEXT,
    hold_reason  TEXT,  -- why it is held; NULL: it is not held, or an operator holds it
    lease_node   TEXT,
    returned_token INTEGER,  -- of the last lease, if its owner never recorded an outcome and no worker has leased the delivery since
    crashes      INTEGER NOT NULL DEFAULT 0,  -- consecutive ends of the program while it was leased
    account_id   INTEGER NOT NULL DEFAULT 0,  -- that of its message; 0: the message was deleted
    class        TEXT NOT NULL DEFAULT 'transactional' CHECK (class IN ('otp', 'transactional', 'bulk')),
    site         TEXT,  -- the operator of its domain's mail servers; NULL: unknown
    hold_note    TEXT,  -- who holds it, since when and why: JSON; NULL: no person does
    is_copy      INTEGER NOT NULL DEFAULT 0,  -- for an archive: the status of its message does not depend on it
    report       INTEGER NOT NULL DEFAULT 0,  -- reports to its sender that are still owed: 1 of a failure, 2 of a delay, 4 of success
    detour       TEXT,  -- the way that a person has given it; NULL: its sending domain's
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
) STRICT;
CREATE INDEX delivery_message ON delivery (message_id);
-- Due deliveries, oldest first, of all domains; and of each account and class in each domain, whose turns they are taken in. What cannot be
-- served is skipped, not scanned. Mail that is handed to the engine as it is accepted is leased from the start and in neither index.
CREATE INDEX delivery_due ON delivery (due_at, domain) WHERE state = 'queued';
CREATE INDEX delivery_turn ON delivery (domain, account_id, class, due_at) WHERE state = 'queued';
-- What each account has for lanes that others fill; and what goes to domains' own smart hosts, beside one for all mail.
CREATE INDEX delivery_account ON delivery (class, account_id, domain, due_at) WHERE state = 'queued';
CREATE INDEX delivery_relay ON delivery (domain, due_at) WHERE state = 'queued' AND instr(domain, ':');
-- Deliveries to expire: without this index, every search would pass all due deliveries to domains that do not answer.
CREATE INDEX delivery_age ON delivery (created_at) WHERE state = 'queued';
CREATE INDEX delivery_otp ON delivery (created_at) WHERE state = 'queued' AND class = 'otp';
-- Leases by the boot of their owner; held deliveries. Both indexes are small.
CREATE INDEX delivery_leased ON delivery (lease_boot) WHERE state = 'leased';
CREATE INDEX delivery_held ON delivery (id) WHERE state = 'held';
-- Deliveries that owe a report. Few senders ask for one.
CREATE INDEX delivery_report_failed ON delivery (id) WHERE state IN ('bounced', 'expired', 'suppressed') AND report & 1;
CREATE INDEX delivery_report_delivered ON delivery (id) WHERE state = 'delivered' AND report & 4;
CREATE INDEX delivery_report_delayed ON delivery (created_at) WHERE state = 'queued' AND attempts > 0 AND report & 2;
CREATE INDEX delivery_held_domain ON delivery (domain, account_id) WHERE state = 'held';

-- Lists of mail that did not arrive go along these few rows, newest first.
CREATE INDEX delivery_ended ON delivery (state, message_id) WHERE state IN ('bounced', 'expired', 'suppressed', 'cancelled');

CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery
WHEN NOT CASE OLD.state
    WHEN 'queued' THEN NEW.state IN ('queued', 'leased', 'held', 'bounced', 'cancelled', 'expired', 'suppressed')
    WHEN 'leased' THEN NEW.state IN ('leased', 'queued', 'held', 'delivered', 'bounced', 'expired', 'suppressed')
    WHEN 'held' THEN NEW.state IN ('held', 'queued', 'bounced', 'cancelled')
    WHEN 'delivered' THEN NEW.state IN ('delivered', 'bounced')
    ELSE NEW.state = OLD.state
END
BEGIN
    SELECT RAISE(ABORT, 'the life cycle of a delivery does not have this move');
END;

-- Immutable facts. They outlive their message.
CREATE TABLE event (
    id          INTEGER PRIMARY KEY,
    message_id  INTEGER NOT NULL,
    delivery_id INTEGER,
    account_id  INTEGER NOT NULL,
    mode        TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    type        TEXT NOT NULL CHECK (type IN ('queued', 'sent', 'delivered', 'deferred', 'bounced', 'failed', 'suppressed', 'cancelled', 'opened', 'clicked', 'complained', 'unsubscribed')),
    recipient   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    metadata    TEXT  -- JSON; NULL: empty
) STRICT;
CREATE INDEX event_message ON event (message_id);
CREATE INDEX event_test ON event (account_id) WHERE mode = 'test';
-- Complaints are few, and decide the status of a message before all other events.
CREATE INDEX event_complained ON event (message_id) WHERE type = 'complained';

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

-- Source requests of scheduled messages, until they are done. The table keeps its first name: only a migration could rename it.
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

-- One number that grows with every change of the suppressions, by any process.
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
    updated_at INTEGER NOT NULL,
    mode       TEXT NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test'))  -- test: live mail cannot use it
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
    disabled_reason TEXT,
    mode            TEXT NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'test')),  -- test: notified of test mail only
    previous_secret TEXT,     -- the one before the last rotation; signs too until `previous_until`
    previous_until  INTEGER
) STRICT;
CREATE INDEX webhook_account ON webhook (account_id);

-- The outbox. A row is written in the commit of the fact that it reports.
CREATE TABLE notification (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    account_id   INTEGER NOT NULL,
    type         TEXT NOT NULL,
    event_id     INTEGER,                -- an event of a message; NULL: the fact is in `body`
    body         TEXT,                   -- JSON
    origin_id    INTEGER,                -- the first notification of a replayed fact; NULL: this one
    state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'leased', 'delivered', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    due_at       INTEGER NOT NULL,
    lease_token  INTEGER,
    lease_boot   INTEGER,
    status_code  INTEGER,
    response     TEXT NOT NULL DEFAULT '',
    delivered_at INTEGER,
    created_at   INTEGER NOT NULL,
    lease_node   TEXT,
    returned_token INTEGER,
    replay_id    INTEGER,                -- the last replay that it was part of
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
) STRICT;
CREATE INDEX notification_webhook ON notification (webhook_id, id);
CREATE INDEX notification_account ON notification (account_id, id);
CREATE INDEX notification_event ON notification (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX notification_due ON notification (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX notification_leased ON notification (lease_boot) WHERE state = 'leased';
CREATE INDEX notification_replay ON notification (replay_id, state) WHERE replay_id IS NOT NULL;
CREATE INDEX notification_origin ON notification (origin_id, id) WHERE origin_id IS NOT NULL;
CREATE INDEX notification_failing ON notification (webhook_id, id, created_at, type, status_code, origin_id)
WHERE state = 'failed' OR (state = 'pending' AND attempts > 0);

-- What each request to a webhook was answered.
CREATE TABLE webhook_attempt (
    id              INTEGER PRIMARY KEY,
    notification_id INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    webhook_id      INTEGER NOT NULL,
    number          INTEGER NOT NULL,  -- counted from 1; a replay begins at 1 again
    started_at      INTEGER NOT NULL,
    duration_ms     INTEGER NOT NULL,
    url             TEXT NOT NULL,
    headers         TEXT NOT NULL,     -- JSON, of the request
    status_code     INTEGER,           -- NULL: there was no answer
    content_type    TEXT NOT NULL,
    response        TEXT NOT NULL,     -- the beginning of the answer
    fault           TEXT NOT NULL      -- why there was no answer
) STRICT;
CREATE INDEX webhook_attempt_notification ON webhook_attempt (notification_id, id);
CREATE INDEX webhook_attempt_health ON webhook_attempt (webhook_id, started_at, status_code, duration_ms);

-- Replays of failing notifications, worked off in steps.
CREATE TABLE webhook_replay (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    start_at    INTEGER NOT NULL,
    end_at      INTEGER NOT NULL,
    type        TEXT,                  -- NULL: every event
    status_code INTEGER,               -- NULL: whatever the last answer was
    seen_id     INTEGER NOT NULL,      -- notifications up to this one are done
    last_id     INTEGER NOT NULL,      -- the newest one when it began
    total       INTEGER NOT NULL,
    made        INTEGER NOT NULL DEFAULT 0,
    made_by     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX webhook_replay_webhook ON webhook_replay (webhook_id, id);
CREATE INDEX webhook_replay_unfinished ON webhook_replay (id) WHERE finished_at IS NULL;

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
-- The list filters and counts in this index alone: rows, which have bodies, are read for one page.
CREATE INDEX api_request_listed ON api_request (account_id, id, method, path, status_code);

-- The mail log finds cancelled and expired deliveries, by any process, in this index.
CREATE INDEX event_ended ON event (id) WHERE type IN ('cancelled', 'failed');

-- Requests to log the next sessions of a domain.
CREATE TABLE trace (
    domain   TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Facts for webhooks, before a notification is made for each webhook.
CREATE TABLE fact (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    event_id   INTEGER,  -- an event of a message; NULL: the fact is in `type` and `body`
    type       TEXT,
    body       TEXT,     -- JSON
    created_at INTEGER NOT NULL,
    CHECK ((event_id IS NULL) = (type IS NOT NULL AND body IS NOT NULL))
) STRICT;

-- The settled time that was stored last, to recognise a wrong clock at the next start.
CREATE TABLE clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seen_at  INTEGER NOT NULL
) STRICT;

-- Hosts that did TLS, and when they last did: they get nothing in clear text, also after a restart.
CREATE TABLE tls_host (
    host      TEXT PRIMARY KEY,
    worked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tls_host_age ON tls_host (worked_at);

-- MTA-STS policies of recipient domains, obeyed until they expire whatever their hosts do meanwhile (RFC 8461).
CREATE TABLE sts_policy (
    domain     TEXT PRIMARY KEY,
    record_id  TEXT NOT NULL,
    mode       TEXT NOT NULL CHECK (mode IN ('enforce', 'testing', 'none')),
    mx         TEXT NOT NULL,
    max_age    INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sts_policy_fetched ON sts_policy (fetched_at);
CREATE INDEX sts_policy_expiry ON sts_policy (expires_at);

-- How TLS sessions with the mail servers of recipient domains went, by UTC day, until they are reported (RFC 8460). `result` is JSON.
CREATE TABLE tls_result (
    day    TEXT NOT NULL,
    domain TEXT NOT NULL,
    result TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (day, domain, result)
) STRICT, WITHOUT ROWID;

-- Domains that an operator wants tried at once, although they may be suspended.
CREATE TABLE probe (
    domain TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- People who use the dashboard, how they are signed in, and what they changed.
CREATE TABLE person (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    totp_secret   TEXT NOT NULL DEFAULT '',
    totp_step     INTEGER NOT NULL DEFAULT 0,
    is_operator   INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER
) STRICT;

CREATE TABLE recovery_code (
    person_id INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    used_at   INTEGER,
    PRIMARY KEY (person_id, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    person_id  INTEGER REFERENCES person (id),
    email      TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    invited_by TEXT NOT NULL,
    invited_at INTEGER NOT NULL,
    joined_at  INTEGER,
    UNIQUE (account_id, email),
    CHECK ((person_id IS NULL) = (joined_at IS NULL))
) STRICT;
CREATE INDEX membership_person ON membership (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE session (
    id_hash        BLOB PRIMARY KEY,
    person_id      INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    account_id     INTEGER NOT NULL REFERENCES account (id),
    created_at     INTEGER NOT NULL,
    seen_at        INTEGER NOT NULL,
    address        TEXT NOT NULL,
    agent          TEXT NOT NULL,
    is_complete    INTEGER NOT NULL,
    elevated_until INTEGER,
    method         TEXT NOT NULL DEFAULT 'password' CHECK (method IN ('password', 'passkey', 'provider'))
) STRICT, WITHOUT ROWID;
CREATE INDEX session_person ON session (person_id, seen_at);

CREATE TABLE passkey (
    credential_id BLOB PRIMARY KEY,
    person_id     INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    public_key    BLOB NOT NULL,  -- COSE
    sign_count    INTEGER NOT NULL,
    name          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    used_at       INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_person ON passkey (person_id, created_at);

-- Searches of the Emails page that people keep. A row without a person is shared by the account.
CREATE TABLE saved_view (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    person_id  INTEGER REFERENCES person (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    query      TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_view_name ON saved_view (account_id, ifnull(person_id, 0), name);

-- Challenges that were answered. Each counts once.
CREATE TABLE spent_challenge (
    hash       BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    token_hash    BLOB PRIMARY KEY,
    purpose       TEXT NOT NULL CHECK (purpose IN ('owner', 'invitation', 'reset')),
    account_id    INTEGER NOT NULL REFERENCES account (id),
    membership_id INTEGER REFERENCES membership (id) ON DELETE CASCADE,
    person_id     INTEGER REFERENCES person (id) ON DELETE CASCADE,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    used_at       INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    address    TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    before     TEXT NOT NULL,  -- JSON
    after      TEXT NOT NULL,  -- JSON
    created_at INTEGER NOT NULL
) STRICT;

-- Submissions that were refused at the SMTP door: the latest few of each address, for some days.
CREATE TABLE smtp_refusal (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER,        -- with api_key_id: of the key that was logged in; NULL: none
    api_key_id   INTEGER,
    address      TEXT NOT NULL,  -- of the client
    helo         TEXT NOT NULL,  -- the name that it gave
    is_encrypted INTEGER NOT NULL,
    step         TEXT NOT NULL,  -- the command that was refused, or content
    cause        TEXT NOT NULL,  -- a word of the refusals; empty: a reply of the protocol
    reply        TEXT NOT NULL,
    sender       TEXT NOT NULL,  -- the reverse-path; empty if none was given
    recipient    TEXT NOT NULL,  -- forward-paths, a space between them; empty if none was given
    more         INTEGER NOT NULL DEFAULT 0,  -- refusals of the address right after this one that were counted alone
    created_at   INTEGER NOT NULL
) STRICT;

-- Addresses whose connections the submission door refuses, because a person has blocked them.
CREATE TABLE blocked_address (
    network    TEXT PRIMARY KEY,  -- an IPv4 address or the /64 of an IPv6 address
    blocked_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    blocked_at INTEGER NOT NULL,
    ends_at    INTEGER  -- NULL: it holds until somebody lifts it
) STRICT, WITHOUT ROWID;

-- Destinations that a person has paused: nothing is tried until somebody lets the mail go on.
CREATE TABLE paused_destination (
    domain    TEXT PRIMARY KEY,
    paused_by TEXT NOT NULL,
    paused_at INTEGER NOT NULL,
    ends_at   INTEGER, -- then mail goes on by itself; NULL: when somebody says so
    reason    TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- The most sessions at once that a person allows with a destination, below the limit that the delivery engine finds by itself.
CREATE TABLE destination_limit (
    domain   TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL CHECK (sessions > 0),
    set_by   TEXT NOT NULL,
    set_at   INTEGER NOT NULL,
    ends_at  INTEGER  -- NULL: it holds until somebody lifts it
) STRICT, WITHOUT ROWID;

-- Addresses and pools that no mail leaves from.
CREATE TABLE egress_suspension (
    kind         TEXT NOT NULL CHECK (kind IN ('address', 'pool')),
    name         TEXT NOT NULL,
    reason       TEXT NOT NULL,  -- the words of who suspended it, or empty
    suspended_by TEXT NOT NULL,
    suspended_at INTEGER NOT NULL,
    ends_at      INTEGER,  -- NULL: when somebody resumes it
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- How many recipients each warming address has sent to, by site and UTC day. Today's and yesterday's are kept.
CREATE TABLE egress_count (
    day     TEXT NOT NULL,
    address TEXT NOT NULL,
    site    TEXT NOT NULL,  -- a mailbox provider, or a recipient domain
    number  INTEGER NOT NULL,
    PRIMARY KEY (day, address, site)
) STRICT, WITHOUT ROWID;

-- The smart hosts that people have sent waiting mail to, for as long as mail waits for them.
CREATE TABLE detour_host (
    lane     TEXT PRIMARY KEY,
    url      TEXT NOT NULL,
    password TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the delivery engine knows of each next hop, as JSON that is written and read as a whole. Nothing depends on it but pages.
CREATE TABLE lane (
    next_hop   TEXT PRIMARY KEY,  -- a domain; `*` for the smart host
    updated_at INTEGER NOT NULL,
    state      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_updated ON lane (updated_at);

-- What the replies of a site have brought to it by a shaping rule: JSON.
CREATE TABLE shaping_effect (
    site   TEXT NOT NULL,
    rule   TEXT NOT NULL,
    effect TEXT NOT NULL,
    PRIMARY KEY (site, rule)
) STRICT, WITHOUT ROWID;

-- Those that a person has ended, for a day: every process that delivers forgets them.
CREATE TABLE ended_effect (
    site     TEXT NOT NULL,
    rule     TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (site, rule)
) STRICT, WITHOUT ROWID;

-- What the limit of sessions of each next hop was, the last changes of each.
CREATE TABLE lane_limit (
    next_hop TEXT NOT NULL,
    at       INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    cause    TEXT NOT NULL,  -- a word of `LimitCause`
    PRIMARY KEY (next_hop, at)
) STRICT, WITHOUT ROWID;

-- Findings of the examination, each with the time in which its verdict was the same. Those that ended are kept for 30 days.
CREATE TABLE health_finding (
    check_name   TEXT NOT NULL,
    about        TEXT NOT NULL,  -- a domain, an address, a list; empty if the check has one subject
    verdict      TEXT NOT NULL,
    sentence     TEXT NOT NULL,
    fix          TEXT NOT NULL,
    has_deadline INTEGER NOT NULL,  -- what is advised today is wrong in some days
    began_at     INTEGER NOT NULL,
    ended_at     INTEGER,  -- NULL: it is so now
    PRIMARY KEY (check_name, about, began_at)
) STRICT, WITHOUT ROWID;

-- Things that a person has silenced for a time.
CREATE TABLE silence (
    account_id INTEGER NOT NULL,
    name       TEXT NOT NULL,  -- of the thing: its kind and what it is about
    ends_at    INTEGER NOT NULL,
    set_by     TEXT NOT NULL,  -- the person's name
    set_at     INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

-- Things that need or needed somebody, and when people were alerted.
CREATE TABLE alert (
    account_id  INTEGER NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    sentence    TEXT NOT NULL,
    began_at    INTEGER NOT NULL,
    told_at     INTEGER,  -- NULL: no alert was sent
    ended_at    INTEGER,  -- NULL: it needs somebody still
    end_told_at INTEGER,
    PRIMARY KEY (account_id, name, began_at)
) STRICT, WITHOUT ROWID;

-- Scheduled messages that were changed after they were accepted: the search index reads them again.
CREATE TABLE amended (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id INTEGER NOT NULL
) STRICT;
CREATE TRIGGER message_amended AFTER UPDATE OF subject, recipients, author, tags ON message BEGIN
    INSERT INTO amended (message_id) VALUES (new.id);
END;

-- Changes that people make to many deliveries at once: counted, agreed to, and worked off in batches by the server.
CREATE TABLE bulk_job (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    name       TEXT NOT NULL,
    address    TEXT NOT NULL,
    change     TEXT NOT NULL CHECK (change IN ('try', 'cancel', 'hold', 'release', 'suppress')),
    reason     TEXT NOT NULL,     -- of a hold
    selection  TEXT NOT NULL,     -- JSON of Selection
    state      TEXT NOT NULL CHECK (state IN ('counting', 'counted', 'working', 'done', 'stopped')),
    is_agreed  INTEGER NOT NULL,  -- 1: the work follows the count at once
    position   INTEGER NOT NULL,  -- messages with ids below it have not been counted yet
    looked_at  INTEGER NOT NULL DEFAULT 0,
    counted    INTEGER NOT NULL DEFAULT 0,
    handled    INTEGER NOT NULL DEFAULT 0,
    changed    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX bulk_job_open ON bulk_job (id) WHERE state IN ('counting', 'working');

-- The deliveries of a job that are still to be changed.
CREATE TABLE bulk_batch (
    job_id     INTEGER NOT NULL REFERENCES bulk_job (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    deliveries TEXT NOT NULL,  -- JSON: ids
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- Mail that came in for accounts.
CREATE TABLE inbound_mail (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL,
    content      TEXT NOT NULL,     -- JSON of InboundContent
    created_at   INTEGER NOT NULL,
    is_forwarded INTEGER NOT NULL,  -- 1: the URL of the account has taken it
    attempts     INTEGER NOT NULL,  -- to post it
    due_at       INTEGER            -- when it is posted next; NULL: not any more
) STRICT;
CREATE INDEX inbound_mail_account ON inbound_mail (account_id, id);
CREATE INDEX inbound_mail_due ON inbound_mail (due_at) WHERE due_at IS NOT NULL;

-- Reports of other servers about our domains: DMARC aggregate reports and TLS reports.

CREATE TABLE domain_report (
    id               INTEGER PRIMARY KEY,
    account_id       INTEGER NOT NULL,
    topic            TEXT NOT NULL CHECK (topic IN ('dmarc', 'tls')),
    domain           TEXT NOT NULL,
    reporter         TEXT NOT NULL,
    report_key       TEXT NOT NULL,
    begins_at        INTEGER NOT NULL,
    ends_at          INTEGER NOT NULL,
    good             INTEGER NOT NULL,  -- messages or sessions
    bad              INTEGER NOT NULL,
    policy           TEXT NOT NULL,
    content          TEXT NOT NULL,     -- JSON: rows
    author           TEXT NOT NULL,     -- the domain in From
    is_authenticated INTEGER NOT NULL,  -- 1: SPF or DKIM prove the author
    created_at       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX domain_report_key ON domain_report (account_id, domain, topic, reporter, report_key);
CREATE INDEX domain_report_account ON domain_report (account_id, id);
CREATE INDEX domain_report_domain ON domain_report (account_id, domain, id);

-- Replies of receiving servers that no pattern knows, without addresses, by shape.
CREATE TABLE unknown_reply (
    shape    TEXT PRIMARY KEY,
    number   INTEGER NOT NULL,  -- how often it came
    host     TEXT NOT NULL,     -- the server that said it last
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Accounts whose mail is held, as soon as it is due.
CREATE TABLE suspended_account (
    account_id   INTEGER PRIMARY KEY,
    suspended_by TEXT NOT NULL,
    suspended_at INTEGER NOT NULL,
    ends_at      INTEGER,  -- then its mail goes on by itself; NULL: when somebody says so
    reason       TEXT NOT NULL
) STRICT;
