//! The in-memory end of a thread's log, which live readers follow as cursors.
//!
//! A reader names the position it has and gets everything after it, or learns that it must read the store first;
//! nothing is ever pushed at a reader, so nothing can be lost on a slow one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::chunk::Chunk;

/// Durable chunks beyond this many bytes leave memory; whoever still needs them reads the store.
const RING_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Tail {
    /// A lock, because the thread's task appends while any number of readers copy handles out; held for a few
    /// pointer copies and never across an await.
    ring: Mutex<Ring>,
    published: watch::Sender<u64>,
    /// One lineage of positions; the first half of SSE ids.
    epoch: Box<str>,
}

#[derive(Debug, Default)]
struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
    /// Chunks from this position on are not durable yet and must stay.
    provisional_from: Option<u64>,
    closed: bool,
    suspended: bool,
}

/// What a cursor finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// The chunks that hold the positions after the cursor; the first may begin before it.
    Chunks(Vec<Arc<Chunk>>),
    /// The positions after the cursor have left memory and are in the store.
    InStore,
    /// The cursor is at the end.
    Nothing,
    /// The cursor is at the end, and the log's owner is gone: nothing more will come.
    Closed,
    /// The cursor is at the end, and the run goes on in another process.
    Suspended,
}

impl Tail {
    /// An empty tail of a log whose last position is `head`.
    pub(crate) fn new(head: u64, epoch: &str) -> Self {
        Self { ring: Mutex::default(), published: watch::Sender::new(head), epoch: epoch.into() }
    }

    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Wakes whenever there is more to read.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    pub(crate) fn after(&self, position: u64) -> Found {
        let ring = self.ring.lock().expect("no code panics while it holds this lock");
        if position >= *self.published.borrow() {
            return match (ring.suspended, ring.closed) {
                (true, _) => Found::Suspended,
                (false, true) => Found::Closed,
                (false, false) => Found::Nothing,
            };
        }
        match ring.chunks.front() {
            Some(front) if front.first <= position + 1 => {
                let start = ring.chunks.partition_point(|chunk| chunk.last() <= position);
                Found::Chunks(ring.chunks.range(start..).cloned().collect())
            }
            _ => Found::InStore,
        }
    }

    /// Whether the last position after a cursor is the terminal of a run.
    pub(crate) fn ends_after(&self, position: u64) -> bool {
        let ring = self.ring.lock().expect("no code panics while it holds this lock");
        ring.chunks.back().is_some_and(|chunk| chunk.terminal && chunk.last() > position)
    }

    /// Shows durable chunks. They take the place of provisional ones that covered the same positions.
    pub(crate) fn publish(&self, chunks: impl IntoIterator<Item = Arc<Chunk>>) {
        self.append(chunks, true);
    }

    /// Shows streamed text that is not durable yet.
    pub(crate) fn publish_provisional(&self, chunk: Arc<Chunk>) {
        self.append([chunk], false);
    }

    fn append(&self, chunks: impl IntoIterator<Item = Arc<Chunk>>, durable: bool) {
        let mut ring = self.ring.lock().expect("no code panics while it holds this lock");
        let mut head = *self.published.borrow();
        for chunk in chunks {
            if durable {
                ring.forget_from(chunk.first);
                ring.provisional_from = None;
            } else if ring.provisional_from.is_none() {
                ring.provisional_from = Some(chunk.first);
            }
            head = head.max(chunk.last());
            ring.bytes += chunk.bytes();
            ring.chunks.push_back(chunk);
        }
        ring.evict();
        drop(ring);
        self.published.send_replace(head);
    }

    /// Lets readers end whose run lost its owner.
    pub(crate) fn close(&self) {
        self.ring.lock().expect("no code panics while it holds this lock").closed = true;
        self.published.send_modify(|_| ());
    }

    /// Lets readers end whose run goes on in the next process.
    pub(crate) fn suspend(&self) {
        self.ring.lock().expect("no code panics while it holds this lock").suspended = true;
        self.published.send_modify(|_| ());
    }

    /// Forgets everything before a new run: its readers are all behind, in the store.
    pub(crate) fn clear(&self) {
        *self.ring.lock().expect("no code panics while it holds this lock") = Ring::default();
    }
}

impl Ring {
    fn forget_from(&mut self, position: u64) {
        while self.chunks.back().is_some_and(|chunk| chunk.first >= position) {
            let chunk = self.chunks.pop_back().expect("the loop's condition saw it");
            self.bytes -= chunk.bytes();
        }
    }

    fn evict(&mut self) {
        while self.bytes > RING_BYTES {
            let Some(front) = self.chunks.front() else { return };
            if self.provisional_from.is_some_and(|from| front.last() >= from) {
                return;
            }
            let front = self.chunks.pop_front().expect("the line above saw it");
            self.bytes -= front.bytes();
        }
    }
}
