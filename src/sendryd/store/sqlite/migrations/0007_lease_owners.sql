-- A lease names its owner, a node and a boot, and has no time at which it ends. The column of that time becomes the boot's: a time in it is
-- the boot of no process that lives, so the first start returns what the old version left leased.
ALTER TABLE delivery RENAME COLUMN lease_until TO lease_boot;
ALTER TABLE delivery ADD COLUMN lease_node TEXT;
ALTER TABLE delivery ADD COLUMN returned_token INTEGER;
ALTER TABLE delivery ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notification RENAME COLUMN lease_until TO lease_boot;
ALTER TABLE notification ADD COLUMN lease_node TEXT;
ALTER TABLE notification ADD COLUMN returned_token INTEGER;
