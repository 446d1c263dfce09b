-- Replies of receiving servers that no pattern knows, without addresses, by shape.
CREATE TABLE unknown_reply (
    shape    TEXT PRIMARY KEY,
    number   INTEGER NOT NULL,
    host     TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
