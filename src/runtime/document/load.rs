//! Bringing a document back from the store: its last snapshot and the commits after it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::state::document::{Commit, Document};
use crate::state::history::Skipped;
use crate::store::{Limit, Seq, StoreError};

use super::super::triggers::Watchers;
use super::super::types::{DocumentTypes, Rules};
use super::actor::Broken;
use super::append::Pending;
use super::deltas::{Delta, DeltaTail};
use super::past::Log;
use super::repeat::Clients;
use super::retain::Horizon;
use super::{DocumentRef, Snapshot};

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };

/// A document in memory.
pub(super) struct Live {
    pub(super) name: DocumentRef,
    pub(super) log: Log,
    pub(super) types: Arc<DocumentTypes>,
    /// Those of the latest writer.
    pub(super) rules: Option<Arc<Rules>>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) deltas: Arc<DeltaTail>,
    pub(super) document: Document,
    /// The lineage of its versions; none before the first commit.
    pub(super) epoch: Option<Arc<str>>,
    /// Who made the newest version, when, and whether it is a tombstone.
    pub(super) latest: Stamp,
    /// The versions whose bodies are stored, oldest first.
    pub(super) checkpoints: Vec<u64>,
    /// What is over, and what of it was dropped.
    pub(super) horizon: Horizon,
    /// Bytes of commits since the last stored snapshot.
    pub(super) log_bytes: usize,
    /// The durable head as text and as a frame, when somebody asked for it.
    pub(super) json: Option<Arc<RawValue>>,
    pub(super) snapshot: Option<Snapshot>,
    /// Decided and not stored yet, in order.
    pub(super) pending: Vec<Pending>,
    pub(super) clients: Clients,
    /// Which version each principal read last, where a `PUT` is merged by that.
    pub(super) last_read: HashMap<String, u64>,
    /// Whether another node wrote here since it was read: a run of this node may be going on over there.
    pub(super) is_overtaken: bool,
    /// What undoing a run left as it is.
    pub(super) skipped: Vec<Skipped>,
}

/// What a listing shows of a document besides its name and version: the summary of its stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// RFC 3339.
    pub(crate) at: Arc<str>,
    pub(crate) by: Arc<str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
}

impl Stamp {
    pub(super) fn of(commit: &Commit) -> Self {
        Self { at: Arc::clone(&commit.at), by: Arc::clone(&commit.actor), deleted: commit.deleted }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl Live {
    pub(super) async fn load(
        name: DocumentRef,
        log: Log,
        (types, watchers): (Arc<DocumentTypes>, Arc<Watchers>),
        deltas: Arc<DeltaTail>,
    ) -> Result<Self, Broken> {
        let document = Document::absent();
        let mut live = Self {
            name,
            log,
            types,
            rules: None,
            watchers,
            deltas,
            document,
            epoch: None,
            latest: Stamp::default(),
            checkpoints: Vec::new(),
            horizon: Horizon::default(),
            log_bytes: 0,
            json: None,
            snapshot: None,
            pending: Vec::new(),
            clients: Clients::default(),
            last_read: HashMap::new(),
            is_overtaken: false,
            skipped: Vec::new(),
        };
        live.reload().await?;
        Ok(live)
    }

    /// Takes what the store has, whatever was in memory.
    pub(super) async fn reload(&mut self) -> Result<(), Broken> {
        let (store, stream) = (&self.log.store, &self.log.stream);
        let unreadable = |error: serde_json::Error| Broken::new(format!("{stream} cannot be read: {error}"));
        let stored = store.head(stream).await?;
        let (head, dropped) = stored.as_ref().map_or((0, 0), |head| (head.seq.0, head.trimmed.0));
        // Of a document that was never written nothing is stored elsewhere either.
        let (document, checkpoints) = match stored {
            Some(_) => (self.stored_body(dropped).await?, self.log.checkpoints().await?),
            None => (Document::absent(), Vec::new()),
        };
        (self.document, self.checkpoints) = (document, checkpoints);
        self.horizon = Horizon::after(dropped);
        if let Some(stored) = stored {
            let stamp = stored.summary.as_deref().map(serde_json::from_slice).transpose().map_err(unreadable)?;
            self.latest = stamp.unwrap_or_default();
            self.epoch = Some(stored.epoch);
        }
        self.deltas.clear();
        self.clients.clear();
        (self.log_bytes, self.json, self.snapshot) = (0, None, None);
        self.read_up_to(head).await?;
        self.horizon.bytes = self.log_bytes;
        self.deltas.publish(head, []);
        self.note_first().await
    }

    /// The document at the newest version of which a body is stored.
    async fn stored_body(&self, dropped: u64) -> Result<Document, Broken> {
        let Log { store, stream } = &self.log;
        let unreadable = |error: serde_json::Error| Broken::new(format!("{stream} cannot be read: {error}"));
        Ok(match store.snapshot(stream).await?.filter(|snapshot| snapshot.seq.0 >= dropped) {
            Some(snapshot) => {
                Document::new(serde_json::from_slice(&snapshot.body).map_err(unreadable)?, snapshot.seq.0)
            }
            None => match self.log.base().await? {
                Some(base) => Document::new(base.body, base.version),
                None => Document::absent(),
            },
        })
    }

    /// Takes and shows what somebody else has stored since.
    pub(super) async fn read_on(&mut self) -> Result<(), Broken> {
        let Some(stored) = self.log.store.head(&self.log.stream).await? else { return Ok(()) };
        if stored.seq.0 <= self.document.version() {
            return Ok(());
        }
        (self.json, self.snapshot) = (None, None);
        self.epoch = Some(stored.epoch);
        self.read_up_to(stored.seq.0).await?;
        self.deltas.publish(self.document.version(), []);
        Ok(())
    }

    /// Applies the stored commits up to a version, and puts them into memory.
    async fn read_up_to(&mut self, head: u64) -> Result<(), Broken> {
        let (store, stream) = (Arc::clone(&self.log.store), self.log.stream.clone());
        let unreadable = |error: serde_json::Error| Broken::new(format!("{stream} cannot be read: {error}"));
        while self.document.version() < head {
            let page = store.read(&stream, Seq(self.document.version()), PAGE).await?;
            if page.is_empty() {
                return Err(Broken::new(format!("{stream} holds fewer versions than the store says")));
            }
            let mut deltas = Vec::with_capacity(page.len());
            for entry in page {
                let commit: Commit = serde_json::from_slice(&entry.body).map_err(unreadable)?;
                self.document
                    .replay(&commit)
                    .map_err(|error| Broken::new(format!("{stream} cannot be replayed: {error}")))?;
                self.latest = Stamp::of(&commit);
                self.log_bytes += entry.body.len();
                deltas.push(Delta::new(Arc::new(commit), entry.body.len()));
            }
            self.deltas.fill(deltas);
        }
        Ok(())
    }
}
