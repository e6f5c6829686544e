//! The writer thread: takes everything that waits, writes it in one transaction, and answers after the fsync.

use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};

use super::Options;
use super::apply::{Group, Refused};
use super::fault::Fault;
use super::file::Opened;
use super::leases::{self, Given};
use super::lock::Lock;
use super::work::{Closing, Job, Outcome, PAGE_BYTES, Reply, Work};
use crate::store::clock::now_ms;
use crate::store::{CommitError, StoreError};

/// Log bytes after which it is copied into the database.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Log bytes after which the writer waits for the readers, so that the log starts over even under constant reading.
const TRUNCATE_BYTES: u64 = 16 << 20;

/// What ends a group.
enum Last {
    Lease(leases::Ask, leases::Reply),
    Close(Closing),
}

type Results = Vec<Result<Outcome, CommitError>>;

pub(super) struct Writer {
    connection: Connection,
    options: Options,
    touched: u64,
    changed: watch::Sender<u64>,
    failure: Arc<OnceLock<String>>,
    /// An estimate of what was added to the log since it was last copied.
    log_bytes: u64,
    full: bool,
    /// Groups in a row that something passing refused.
    refused: u64,
    /// Whether what an earlier process left in the log is in the database.
    settled: bool,
    given: Given,
    /// Declared last: let go of when the connection is closed.
    _lock: Lock,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        options: Options,
        changed: watch::Sender<u64>,
        failure: Arc<OnceLock<String>>,
    ) -> Self {
        let Opened { connection, touched, fence, lock, .. } = opened;
        let given = Given::up_to(fence);
        let (full, settled) = (false, false);
        Self {
            connection,
            options,
            touched,
            changed,
            failure,
            log_bytes: 0,
            full,
            refused: 0,
            settled,
            given,
            _lock: lock,
        }
    }

    /// Runs until it is asked to close or nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        // A full disk is no reason not to start: reads go on, and the first commit tries again.
        if let Err(refusal) = self.settle() {
            tracing::warn!(%refusal, "what the last run left in the log could not be copied yet");
        }
        let closing = loop {
            let Some(job) = jobs.blocking_recv() else {
                break None;
            };
            let (group, last) = self.gather(job, &mut jobs);
            if !group.is_empty() {
                self.write(group);
            }
            match last {
                Some(Last::Close(reply)) => break Some(reply),
                Some(Last::Lease(ask, reply)) => drop(reply.send(self.lease(ask))),
                None => {}
            }
        };
        let result = self.finish();
        // The file is closed and the lock free before anybody hears of it.
        drop(self);
        drop(jobs);
        match closing {
            Some(reply) => drop(reply.send(result)),
            None => {
                if let Err(error) = result {
                    tracing::error!(%error, "the store was dropped and could not be closed cleanly");
                }
            }
        }
    }

    /// Everything that waits behind `first`, up to the bounds of a group, to what is asked about leases or to the end.
    fn gather(&self, first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<(Work, Reply)>, Option<Last>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Close { reply } => return (group, Some(Last::Close(reply))),
                Job::Lease { ask, reply } => return (group, Some(Last::Lease(ask, reply))),
                Job::Write { work, reply } => {
                    bytes += work.bytes();
                    group.push((work, reply));
                }
            }
            let more = group.len() < self.options.group_batches && bytes < self.options.group_bytes;
            next = if more { jobs.try_recv().ok() } else { None };
        }
        (group, None)
    }

    fn write(&mut self, group: Vec<(Work, Reply)>) {
        match self.refuse_failed().and_then(|()| self.settle()).and_then(|()| self.transact(&group)) {
            Ok(results) => {
                self.note_recovery();
                self.log_bytes += group.iter().map(|(work, _)| work.log_bytes()).sum::<u64>();
                self.changed.send_if_modified(|seen| std::mem::replace(seen, self.touched) != self.touched);
                for ((_, reply), result) in group.into_iter().zip(results) {
                    let _ = reply.send(result);
                }
            }
            Err(refusal) => {
                for (_, reply) in group {
                    let _ = reply.send(Err(refusal.clone()));
                }
            }
        }
        if self.log_bytes > CHECKPOINT_BYTES && self.failure.get().is_none() {
            self.checkpoint();
        }
    }

    /// Between two groups: what was written under a fence is durable, and the next group sees what became of it.
    fn lease(&mut self, ask: leases::Ask) -> Result<leases::Told, CommitError> {
        self.refuse_failed()?;
        if let leases::Ask::Acquire { .. } = &ask {
            self.given.last += 1;
            self.given.is_stored = false;
            match self.settle().and_then(|()| self.transact(&[])) {
                // The next commit that there is room for brings it.
                Ok(_) | Err(CommitError::Full) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        self.given.answer(ask)
    }

    fn refuse_failed(&self) -> Result<(), CommitError> {
        self.failure.get().map_or(Ok(()), |reason| Err(CommitError::Unavailable { reason: reason.clone() }))
    }

    /// Copies what an earlier process left in the log, unless that was done: after a failed fsync the log may be
    /// newer in memory than on the disk, and what is appended to it would be lost with the gap.
    fn settle(&mut self) -> Result<(), CommitError> {
        if !self.settled {
            let left = self.copy_log("TRUNCATE").map_err(|error| self.refuse(Fault::of(&error)))?;
            self.settled = left == 0;
        }
        match self.settled {
            true => Ok(()),
            false => {
                Err(CommitError::Unavailable { reason: "reads keep the log from being settled: try again".to_owned() })
            }
        }
    }

    /// One result per piece of work, all of them true on the disk; or one refusal for all.
    fn transact(&mut self, group: &[(Work, Reply)]) -> Result<Results, CommitError> {
        self.try_transact(group).map_err(|error| {
            let fault = self.undo(&error);
            self.refuse(fault)
        })
    }

    fn try_transact(&mut self, group: &[(Work, Reply)]) -> rusqlite::Result<Results> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        self.given.store(&self.connection)?;
        let mut open =
            Group { connection: &self.connection, touched: self.touched, now_ms: now_ms(), leases: &self.given.leases };
        let mut results = Vec::with_capacity(group.len());
        for (work, _) in group {
            results.push(match open.apply(work) {
                Ok(outcome) => Ok(outcome),
                Err(Refused::Work(refusal)) => Err(refusal),
                Err(Refused::Engine(error)) => return Err(error),
            });
        }
        if results.iter().any(Result::is_ok) || group.is_empty() {
            // Here is the fsync.
            run("COMMIT")?;
            self.touched = open.touched + 1;
            self.given.is_stored = true;
        } else {
            run("ROLLBACK")?;
        }
        Ok(results)
    }

    /// Rolls back what SQLite did not roll back itself.
    fn undo(&self, error: &rusqlite::Error) -> Fault {
        if self.connection.is_autocommit() {
            return Fault::of(error);
        }
        match self.connection.execute_batch("ROLLBACK") {
            Ok(()) => Fault::of(error),
            Err(second) => Fault::Broken(format!("{error}, and the transaction could not be rolled back: {second}")),
        }
    }

    /// Notes what the engine has to do about a fault, and what its callers hear.
    fn refuse(&mut self, fault: Fault) -> CommitError {
        match fault {
            Fault::Full => {
                if !self.full {
                    tracing::error!("the disk is full: commits are refused until there is room, reads go on");
                }
                self.full = true;
                // Copying the log lets it start over in the room it has.
                self.log_bytes = CHECKPOINT_BYTES + 1;
                CommitError::Full
            }
            Fault::Passing(reason) => {
                if self.refused == 0 {
                    tracing::warn!(%reason, "commits are refused for now");
                }
                self.refused += 1;
                CommitError::Unavailable { reason }
            }
            Fault::Broken(reason) => CommitError::Unavailable { reason: self.fail(&reason) },
        }
    }

    fn note_recovery(&mut self) {
        if std::mem::take(&mut self.full) {
            tracing::info!("there is room on the disk again: commits are taken");
        }
        let groups = std::mem::take(&mut self.refused);
        if groups > 0 {
            tracing::info!(groups, "commits that were refused for a while are taken again");
        }
    }

    fn fail(&self, reason: &str) -> String {
        tracing::error!(%reason, "the store failed: every commit is refused until a restart");
        self.failure.get_or_init(|| format!("the store takes no commits until a restart: {reason}")).clone()
    }

    /// Copies the log into the database, so that it can start over.
    fn checkpoint(&mut self) {
        self.log_bytes = 0;
        let copied = self.copy_log("PASSIVE").and_then(|log_bytes| {
            if log_bytes > TRUNCATE_BYTES { self.copy_log("TRUNCATE").map(drop) } else { Ok(()) }
        });
        if let Err(error) = copied {
            match Fault::of(&error) {
                // It is tried again, and the log holds everything until then.
                Fault::Full => {}
                Fault::Passing(reason) => {
                    tracing::warn!(%reason, "the log could not be copied yet")
                }
                Fault::Broken(reason) => drop(self.fail(&reason)),
            }
        }
    }

    /// How long the log is afterwards, in bytes.
    fn copy_log(&self, mode: &str) -> rusqlite::Result<u64> {
        let mut pragma = self.connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
        let pages: i64 = pragma.query_row([], |row| row.get(1))?;
        Ok(pages.unsigned_abs() * PAGE_BYTES)
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.failure.get() {
            return Err(StoreError::Unavailable { reason: reason.clone() });
        }
        match self.copy_log("TRUNCATE").map_err(|error| Fault::of(&error)) {
            // Everything acknowledged is in the log, from which the next start copies it.
            Ok(_) | Err(Fault::Full | Fault::Passing(_)) => Ok(()),
            Err(Fault::Broken(reason)) => Err(StoreError::Unavailable { reason: self.fail(&reason) }),
        }
    }
}
