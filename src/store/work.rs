//! Things that wait to be done: they outlive the process, and are settled in the commit that records what became of them.

use bytes::Bytes;

use super::Tenant;

/// Names one item. Cheap enough to clone: there is one for each thing that waits, not for each that happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// The outermost wall.
    pub tenant: Tenant,
    /// What kind of work it is; whoever does it asks for the whole queue.
    pub queue: String,
    /// Unique in the tenant's queue.
    pub key: String,
}

/// Something to do, from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// Its name.
    pub key: WorkKey,
    /// When it is to be done, in milliseconds since 1970.
    pub due_at_ms: i64,
    /// What is to be done.
    pub body: Bytes,
}

/// What a commit takes out of a queue, because it records the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The item.
    pub key: WorkKey,
    /// Only as it was put at this [place](Waiting::place), and not if it was replaced since; `None` is however it is now.
    pub place: Option<u64>,
}

impl From<WorkKey> for Settle {
    fn from(key: WorkKey) -> Self {
        Self { key, place: None }
    }
}

/// An item that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The item.
    pub item: WorkItem,
    /// Store-wide order of insertion; an item that is replaced goes to the end.
    pub place: u64,
}

impl Waiting {
    /// Where a listing goes on after this one.
    pub fn cursor(&self) -> WorkCursor {
        WorkCursor { due_at_ms: self.item.due_at_ms, place: self.place }
    }

    /// Takes out exactly this; whoever is done with it need not clone its name.
    pub fn into_settled(self) -> Settle {
        Settle { key: self.item.key, place: Some(self.place) }
    }

    /// Takes out exactly this.
    pub fn settled(&self) -> Settle {
        Settle { key: self.item.key.clone(), place: Some(self.place) }
    }
}

/// A place in the order of a queue: by the time an item is due, then by insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkCursor {
    /// See [`WorkItem::due_at_ms`].
    pub due_at_ms: i64,
    /// See [`Waiting::place`].
    pub place: u64,
}
