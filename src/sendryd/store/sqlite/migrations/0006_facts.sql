-- What is owed to webhooks, before it is turned into a notification for each of them.
CREATE TABLE fact (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    event_id   INTEGER,  -- of a message; NULL: type and body say it
    type       TEXT,
    body       TEXT,     -- JSON
    created_at INTEGER NOT NULL,
    CHECK ((event_id IS NULL) = (type IS NOT NULL AND body IS NOT NULL))
) STRICT;
