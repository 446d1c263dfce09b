-- Contents, the cluster and the clock on PostgreSQL alone.

-- name: insert_content
-- Stores a content.
INSERT INTO content (message_id, number, checksum, data) VALUES (:message_id, :number, :checksum, :data);

-- name: read_content_row
-- A whole content.
SELECT checksum, data FROM content WHERE message_id = :message_id AND number = :number;

-- name: read_content_piece
-- A piece of a content, and the size and the checksum of the whole.
SELECT checksum, octet_length(data) AS whole, substr(data, :first::integer, :size::integer) AS data FROM content WHERE message_id = :message_id AND number = :number;

-- name: count_contents
-- The number of messages, each of which has its content; of many, the server's estimate.
SELECT CASE WHEN reltuples < 100000 THEN (SELECT count(*) FROM message) ELSE reltuples::bigint END
FROM pg_class WHERE oid = 'message'::regclass;

-- name: drop_content
-- Deletes a content.
DELETE FROM content WHERE message_id = :message_id AND number = :number;

-- name: probe_writing
-- Writes one row.
UPDATE probe_of_writing SET number = number + 1;

-- name: current_transaction
-- The number of this transaction, and which history of the cluster the server writes: its timeline, another one once a standby has taken over.
SELECT pg_current_xact_id()::text AS number, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS history;

-- name: current_history
-- The same history; NULL from a standby.
SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END;

-- name: has_delivery
-- Whether a delivery is stored.
SELECT EXISTS (SELECT FROM delivery WHERE id = :id);

-- name: transaction_state
-- Whether a transaction has committed: NULL is one that the server has forgotten.
SELECT pg_xact_status(:number::text::xid8);

-- name: note_clock
-- Stores the settled time.
INSERT INTO clock (only_row, seen_at) VALUES (1, :seen_at) ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at;

-- name: read_clock
-- The settled time that was stored last.
SELECT seen_at FROM clock;

-- name: doubt_deliveries
-- Marks deliveries that their client may have sent again.
UPDATE delivery SET is_in_doubt = 1 WHERE id {in_numbers:ids} AND state IN ('queued', 'leased', 'held');

-- name: read_time
-- The time of the server's clock.
SELECT clock_timestamp();

-- name: note_beat
-- Notes that a process is alive, and whether it was away.
INSERT INTO node (name, boot, place, machine, roles, sessions) VALUES (:name, :boot, :place, :machine, :roles, :sessions)
ON CONFLICT (boot) DO UPDATE SET last_seen = clock_timestamp(), roles = excluded.roles, sessions = excluded.sessions,
    back_since = CASE
        WHEN node.last_seen < clock_timestamp() - make_interval(secs => :away::float8) THEN clock_timestamp() ELSE node.back_since
    END,
    state = CASE WHEN node.state = 'gone' THEN 'up' ELSE node.state END, was_silent = false;

-- name: find_successor
-- Whether a process is known that another one of its place, which is alive, has ended.
SELECT 1 AS found FROM node AS own WHERE own.boot = :boot AND EXISTS (
    SELECT FROM node WHERE node.place = own.place AND node.boot <> own.boot AND node.state <> 'gone'
      AND node.last_seen > clock_timestamp() - make_interval(secs => :silence::float8)
);

-- name: seen_at
-- When a process of a place was last seen that is not on this machine and was alive just now.
SELECT max(last_seen) AS last_seen FROM node WHERE place = :place AND machine <> :machine AND state <> 'gone'
  AND last_seen > clock_timestamp() - make_interval(secs => :alive::float8);

-- name: end_place
-- Ends the earlier processes of a place: one at a time may use it.
UPDATE node SET state = 'gone' WHERE place = :place AND boot <> :boot AND state <> 'gone';

-- name: find_namesake
-- A living process of this name and another place.
SELECT boot FROM node
WHERE name = :name AND place <> :place AND state <> 'gone' AND last_seen > clock_timestamp() - make_interval(secs => :silence::float8) LIMIT 1;

-- name: end_silent
-- Ends the processes that have been silent for too long, unless this one was away too: then nothing was heard of anyone.
UPDATE node SET state = 'gone', was_silent = true
WHERE state <> 'gone' AND last_seen <= clock_timestamp() - make_interval(secs => :silence::float8) AND NOT EXISTS (
    SELECT 1 FROM node AS own WHERE own.boot = :boot AND own.back_since > clock_timestamp() - make_interval(secs => :away::float8)
);

-- name: list_dead
-- The processes that are gone and still hold leases, however they ended.
SELECT boot FROM node WHERE state = 'gone' AND boot <> :boot AND (
    EXISTS (SELECT FROM delivery WHERE delivery.state = 'leased' AND delivery.lease_boot = node.boot)
    OR EXISTS (SELECT FROM notification WHERE notification.state = 'leased' AND notification.lease_boot = node.boot)
);

-- name: set_state
-- Notes what a process does.
UPDATE node SET state = :state WHERE boot = :boot AND state <> :state;

-- name: list_living
-- The living processes, oldest first, and whether each has beaten since one of them came.
SELECT boot, roles, is_asked_to_drain, sessions,
    last_seen > (SELECT greatest(own.since, own.back_since) FROM node AS own WHERE own.boot = :boot) AS has_seen
FROM node WHERE state <> 'gone' ORDER BY since, boot;

-- name: free_shards
-- Frees the shards of processes that are gone.
UPDATE shard SET boot = NULL WHERE boot IS NOT NULL AND boot NOT IN (SELECT boot FROM node WHERE state <> 'gone');

-- name: list_owned
-- The shards of a process.
SELECT number FROM shard WHERE boot = :boot ORDER BY number;

