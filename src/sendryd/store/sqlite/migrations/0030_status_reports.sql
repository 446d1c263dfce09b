-- Reports to the sender that a delivery still owes (RFC 3461): 1 of a failure, 2 of a delay, 4 of success.
ALTER TABLE delivery ADD COLUMN report INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_report_failed ON delivery (id) WHERE state IN ('bounced', 'expired', 'suppressed') AND report & 1;
CREATE INDEX delivery_report_delivered ON delivery (id) WHERE state = 'delivered' AND report & 4;
CREATE INDEX delivery_report_delayed ON delivery (created_at) WHERE state = 'queued' AND attempts > 0 AND report & 2;
