//! Bringing a document back from the store: its last snapshot and the commits after it.

use std::sync::Arc;

use crate::state::document::{Commit, Document};
use crate::store::{Limit, Seq, Store, StoreError, StreamKey};

use super::Snapshot;
use super::actor::{Broken, Pending};
use super::deltas::DeltaTail;
use super::past::Past;

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };

/// A document in memory.
pub(super) struct Live {
    pub(super) store: Arc<dyn Store>,
    pub(super) stream: StreamKey,
    pub(super) deltas: Arc<DeltaTail>,
    pub(super) document: Document,
    pub(super) past: Past,
    /// Bytes of commits since the last stored snapshot.
    pub(super) log_bytes: usize,
    /// The head as a frame, when somebody asked for it.
    pub(super) snapshot: Option<Snapshot>,
    /// Decided and not stored yet, in order.
    pub(super) pending: Vec<Pending>,
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self { reason: error.to_string() }
    }
}

impl Live {
    pub(super) async fn load(store: Arc<dyn Store>, stream: StreamKey, deltas: Arc<DeltaTail>) -> Result<Self, Broken> {
        let unreadable = |error: serde_json::Error| Broken { reason: format!("{stream} cannot be read: {error}") };
        let mut document = match store.snapshot(&stream).await? {
            Some(snapshot) => {
                Document::new(serde_json::from_slice(&snapshot.body).map_err(unreadable)?, snapshot.seq.0)
            }
            None => Document::absent(),
        };
        let head = store.head(&stream).await?.map_or(0, |head| head.seq.0);
        let (mut past, mut log_bytes) = (Past::default(), 0);
        while document.version() < head {
            let page = store.read(&stream, Seq(document.version()), PAGE).await?;
            if page.is_empty() {
                return Err(Broken { reason: format!("{stream} holds fewer versions than the store says") });
            }
            for entry in page {
                let commit: Commit = serde_json::from_slice(&entry.body).map_err(unreadable)?;
                document
                    .replay(&commit)
                    .map_err(|error| Broken { reason: format!("{stream} cannot be replayed: {error}") })?;
                past.push(Arc::new(commit));
                log_bytes += entry.body.len();
            }
        }
        deltas.publish(document.version(), []);
        Ok(Self { store, stream, deltas, document, past, log_bytes, snapshot: None, pending: Vec::new() })
    }
}
