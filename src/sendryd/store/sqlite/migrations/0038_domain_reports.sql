-- Reports of other servers about our domains: DMARC aggregate reports and TLS reports.

CREATE TABLE domain_report (
    id               INTEGER PRIMARY KEY,
    account_id       INTEGER NOT NULL,
    topic            TEXT NOT NULL CHECK (topic IN ('dmarc', 'tls')),
    domain           TEXT NOT NULL,
    reporter         TEXT NOT NULL,
    report_key       TEXT NOT NULL,
    begins_at        INTEGER NOT NULL,
    ends_at          INTEGER NOT NULL,
    good             INTEGER NOT NULL,
    bad              INTEGER NOT NULL,
    policy           TEXT NOT NULL,
    content          TEXT NOT NULL,
    author           TEXT NOT NULL,
    is_authenticated INTEGER NOT NULL,
    created_at       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX domain_report_key ON domain_report (account_id, domain, topic, reporter, report_key);
CREATE INDEX domain_report_account ON domain_report (account_id, id);
CREATE INDEX domain_report_domain ON domain_report (account_id, domain, id);
