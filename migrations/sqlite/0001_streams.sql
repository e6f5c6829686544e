-- Streams, their entries and snapshots, and remembered results. Every row carries a CRC-32 over its key and content.

CREATE TABLE streams (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT    NOT NULL,
    owner        TEXT    NOT NULL,           -- '' for what belongs to the whole tenant
    kind         TEXT    NOT NULL,           -- doc, thread, log
    name         TEXT    NOT NULL,
    epoch        TEXT    NOT NULL,           -- the lineage, minted when the row is
    seq          INTEGER NOT NULL,           -- the newest position
    trimmed      INTEGER NOT NULL,           -- entries up to here are gone
    open         INTEGER NOT NULL,           -- 1 when a restart must look at it
    summary      BLOB,
    snapshot_seq INTEGER,
    touched      INTEGER NOT NULL,           -- the store-wide counter at the last append
    crc          INTEGER NOT NULL,
    UNIQUE (tenant, owner, kind, name)
) STRICT;

CREATE INDEX streams_by_touched ON streams (tenant, owner, kind, touched);
CREATE INDEX streams_open ON streams (kind) WHERE open = 1;

CREATE TABLE entries (
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,                 -- the entry's last position
    span   INTEGER NOT NULL,                 -- how many positions it covers
    crc    INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    stream INTEGER PRIMARY KEY,
    seq    INTEGER NOT NULL,
    crc    INTEGER NOT NULL,
    body   BLOB    NOT NULL
) STRICT;

CREATE TABLE remembered (
    tenant     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,             -- milliseconds since 1970
    crc        INTEGER NOT NULL,
    result     BLOB    NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX remembered_by_expiry ON remembered (expires_at);

-- What must not go back when the rows it was taken from are deleted.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
