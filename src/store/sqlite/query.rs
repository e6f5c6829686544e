//! The questions a reader asks, each answered from one moment and believed only where the checksums agree.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::fault::{reading, unavailable};
use super::row::{self, Remembered, STREAM_COLUMNS, StreamRow};
use crate::store::clock::now_ms;
use crate::store::{Entry, Head, Kind, Limit, Listed, Owner, Scope, Seq, Snapshot, StoreError, StreamKey, Tenant};

pub(super) fn head(transaction: &Transaction<'_>, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
    Ok(find(transaction, stream)?.map(|row| row.head))
}

pub(super) fn entries(
    transaction: &Transaction<'_>,
    stream: &StreamKey,
    after: Seq,
    limit: Limit,
) -> Result<Vec<Entry>, StoreError> {
    let Some(StreamRow { id, head, .. }) = find(transaction, stream)? else {
        return Ok(Vec::new());
    };
    if after < head.trimmed {
        return Err(StoreError::Trimmed { stream: stream.clone(), trimmed: head.trimmed });
    }
    let damaged = |after: Seq| StoreError::Corrupt { stream: stream.clone(), seq: after.plus(1) };
    let sql = "SELECT seq, span, crc, body FROM entries WHERE stream = ?1 AND seq > ?2 ORDER BY seq";
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let mut rows = statement.query(params![id, row::stored(after)]).map_err(unavailable)?;
    let mut page: Vec<Entry> = Vec::new();
    let (mut end, mut bytes) = (after, 0);
    while end < head.seq && page.len() < limit.entries.max(1) {
        let next = rows.next().and_then(|row| row.map_or(Ok(None), |row| verified(id, row)));
        // A row too few is damage like a row that is wrong: the head says how many there are.
        let entry = next.map_err(reading(stream, end.plus(1)))?.ok_or_else(|| damaged(end))?;
        // Only the first may begin before the position asked for.
        let follows = if page.is_empty() { entry.first() <= end.plus(1) } else { entry.first() == end.plus(1) };
        if !follows || entry.seq > head.seq {
            return Err(damaged(end));
        }
        bytes += entry.body.len();
        if bytes > limit.bytes && !page.is_empty() {
            break;
        }
        end = entry.seq;
        page.push(entry);
    }
    Ok(page)
}

