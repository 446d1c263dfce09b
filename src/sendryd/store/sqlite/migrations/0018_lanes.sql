-- What the delivery engine knows of each next hop, for the pages of the queue.
CREATE TABLE lane (
    next_hop   TEXT PRIMARY KEY,
    updated_at INTEGER NOT NULL,
    state      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_updated ON lane (updated_at);
