-- The password of a domain's own smart host. A change of it is one that running processes look for.

ALTER TABLE sending_domain ADD COLUMN smarthost_password TEXT NOT NULL DEFAULT '';
DROP TRIGGER sending_domain_changed;
CREATE TRIGGER sending_domain_changed AFTER UPDATE OF status, selector, private_key, settings, records, smarthost_password ON sending_domain
WHEN (OLD.status, OLD.selector, OLD.private_key, OLD.settings, OLD.records, OLD.smarthost_password)
    IS NOT (NEW.status, NEW.selector, NEW.private_key, NEW.settings, NEW.records, NEW.smarthost_password) BEGIN
    UPDATE config_version SET version = version + 1;
END;
