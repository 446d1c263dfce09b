-- One-time passwords expire long before other mail: without this index, every search would pass all that waits. It has no other rows.
CREATE INDEX delivery_otp ON delivery (created_at) WHERE state = 'queued' AND class = 'otp';
