-- An operator may return waiting mail, say why a destination is paused, and suspend an account.
DROP TRIGGER delivery_moves;
CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery
WHEN NOT CASE OLD.state
    WHEN 'queued' THEN NEW.state IN ('queued', 'leased', 'held', 'bounced', 'cancelled', 'expired', 'suppressed')
    WHEN 'leased' THEN NEW.state IN ('leased', 'queued', 'held', 'delivered', 'bounced', 'expired', 'suppressed')
    WHEN 'held' THEN NEW.state IN ('held', 'queued', 'bounced', 'cancelled')
    WHEN 'delivered' THEN NEW.state IN ('delivered', 'bounced')
    ELSE NEW.state = OLD.state
END
BEGIN
    SELECT RAISE(ABORT, 'the life cycle of a delivery does not have this move');
END;

ALTER TABLE paused_destination ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE TABLE suspended_account (
    account_id   INTEGER PRIMARY KEY,
    suspended_by TEXT NOT NULL,
    suspended_at INTEGER NOT NULL,
    ends_at      INTEGER,
    reason       TEXT NOT NULL
) STRICT;
