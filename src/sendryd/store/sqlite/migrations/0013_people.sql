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
    elevated_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX session_person ON session (person_id, seen_at);

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
