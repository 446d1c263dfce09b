-- What each account has for lanes that others fill; and what goes to domains' own smart hosts, beside one for all mail.
CREATE INDEX delivery_account ON delivery (class, account_id, domain, due_at) WHERE state = 'queued';
CREATE INDEX delivery_relay ON delivery (domain, due_at) WHERE state = 'queued' AND instr(domain, ':');
