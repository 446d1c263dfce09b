-- Addresses whose connections the submission door refuses.
CREATE TABLE blocked_address (
    network    TEXT PRIMARY KEY,
    blocked_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    blocked_at INTEGER NOT NULL,
    ends_at    INTEGER
) STRICT, WITHOUT ROWID;
