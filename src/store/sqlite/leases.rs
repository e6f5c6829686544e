//! The leases of a file that one process has to itself.
//!
//! The lock beside the file proves that every earlier process is dead, so their leases are void when the file is opened and
//! need not be stored: a fence that nobody holds in this process is refused. Renewals, releases and fencings off touch no disk.
//! Only the count of fences does, so that none is given twice.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::row;
use crate::store::lease::Leases;
use crate::store::{CommitError, Fence, Lease, Seq};

pub(super) type Reply = oneshot::Sender<Result<Told, CommitError>>;

/// What the writer is asked about leases.
#[derive(Debug)]
pub(super) enum Ask {
    Acquire { holder: Arc<str>, time: Duration },
    Renew { fence: Fence, time: Duration },
    Release { fence: Fence },
    FenceOff { fence: Fence },
    List,
}

/// What it answers; which part counts, the question says.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) fence: Fence,
    pub(super) is_void: bool,
    pub(super) leases: Vec<Lease>,
}

/// What was given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) leases: Leases,
    /// The fence that was given last.
    pub(super) last: u64,
    /// Whether the database knows that.
    pub(super) is_stored: bool,
}

impl Given {
    pub(super) fn up_to(last: u64) -> Self {
        Self { leases: Leases::default(), last, is_stored: true }
    }

    /// Writes the count, if it has moved, into the transaction that is open.
    pub(super) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_stored {
            return Ok(());
        }
        let mut keep =
            connection.prepare_cached("INSERT OR REPLACE INTO counters (name, value) VALUES ('fence', ?1)")?;
        keep.execute([row::stored(Seq(self.last))]).map(drop)
    }

    pub(super) fn answer(&mut self, ask: Ask) -> Result<Told, CommitError> {
        let mut told = Told { fence: Fence(self.last), is_void: false, leases: Vec::new() };
        match ask {
            Ask::Acquire { holder, time } => self.leases.give(told.fence, &holder, time),
            Ask::Renew { fence, time } => self.leases.renew(fence, time)?,
            Ask::Release { fence } => self.leases.release(fence),
            Ask::FenceOff { fence } => told.is_void = self.leases.fence_off(fence),
            Ask::List => told.leases = self.leases.list(),
        }
        Ok(told)
    }
}
