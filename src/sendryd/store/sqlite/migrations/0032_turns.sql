-- The accounts and classes that wait for a domain take turns. One index serves that and what the index by domain alone did.
DROP INDEX delivery_domain;
CREATE INDEX delivery_turn ON delivery (domain, account_id, class, due_at) WHERE state = 'queued';
