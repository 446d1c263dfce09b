-- Addresses and pools that an operator has suspended, and how much each warming address has sent.

CREATE TABLE egress_suspension (
    kind         TEXT NOT NULL CHECK (kind IN ('address', 'pool')),
    name         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    suspended_by TEXT NOT NULL,
    suspended_at INTEGER NOT NULL,
    ends_at      INTEGER,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE egress_count (
    day     TEXT NOT NULL,
    address TEXT NOT NULL,
    site    TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (day, address, site)
) STRICT, WITHOUT ROWID;
