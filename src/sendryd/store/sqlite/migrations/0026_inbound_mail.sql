-- Mail that came in for accounts.

CREATE TABLE inbound_mail (
    id           INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL,
    content      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    is_forwarded INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    due_at       INTEGER
) STRICT;
CREATE INDEX inbound_mail_account ON inbound_mail (account_id, id);
CREATE INDEX inbound_mail_due ON inbound_mail (due_at) WHERE due_at IS NOT NULL;
