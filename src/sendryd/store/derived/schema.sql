-- The derived file. A file of another version, or a damaged one, is replaced by an empty one and filled again.

CREATE TABLE progress (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    first      INTEGER NOT NULL,  -- the first message when the file was made
    target     INTEGER NOT NULL,  -- the last message when the file was made: the file is complete beyond it
    message_id INTEGER NOT NULL,  -- messages up to this one are indexed and counted
    event_id   INTEGER NOT NULL,  -- events up to this one are counted
    amended_id INTEGER NOT NULL,  -- changes of messages up to this one are indexed
    until      INTEGER NOT NULL,  -- facts from before this time are counted
    boot       TEXT NOT NULL      -- of the system that has the file open; empty: it was closed and synced
) STRICT;

-- One figure of a minute, an hour or a day.
CREATE TABLE figure (
    account_id INTEGER NOT NULL,
    mode       TEXT NOT NULL,
    step       INTEGER NOT NULL,  -- milliseconds
    start      INTEGER NOT NULL,
    kind       TEXT NOT NULL,     -- a figure's name, or the place of a latency
    number     INTEGER NOT NULL,
    PRIMARY KEY (step, start, account_id, mode, kind)
) STRICT, WITHOUT ROWID;

-- Outcomes and engagements of a minute, an hour or a day, by what a report groups them by.
CREATE TABLE activity (
    account_id    INTEGER NOT NULL,
    mode          TEXT NOT NULL,
    step          INTEGER NOT NULL,  -- milliseconds
    start         INTEGER NOT NULL,
    previous      INTEGER NOT NULL,  -- start of the step in which the delivery's last event of this kind was; 0: none. A time that begins later counts it
    domain_id     INTEGER NOT NULL,  -- the signing domain; 0: none
    author_domain TEXT NOT NULL,     -- of the header From; empty: unknown
    template_id   INTEGER NOT NULL,  -- 0: none
    provider      TEXT NOT NULL,     -- of the recipient's mailbox, as policy.providers names it
    kind          TEXT NOT NULL,
    number        INTEGER NOT NULL,
    PRIMARY KEY (step, start, account_id, mode, previous, domain_id, author_domain, template_id, provider, kind)
) STRICT, WITHOUT ROWID;

-- The search index has a table for each month of messages, mail_2026_05, made by sendryd.store.derived.index.
