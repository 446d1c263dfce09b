-- A person may end what the replies of a site have brought. Running processes look for changes of an account's settings.
CREATE TABLE ended_effect (
    site     TEXT NOT NULL,
    rule     TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (site, rule)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER account_changed AFTER UPDATE OF settings ON account WHEN OLD.settings IS NOT NEW.settings BEGIN
    UPDATE config_version SET version = version + 1;
END;
