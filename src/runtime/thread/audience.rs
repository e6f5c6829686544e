//! Who follows a run, and whether all of them heard it to its end: what a client can have missed that knows of the run.
//!
//! A reader that leaves early may be a client that was cut, which later posts the state it had before (design §5).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The readers of one live run.
#[derive(Debug, Default)]
pub(super) struct Audience {
    came: AtomicU32,
    heard_the_end: AtomicU32,
}

/// One reader's place among them.
#[derive(Debug)]
pub(super) struct Listener {
    audience: Arc<Audience>,
    has_heard: bool,
}

impl Audience {
    pub(super) fn join(self: &Arc<Self>) -> Listener {
        self.came.fetch_add(1, Ordering::Relaxed);
        Listener { audience: Arc::clone(self), has_heard: false }
    }

    /// Whether nobody left early or is still reading; false when nobody came.
    pub(super) fn heard_everything(&self) -> bool {
        let came = self.came.load(Ordering::Relaxed);
        came > 0 && came == self.heard_the_end.load(Ordering::Relaxed)
    }
}

impl Listener {
    /// Everything up to the run's terminal was handed to the reader's connection.
    pub(super) fn hears_the_end(&mut self) {
        if !std::mem::replace(&mut self.has_heard, true) {
            self.audience.heard_the_end.fetch_add(1, Ordering::Relaxed);
        }
    }
}
