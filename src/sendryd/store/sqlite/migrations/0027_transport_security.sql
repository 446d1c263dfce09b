-- MTA-STS policies of recipient domains, obeyed until they expire whatever their hosts do meanwhile (RFC 8461).
CREATE TABLE sts_policy (
    domain     TEXT PRIMARY KEY,
    record_id  TEXT NOT NULL,
    mode       TEXT NOT NULL CHECK (mode IN ('enforce', 'testing', 'none')),
    mx         TEXT NOT NULL,
    max_age    INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sts_policy_fetched ON sts_policy (fetched_at);
CREATE INDEX sts_policy_expiry ON sts_policy (expires_at);

-- What the sender of a message asks of TLS on its way (RFC 8689).
ALTER TABLE message ADD COLUMN tls_demand TEXT NOT NULL DEFAULT 'usual' CHECK (tls_demand IN ('usual', 'required', 'optional'));

-- How TLS sessions with the mail servers of recipient domains went, by UTC day, until they are reported (RFC 8460). `result` is JSON.
CREATE TABLE tls_result (
    day    TEXT NOT NULL,
    domain TEXT NOT NULL,
    result TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (day, domain, result)
) STRICT, WITHOUT ROWID;
