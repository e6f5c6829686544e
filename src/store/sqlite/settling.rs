//! Work in the database: put into its queue, taken out once, listed in order.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::apply::Refused;
use super::fault::unavailable;
use super::row::{self, work_crc};
use crate::store::{CommitError, Seq, Settle, StoreError, Tenant, Waiting, WorkCursor, WorkItem, WorkKey};

pub(super) fn settle(connection: &Connection, settle: &[Settle]) -> Result<(), Refused> {
    for Settle { key, place } in settle {
        let mut delete = connection.prepare_cached(
            "DELETE FROM work WHERE tenant = ?1 AND queue = ?2 AND key = ?3 AND place = ifnull(?4, place)",
        )?;
        let place = place.map(|place| row::stored(Seq(place)));
        if delete.execute(params![key.tenant.as_str(), key.queue, key.key, place])? == 0 {
            return Err(Refused::Work(CommitError::Settled { key: key.clone() }));
        }
    }
    Ok(())
}

pub(super) fn put(connection: &Connection, put: &[WorkItem]) -> Result<(), Refused> {
    for WorkItem { key, due_at_ms, body } in put {
        let mut replace = connection.prepare_cached(
            "INSERT OR REPLACE INTO work (tenant, queue, key, due_at, crc, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let crc = work_crc(key, *due_at_ms, body);
        replace.execute(params![key.tenant.as_str(), key.queue, key.key, due_at_ms, crc, &**body])?;
    }
    Ok(())
}

pub(super) fn due(
    transaction: &Transaction<'_>,
    queue: &str,
    due_by_ms: i64,
    after: Option<WorkCursor>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT tenant, queue, key, due_at, place, crc, body FROM work \
               WHERE queue = ?1 AND due_at <= ?2 AND (due_at, place) > (?3, ?4) ORDER BY due_at, place LIMIT ?5";
    let after = after.map_or((i64::MIN, -1), |after| (after.due_at_ms, row::stored(Seq(after.place))));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let rows =
        statement.query_map(params![queue, due_by_ms, after.0, after.1, limit], verified).map_err(unavailable)?;
    rows.map(|row| row.map_err(unavailable)?).collect()
}

pub(super) fn find(transaction: &Transaction<'_>, key: &WorkKey) -> Result<Option<Waiting>, StoreError> {
    let sql = "SELECT tenant, queue, key, due_at, place, crc, body FROM work \
               WHERE tenant = ?1 AND queue = ?2 AND key = ?3";
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let found = statement.query_row(params![key.tenant.as_str(), key.queue, key.key], verified).optional();
    found.map_err(unavailable)?.transpose()
}

/// The item, if its row is what was written.
fn verified(row: &Row<'_>) -> rusqlite::Result<Result<Waiting, StoreError>> {
    let key = WorkKey { tenant: Tenant::new(row.get::<_, String>(0)?), queue: row.get(1)?, key: row.get(2)? };
    let (due_at_ms, place, crc): (i64, i64, u32) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let body: Vec<u8> = row.get(6)?;
    if crc != work_crc(&key, due_at_ms, &body) {
        let reason = format!("the work {} of {} is damaged: restore it from a backup", key.key, key.queue);
        return Ok(Err(StoreError::Unavailable { reason }));
    }
    let item = WorkItem { key, due_at_ms, body: body.into() };
    Ok(Ok(Waiting { item, place: row::position(place).0 }))
}
