//! Following a document: a cursor over its commits that sleeps until there are more.
//!
//! A late, a slow and a reconnecting reader are one code path: each names the version it has and gets what comes after
//! it, from memory, from the log, or as one snapshot where that is too much.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::state::schema::View;
use crate::store::StoreError;

use super::super::document::{Delta, DocumentError, DocumentHandle, Reader};
use super::super::presence::Room;
use super::super::types::{DocumentTypes, Names};
use super::{DocumentName, Documents, absence};

/// A reader that is further behind than this gets a snapshot.
const FURTHEST: u64 = 1024;

/// What a reader has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    pub epoch: String,
    pub version: u64,
}

/// What a reader gets next.
#[derive(Debug, Clone)]
pub enum Update {
    Snapshot {
        epoch: Arc<str>,
        version: u64,
        data: Arc<RawValue>,
        reason: SnapshotReason,
    },
    /// Contiguous versions, none of them a tombstone.
    Deltas(Vec<Arc<Delta>>),
    /// The document is deleted; should it be created again, deltas go on from this version and an empty object.
    Deleted {
        version: u64,
    },
}

/// Why a reader gets the whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotReason {
    /// It has nothing yet.
    New,
    /// What it missed is too far back.
    Trimmed,
    /// What it has is of another lineage.
    Epoch,
    /// It did not keep up, and this is less than what it missed.
    Slow,
    /// What it may see is something else than before.
    Access,
}

impl SnapshotReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Trimmed => "trimmed",
            Self::Epoch => "epoch",
            Self::Slow => "slow",
            Self::Access => "access",
        }
    }
}

/// A cursor over the commits of one document. While it lives the document stays in memory.
#[derive(Debug)]
pub struct Subscription {
    live: Arc<DocumentHandle>,
    reader: Reader,
    sight: Sight,
    versions: watch::Receiver<u64>,
    epoch: Arc<str>,
    position: Position,
}

/// What decides what the reader may see.
#[derive(Debug)]
struct Sight {
    types: Arc<DocumentTypes>,
    document: String,
    names: Names,
    /// Wakes when a schema may be another one.
    schemas: watch::Receiver<()>,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    /// The reader has this version.
    At(u64),
    /// The reader needs the whole body first.
    Nowhere(SnapshotReason),
}

impl Documents<'_> {
    /// Follows a document that exists, from what the reader has.
    pub async fn subscribe(&self, name: &DocumentName, since: Option<Since>) -> Result<Subscription, DocumentError> {
        let live = self.live(name)?;
        let types = Arc::clone(&self.services.types);
        let schemas = types.changes();
        let sight = Sight { types, document: name.to_string(), names: self.names(), schemas };
        let versions = live.deltas().subscribe();
        let head = live.head(None).await?;
        if !head.exists {
            return Err(absence(&head));
        }
        let position = match since {
            None => Position::Nowhere(SnapshotReason::New),
            Some(since) if *since.epoch != *head.epoch || since.version > head.version => {
                Position::Nowhere(SnapshotReason::Epoch)
            }
            Some(since) if head.version - since.version > FURTHEST || since.version < head.over => {
                Position::Nowhere(SnapshotReason::Trimmed)
            }
            Some(since) => Position::At(since.version),
        };
        Ok(Subscription { live, reader: self.reader(name), sight, versions, epoch: head.epoch, position })
    }
}

impl Subscription {
    pub fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    /// The version the reader has; `None` before its first snapshot.
    pub fn version(&self) -> Option<u64> {
        match self.position {
            Position::At(version) => Some(version),
            Position::Nowhere(_) => None,
        }
    }

    /// The people and agents at this document.
    pub fn room(&self) -> &Arc<Room> {
        self.live.room()
    }

    /// About how many bytes the whole body is as JSON.
    pub async fn body_bytes(&self) -> Result<usize, DocumentError> {
        Ok(self.live.head(None).await?.bytes)
    }

    /// The whole body, for a reader that did not keep up with the deltas it was given.
    pub async fn start_over(&mut self) -> Result<Update, DocumentError> {
        self.snapshot(SnapshotReason::Slow).await
    }

    /// Whether the reader has everything there is.
    pub fn is_live(&self) -> bool {
        matches!(self.position, Position::At(version) if version >= self.live.deltas().version())
    }

    /// Waits for what comes next. Cancel safe: what a dropped call had found is found again.
    pub async fn next(&mut self) -> Result<Update, DocumentError> {
        loop {
            self.versions.mark_unchanged();
            self.look_again();
            match self.position {
                Position::Nowhere(reason) => return self.snapshot(reason).await,
                Position::At(version) => {
                    let head = self.live.deltas().version();
                    if head > version {
                        return self.catch_up(version, head).await;
                    }
                }
            }
            // The senders live as long as what this cursor holds, which goes on after a fault of the store.
            let woken = tokio::select! {
                woken = self.versions.changed() => woken,
                woken = self.sight.schemas.changed() => {
                    self.sight.schemas.mark_changed();
                    woken
                }
            };
            woken.expect("this cursor holds the document and its types");
        }
    }

    /// What the reader sees may have become more or less: it starts over then, for deltas lead nowhere from what it has.
    fn look_again(&mut self) {
        if !self.sight.schemas.has_changed().expect("this cursor holds the types") {
            return;
        }
        self.sight.schemas.mark_unchanged();
        let view = self.sight.types.view(&self.sight.document, &self.sight.names);
        let sees_all = |view: Option<&Arc<View>>| view.is_none_or(|view| view.sees_all());
        let is_same = view == self.reader.view || sees_all(view.as_ref()) && sees_all(self.reader.view.as_ref());
        self.reader.view = view;
        if let (false, Position::At(_)) = (is_same, self.position) {
            self.position = Position::Nowhere(SnapshotReason::Access);
        }
    }

    async fn catch_up(&mut self, version: u64, head: u64) -> Result<Update, DocumentError> {
        let mut deltas = match self.live.deltas().between(version, head) {
            Some(deltas) => deltas,
            None if head - version > FURTHEST => return self.snapshot(SnapshotReason::Slow).await,
            None => match self.live.log().deltas_after(version).await {
                Err(StoreError::Trimmed { .. }) => return self.snapshot(SnapshotReason::Trimmed).await,
                deltas => deltas?,
            },
        };
        if let Some(tombstone) = deltas.iter().position(|delta| delta.commit().deleted) {
            if tombstone == 0 {
                let version = deltas[0].version();
                self.position = Position::At(version);
                return Ok(Update::Deleted { version });
            }
            deltas.truncate(tombstone);
        }
        self.position = Position::At(deltas.last().map_or(version, |delta| delta.version()));
        Ok(Update::Deltas(deltas.iter().map(|delta| delta.for_view(self.reader.view.as_ref())).collect()))
    }

    async fn snapshot(&mut self, reason: SnapshotReason) -> Result<Update, DocumentError> {
        let head = self.live.head(Some(self.reader.clone())).await?;
        self.position = Position::At(head.version);
        self.epoch = Arc::clone(&head.epoch);
        Ok(match head.data {
            Some(data) => Update::Snapshot { epoch: head.epoch, version: head.version, data, reason },
            None => Update::Deleted { version: head.version },
        })
    }
}
