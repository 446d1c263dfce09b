-- Changes that people make to many deliveries at once: counted, confirmed, and worked off in batches by the server.

CREATE TABLE bulk_job (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    name       TEXT NOT NULL,
    address    TEXT NOT NULL,
    change     TEXT NOT NULL CHECK (change IN ('try', 'cancel', 'hold', 'release', 'suppress')),
    reason     TEXT NOT NULL,
    selection  TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('counting', 'counted', 'working', 'done', 'stopped')),
    is_agreed  INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    looked_at  INTEGER NOT NULL DEFAULT 0,
    counted    INTEGER NOT NULL DEFAULT 0,
    handled    INTEGER NOT NULL DEFAULT 0,
    changed    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX bulk_job_open ON bulk_job (id) WHERE state IN ('counting', 'working');

CREATE TABLE bulk_batch (
    job_id     INTEGER NOT NULL REFERENCES bulk_job (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    deliveries TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- Who holds a delivery, since when and why: JSON; NULL: no person does.
ALTER TABLE delivery ADD COLUMN hold_note TEXT;
