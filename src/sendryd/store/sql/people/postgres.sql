-- People on PostgreSQL, where its words differ.

-- name: requires_factor
-- Whether an account requires a second factor.
SELECT 1 AS found FROM account WHERE id = :id AND settings::json ->> 'requires_factor' = 'true';
