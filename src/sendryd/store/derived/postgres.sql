-- What is read of the server's database, where several machines follow it.

-- name: forget_amended
-- Deletes changes of messages that are indexed here and are so old that they are in the indexes of the other machines, too.
DELETE FROM amended WHERE id <= :last AND amended_at < now() - interval '7 days';
