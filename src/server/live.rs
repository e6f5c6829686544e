//! A session of the state protocol (docs/state-api.md §4): one client, any number of documents and runs, over any
//! transport that carries messages in order. It knows no sockets; what a change comes to is decided by the documents.

mod feed;
mod frame;
mod mutations;
mod outbox;
mod runs;
mod session;
mod subscriptions;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::config::LiveLimits;

pub(super) use session::{End, Session};

/// What the sessions of a server share.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) limits: LiveLimits,
    open: AtomicUsize,
}

/// One session's place among them, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Sessions>);

impl Sessions {
    pub(super) fn new(limits: LiveLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: AtomicUsize::new(0) })
    }

    /// A place for one more session, unless there are too many.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let entered = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < self.limits.sessions).then_some(open + 1)
        });
        entered.is_ok().then(|| Place(Arc::clone(self)))
    }
}

impl Place {
    pub(super) fn limits(&self) -> &LiveLimits {
        &self.0.limits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many bytes of a connection the kernel has taken: a reader is stalled when the count stands still.
#[derive(Debug, Clone, Default)]
pub(super) struct Drained(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    bytes: AtomicU64,
    is_session: AtomicBool,
}

impl Drained {
    pub(super) fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// The connection has become a session, which looks after its reader itself.
    pub(super) fn becomes_session(&self) {
        self.0.is_session.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_session(&self) -> bool {
        self.0.is_session.load(Ordering::Relaxed)
    }
}
