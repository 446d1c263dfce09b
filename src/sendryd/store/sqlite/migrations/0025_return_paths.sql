-- Delivery reads from a domain's records whether its own return path can be used: it has to see that they changed.

DROP TRIGGER sending_domain_changed;
CREATE TRIGGER sending_domain_changed AFTER UPDATE OF status, selector, private_key, settings, records ON sending_domain
WHEN (OLD.status, OLD.selector, OLD.private_key, OLD.settings, OLD.records)
    IS NOT (NEW.status, NEW.selector, NEW.private_key, NEW.settings, NEW.records) BEGIN
    UPDATE config_version SET version = version + 1;
END;
