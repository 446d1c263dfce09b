-- The sessions with the smart host for all mail that each process has or may have: they share the limit.
ALTER TABLE node ADD COLUMN sessions BIGINT NOT NULL DEFAULT 0;
