//! What is read back: heads, entries, snapshots and listings.

use std::sync::Arc;

use bytes::Bytes;

use super::{Seq, StreamKey};

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its last position.
    pub seq: Seq,
    /// How many positions it covers, at least 1.
    pub span: u32,
    /// Its bytes as they were appended.
    pub body: Bytes,
}

impl Entry {
    /// Its first position.
    pub fn first(&self) -> Seq {
        Seq(self.seq.0 + 1 - u64::from(self.span))
    }
}

/// Where a stream stands and what is set beside its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The stream's lineage.
    pub epoch: Arc<str>,
    /// The newest position; 0 when nothing was appended yet.
    pub seq: Seq,
    /// Up to here entries are gone; reads start at or after it.
    pub trimmed: Seq,
    /// Whether a restart must look at this stream.
    pub open: bool,
    /// What the last append with a summary set.
    pub summary: Option<Bytes>,
    /// The position of the latest snapshot.
    pub snapshot: Option<Seq>,
    /// The store-wide counter at the last append.
    pub touched: u64,
}

/// A stream in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its full name.
    pub key: StreamKey,
    /// Where it stands.
    pub head: Head,
}

/// What a stream amounted to at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The head when it was set; read on after it.
    pub seq: Seq,
    /// Its bytes as they were set.
    pub body: Bytes,
}

/// How much a read returns at most; the first entry is returned however large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Entries; 0 counts as 1.
    pub entries: usize,
    /// The sum of their bodies' bytes.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Self {
        Self { entries: 256, bytes: 1 << 20 }
    }
}
