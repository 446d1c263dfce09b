-- What each account has for lanes that others fill; and what goes to domains' own smart hosts, beside one for all mail. Their
-- condition is one that the statements of these two alone have: the planner takes any index of queued deliveries for as good as another.
CREATE INDEX delivery_account ON delivery (class, account_id, domain, due_at) WHERE upper(state) = 'QUEUED';
CREATE INDEX delivery_relay ON delivery (domain, due_at) WHERE upper(state) = 'QUEUED' AND strpos(domain, ':') > 0;