/// The entry, if its row is what was written.
fn verified(id: i64, row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let (seq, span, crc, body): (i64, u32, u32, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let seq = row::position(seq);
    let intact = crc == row::entry_crc(id, seq, span, &body) && span > 0;
    Ok(intact.then(|| Entry { seq, span, body: Bytes::from(body) }))
}

pub(super) fn snapshot(transaction: &Transaction<'_>, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
    let Some(StreamRow { id, head, .. }) = find(transaction, stream)? else {
        return Ok(None);
    };
    let Some(expected) = head.snapshot else {
        return Ok(None);
    };
    let sql = "SELECT seq, crc, body FROM snapshots WHERE stream = ?1";
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let found: Option<(i64, u32, Vec<u8>)> = statement
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
        .map_err(reading(stream, expected))?;
    match found {
        Some((seq, crc, body)) if row::position(seq) == expected && crc == row::snapshot_crc(id, expected, &body) => {
            Ok(Some(Snapshot { seq: expected, body: body.into() }))
        }
        _ => Err(StoreError::Corrupt { stream: stream.clone(), seq: expected }),
    }
}

pub(super) fn list(
    transaction: &Transaction<'_>,
    scope: &Scope,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "SELECT {STREAM_COLUMNS}, name FROM streams WHERE tenant = ?1 AND owner = ?2 AND kind = ?3 AND touched < ?4 \
         ORDER BY touched DESC LIMIT ?5"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(unavailable)?;
    let before = before.map_or(i64::MAX, |before| row::stored(Seq(before)));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let scoped = params![scope.tenant.as_str(), scope.owner.as_str(), scope.kind.as_str(), before, limit];
    let rows = statement
        .query_map(scoped, |row| Ok((StreamRow::from_row(row)?, row.get::<_, String>(9)?)))
        .map_err(unavailable)?;
    rows.map(|row| {
        let (row, name) = row.map_err(unavailable)?;
        let key = scope.stream(name);
        let head = intact(row, &key)?.head;
        Ok(Listed { key, head })
    })
    .collect()
}

/// In the order of the ids' bytes, which is how SQLite compares text.
pub(super) fn list_by_id(
    transaction: &Transaction<'_>,
    scope: &Scope,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "SELECT {STREAM_COLUMNS}, name FROM streams \
         WHERE tenant = ?1 AND owner = ?2 AND kind = ?3 AND name >= ?4 AND name > ?5 ORDER BY name LIMIT ?6"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(unavailable)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (tenant, owner, kind) = (scope.tenant.as_str(), scope.owner.as_str(), scope.kind.as_str());
    // Every id is greater than the empty text.
    let scoped = params![tenant, owner, kind, prefix, after.unwrap_or_default(), limit];
    let rows = statement
        .query_map(scoped, |row| Ok((StreamRow::from_row(row)?, row.get::<_, String>(9)?)))
        .map_err(unavailable)?;
    let mut listed = Vec::new();
    for row in rows {
        let (row, name) = row.map_err(unavailable)?;
        if !name.starts_with(prefix) {
            break;
        }
        let key = scope.stream(name);
        let head = intact(row, &key)?.head;
        listed.push(Listed { key, head });
    }
    Ok(listed)
}

/// As [`list_by_id`], backwards.
pub(super) fn list_back(
    transaction: &Transaction<'_>,
    scope: &Scope,
    prefix: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "SELECT {STREAM_COLUMNS}, name FROM streams \
         WHERE tenant = ?1 AND owner = ?2 AND kind = ?3 AND name >= ?4 AND name < ifnull(?5, x'') ORDER BY name DESC LIMIT ?6"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(unavailable)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (tenant, owner, kind) = (scope.tenant.as_str(), scope.owner.as_str(), scope.kind.as_str());
    let end = behind(prefix);
    // Every text is less than an empty blob.
    let before = match (before, end.as_deref()) {
        (Some(before), Some(end)) => Some(before.min(end)),
        (before, end) => before.or(end),
    };
    let rows = statement
        .query_map(params![tenant, owner, kind, prefix, before, limit], |row| {
            Ok((StreamRow::from_row(row)?, row.get::<_, String>(9)?))
        })
        .map_err(unavailable)?;
    rows.map(|row| {
        let (row, name) = row.map_err(unavailable)?;
        let key = scope.stream(name);
        let head = intact(row, &key)?.head;
        Ok(Listed { key, head })
    })
    .collect()
}

/// The least text behind everything that begins with `prefix`, unless that is everything.
fn behind(prefix: &str) -> Option<String> {
    let mut kept = prefix.trim_end_matches(char::MAX).to_owned();
    let last = kept.pop()?;
    kept.push((last..=char::MAX).nth(1)?);
    Some(kept)
}

pub(super) fn open_streams(transaction: &Transaction<'_>, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
    let sql = "SELECT tenant, owner, name FROM streams WHERE kind = ?1 AND open = 1 ORDER BY touched";
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let text = |row: &Row<'_>, column| row.get::<_, String>(column).map(Arc::<str>::from);
    let rows = statement
        .query_map([kind.as_str()], |row| {
            let (tenant, owner) = (Tenant::new(text(row, 0)?), Owner::new(text(row, 1)?));
            Ok(Scope { tenant, owner, kind }.stream(text(row, 2)?))
        })
        .map_err(unavailable)?;
    rows.collect::<Result<_, _>>().map_err(unavailable)
}

pub(super) fn remembered(
    transaction: &Transaction<'_>,
    tenant: &Tenant,
    key: &str,
) -> Result<Option<Bytes>, StoreError> {
    match Remembered::find(transaction, tenant, key, now_ms()).map_err(unavailable)? {
        None => Ok(None),
        Some(found) if found.is_intact => Ok(Some(found.result)),
        Some(_) => Err(StoreError::Unavailable { reason: format!("what is remembered under {key} is damaged") }),
    }
}

pub(super) fn ping(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(unavailable)
}

fn find(transaction: &Transaction<'_>, stream: &StreamKey) -> Result<Option<StreamRow>, StoreError> {
    let found = StreamRow::find(transaction, stream).map_err(reading(stream, Seq::ZERO))?;
    found.map(|row| intact(row, stream)).transpose()
}

fn intact(row: StreamRow, stream: &StreamKey) -> Result<StreamRow, StoreError> {
    match row.is_intact(stream) {
        true => Ok(row),
        false => Err(StoreError::Corrupt { stream: stream.clone(), seq: row.head.seq }),
    }
}
