-- The mail log finds what was cancelled or expired, by whatever process, along this.
CREATE INDEX event_ended ON event (id) WHERE type IN ('cancelled', 'failed') AND mode = 'live';

-- Sessions to be written to the log, by domain.
CREATE TABLE trace (
    domain   TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
