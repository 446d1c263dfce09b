-- Deliveries of copies for an archive: the status of their message does not depend on them.
ALTER TABLE delivery ADD COLUMN is_copy INTEGER NOT NULL DEFAULT 0;
