//! Rows and their checksums: what a row says is believed only when its CRC-32, over key and content, agrees.

use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::store::{Head, Scope, Seq, StreamKey, Tenant, WorkKey};

/// A stream's row as it is stored.
#[derive(Debug)]
pub(super) struct StreamRow {
    pub(super) id: i64,
    pub(super) head: Head,
    crc: u32,
}

/// The columns [`StreamRow::from_row`] takes, in its order.
pub(super) const STREAM_COLUMNS: &str = "id, epoch, seq, trimmed, open, summary, snapshot_seq, touched, crc";

impl StreamRow {
    /// The row of a stream, not yet verified.
    pub(super) fn find(connection: &Connection, stream: &StreamKey) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT id, epoch, seq, trimmed, open, summary, snapshot_seq, touched, crc FROM streams \
                   WHERE tenant = :tenant AND owner = :owner AND kind = :kind AND name = :name";
        let Scope { tenant, owner, kind } = &stream.scope;
        let key = named_params! {
            ":tenant": tenant.as_str(), ":owner": owner.as_str(), ":kind": kind.as_str(), ":name": &*stream.id,
        };
        connection.prepare_cached(sql)?.query_row(key, Self::from_row).optional()
    }

    /// Reads [`STREAM_COLUMNS`].
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let epoch: String = row.get(1)?;
        let summary: Option<Vec<u8>> = row.get(5)?;
        let snapshot: Option<i64> = row.get(6)?;
        let head = Head {
            epoch: Arc::from(epoch),
            seq: position(row.get(2)?),
            trimmed: position(row.get(3)?),
            open: row.get(4)?,
            summary: summary.map(Bytes::from),
            snapshot: snapshot.map(position),
            touched: row.get::<_, i64>(7)?.unsigned_abs(),
        };
        Ok(Self { id: row.get(0)?, head, crc: row.get(8)? })
    }

    /// Whether the row is what was written for this stream.
    pub(super) fn is_intact(&self, stream: &StreamKey) -> bool {
        self.crc == stream_crc(self.id, stream, &self.head)
    }
}

/// A remembered result as it is stored.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) result: Bytes,
    pub(super) is_intact: bool,
}

impl Remembered {
    /// What is remembered under a key and has not expired.
    pub(super) fn find(
        connection: &Connection,
        tenant: &Tenant,
        key: &str,
        now_ms: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT expires_at, crc, result FROM remembered WHERE tenant = ?1 AND key = ?2 AND expires_at > ?3";
        let tenant = tenant.as_str();
        let mut find = connection.prepare_cached(sql)?;
        let found = find.query_row(params![tenant, key, now_ms], |row| {
            let (expires_at_ms, crc, result): (i64, u32, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let is_intact = crc == remembered_crc(tenant, key, expires_at_ms, &result);
            Ok(Self { result: result.into(), is_intact })
        });
        found.optional()
    }
}

/// A position as SQLite stores it; positions beyond an `i64` do not exist, so the end stands for them.
pub(super) fn stored(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// The other way; a negative number can only be damage, which the checksum finds.
pub(super) fn position(stored: i64) -> Seq {
    Seq(stored.unsigned_abs())
}

pub(super) fn stream_crc(id: i64, stream: &StreamKey, head: &Head) -> u32 {
    let mut crc = Hasher::new();
    crc.update(&id.to_le_bytes());
    let Scope { tenant, owner, kind } = &stream.scope;
    text(&mut crc, tenant.as_str().as_bytes());
    text(&mut crc, owner.as_str().as_bytes());
    text(&mut crc, kind.as_str().as_bytes());
    text(&mut crc, stream.id.as_bytes());
    text(&mut crc, head.epoch.as_bytes());
    for number in [head.seq.0, head.trimmed.0, u64::from(head.open), head.touched] {
        crc.update(&number.to_le_bytes());
    }
    optional(&mut crc, head.snapshot.map(|seq| seq.0.to_le_bytes()));
    optional(&mut crc, head.summary.as_deref());
    crc.finalize()
}

pub(super) fn entry_crc(stream: i64, seq: Seq, span: u32, body: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(&stream.to_le_bytes());
    crc.update(&seq.0.to_le_bytes());
    crc.update(&span.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

pub(super) fn snapshot_crc(stream: i64, seq: Seq, body: &[u8]) -> u32 {
    // No entry has a span of 0, so that an entry's row cannot pass for a snapshot's.
    entry_crc(stream, seq, 0, body)
}

pub(super) fn remembered_crc(tenant: &str, key: &str, expires_at_ms: i64, result: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    text(&mut crc, tenant.as_bytes());
    text(&mut crc, key.as_bytes());
    crc.update(&expires_at_ms.to_le_bytes());
    crc.update(result);
    crc.finalize()
}

pub(super) fn work_crc(key: &WorkKey, due_at_ms: i64, body: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    text(&mut crc, key.tenant.as_str().as_bytes());
    text(&mut crc, key.queue.as_bytes());
    text(&mut crc, key.key.as_bytes());
    crc.update(&due_at_ms.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// With its length, so that no two rows feed the same bytes.
fn text(crc: &mut Hasher, bytes: &[u8]) {
    crc.update(&(bytes.len() as u64).to_le_bytes());
    crc.update(bytes);
}

fn optional(crc: &mut Hasher, bytes: Option<impl AsRef<[u8]>>) {
    match bytes {
        Some(bytes) => text(crc, bytes.as_ref()),
        None => crc.update(&[0xff]),
    }
}
