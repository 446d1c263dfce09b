-- Lists of mail that did not arrive go along these few rows, newest first.
CREATE INDEX delivery_ended ON delivery (state, message_id) WHERE state IN ('bounced', 'expired', 'suppressed', 'cancelled');

-- Scheduled messages that were changed after they were accepted: the search index reads them again.
CREATE TABLE amended (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id INTEGER NOT NULL
) STRICT;
CREATE TRIGGER message_amended AFTER UPDATE OF subject, recipients, author, tags ON message BEGIN
    INSERT INTO amended (message_id) VALUES (new.id);
END;
