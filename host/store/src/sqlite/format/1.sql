-- One table for everything. Rows are up to 256 KiB, so they stand outside the index of the keys.
CREATE TABLE entry (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- The newest revision. Deleting the newest entry must not bring its number back.
CREATE TABLE counter (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 0),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO counter (only, revision) VALUES (0, 0);
