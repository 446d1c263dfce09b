-- Deliveries are held for a reason, also by a worker; the names of removed domains.

ALTER TABLE delivery ADD COLUMN hold_reason TEXT;

DROP TRIGGER delivery_moves;
CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery
WHEN NOT CASE OLD.state
    WHEN 'queued' THEN NEW.state IN ('queued', 'leased', 'held', 'cancelled', 'expired', 'suppressed')
    WHEN 'leased' THEN NEW.state IN ('leased', 'queued', 'held', 'delivered', 'bounced', 'expired', 'suppressed')
    WHEN 'held' THEN NEW.state IN ('held', 'queued', 'cancelled')
    WHEN 'delivered' THEN NEW.state IN ('delivered', 'bounced')
    ELSE NEW.state = OLD.state
END
BEGIN
    SELECT RAISE(ABORT, 'the life cycle of a delivery does not have this move');
END;

CREATE TABLE removed_domain (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    name       TEXT NOT NULL,
    removed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX removed_domain_name ON removed_domain (account_id, name);
