-- What each of the last checks of a domain found, by resolver; its next and former DKIM keys; where a key was last used.

CREATE TABLE domain_check (
    id         INTEGER PRIMARY KEY,
    domain_id  INTEGER NOT NULL REFERENCES sending_domain (id) ON DELETE CASCADE,
    checked_at INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('pending', 'verified', 'failed')),
    faults     TEXT NOT NULL,
    sightings  TEXT NOT NULL
) STRICT;
CREATE INDEX domain_check_domain ON domain_check (domain_id, id);

CREATE TABLE dkim_key (
    id          INTEGER PRIMARY KEY,
    domain_id   INTEGER NOT NULL REFERENCES sending_domain (id) ON DELETE CASCADE,
    selector    TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    private_key BLOB,
    created_at  INTEGER NOT NULL,
    starts_at   INTEGER NOT NULL,
    seen_at     INTEGER,
    active_at   INTEGER,
    retired_at  INTEGER,
    UNIQUE (domain_id, selector)
) STRICT;
CREATE UNIQUE INDEX dkim_key_pending ON dkim_key (domain_id) WHERE active_at IS NULL AND retired_at IS NULL;

ALTER TABLE api_key ADD COLUMN last_used_from TEXT NOT NULL DEFAULT '';
