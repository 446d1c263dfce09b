-- The spool has an id, each segment too, and numbers never come back. Segments of earlier versions have no id, and their contents no checksum.

ALTER TABLE segment ADD COLUMN id BLOB;
ALTER TABLE segment ADD COLUMN octets INTEGER NOT NULL DEFAULT 0;
UPDATE segment SET octets = found.octets
FROM (SELECT segment AS number, max(position + size) AS octets FROM message GROUP BY segment) AS found
WHERE found.number = segment.number;

CREATE TABLE spool (
    only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    last_segment INTEGER NOT NULL
) STRICT;
INSERT INTO spool SELECT 1, randomblob(16), coalesce(max(number), 0) FROM segment;

CREATE TRIGGER segment_added AFTER INSERT ON segment BEGIN
    UPDATE spool SET last_segment = max(last_segment, NEW.number);
END;
