//! Bringing a document back from the store: its last snapshot and the commits after it.

use std::sync::Arc;

use serde_json::Value;

use crate::state::document::Commit;
use crate::state::patch;
use crate::state::value;
use crate::store::{Limit, Seq, Store, StoreError, StreamKey};

use super::Snapshot;
use super::actor::{Broken, Pending, absent};
use super::deltas::DeltaTail;
use super::past::Past;

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };

/// A document in memory.
pub(super) struct Live {
    pub(super) store: Arc<dyn Store>,
    pub(super) stream: StreamKey,
    pub(super) deltas: Arc<DeltaTail>,
    pub(super) body: Value,
    pub(super) version: u64,
    /// Bytes of compact JSON, kept up with every commit.
    pub(super) size: usize,
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
        let (mut body, mut version) = (absent(), 0);
        if let Some(snapshot) = store.snapshot(&stream).await? {
            body = serde_json::from_slice(&snapshot.body).map_err(unreadable)?;
            version = snapshot.seq.0;
        }
        let head = store.head(&stream).await?.map_or(0, |head| head.seq.0);
        let (mut past, mut log_bytes) = (Past::default(), 0);
        while version < head {
            let page = store.read(&stream, Seq(version), PAGE).await?;
            if page.is_empty() {
                return Err(Broken { reason: format!("{stream} holds fewer versions than the store says") });
            }
            for entry in page {
                let commit: Commit = serde_json::from_slice(&entry.body).map_err(unreadable)?;
                patch::replay(&mut body, &commit.ops)
                    .map_err(|error| Broken { reason: format!("{stream} cannot be replayed: {error}") })?;
                past.push(commit.inverse);
                version = commit.version;
                log_bytes += entry.body.len();
            }
        }
        deltas.publish(version, []);
        let size = value::size(&body);
        Ok(Self { store, stream, deltas, body, version, size, past, log_bytes, snapshot: None, pending: Vec::new() })
    }
}
