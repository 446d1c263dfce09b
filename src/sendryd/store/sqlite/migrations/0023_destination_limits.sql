-- Pauses of destinations with an end; limits of sessions that a person sets; what the limit of each next hop was.
ALTER TABLE paused_destination ADD COLUMN ends_at INTEGER;

CREATE TABLE destination_limit (
    domain   TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL CHECK (sessions > 0),
    set_by   TEXT NOT NULL,
    set_at   INTEGER NOT NULL,
    ends_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE lane_limit (
    next_hop TEXT NOT NULL,
    at       INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    cause    TEXT NOT NULL,
    PRIMARY KEY (next_hop, at)
) STRICT, WITHOUT ROWID;
