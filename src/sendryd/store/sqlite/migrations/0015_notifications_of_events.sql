-- The notifications of a message are found by its events.
CREATE INDEX notification_event ON notification (event_id) WHERE event_id IS NOT NULL;
