//! One batch inside the writer's transaction: checked and written, or undone as if it had never come.

use rusqlite::{Connection, ErrorCode, named_params, params};

use super::row::{self, Remembered, StreamRow};
use super::settling;
use super::work::{Outcome, Work};
use crate::store::batch::mint_epoch;
use crate::store::lease::Leases;
use crate::store::{Append, Batch, CommitError, Committed, Head, Remember, Scope, Seq, StreamKey};

/// How many expired keys are cleared away with each batch that remembers some.
const FORGET_AT_ONCE: i64 = 64;

/// Why a piece of work was not done.
#[derive(Debug)]
pub(super) enum Refused {
    /// By its own fault: the rest of the group goes on.
    Work(CommitError),
    /// By the engine's: the whole group is undone.
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::TooBig) => Self::Work(CommitError::Unavailable { reason: error.to_string() }),
            _ => Self::Engine(error),
        }
    }
}

/// The transaction of one group.
pub(super) struct Group<'c> {
    pub(super) connection: &'c Connection,
    /// The store-wide counter; goes on over work that is undone.
    pub(super) touched: u64,
    pub(super) now_ms: i64,
    pub(super) leases: &'c Leases,
}

impl Group<'_> {
    /// Does the work in a savepoint of its own.
    pub(super) fn apply(&mut self, work: &Work) -> Result<Outcome, Refused> {
        self.run("SAVEPOINT work")?;
        let result = match work {
            Work::Commit(batch) => self.commit(batch),
            Work::Delete(stream) => Ok(Outcome { committed: Vec::new(), deleted: self.delete(stream)? }),
        };
        match &result {
            Ok(_) => self.run("RELEASE work")?,
            Err(Refused::Work(_)) => {
                self.run("ROLLBACK TO work")?;
                self.run("RELEASE work")?;
            }
            Err(Refused::Engine(_)) => {}
        }
        result
    }

    fn commit(&mut self, batch: &Batch) -> Result<Outcome, Refused> {
        self.leases.refuse_fenced(batch.fence).map_err(Refused::Work)?;
        self.remember(&batch.remember)?;
        settling::settle(self.connection, &batch.settle)?;
        let committed = batch.appends.iter().map(|append| self.append(append)).collect::<Result<_, _>>()?;
        settling::put(self.connection, &batch.put)?;
        for stream in &batch.delete {
            self.delete(stream)?;
        }
        if batch.appends.is_empty() {
            // What is written without an append is a change too, for those who wait.
            self.touched += 1;
        }
        Ok(Outcome { committed, deleted: false })
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Before the appends: a retry is both repeated and stale, and must hear that it is repeated.
    fn remember(&self, remember: &[Remember]) -> Result<(), Refused> {
        if remember.is_empty() {
            return Ok(());
        }
        let mut keep = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO remembered (tenant, key, expires_at, crc, result) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for new in remember {
            let (tenant, expires_at_ms) = (new.tenant.as_str(), new.expires_at_ms);
            let found = match new.overwrites {
                true => None,
                false => Remembered::find(self.connection, &new.tenant, &new.key, self.now_ms)?,
            };
            if let Some(found) = found {
                let key = new.key.clone();
                return Err(Refused::Work(match found.is_intact {
                    true => CommitError::Repeated { key, result: found.result },
                    false => CommitError::Unavailable { reason: format!("what is remembered under {key} is damaged") },
                }));
            }
            let crc = row::remembered_crc(tenant, &new.key, expires_at_ms, &new.result);
            keep.execute(params![tenant, new.key, expires_at_ms, crc, &*new.result])?;
        }
        let mut forget = self.connection.prepare_cached(
            "DELETE FROM remembered WHERE (tenant, key) IN \
             (SELECT tenant, key FROM remembered WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        )?;
        forget.execute(params![self.now_ms, FORGET_AT_ONCE])?;
        Ok(())
    }

    fn append(&mut self, append: &Append) -> Result<Committed, Refused> {
        let found = self.find(&append.stream)?;
        let actual = found.as_ref().map_or(Seq::ZERO, |row| row.head.seq);
        if actual != append.expected {
            let (stream, expected) = (append.stream.clone(), append.expected);
            return Err(Refused::Work(CommitError::Stale { stream, expected, actual }));
        }
        let (id, mut head) = match found {
            Some(row) => (row.id, row.head),
            None => (self.create(&append.stream)?, new_head()),
        };
        self.insert(id, &mut head.seq, append)?;
        self.touched += 1;
        head.touched = self.touched;
        head.open = append.open.unwrap_or(head.open);
        head.summary = append.summary.clone().or(head.summary);
        if let Some(body) = &append.snapshot {
            self.set_snapshot(id, head.seq, body)?;
            head.snapshot = Some(head.seq);
        }
        if let Some(trim) = append.trim {
            head.trimmed = self.trim(id, trim)?.unwrap_or(head.trimmed);
        }
        self.update(id, &append.stream, &head)?;
        Ok(Committed { epoch: head.epoch, seq: head.seq })
    }

    fn find(&self, stream: &StreamKey) -> Result<Option<StreamRow>, Refused> {
        let found = StreamRow::find(self.connection, stream)?;
        if found.as_ref().is_some_and(|row| !row.is_intact(stream)) {
            let reason = format!("{stream} is damaged beside its entries: restore it from a backup");
            return Err(Refused::Work(CommitError::Unavailable { reason }));
        }
        Ok(found)
    }

    /// A row to be filled in by [`Self::update`].
    fn create(&self, stream: &StreamKey) -> rusqlite::Result<i64> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO streams (tenant, owner, kind, name, epoch, seq, trimmed, open, touched, crc) \
             VALUES (?1, ?2, ?3, ?4, '', 0, 0, 0, 0, 0)",
        )?;
        let Scope { tenant, owner, kind } = &stream.scope;
        insert.insert(params![tenant.as_str(), owner.as_str(), kind.as_str(), &*stream.id])
    }

    fn update(&self, id: i64, stream: &StreamKey, head: &Head) -> rusqlite::Result<()> {
        let mut update = self.connection.prepare_cached(
            "UPDATE streams SET epoch = :epoch, seq = :seq, trimmed = :trimmed, open = :open, summary = :summary, \
             snapshot_seq = :snapshot, touched = :touched, crc = :crc WHERE id = :id",
        )?;
        update.execute(named_params! {
            ":id": id, ":epoch": &*head.epoch, ":seq": row::stored(head.seq), ":trimmed": row::stored(head.trimmed),
            ":open": head.open, ":summary": head.summary.as_deref(), ":snapshot": head.snapshot.map(row::stored),
            ":touched": row::stored(Seq(head.touched)), ":crc": row::stream_crc(id, stream, head),
        })?;
        Ok(())
    }

    fn insert(&self, id: i64, seq: &mut Seq, append: &Append) -> rusqlite::Result<()> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO entries (stream, seq, span, crc, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for new in &append.entries {
            let span = new.span.get();
            *seq = seq.plus(span);
            let crc = row::entry_crc(id, *seq, span, &new.body);
            insert.execute(params![id, row::stored(*seq), span, crc, &*new.body])?;
        }
        Ok(())
    }

    fn set_snapshot(&self, id: i64, seq: Seq, body: &[u8]) -> rusqlite::Result<()> {
        let mut replace = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO snapshots (stream, seq, crc, body) VALUES (?1, ?2, ?3, ?4)")?;
        replace.execute(params![id, row::stored(seq), row::snapshot_crc(id, seq, body), body])?;
        Ok(())
    }

    /// The end of the last entry that was dropped, if any was.
    fn trim(&self, id: i64, trim: Seq) -> rusqlite::Result<Option<Seq>> {
        let mut last =
            self.connection.prepare_cached("SELECT max(seq) FROM entries WHERE stream = ?1 AND seq <= ?2")?;
        let dropped: Option<i64> = last.query_row(params![id, row::stored(trim)], |row| row.get(0))?;
        if dropped.is_some() {
            let mut delete = self.connection.prepare_cached("DELETE FROM entries WHERE stream = ?1 AND seq <= ?2")?;
            delete.execute(params![id, dropped])?;
        }
        Ok(dropped.map(row::position))
    }

    /// Also a damaged stream can be deleted.
    fn delete(&mut self, stream: &StreamKey) -> rusqlite::Result<bool> {
        self.touched += 1;
        let Some(row) = StreamRow::find(self.connection, stream)? else {
            return Ok(false);
        };
        for sql in [
            "DELETE FROM entries WHERE stream = ?1",
            "DELETE FROM snapshots WHERE stream = ?1",
            "DELETE FROM streams WHERE id = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([row.id])?;
        }
        let mut keep =
            self.connection.prepare_cached("INSERT OR REPLACE INTO counters (name, value) VALUES ('touched', ?1)")?;
        keep.execute([row::stored(Seq(self.touched))])?;
        Ok(true)
    }
}

fn new_head() -> Head {
    Head {
        epoch: mint_epoch(),
        seq: Seq::ZERO,
        trimmed: Seq::ZERO,
        open: false,
        summary: None,
        snapshot: None,
        touched: 0,
    }
}
