-- Findings of the examination, each with the time in which its verdict was the same.
CREATE TABLE health_finding (
    check_name   TEXT NOT NULL,
    about        TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    sentence     TEXT NOT NULL,
    fix          TEXT NOT NULL,
    has_deadline INTEGER NOT NULL,
    began_at     INTEGER NOT NULL,
    ended_at     INTEGER,
    PRIMARY KEY (check_name, about, began_at)
) STRICT, WITHOUT ROWID;

-- Things that a person has silenced for a time.
CREATE TABLE silence (
    account_id INTEGER NOT NULL,
    name       TEXT NOT NULL,
    ends_at    INTEGER NOT NULL,
    set_by     TEXT NOT NULL,
    set_at     INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

-- Things that need or needed somebody, and when people were alerted.
CREATE TABLE alert (
    account_id  INTEGER NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    sentence    TEXT NOT NULL,
    began_at    INTEGER NOT NULL,
    told_at     INTEGER,
    ended_at    INTEGER,
    end_told_at INTEGER,
    PRIMARY KEY (account_id, name, began_at)
) STRICT, WITHOUT ROWID;
