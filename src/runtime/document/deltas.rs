//! The recent commits of a document as the frames that live runs send, for readers that follow as cursors.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;

use crate::agui::{Event, PatchOperation, sse, to_json};
use crate::state::patch::Operation;

/// Commits beyond this many leave memory; a reader that is further behind gets a snapshot.
const KEPT: usize = 1024;

/// One committed version.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) version: u64,
    /// Safe operations that lead from the version before to this one.
    ops: Arc<[Operation]>,
    /// Encoded when the first reader asks, and then shared by all.
    frame: OnceLock<Bytes>,
}

impl Delta {
    pub(crate) fn new(version: u64, ops: Arc<[Operation]>) -> Self {
        Self { version, ops, frame: OnceLock::new() }
    }

    /// The `STATE_DELTA` frame.
    pub(crate) fn frame(&self) -> Bytes {
        let encode = || {
            let delta = self.ops.iter().map(told).collect();
            let mut bytes = Vec::with_capacity(128);
            sse::write_frame(&mut bytes, &Event::state_delta(delta), None);
            bytes.into()
        };
        self.frame.get_or_init(encode).clone()
    }
}

/// A safe operation in the words of AG-UI.
fn told(op: &Operation) -> PatchOperation {
    match op {
        Operation::Add { path, value } => PatchOperation::add(path.to_string(), to_json(value)),
        Operation::Replace { path, value } => PatchOperation::replace(path.to_string(), to_json(value)),
        Operation::Remove { path } => PatchOperation::remove(path.to_string()),
        Operation::Move { .. } | Operation::Copy { .. } | Operation::Test { .. } => {
            unreachable!("commits hold safe operations only")
        }
    }
}

/// The end of a document's log in memory.
#[derive(Debug)]
pub(crate) struct DeltaTail {
    /// A lock, because the document's task appends while any number of readers copy handles out; never held across an await.
    ring: Mutex<VecDeque<Arc<Delta>>>,
    version: watch::Sender<u64>,
}

impl DeltaTail {
    pub(crate) fn new() -> Self {
        Self { ring: Mutex::default(), version: watch::Sender::new(0) }
    }

    /// The newest durable version; 0 while the document does not exist.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Wakes at every version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The versions in `(after, to]` in order, or `None` when some of them have left memory.
    pub(crate) fn between(&self, after: u64, to: u64) -> Option<Vec<Arc<Delta>>> {
        if to <= after {
            return Some(Vec::new());
        }
        let ring = self.ring.lock().expect("no code panics while it holds this lock");
        let start = ring.partition_point(|delta| delta.version <= after);
        let wanted: Vec<_> = ring.range(start..).take_while(|delta| delta.version <= to).cloned().collect();
        // A version that was found in the store after a fault has no delta here.
        (wanted.len() as u64 == to - after).then_some(wanted)
    }

    /// Shows durable versions, the last of them being `version`.
    pub(crate) fn publish(&self, version: u64, deltas: impl IntoIterator<Item = Delta>) {
        let mut ring = self.ring.lock().expect("no code panics while it holds this lock");
        ring.extend(deltas.into_iter().map(Arc::new));
        let surplus = ring.len().saturating_sub(KEPT);
        ring.drain(..surplus);
        drop(ring);
        self.version.send_replace(version);
    }
}
