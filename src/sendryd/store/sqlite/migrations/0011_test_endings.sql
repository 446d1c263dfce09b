-- The mail log follows what was cancelled of test keys' mail too.
DROP INDEX event_ended;
CREATE INDEX event_ended ON event (id) WHERE type IN ('cancelled', 'failed');
