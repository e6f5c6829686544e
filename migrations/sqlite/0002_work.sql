-- Work that waits to be done, in the order of (due_at, place). Settled by deleting its row.

CREATE TABLE work (
    place  INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of insertion; a row that is replaced gets a new one
    tenant TEXT    NOT NULL,
    queue  TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    due_at INTEGER NOT NULL,                   -- milliseconds since 1970
    crc    INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    UNIQUE (tenant, queue, key)
) STRICT;

CREATE INDEX work_by_due ON work (queue, due_at, place);
