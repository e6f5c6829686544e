//! Who may write: each process that shares a store holds a lease, and every batch it writes names the fence of that lease.
//!
//! ```text
//! acquire ─► held ──(until passes)──► expired ──renew──► held
//!             │                          │
//!          release                   fence_off (by another process)
//!             └────────► void ◄──────────┘      a batch with the fence of a void lease is refused, for good
//! ```
//!
//! Time alone takes nothing away: an expired lease still writes until somebody fences it off. That is what makes clocks
//! harmless, because whoever fences off and then reads finds everything that was ever written under that fence. How long a
//! lease lasts is measured by the engine's clock, which all its processes share, and which never goes back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::CommitError;

/// Names a lease for good: greater than that of every lease that was given before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease that is not void, as it is just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub fence: Fence,
    /// Who holds it, for messages.
    pub holder: Arc<str>,
    /// Whether its time is over, so that it can be fenced off.
    pub is_expired: bool,
}

/// The leases that are not void, as an engine keeps them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<Fence, Held>,
}

#[derive(Debug)]
struct Held {
    holder: Arc<str>,
    until: Instant,
}

impl Leases {
    pub(super) fn give(&mut self, fence: Fence, holder: &str, time: Duration) {
        self.held.insert(fence, Held { holder: holder.into(), until: Instant::now() + time });
    }

    /// Refuses a batch that names a void lease.
    pub(super) fn refuse_fenced(&self, fence: Option<Fence>) -> Result<(), CommitError> {
        match fence.filter(|fence| !self.held.contains_key(fence)) {
            Some(fence) => Err(CommitError::Fenced { fence }),
            None => Ok(()),
        }
    }

    pub(super) fn renew(&mut self, fence: Fence, time: Duration) -> Result<(), CommitError> {
        let held = self.held.get_mut(&fence).ok_or(CommitError::Fenced { fence })?;
        held.until = Instant::now() + time;
        Ok(())
    }

    pub(super) fn release(&mut self, fence: Fence) {
        self.held.remove(&fence);
    }

    /// Whether the lease is void now: only one whose time is over can be made so.
    pub(super) fn fence_off(&mut self, fence: Fence) -> bool {
        let now = Instant::now();
        if self.held.get(&fence).is_some_and(|held| held.until > now) {
            return false;
        }
        self.held.remove(&fence);
        true
    }

    pub(super) fn list(&self) -> Vec<Lease> {
        let now = Instant::now();
        let lease = |(fence, held): (&Fence, &Held)| Lease {
            fence: *fence,
            holder: Arc::clone(&held.holder),
            is_expired: held.until <= now,
        };
        self.held.iter().map(lease).collect()
    }
}
