-- Hosts that have done TLS, and when last: they get nothing in clear text, also after a restart.
CREATE TABLE tls_host (
    host      TEXT PRIMARY KEY,
    worked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tls_host_age ON tls_host (worked_at);

-- Next hops that an operator wants tried at once, whatever suspends them.
CREATE TABLE probe (
    domain TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
