-- A person may send waiting mail another way than its domain's settings say: from an address pool, or to a smart host.
ALTER TABLE delivery ADD COLUMN detour TEXT;

CREATE TABLE detour_host (
    lane     TEXT PRIMARY KEY,
    url      TEXT NOT NULL,
    password TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
