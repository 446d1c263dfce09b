-- The settled time when the program last looked, to tell a wrong clock at the next start.
CREATE TABLE clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seen_at  INTEGER NOT NULL
) STRICT;