-- name: renew_shards
-- Lengthens leases.
UPDATE shard SET expires_at = clock_timestamp() + make_interval(secs => :silence::float8) WHERE boot = :boot;

-- name: give_up_shards
-- Hands shards over to whoever takes them.
UPDATE shard SET boot = NULL WHERE boot = :boot AND number {in_numbers:shards};

-- name: take_shards
-- Takes free shards.
UPDATE shard SET boot = :boot, epoch = epoch + 1, expires_at = clock_timestamp() + make_interval(secs => :silence::float8)
WHERE number IN (SELECT number FROM shard WHERE boot IS NULL ORDER BY number LIMIT :most) RETURNING number;

-- name: leave_shards
-- Frees all shards of a process.
UPDATE shard SET boot = NULL WHERE boot = :boot;

-- name: forget_nodes
-- Deletes processes that have been gone for a day.
DELETE FROM node WHERE state = 'gone' AND last_seen < clock_timestamp() - interval '1 day'
  AND NOT EXISTS (SELECT FROM delivery WHERE delivery.state = 'leased' AND delivery.lease_boot = node.boot)
  AND NOT EXISTS (SELECT FROM notification WHERE notification.state = 'leased' AND notification.lease_boot = node.boot);

-- name: list_nodes
-- The processes that are or were there, by name; of those of one name that are gone, the last.
SELECT DISTINCT ON (name, CASE WHEN state = 'gone' THEN 0 ELSE boot END) name, roles, since, last_seen, state,
       (SELECT count(*) FROM shard WHERE shard.boot = node.boot) AS owns
FROM node WHERE state <> 'gone' OR NOT EXISTS (SELECT 1 FROM node AS other WHERE other.name = node.name AND other.state <> 'gone')
ORDER BY name, CASE WHEN state = 'gone' THEN 0 ELSE boot END, last_seen DESC;

-- name: ask_to_drain
-- Asks the living process of a name to hand over.
UPDATE node SET is_asked_to_drain = true, state = CASE WHEN state = 'up' THEN 'draining' ELSE state END
WHERE name = :name AND state <> 'gone';

-- name: note_domain_shard
-- Notes the shard of a domain.
INSERT INTO domain_shard (domain, shard) VALUES (:domain, :shard::smallint) ON CONFLICT (domain) DO UPDATE SET shard = excluded.shard;

-- name: move_domain
-- Moves the waiting mail of a domain to a shard.
WITH chosen AS MATERIALIZED (
    SELECT id FROM delivery WHERE domain = :domain AND state IN ('queued', 'leased', 'held') AND shard <> :shard::smallint ORDER BY id FOR UPDATE
)
UPDATE delivery SET shard = :shard::smallint FROM chosen WHERE delivery.id = chosen.id;

-- name: server_time
-- The server's time, in milliseconds.
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now;

-- name: lock_quotas
-- Counts of quotas, locked in one order.
SELECT owner, period, start, taken FROM quota_count WHERE owner {in_words:owners} ORDER BY owner FOR UPDATE;

-- name: add_quotas
-- Rows for counts of quotas. A period of no length: nothing was counted.
INSERT INTO quota_count (owner, period, start, taken) SELECT value, 0, 0, 0 FROM json_array_elements_text(:owners::json) AS value ORDER BY value
ON CONFLICT DO NOTHING RETURNING owner;

-- name: store_quota
-- Stores a count that is locked.
UPDATE quota_count SET period = :period, start = :start, taken = :taken WHERE owner = :owner;

-- name: forget_quotas
-- Deletes counts whose periods are over.
DELETE FROM quota_count WHERE owner IN (
    SELECT owner FROM quota_count WHERE start + 2 * period < extract(epoch FROM clock_timestamp()) * 1000 FOR UPDATE SKIP LOCKED
);

-- name: share_rates
-- Takes what this process has let through from the buckets of keys, and tells what is in them and in those that others have used lately.
WITH mine AS (
    SELECT (value ->> 0)::bigint AS key_id, (value ->> 1)::float8 AS number FROM json_array_elements(:used::json) AS value
), changed AS (
    INSERT INTO rate_bucket AS bucket (key_id, tokens, counted_at)
    SELECT key_id, greatest(:full::float8 - number, -:full::float8), clock_timestamp() FROM mine ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE SET
        tokens = greatest(-:full::float8, excluded.tokens - :full::float8
            + least(:full::float8, bucket.tokens + :rate::float8 * greatest(0, extract(epoch FROM clock_timestamp() - bucket.counted_at))::float8)),
        counted_at = clock_timestamp()
    RETURNING key_id, tokens
)
SELECT key_id, tokens FROM changed
UNION ALL
SELECT key_id, least(:full::float8, tokens + :rate::float8 * greatest(0, extract(epoch FROM clock_timestamp() - counted_at))::float8) AS tokens
FROM rate_bucket WHERE counted_at > clock_timestamp() - interval '2 seconds' AND key_id NOT IN (SELECT key_id FROM mine);

-- name: forget_rates
-- Deletes the buckets of keys that are not used any more.
DELETE FROM rate_bucket WHERE key_id IN (
    SELECT key_id FROM rate_bucket WHERE counted_at < clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED
);

-- name: list_asked_probes
-- Domains whose probe an operator has requested lately, and when.
SELECT domain, asked_at FROM probe WHERE asked_at > clock_timestamp() - make_interval(secs => :lifetime::float8) ORDER BY domain;

-- name: forget_probes
-- Deletes requests for probes that every process has seen.
DELETE FROM probe WHERE asked_at <= clock_timestamp() - make_interval(secs => :lifetime::float8);
