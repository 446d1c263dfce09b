-- Deliveries know their account, the class of their message and the site that takes mail for their domain: what shares of an engine are counted by.
--
-- SQLite refuses every change of a row, and every new column of its table, while a value in it has the wrong type or breaks a rule. So damaged
-- rows are mended first: values become what their columns can hold, and what was not done is held, as when the program meets such a row.
DROP TRIGGER delivery_moves;
UPDATE delivery NOT INDEXED
SET state = CASE WHEN state IN ('held', 'delivered', 'bounced', 'expired', 'suppressed', 'cancelled') THEN state ELSE 'held' END,
    hold_reason = CASE WHEN state IN ('held', 'delivered', 'bounced', 'expired', 'suppressed', 'cancelled') THEN CAST(hold_reason AS TEXT)
                       ELSE 'unreadable' END,
    lease_token = NULL, lease_node = NULL, lease_boot = NULL, returned_token = NULL,
    message_id = coalesce(CAST(message_id AS INTEGER), 0), forward_path = coalesce(CAST(forward_path AS TEXT), ''),
    domain = coalesce(CAST(domain AS TEXT), ''), due_at = coalesce(CAST(due_at AS INTEGER), 0), attempts = coalesce(CAST(attempts AS INTEGER), 0),
    is_in_doubt = coalesce(CAST(is_in_doubt AS INTEGER), 1), created_at = coalesce(CAST(created_at AS INTEGER), 0),
    crashes = coalesce(CAST(crashes AS INTEGER), 0), last_reply = coalesce(CAST(last_reply AS TEXT), ''),
    delivered_at = CAST(delivered_at AS INTEGER), notify = CAST(notify AS TEXT), orcpt = CAST(orcpt AS TEXT)
WHERE NOT coalesce(
    state IN ('queued', 'leased', 'held', 'delivered', 'bounced', 'expired', 'suppressed', 'cancelled')
    AND (state = 'leased') = (lease_token IS NOT NULL)
    AND typeof(message_id) = 'integer' AND typeof(forward_path) = 'text' AND typeof(domain) = 'text' AND typeof(due_at) = 'integer'
    AND typeof(attempts) = 'integer' AND typeof(is_in_doubt) = 'integer' AND typeof(created_at) = 'integer' AND typeof(crashes) = 'integer'
    AND typeof(last_reply) = 'text' AND typeof(delivered_at) IN ('integer', 'null') AND typeof(notify) IN ('text', 'null')
    AND typeof(orcpt) IN ('text', 'null') AND typeof(hold_reason) IN ('text', 'null') AND typeof(returned_token) IN ('integer', 'null')
    AND typeof(lease_token) IN ('integer', 'null') AND typeof(lease_boot) IN ('integer', 'null') AND typeof(lease_node) IN ('text', 'null'), 0);
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

ALTER TABLE delivery ADD COLUMN account_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN class TEXT NOT NULL DEFAULT 'transactional' CHECK (class IN ('otp', 'transactional', 'bulk'));
ALTER TABLE delivery ADD COLUMN site TEXT;
UPDATE delivery SET account_id = message.account_id, class = CASE message.type WHEN 'marketing' THEN 'bulk' ELSE 'transactional' END
FROM message WHERE message.id = delivery.message_id AND typeof(message.account_id) = 'integer';
