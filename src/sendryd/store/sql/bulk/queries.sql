-- Changes of many deliveries at once. sendryd.store.drivers.loading loads them.

-- columns: job
id, account_id, person_id, actor, name, address, change, reason, selection, state, is_agreed, position, looked_at, counted, handled, changed,
created_at, ended_at

-- name: insert_bulk_job
-- Stores a job.
INSERT INTO bulk_job ({job}) VALUES ({:job});

-- name: get_bulk_job
-- One job of an account.
SELECT {job} FROM bulk_job WHERE account_id = :account_id AND id = :id;

-- name: list_bulk_jobs
-- The latest jobs of an account, newest first.
SELECT {job} FROM bulk_job WHERE account_id = :account_id ORDER BY id DESC LIMIT :limit;

-- name: list_open_bulk_jobs
-- Jobs that are being counted or worked off, oldest first.
SELECT {job} FROM bulk_job INDEXED BY bulk_job_open WHERE state IN ('counting', 'working') ORDER BY id;

-- name: count_bulk_job
-- Notes how far a job has been counted, unless it was counted or stopped meanwhile.
UPDATE bulk_job SET position = :position, looked_at = looked_at + :looked_at, counted = counted + :found,
    state = CASE WHEN :is_last = 0 THEN 'counting' WHEN is_agreed = 1 THEN 'working' ELSE 'counted' END
WHERE id = :id AND state = 'counting' AND position = :before AND looked_at = :looked_at_before;

-- name: insert_bulk_batch
-- Stores a batch after all others of its job.
INSERT INTO bulk_batch (job_id, number, deliveries)
VALUES (:job_id, (SELECT coalesce(max(number), 0) + 1 FROM bulk_batch WHERE job_id = :job_id), :deliveries);

-- name: agree_to_bulk_job
-- Starts the work of a counted job.
UPDATE bulk_job SET state = 'working', is_agreed = 1 WHERE account_id = :account_id AND id = :id AND state = 'counted';

-- name: read_bulk_batch
-- The first batch of a job.
SELECT number, deliveries FROM bulk_batch WHERE job_id = :job_id ORDER BY number LIMIT 1;

-- name: list_recipients
-- The recipients of deliveries.
SELECT forward_path FROM delivery WHERE id {in_numbers:ids} ORDER BY id;

-- name: delete_bulk_batch
-- Deletes a batch.
DELETE FROM bulk_batch WHERE job_id = :job_id AND number = :number;

-- name: note_bulk_batch
-- Counts the deliveries of a batch, if the job is being worked off.
UPDATE bulk_job SET handled = handled + :handled, changed = changed + :changed WHERE id = :id AND state = 'working';

-- name: is_bulk_job_working
-- Whether a job is being worked off.
SELECT 1 AS found FROM bulk_job WHERE id = :id AND state = 'working';

-- name: end_bulk_job
-- Ends a job that is as it was read.
UPDATE bulk_job SET state = :state, ended_at = :ended_at WHERE id = :id AND state = :before AND handled = :handled;

-- name: delete_bulk_batches
-- Deletes the batches of a job.
DELETE FROM bulk_batch WHERE job_id = :job_id;

-- name: delete_bulk_jobs
-- Deletes old jobs.
DELETE FROM bulk_job WHERE id < :first_kept;
