-- What the replies of a site have brought to it by a shaping rule: a suspension or limits, for a time, as JSON.
CREATE TABLE shaping_effect (
    site   TEXT NOT NULL,
    rule   TEXT NOT NULL,
    effect TEXT NOT NULL,
    PRIMARY KEY (site, rule)
) STRICT, WITHOUT ROWID;
