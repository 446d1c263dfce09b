-- The statements of this folder that PostgreSQL says differently. sendryd.store.drivers.loading loads them.

-- name: page_domain_reports
-- Reports of an account, newest first, with their first rows. `domain` is NULL.
SELECT {domain_report_head}, CASE WHEN json_valid(content) THEN CASE json_typeof(content::json) WHEN 'array' THEN (
        SELECT coalesce(json_agg(row.value ORDER BY row.place), '[]')::text
        FROM json_array_elements(content::json) WITH ORDINALITY AS row (value, place) WHERE row.place <= :rows
    ) ELSE content END ELSE content END AS content
FROM domain_report
WHERE account_id = :account_id AND CAST(:domain AS TEXT) IS NULL AND (CAST(:topic AS TEXT) IS NULL OR topic = :topic) AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: page_reports_of_domain
-- Reports about one domain of an account, newest first, with their first rows.
SELECT {domain_report_head}, CASE WHEN json_valid(content) THEN CASE json_typeof(content::json) WHEN 'array' THEN (
        SELECT coalesce(json_agg(row.value ORDER BY row.place), '[]')::text
        FROM json_array_elements(content::json) WITH ORDINALITY AS row (value, place) WHERE row.place <= :rows
    ) ELSE content END ELSE content END AS content
FROM domain_report
WHERE account_id = :account_id AND domain = :domain AND (CAST(:topic AS TEXT) IS NULL OR topic = :topic) AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: sum_domain_reports
-- What the reports of proved senders since a time say of each domain. The numbers of strangers may add up beyond 64 bits.
SELECT domain, topic, count(*) AS reports, CAST(least(sum(good), 9223372036854775807) AS BIGINT) AS good,
       CAST(least(sum(bad), 9223372036854775807) AS BIGINT) AS bad, max(created_at) AS latest
FROM domain_report WHERE account_id = :account_id AND id >= :first AND is_authenticated = 1 GROUP BY domain, topic ORDER BY domain, topic;
