-- Submissions that were refused at the SMTP door.
CREATE TABLE smtp_refusal (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER,
    api_key_id   INTEGER,
    address      TEXT NOT NULL,
    helo         TEXT NOT NULL,
    is_encrypted INTEGER NOT NULL,
    step         TEXT NOT NULL,
    cause        TEXT NOT NULL,
    reply        TEXT NOT NULL,
    sender       TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    more         INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL
) STRICT;

-- Destinations that a person has paused.
CREATE TABLE paused_destination (
    domain    TEXT PRIMARY KEY,
    paused_by TEXT NOT NULL,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_held_domain ON delivery (domain, account_id) WHERE state = 'held';
